// The whole program on loopback: trial client -> gateway -> SIP server -> echo and back.

import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { FlvReader, FlvWriter } from "../../../lib/flv/writer.ts";
import { SipServer } from "../../../lib/tools/sipd/sip_server.ts";
import {
  type AudioMessage,
  fileMessages,
  runTrialCall,
  sampleMessages,
  type TrialOptions,
} from "../../../lib/tools/trial/trial_call.ts";
import { startGateway } from "../../support/test_gateway.ts";

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

const SIP_STEPS: { what: string; changes: Partial<TrialOptions>; reason: RegExp; drawn: RegExp[] }[] = [
  {
    what: "a refusal of the SIP side",
    changes: { destination: "nobody" },
    reason: /^404 Not Found$/,
    drawn: [/^gateway>sip INVITE$/, /^sip>gateway 404 Not Found$/],
  },
  {
    what: "an address that is none",
    changes: { destination: "http://x" },
    reason: /^invalid dest URI$/,
    drawn: [],
  },
  {
    what: "an address without a way there",
    changes: { destination: "sip:x@[fd00::1]" },
    reason: /^503 /,
    drawn: [],
  },
];

for (const { what, changes, reason, drawn } of SIP_STEPS) {
  Deno.test(`the ladder shows only what was said: ${what}`, () =>
    withServers(async (call) => {
      const { outcome, steps } = await call({ password: "", ...changes });
      assert.ok(outcome.type === "rejected" && reason.test(outcome.reason), JSON.stringify(outcome));
      const sip = steps.filter(({ from, to }) => from === "sip" || to === "sip")
        .map(({ from, to, text }) => `${from}>${to} ${text}`);
      assert.equal(sip.length, drawn.length, sip.join("\n"));
      drawn.forEach((pattern, index) => assert.match(sip[index]!, pattern));
    }));
}

Deno.test("a file that cannot be sent is told before anybody is called", () =>
  withServers(async (call) => {
    const told: string[] = [];
    const name = await Deno.makeTempFile({ suffix: ".flv" });
    await Deno.writeTextFile(name, "this is no video");
    for (const path of ["/nowhere/x.flv", name]) {
      const trying = call({ source: { kind: "file", path, codec: null, durationSeconds: null } });
      await assert.rejects(trying, (error) => {
        told.push(error instanceof TransportError ? error.message : "not one line for the user");
        return true;
      });
    }
    await Deno.remove(name);
    assert.match(told[0]!, /\/nowhere\/x\.flv/);
    assert.match(told[1]!, new RegExp(`^${name} cannot be sent: .*FLV`));
  }));

for (const codec of ["speex", "pcmu", "pcma"] as const) {
  Deno.test(`a file of ${codec} is sent as ${codec}, and comes back as it was`, () =>
    withServers(async (call) => {
      const path = await Deno.makeTempFile({ suffix: ".flv" });
      await call({ source: { kind: "sample", codec, durationSeconds: 0.4 }, record: path });
      const { outcome } = await call({
        source: { kind: "file", path, codec: null, durationSeconds: null },
      });
      await Deno.remove(path);
      assert.ok(outcome.type === "completed", JSON.stringify(outcome));
      assert.deepEqual([outcome.echo.sent, outcome.echo.matched], [20, 20]);
    }));
}

Deno.test("a password in an address is not drawn", () =>
  withServers(async (call) => {
    const refused = await call({ url: "rtmp://127.0.0.1:1/sip/me:hunter2@127.0.0.1" });
    const rejected = await call({ destination: "sip:nobody:hunter2@[fd00::1]" });
    assert.equal(rejected.outcome.type, "rejected");
    assert.doesNotMatch(JSON.stringify([refused.steps, rejected.steps]), /hunter2/);
  }));

Deno.test("a port without RTMP is a refusal in words", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using stranger = await listener.accept();
    await stranger.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n".repeat(200)));
    await stranger.read(new Uint8Array(4096));
  })();
  await withServers(async (call) => {
    const { port } = listener.addr as Deno.NetAddr;
    const { outcome } = await call({ url: `rtmp://127.0.0.1:${port}/sip/me@127.0.0.1` });
    assert.ok(outcome.type === "refused by gateway", JSON.stringify(outcome));
    assert.match(outcome.reason, /is that an RTMP port\?$/);
  });
  await serving;
  listener.close();
});

Deno.test("a gateway that ends the connection is quoted", () =>
  withServers(async (call) => {
    const running = call({ source: { kind: "sample", codec: "pcmu", durationSeconds: 60 } });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const newer = call({});
    const { outcome } = await running;
    assert.ok(outcome.type === "cut", JSON.stringify(outcome));
    assert.match(outcome.reason, /^the gateway closed the connection: a newer client/);
    await newer;
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

async function collect(messages: AsyncIterable<AudioMessage>): Promise<AudioMessage[]> {
  const all: AudioMessage[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

for (const [codec, tag] of [["speex", 0xb2], ["pcmu", 0x82], ["pcma", 0x72]] as const) {
  Deno.test(`the ${codec} sample has a block every 20 ms with its tag`, async () => {
    const messages = await collect(sampleMessages(codec, 0.5));
    assert.deepEqual(messages.map((message) => message.timeMs), Array.from({ length: 25 }, (_, i) => i * 20));
    assert.ok(messages.every(({ body }) => body[0] === tag && body.length > 20));
  });
}

Deno.test("a file gives its audio tags from time 0 until the wanted time, without video", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const writer = await FlvWriter.create(`${folder}/a.flv`);
    for (let i = 0; i < 10; i++) {
      writer.put(8, 5000 + i * 20, new Uint8Array([0x82, i]));
      writer.put(9, 5000 + i * 20, new Uint8Array([0x17, 1, 0, 0, 0, i]));
    }
    await writer.close();
    const messages = await collect(fileMessages(`${folder}/a.flv`, 0.1));
    assert.deepEqual(messages.map(({ timeMs, body }) => [timeMs, body[1]]), [[0, 0], [20, 1], [40, 2], [
      60,
      3,
    ], [80, 4]]);
    assert.equal((await collect(fileMessages(`${folder}/a.flv`, Infinity))).length, 10);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that is not there is a TransportError with its name", async () => {
  await assert.rejects(
    collect(fileMessages("/nowhere/x.flv", 1)),
    (error) => error instanceof TransportError && error.message.includes("/nowhere/x.flv"),
  );
});
