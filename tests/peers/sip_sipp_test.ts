// The SIP user agent against SIPp on loopback, as caller and as callee.

import assert from "node:assert/strict";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import type { InviteProgress } from "../../lib/sip/ua/user_agent.ts";
import { hasPeer } from "../support/peers.ts";
import { RecordLog } from "../support/record_log.ts";
import { answerCalls, openLoopback } from "../support/sip_loopback.ts";
import { identity, sdp, sdpText } from "../support/sip_network.ts";
import { startSipp } from "../support/sipp.ts";

const ignore = !hasPeer("sipp");

async function called(scenario: string, calls: number, args: string[] = []): Promise<string[]> {
  const log = new RecordLog("debug");
  const happened: string[] = [];
  await using endpoint = openLoopback(log);
  const bob = endpoint.createUserAgent(identity(`sip:bob@127.0.0.1:${endpoint.port}`));
  const answering = answerCalls(bob, happened);
  await using sipp = await startSipp({
    scenario,
    target: `127.0.0.1:${endpoint.port}`,
    service: "bob",
    calls,
    args,
  });
  const { ok, report } = await sipp.finished();
  assert.ok(ok, `${report}\n${log.lines.join("\n")}`);
  await bob[Symbol.asyncDispose]();
  await answering;
  assert.equal(endpoint.dialogCount, 0);
  assert.deepEqual(log.at("error"), []);
  return happened;
}

Deno.test({ name: "SIPp calls, talks and hangs up, over UDP and TCP", ignore }, async () => {
  for (const args of [[], ["-t", "t1"]]) {
    assert.deepEqual(await called("caller", 1, args), ["confirmed", "ended by remote"]);
  }
});

Deno.test(
  { name: "SIPp requires 100rel, holds by re-INVITE, resumes by UPDATE, asks OPTIONS", ignore },
  async () => {
    assert.deepEqual(await called("sip_caller_reliable", 1), [
      "confirmed",
      "offer hold",
      "offer resume",
      "ended by remote",
    ]);
  },
);

async function call(
  scenario: string,
  use: (step: InviteProgress, abort: AbortController) => Promise<void>,
  args: string[] = [],
): Promise<void> {
  const log = new RecordLog("debug");
  await using endpoint = openLoopback(log);
  await using sipp = await startSipp({ scenario, args });
  const alice = endpoint.createUserAgent(identity(`sip:alice@127.0.0.1:${sipp.port}`, "secret"));
  const abort = new AbortController();
  const params = args.includes("t1") ? ";transport=tcp" : "";
  const to = parseNameAddr(`<sip:sipp@127.0.0.1:${sipp.port}${params}>`);
  for await (const step of alice.invite(to, sdp("offer"), abort.signal)) await use(step, abort);
  const { ok, report } = await sipp.finished();
  assert.ok(ok, `${report}\n${log.lines.join("\n")}`);
  assert.deepEqual(log.at("error"), []);
}

Deno.test({ name: "SIPp answers: ringing, answer, hang up", ignore }, async () => {
  const told: string[] = [];
  await call("callee_echo", async (step) => {
    told.push(
      step.type === "accepted" || step.type === "offer" ? step.type : `${step.status} ${step.reason}`,
    );
    if (step.type === "accepted") await step.call.hangUp();
  });
  assert.deepEqual(told, ["180 Ringing", "accepted"]);
});

Deno.test(
  { name: "SIPp challenges with a nonce full of = and commas, and rings reliably", ignore },
  async () => {
    const told: string[] = [];
    await call("sip_callee_reliable", async (step) => {
      told.push(step.type === "accepted" || step.type === "offer" ? step.type : `${step.status}`);
      if (step.type !== "accepted") return;
      const held = await step.call.reoffer(sdp("hold"));
      assert.ok(held.type === "accepted");
      assert.equal(sdpText(held.body), "held");
      assert.equal(await step.call.info({ type: "application/dtmf", bytes: new Uint8Array([0x35]) }), 200);
      await step.call.hangUp();
    });
    assert.deepEqual(told, ["180", "accepted"]);
  },
);

for (const [scenario, status] of [["callee_busy", 486], ["callee_moved", 302]] as const) {
  Deno.test({ name: `SIPp refuses with ${status}`, ignore }, async () => {
    const told: number[] = [];
    await call(scenario, (step) => {
      if (step.type === "refused") told.push(step.status);
      return Promise.resolve();
    });
    assert.deepEqual(told, [status]);
  });
}

Deno.test({ name: "an abort while SIPp rings is a CANCEL it is content with", ignore }, async () => {
  const told: string[] = [];
  await call("callee_rings", (step, abort) => {
    told.push(step.type === "accepted" || step.type === "offer" ? step.type : `${step.type} ${step.status}`);
    abort.abort();
    return Promise.resolve();
  });
  assert.deepEqual(told, ["progress 180", "refused 487"]);
});
