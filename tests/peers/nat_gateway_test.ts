// FAQ 5 (Amazon EC2): a gateway with a private address behind a 1:1 NAT, told its public address with -e. The network
// is made of namespaces; the remote party is a real baresip behind the NAT, and tshark sees every packet there.

import assert from "node:assert/strict";
import { runOutsideNat } from "../support/nat_network.ts";
import { hasPeer } from "../support/peers.ts";
import type { ToneReport } from "../support/tone.ts";
import {
  type AutoResult,
  type NatResult,
  PHONE_TONE_HZ,
  SCENARIO_SCRIPT,
  USER_TONE_HZ,
} from "./nat_scenario.ts";

const ignore = !hasPeer("baresip", "tshark", "unshare", "ip", "iptables");
const PUBLIC = "203.0.113.7";

function play<Result>(name: string): Promise<Result> {
  return runOutsideNat<Result>({ script: SCENARIO_SCRIPT, args: [name], timeoutMs: 60_000 });
}

function assertTone(what: string, tone: ToneReport, hz: number, log: string): void {
  assert.ok(tone.durationMs >= 1_900, `${what}: ${tone.durationMs} ms\n${log}`);
  assert.ok(Math.abs(tone.hz - hz) < hz / 100, `${what}: ${tone.hz} Hz instead of ${hz}\n${log}`);
  assert.ok(tone.broken <= 4, `${what}: ${tone.broken} blocks are broken\n${log}`);
}

const autoIgnore = ignore || !hasPeer("kamailio", "turnserver");

const CALLS: [name: string, callbacks: RegExp][] = [
  ["user calls", /^accepted\(pcmu, \)$/],
  ["user calls, auto", /^accepted\(pcmu, \)$/],
  ["phone calls", /^invited\("Phone" <sip:phone@203\.0\.113\.50.*accepted\(pcmu, \)$/],
];

for (const [name, callbacks] of CALLS) {
  const title = `FAQ 5, behind a 1:1 NAT with -e: ${name}, media both ways`;
  Deno.test({ name: title, ignore: /auto/.test(name) ? autoIgnore : ignore }, async () => {
    const result = await play<NatResult>(name);
    const { log } = result;
    assert.match(result.callbacks.join(" "), callbacks);
    assertTone("to the user", result.toRtmp, PHONE_TONE_HZ, log);
    assertTone("to the phone", result.toSip, USER_TONE_HZ, log);
    assert.deepEqual([result.via, result.contact, result.connection], [[PUBLIC], [PUBLIC], [PUBLIC]], log);
    assert.ok(result.rtp.fromGateway >= 95 && result.rtp.toGateway >= 95, JSON.stringify(result.rtp));
    assert.deepEqual([result.leaks, result.strays], [0, 0], "the private address is nowhere to be read");
  });
}

Deno.test(
  { name: "FAQ 5, behind a 1:1 NAT without -e: the phone is told what it cannot reach", ignore },
  async () => {
    const result = await play<NatResult>("user calls, nothing told");
    assert.deepEqual(result.connection, ["10.1.0.2"]);
    assert.equal(result.rtp.toGateway, 0, "so the test above can fail");
    assert.ok(result.leaks > 0);
  },
);

Deno.test({
  name: "FAQ 5, -e auto: what STUN tells is told, and reached through the NAT",
  ignore: autoIgnore,
}, async () => {
  const { learnt, via, contact, message, keepAlives, log } = await play<AutoResult>("auto");
  assert.ok(learnt.includes(PUBLIC), learnt.join());
  assert.deepEqual([via, contact], [[PUBLIC], [PUBLIC]], log);
  assert.equal(message, 200, log);
  assert.match(log, /public address 203\.0\.113\.7 \(STUN 203\.0\.113\.50:3478\)/);
  assert.ok(keepAlives.requests >= 2, log);
  assert.deepEqual(keepAlives, { requests: keepAlives.requests, answers: keepAlives.requests, malformed: 0 });
  assert.doesNotMatch(log, /has failed|does not speak STUN/);
});

Deno.test({
  name: "FAQ 5, -e auto without an answer: the interface's address, and the log says so",
  ignore: autoIgnore,
}, async () => {
  const { learnt, contact, log } = await play<AutoResult>("auto, nobody answers");
  assert.deepEqual([learnt, contact], [[], ["10.1.0.2"]], log);
  assert.match(
    log,
    /STUN server 203\.0\.113\.50:3478 gives no address \(no answer yet\): peers are told the address of/,
  );
});
