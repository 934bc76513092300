// Users that are to be registered whatever happens: UserAgent.keepRegistered. How often a registrar is asked that is
// away, refuses, or refuses and hangs up. Answers to: lib/sip/ua/registration_keeper.ts; more of it in registration_test.ts.

import assert from "node:assert/strict";
import { DigestVerifier } from "../../support/digest_verifier.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import type { Admission, RegistrationChange, UserAgent } from "../../../lib/sip/ua/user_agent.ts";
import { collect, identity, type ScriptedPeer, SipNetwork } from "../../support/sip_network.ts";

const HOUR_MS = 3_600_000;

interface Scene extends AsyncDisposable {
  network: SipNetwork;
  registrar: ScriptedPeer;
  alice: UserAgent;
  changes: RegistrationChange[];
  /** When each REGISTER came, in ms. */
  asked: number[];
  /** How it is answered; null: not at all. */
  answer: (request: SipRequest) => number | null;
}

const admitAll: Admission = (signal) =>
  Promise.resolve(signal.aborted ? null : { [Symbol.dispose]: () => {} });

function scene(aor = "sip:alice@10.0.0.9", admit = admitAll): Scene {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity(aor, "secret"));
  const registrar = network.peer("10.0.0.9");
  const set: Scene = {
    network,
    registrar,
    alice,
    changes: collect(alice.registrations()),
    asked: [],
    answer: () => 200,
    [Symbol.asyncDispose]: () => network.close(endpoint),
  };
  registrar.onMessage = (message) => {
    if (message.kind !== "request") return true;
    set.asked.push(network.clock.now());
    const status = set.answer(message);
    const contact = message.headers.get("Contact") ?? "";
    if (status !== null) registrar.answer(message, status, { headers: { Contact: contact } });
    return true;
  };
  alice.keepRegistered(admit);
  return set;
}

const told = (changes: readonly RegistrationChange[]) =>
  changes.map((change) => change.type === "registered" ? "registered" : `lost ${change.status}`);

Deno.test("kept: the first success is told, refreshes are not, and the owner's log is the only one", async () => {
  await using set = scene();
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.deepEqual(set.changes, [{ type: "registered", expiresSeconds: 180 }]);
  assert.ok(set.asked.length >= 21 && set.asked.length <= 26, `${set.asked.length}`);
  for (const [index, at] of set.asked.slice(1).entries()) {
    const sinceMs = at - set.asked[index]!;
    assert.ok(sinceMs > 140_000 && sinceMs < 175_000, `${sinceMs}`);
  }
  assert.deepEqual(set.network.log.at("info"), []);
});

Deno.test("kept: the first success is not said to be another one, and what never was is not lost", async () => {
  await using set = scene();
  const about = (): string[] =>
    set.network.log.at("debug").filter((line) => /\bregist(?:ered (?:again )?at|ration at) /.test(line));
  set.answer = () => 404;
  await set.network.clock.advanceAsync(1_000);
  set.answer = () => 200;
  await set.network.clock.advanceAsync(2 * HOUR_MS);
  set.answer = () => 503;
  await set.network.clock.advanceAsync(400_000);
  set.answer = () => 200;
  await set.network.clock.advanceAsync(HOUR_MS);
  const lines = about().map((line) => line.replace(/^.*?(regist)/, "$1").replace(/: (\d+).*/, ": $1"));
  assert.deepEqual(lines, [
    "registration at sip:10.0.0.9 failed: 404",
    "registered at sip:10.0.0.9 for 180 s",
    "registration at sip:10.0.0.9 lost: 503",
    "registered again at sip:10.0.0.9 for 180 s",
  ]);
});

Deno.test("kept: a registrar that says nothing is mentioned after 2 s, once until it has answered", async () => {
  await using set = scene();
  const silence = (): string[] => set.network.log.lines.filter((line) => line.includes("no answer yet"));
  set.answer = () => null;
  await set.network.clock.advanceAsync(1_900);
  assert.deepEqual(silence(), []);
  await set.network.clock.advanceAsync(200);
  assert.match(
    silence().join("\n"),
    /^warn .*no answer yet from udp 10\.0\.0\.9:5060 to REGISTER, Call-ID \S+$/,
  );
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.equal(silence().length, 1);
  set.answer = () => 200;
  await set.network.clock.advanceAsync(HOUR_MS);
  set.answer = () => null;
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.equal(silence().length, 2);
});

Deno.test("kept: a registrar that is away is asked ever more seldom, and found when it is back", async () => {
  await using set = scene();
  set.answer = () => null;
  await set.network.clock.advanceAsync(HOUR_MS);
  const calls = new Set(set.asked.map((at) => Math.floor(at / 1000)));
  // Each attempt is repeated for 32 s (RFC 3261 17.1.2), so at least every third minute has one.
  assert.ok(set.changes.length === 1 && calls.size > 100 && set.asked.length < 600, `${set.asked.length}`);
  assert.deepEqual(told(set.changes), ["lost 408"]);
  set.answer = () => 200;
  await set.network.clock.advanceAsync(160_000);
  assert.deepEqual(told(set.changes), ["lost 408", "registered"]);
});

