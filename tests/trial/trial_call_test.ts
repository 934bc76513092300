// The whole program on loopback: trial client -> gateway -> SIP server -> echo and back.

import assert from "node:assert/strict";
import { FlvReader } from "../../lib/flv/file.ts";
import { SipServer } from "../../lib/sipd/sip_server.ts";
import { runTrialCall, type TrialOptions } from "../../lib/trial/trial_call.ts";
import { startGateway } from "../support/test_gateway.ts";

const OPTIONS: Omit<TrialOptions, "url"> = {
  destination: "echo",
  login: "me",
  password: "any",
  displayName: "Me",
  source: { kind: "sample", codec: "speex", durationSeconds: 0.4 },
  record: null,
};

async function withServers(
  run: (
    call: (changes: Partial<TrialOptions>) => ReturnType<typeof runTrialCall>,
    stop: AbortController,
  ) => Promise<void>,
): Promise<void> {
  await using running = await startGateway();
  const listen = { hostname: "127.0.0.1", port: 0 };
  await using sipd = await SipServer.start({ listen, portFallback: false }, running.environment);
  const url = running.url(`me@127.0.0.1:${sipd.address.port}`);
  const stop = new AbortController();
  await run(
    (changes) => runTrialCall({ url, ...OPTIONS, ...changes }, running.environment, stop.signal),
    stop,
  );
}

for (const codec of ["speex", "narrowband", "pcmu", "pcma"] as const) {
  Deno.test(`a ${codec} call to echo returns every packet, and the ladder tells how`, () =>
    withServers(async (call) => {
      const report = await call({ source: { kind: "sample", codec, durationSeconds: 0.4 } });
      assert.ok(report.outcome.type === "completed", JSON.stringify(report.outcome));
      const { sent, matched, roundTripMs } = report.outcome.echo;
      assert.deepEqual([sent, matched], [20, 20]);
      assert.ok(roundTripMs !== null && report.setUpMs !== null);
      const said = report.steps.map((step) => `${step.from}>${step.to} ${step.text}`);
      for (
        const wanted of [
          "client>gateway connect sip/me@",
          "gateway>sip REGISTER",
          "client>gateway invite echo",
          "sip>gateway 180 Ringing",
          "gateway>client accepted(",
          "client>gateway bye",
          "gateway>sip BYE",
        ]
      ) assert.ok(said.some((line) => line.startsWith(wanted)), `${wanted} in:\n${said.join("\n")}`);
    }));
}

Deno.test("a number that nobody has is rejected with SIP's answer", () =>
  withServers(async (call) => {
    const { outcome, setUpMs } = await call({ destination: "nobody" });
    assert.deepEqual(outcome, { type: "rejected", reason: "404 Not Found" });
    assert.equal(setUpMs, null);
  }));

Deno.test("no gateway at the URL is a refusal in words, not an exception", () =>
  withServers(async (call) => {
    const { outcome } = await call({ url: "rtmp://127.0.0.1:1/sip/me@127.0.0.1" });
    assert.equal(outcome.type, "refused by gateway");
  }));

Deno.test("stopping in the middle cuts the call", () =>
  withServers(async (call, stop) => {
    const running = call({ source: { kind: "sample", codec: "pcmu", durationSeconds: 60 } });
    setTimeout(() => stop.abort(), 400);
    const { outcome } = await running;
    assert.ok(outcome.type === "cut" && outcome.reason === "interrupted", JSON.stringify(outcome));
  }));

Deno.test("what comes back is recorded to a playable FLV file", () =>
  withServers(async (call) => {
    const folder = await Deno.makeTempDir();
    try {
      await call({
        record: `${folder}/back.flv`,
        source: { kind: "sample", codec: "pcmu", durationSeconds: 0.4 },
      });
      using reader = await FlvReader.open(`${folder}/back.flv`);
      let audio = 0;
      for await (const tag of reader.tags()) if (tag.type === 8) audio++;
      assert.equal(audio, 20);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }));

Deno.test("progress is told step by step and once a second", async () => {
  await using running = await startGateway();
  const listen = { hostname: "127.0.0.1", port: 0 };
  await using sipd = await SipServer.start({ listen, portFallback: false }, running.environment);
  const told: string[] = [];
  const url = running.url(`me@127.0.0.1:${sipd.address.port}`);
  const environment = { ...running.environment, onProgress: (text: string) => void told.push(text) };
  const source = { kind: "sample", codec: "pcmu", durationSeconds: 1.2 } as const;
  await runTrialCall({ url, ...OPTIONS, source }, environment, new AbortController().signal);
  assert.ok(told.some((text) => text.startsWith("ringing(")), told.join("\n"));
  assert.equal(told.filter((text) => /^1 s: \d+ packets sent, \d+ returned$/.test(text)).length, 1);
});
