// The gateway with a real SIP phone, baresip, in both directions: tones measured at each end, hold, DTMF.
// Baresip tells its peers the address of an interface, so all of it runs in a network namespace.

import assert from "node:assert/strict";
import { runInNamespace } from "../support/netns.ts";
import { hasPeer } from "../support/peers.ts";
import {
  type CallResult,
  type DigitsResult,
  type HoldResult,
  PHONE_TONE_HZ,
  SCENARIO_SCRIPT,
  TONE_PEAK,
  USER_TONE_HZ,
} from "./baresip_scenario.ts";

const ignore = !hasPeer("baresip", "unshare", "ip");

function play<Result>(name: string): Promise<Result> {
  const family = name.endsWith("IPv6") ? "ipv6" : "ipv4";
  return runInNamespace<Result>({ script: SCENARIO_SCRIPT, args: [name], family, timeoutMs: 60_000 });
}

const LEVEL = TONE_PEAK / Math.SQRT2;

function assertTone(what: string, tone: CallResult["toSip"], hz: number, log: string): void {
  assert.ok(Math.abs(tone.hz - hz) < hz / 100, `${what}: ${tone.hz} Hz instead of ${hz}\n${log}`);
  assert.ok(Math.abs(tone.level / LEVEL - 1) < 0.02, `${what}: level ${tone.level} instead of ${LEVEL}`);
}

function assertCleanCall(result: CallResult): void {
  const { toRtmp, toSip, log } = result;
  assertTone("to the user", toRtmp, PHONE_TONE_HZ, log);
  assertTone("to baresip", toSip, USER_TONE_HZ, log);
  assert.equal(toRtmp.broken, 0, `the tone arrived whole at the user\n${log}`);
  assert.equal(toSip.broken, 0, `the tone arrived whole at baresip\n${log}`);
  assert.ok(toRtmp.durationMs >= 3000, `the user heard ${toRtmp.durationMs} ms\n${log}`);
  assert.equal(toSip.durationMs, 3000, `baresip heard every block\n${log}`);
  assert.deepEqual(result.unevenSteps, [], "the user's time stamps go on by 20 ms");
  assertEnd(result);
}

/** Both ends agree by RTCP that nothing was lost, and nothing of the call is left. */
function assertEnd({ rtcp, usage, log }: CallResult): void {
  assert.deepEqual([rtcp.tx.lost, rtcp.rx.lost], [0, 0], log);
  assert.ok(rtcp.tx.sent > 40 && rtcp.rx.sent > 40, `both counted packets: ${JSON.stringify(rtcp)}`);
  assert.deepEqual(usage, { connections: 1, clients: 1, calls: 0, rtpPorts: 0 });
}

/** Kernels without IPv6 exist. */
const noIpv6 = !isThere("/proc/net/if_inet6");

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

for (const [codec, family] of [["pcmu", ""], ["pcma", ""], ["pcmu", ", IPv6"]] as const) {
  const options = {
    name: `a user calls baresip, ${codec}${family}: both hear each other's tone whole`,
    ignore: ignore || family !== "" && noIpv6,
  };
  Deno.test(options, async () => {
    const result = await play<CallResult>(`user calls, ${codec}${family}`);
    assert.deepEqual(result.callbacks, [`accepted(${codec}, )`], result.log);
    assertCleanCall(result);
    assert.equal(result.sent, 150);
  });
}

const FROM_PHONE = [["pcmu", "UDP"], ["pcma", "UDP"], ["pcmu", "TCP"], ["pcma", "IPv6"]] as const;

for (const [codec, over] of FROM_PHONE) {
  const options = {
    name: `baresip calls a user over ${over}, ${codec}: both hear each other's tone whole`,
    ignore: ignore || over === "IPv6" && noIpv6,
  };
  Deno.test(options, async () => {
    const result = await play<CallResult>(`phone calls, ${codec}, ${over}`);
    const [invited = "", ...later] = result.callbacks;
    assert.match(invited, /^invited\("Phone" <sip:phone@(10\.77\.0\.1|\[fd77::1\]).*>, <sip:user@/);
    assert.deepEqual(later, [`accepted(${codec}, )`, "byed()"], result.log);
    assertCleanCall(result);
  });
}

Deno.test({ name: "a user holds baresip: it is not heard until the user resumes", ignore }, async () => {
  const result = await play<HoldResult>("user holds");
  assertHeldAndResumed(result);
  assert.deepEqual(result.callbacks, ["accepted(pcmu, )"]);
  assert.equal(result.toSip.broken, 0, "baresip hears the user all the time");
  assert.equal(result.sent, result.spoken.total);
});

Deno.test(
  { name: "baresip holds a user: the client is told, and nothing is sent to it", ignore },
  async () => {
    const result = await play<HoldResult>("phone holds");
    assertHeldAndResumed(result);
    assert.deepEqual(result.callbacks, ["accepted(pcmu, )", "holded(true)", "holded(false)"]);
    const { total, held } = result.spoken;
    assert.ok(held > 40, `${held} blocks were spoken into the hold`);
    assert.ok(
      Math.abs(result.sent - (total - held)) <= 5,
      `${result.sent} sent of ${total}, ${held} while held`,
    );
  },
);

function assertHeldAndResumed(result: HoldResult): void {
  const { heard, toRtmp, toSip, log } = result;
  assert.equal(heard.held, 0, log);
  assert.ok(heard.before > 40 && heard.after > 40, `${JSON.stringify(heard)}\n${log}`);
  assertTone("to the user", toRtmp, PHONE_TONE_HZ, log);
  assertTone("to baresip", toSip, USER_TONE_HZ, log);
  assert.ok(toRtmp.broken <= 4, `the tone has one seam: ${toRtmp.broken}`); // one seam is seen by four blocks
  assert.equal(result.unevenSteps.length, 1, "one gap in the time stamps");
  assert.ok(result.unevenSteps[0]! > 1000, "as long as the hold");
  assertEnd(result);
}

Deno.test({ name: "DTMF go both ways, each exactly once", ignore }, async () => {
  const result = await play<DigitsResult>("digits");
  assert.deepEqual(result.atPhone, ["1", "9", "*", "#"], result.log);
  assert.deepEqual(result.atUser, ["5", "#", "0"], result.log);
});