Deno.test("kept: a refusal is asked again after a minute, then an hour at most; another one is told too", async () => {
  await using set = scene();
  set.answer = () => 403;
  await set.network.clock.advanceAsync(24 * HOUR_MS);
  assert.ok(set.asked.length >= 24 && set.asked.length <= 55, `${set.asked.length} in 24 h`);
  assert.ok(set.asked[1]! - set.asked[0]! >= 30_000);
  for (const [index, at] of set.asked.slice(10).entries()) {
    assert.ok(at - set.asked[index + 9]! >= HOUR_MS / 2);
  }
  assert.deepEqual(told(set.changes), ["lost 403"]);
  set.answer = () => 404;
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.deepEqual(told(set.changes), ["lost 403", "lost 404"]);
  set.answer = () => 200;
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.deepEqual(told(set.changes), ["lost 403", "lost 404", "registered"]);
});

Deno.test("kept: a registrar that refuses and hangs up, and a new address, do not shorten the wait", async () => {
  await using set = scene("sip:alice@10.0.0.9;transport=tcp");
  set.answer = () => 403;
  for (let minute = 0; minute < 24 * 60; minute++) {
    await set.network.clock.advanceAsync(60_000);
    set.alice.connectionLost(set.registrar.at);
    set.alice.refreshRegistration();
  }
  assert.ok(set.asked.length <= 55, `${set.asked.length} in 24 h`);
});

Deno.test("kept: a new address while a REGISTER is on its way is told as soon as that is answered", async () => {
  await using set = scene();
  await set.network.until("a REGISTER", () => set.asked.length === 1);
  set.alice.refreshRegistration();
  await set.network.clock.advanceAsync(2_100);
  assert.deepEqual([set.asked.length, told(set.changes)], [2, ["registered"]]);
});

Deno.test("kept: somebody who repaired it has it tried at once", async () => {
  await using set = scene();
  set.answer = () => 403;
  await set.network.clock.advanceAsync(10 * HOUR_MS);
  const before = set.asked.length;
  set.answer = () => 200;
  set.alice.retryRegistration();
  await set.network.clock.advanceAsync(2_100);
  assert.deepEqual([set.asked.length - before, told(set.changes)], [1, ["lost 403", "registered"]]);
  set.alice.retryRegistration();
  await set.network.clock.advanceAsync(10_000);
  assert.equal(set.asked.length - before, 1, "what stands is left alone");
});

Deno.test("kept: a password that becomes right is found out, whatever the registrar says about its nonces", async () => {
  for (const stale of [true, false]) {
    await using set = scene();
    let password = "another";
    let wrong = 0;
    const verifier = new DigestVerifier({ realm: "r" }, {
      clock: set.network.clock,
      random: seededRandom(7),
    });
    set.registrar.onMessage = (message) => {
      if (message.kind !== "request") return true;
      const verdict = verifier.verify(message, "user", () => password);
      if (verdict.type === "ok") set.registrar.answer(message, 200);
      else {
        if (message.headers.has("Authorization")) wrong += 1;
        const challenge = verifier.challenge(message, "user", stale && verdict.type === "stale", "registrar");
        const header = challenge.headers.get("WWW-Authenticate") ?? "";
        set.registrar.answer(message, 401, { headers: { "WWW-Authenticate": header } });
      }
      return true;
    };
    await set.network.clock.advanceAsync(24 * HOUR_MS);
    assert.deepEqual(told(set.changes), ["lost 401"]);
    assert.ok(wrong >= 24 && wrong <= 55, `${wrong} wrong answers in 24 h`);
    password = "secret";
    await set.network.clock.advanceAsync(HOUR_MS);
    assert.deepEqual(told(set.changes), ["lost 401", "registered"], `stale=${stale}`);
  }
});

Deno.test("kept: nothing goes out before it is admitted, and each pass is given back", async () => {
  const waiting: PromiseWithResolvers<void>[] = [];
  let passes = 0;
  const admit: Admission = async (signal) => {
    const turn = Promise.withResolvers<void>();
    waiting.push(turn);
    signal.addEventListener("abort", () => turn.resolve(), { once: true });
    await turn.promise;
    if (signal.aborted) return null;
    passes += 1;
    return { [Symbol.dispose]: () => void (passes -= 1) };
  };
  await using set = scene("sip:alice@10.0.0.9", admit);
  await set.network.clock.advanceAsync(60_000);
  assert.deepEqual([set.asked.length, waiting.length], [0, 1]);
  waiting[0]?.resolve();
  await set.network.until("the registration", () => set.changes.length === 1);
  assert.equal(passes, 0);
  await set.network.clock.advanceAsync(200_000);
  assert.deepEqual([set.asked.length, waiting.length], [1, 2], "a refresh is admitted too");
});
