// Accounts on a network in memory: what registrars hear of them, what the log says, what becomes of calls.
// Answers to: lib/gateway/accounts.ts.

import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { readSipAccount, type SipAccount } from "../../lib/config/accounts.ts";
import { MEAN_GAP_MS, MOST_AT_ONCE, RegisterPacer } from "../../lib/gateway/accounts.ts";
import {
  AccountRegistry,
  durationText,
  refusalText,
  registrationText,
  unregisteredText,
} from "../../lib/gateway/accounts.ts";
import type { SipRequest } from "../../lib/sip/message/message.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import { DigestVerifier } from "../support/digest_verifier.ts";
import type { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import type { Identity } from "../../lib/sip/ua/identity.ts";
import type { Invitation } from "../../lib/sip/ua/invitation.ts";
import type { RegistrationChange } from "../../lib/sip/ua/registration_keeper.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";
import { contactUri, type ScriptedPeer, sdp, SipNetwork } from "../support/sip_network.ts";

const HOUR_MS = 3_600_000;
const SECRET = "hunter2-of-the-desk";
const KEY = "key-of-the-desk-0123456789";

function account(entry: Record<string, unknown>): SipAccount {
  const read = readSipAccount(entry);
  return typeof read === "string" ? assert.fail(read) : read;
}

const DESK = account({ name: "desk", address: "desk@10.0.0.9", password: SECRET, key: KEY });

interface Scene {
  network: SipNetwork;
  endpoint: SipEndpoint;
  registry: AccountRegistry;
  log: RecordLog;
}

function scene(accounts: readonly SipAccount[]): Scene {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const log = new RecordLog("info");
  const { clock } = network;
  const registry = new AccountRegistry({ accounts, sip: endpoint, clock, random: seededRandom(5), log });
  return { network, endpoint, registry, log };
}

async function close({ network, registry, endpoint }: Scene): Promise<void> {
  await network.close(registry);
  await network.close(endpoint);
  assert.deepEqual(network.log.at("error"), []);
}

/** Every REGISTER with the right password is taken. */
function digestRegistrar(
  network: SipNetwork,
  peer: ScriptedPeer,
  passwordOf: () => string,
): { wrong: number } {
  const seen = { wrong: 0 };
  const verifier = new DigestVerifier({ realm: "r" }, { clock: network.clock, random: seededRandom(7) });
  peer.onMessage = (message) => {
    if (message.kind !== "request") return false;
    const verdict = verifier.verify(message, "user", passwordOf);
    if (verdict.type === "ok") {
      grant(peer, message);
      return true;
    }
    if (message.headers.has("Authorization")) seen.wrong += 1;
    const challenge = verifier.challenge(message, "user", verdict.type === "stale", "registrar");
    const header = challenge.headers.get("WWW-Authenticate") ?? "";
    peer.answer(message, 401, { headers: { "WWW-Authenticate": header } });
    return true;
  };
  return seen;
}

function grant(peer: ScriptedPeer, request: SipRequest): void {
  peer.answer(request, 200, { headers: { Contact: request.headers.get("Contact") ?? "" } });
}

Deno.test("accounts: registered in the background, told once, unregistered at the end", async () => {
  const set = scene([DESK]);
  const registrar = set.network.peer("10.0.0.9");
  digestRegistrar(set.network, registrar, () => SECRET);
  const desk = set.registry.get("desk");
  assert.ok(desk);
  assert.deepEqual([set.registry.get("Desk"), set.registry.all()], [undefined, [desk]]);
  await set.network.clock.advanceAsync(1_000);
  assert.deepEqual([desk.state, set.network.wire], ["unregistered", []], "nothing goes out before start()");
  set.registry.start();
  assert.equal(desk.state, "registering");
  await set.network.until("the registration", () => desk.state === "registered");
  await set.network.clock.advanceAsync(HOUR_MS);
  await close(set);
  assert.equal(desk.state, "unregistered");
  assert.deepEqual(set.log.lines, ["info main account desk: registered at sip:10.0.0.9 for 180 s"]);
  assert.match(set.network.log.lines.join("\n"), /unregistered: 200/);
});

Deno.test("accounts: no secret is in any line, at any level", async () => {
  const set = scene([DESK]);
  const registrar = set.network.peer("10.0.0.9");
  let password = "another";
  digestRegistrar(set.network, registrar, () => password);
  set.registry.start();
  await set.network.clock.advanceAsync(HOUR_MS);
  password = SECRET;
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.equal(set.registry.get("desk")?.state, "registered");
  await close(set);
  const lines = [...set.log.lines, ...set.network.log.lines].join("\n");
  assert.ok(lines.length > 100);
  for (const secret of [SECRET, KEY]) assert.ok(!lines.includes(secret));
});

Deno.test("accounts: a wrong password is tried some 35 times a day, and found right within the hour", async () => {
  const set = scene([DESK]);
  const registrar = set.network.peer("10.0.0.9");
  let password = "another";
  const seen = digestRegistrar(set.network, registrar, () => password);
  set.registry.start();
  const desk = set.registry.get("desk");
  await set.network.clock.advanceAsync(24 * HOUR_MS);
  assert.equal(desk?.state, "failed");
  const registers = set.network.wire.filter((line) => line.endsWith("REGISTER")).length;
  assert.ok(seen.wrong >= 24 && seen.wrong <= 55, `${seen.wrong} wrong answers`);
  assert.equal(registers, 2 * seen.wrong, "each after one question, nothing else");
  password = SECRET;
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.equal(desk?.state, "registered");
  assert.equal(set.log.lines.length, 2, set.log.lines.join("\n"));
  assert.match(
    set.log.lines[0] ?? "",
    /^warn main account desk: not registered: sip:10\.0\.0\.9 refuses the user name or password \(401 /,
  );
  assert.match(set.log.lines[1] ?? "", /^info main account desk: registered at /);
  await close(set);
});

Deno.test("accounts: after a repair those that failed try at once, and nobody else", async () => {
  const set = scene([DESK, account({ name: "door", address: "door@10.0.0.8", password: SECRET })]);
  let password = "another";
  digestRegistrar(set.network, set.network.peer("10.0.0.9"), () => password);
  digestRegistrar(set.network, set.network.peer("10.0.0.8"), () => SECRET);
  set.registry.start();
  await set.network.clock.advanceAsync(10 * HOUR_MS);
  password = SECRET;
  const before = set.network.wire.length;
  set.registry.retry();
  await set.network.clock.advanceAsync(2_200);
  assert.deepEqual(set.registry.all().map(({ state }) => state), ["registered", "registered"]);
  const sent = set.network.wire.slice(before).filter((line) => line.endsWith("REGISTER"));
  const toDoor = sent.filter((line) => line.endsWith("10.0.0.8 REGISTER"));
  assert.ok(toDoor.length <= 1, "a refresh at most");
  assert.equal(sent.length - toDoor.length, 2);
  await close(set);
});

Deno.test("accounts: a registrar that is away, comes, goes and comes again", async () => {
  const set = scene([DESK]);
  set.registry.start();
  const desk = set.registry.get("desk");
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.equal(desk?.state, "failed");
  const registrar = set.network.peer("10.0.0.9");
  digestRegistrar(set.network, registrar, () => SECRET);
  await set.network.until("the registration", () => desk?.state === "registered", 160_000);
  set.network.detach(registrar.at);
  await set.network.until("its loss", () => desk?.state === "failed", 250_000);
  digestRegistrar(set.network, set.network.peer("10.0.0.9"), () => SECRET);
  await set.network.until("its return", () => desk?.state === "registered", 250_000);
  const told = set.log.lines.map((line) =>
    line.replace(/^\w+ main account desk: ([a-z ]+) (?:at|:).*/, "$1")
  );
  assert.deepEqual(told.map((line) => line.replace(/:.*/, "")), [
    "warn main account desk",
    "registered",
    "warn main account desk",
    "registered",
  ]);
  assert.match(set.log.lines[2] ?? "", /: no longer registered: sip:10\.0\.0\.9 does not answer \(408/);
  await close(set);
});

Deno.test("accounts: one that is not to be registered calls and is called all the same", async () => {
  const set = scene([account({ name: "trunk", address: "7140@10.0.0.9" })]);
  set.registry.start();
  const trunk = set.registry.get("trunk");
  await set.network.clock.advanceAsync(HOUR_MS);
  assert.deepEqual([trunk?.state, set.network.wire], ["unregistered", []]);
  assert.deepEqual(set.log.lines, [
    "info main account trunk: not registered: it has no password and no registrar",
  ]);
  const peer = set.network.peer("10.0.0.9");
  const next = trunk?.agent.invitations().next();
  peer.send(peer.build("INVITE", "sip:7140@10.0.0.1", {}, sdp("o")), "10.0.0.1");
  const { value } = await set.network.settled(next!);
  value?.refuse(486, "Busy Here");
  await peer.response(486);
  await close(set);
});

Deno.test("accounts: beside an RTMP client of the same address each gets the calls of its own binding", async () => {
  const set = scene([DESK]);
  const registrar = set.network.peer("10.0.0.9");
  const bindings: string[] = [];
  registrar.onMessage = (message) => {
    if (message.kind !== "request") return false;
    bindings.push(contactUri(message));
    grant(registrar, message);
    return true;
  };
  set.registry.start();
  await set.network.until("the account's binding", () => bindings.length === 1);
  const client = set.endpoint.createUserAgent(DESK.identity);
  await set.network.settled(client.register(new AbortController().signal));
  const got: string[] = [];
  const answer = async (who: string, invitations: AsyncIterable<Invitation>): Promise<void> => {
    for await (const invitation of invitations) {
      got.push(who);
      invitation.refuse(486, "Busy Here");
    }
  };
  const answering = [
    answer("account", set.registry.get("desk")!.agent.invitations()),
    answer("client", client.invitations()),
  ];
  const peer = set.network.peer("10.0.0.7");
  for (const [n, uri] of [...bindings, "sip:desk@10.0.0.1"].entries()) {
    const invite = peer.build("INVITE", uri, { "Call-ID": `c${n}` }, sdp("o"));
    peer.send(invite, "10.0.0.1");
    await peer.response(486);
    const via = invite.headers.get("Via") ?? "";
    peer.send(peer.build("ACK", uri, { "Call-ID": `c${n}`, "Via": via, "CSeq": "1 ACK" }), "10.0.0.1");
  }
  assert.deepEqual(got, ["account", "client", "client"], "without a line the newest has it");
  await set.network.close(client);
  await close(set);
  await Promise.all(answering);
});

Deno.test("accounts: a registration lost while a call is up does not end the call", async () => {
  const set = scene([DESK]);
  const registrar = set.network.peer("10.0.0.9");
  digestRegistrar(set.network, registrar, () => SECRET);
  set.registry.start();
  const desk = set.registry.get("desk");
  await set.network.until("the registration", () => desk?.state === "registered");
  const phone = set.network.peer("10.0.0.7");
  const invite = phone.build("INVITE", "sip:desk@10.0.0.1", {}, sdp("o"));
  const next = desk!.agent.invitations().next();
  phone.send(invite, "10.0.0.1");
  const { value: invitation } = await set.network.settled(next);
  const accepting = invitation!.accept(sdp("a"));
  const accepted = await phone.response(200, "INVITE");
  phone.send(phone.buildAsCaller("ACK", invite, accepted, 1), "10.0.0.1");
  const outcome = await set.network.settled(accepting);
  assert.equal(outcome.type, "confirmed");
  for (const status of [403, 503]) {
    registrar.onMessage = (message) => {
      if (message.kind === "request") registrar.answer(message, status);
      return true;
    };
    await set.network.until("the loss", () => desk?.state === "failed", 200_000);
    await set.network.clock.advanceAsync(2 * HOUR_MS);
  }
  assert.equal(set.endpoint.dialogCount, 1);
  const info = phone.buildAsCaller("INFO", invite, accepted, 2, {
    type: "text/plain",
    bytes: new Uint8Array(1),
  });
  phone.send(info, "10.0.0.1");
  await set.network.until(
    "an answer in the call",
    () => phone.received.some((one) => one.kind === "response"),
  );
  assert.ok(!set.network.wire.some((line) => line.endsWith(" BYE")));
  const closing = close(set);
  const bye = await phone.request("BYE");
  phone.answer(bye, 200);
  await closing;
});

Deno.test("accounts: a thousand start without a burst and leave without one; a dead registrar holds up no other", async () => {
  const many = Array.from(
    { length: 1_000 },
    (_, n) => account({ name: `u${n}`, address: `u${n}@10.0.0.9`, register: true }),
  );
  const dead = Array.from(
    { length: 100 },
    (_, n) => account({ name: `d${n}`, address: `d${n}@10.0.0.8`, register: true }),
  );
  const set = scene([...dead, ...many]);
  const registrar = set.network.peer("10.0.0.9");
  const { clock } = set.network;
  const times: number[] = [];
  let waiting = 0;
  let most = 0;
  registrar.onMessage = (message) => {
    if (message.kind !== "request") return true;
    times.push(clock.now());
    most = Math.max(most, ++waiting);
    clock.after(200, () => {
      waiting -= 1;
      grant(registrar, message);
    });
    return true;
  };
  set.registry.start();
  const states = (state: string) => set.registry.all().filter((one) => one.state === state).length;
  await set.network.until("all registrations", () => states("registered") === 1_000, 30_000);
  assert.ok(most <= MOST_AT_ONCE, `${most} at once`);
  const perSecond = new Map<number, number>();
  for (const at of times) {
    perSecond.set(Math.floor(at / 1000), (perSecond.get(Math.floor(at / 1000)) ?? 0) + 1);
  }
  assert.ok(Math.max(...perSecond.values()) <= 120, `${[...perSecond.values()]} per second`);
  assert.equal(times.length, 1_000);
  most = 0;
  const fromMs = clock.now();
  await close(set);
  assert.ok(clock.now() - fromMs <= 5_200, `${clock.now() - fromMs} ms to leave`);
  assert.equal(times.length, 2_000, "all were unregistered");
  assert.ok(most <= 100, `${most} goodbyes at once`);
});

interface GateScene {
  clock: FakeClock;
  gate: RegisterPacer;
  /** When each pass was given, in ms. */
  passed: { registrar: string; atMs: number; pass: Disposable | null }[];
  ask(registrar: string, signal?: AbortSignal): void;
}

function gateScene(): GateScene {
  const clock = new FakeClock();
  const gate = new RegisterPacer({ clock, random: seededRandom(3) });
  const passed: GateScene["passed"] = [];
  const ask = (registrar: string, signal = new AbortController().signal): void => {
    void (async () => {
      const pass = await gate.pass(registrar, signal);
      passed.push({ registrar, atMs: clock.now(), pass });
    })();
  };
  return { clock, gate, passed, ask };
}

Deno.test("gate: one after the other, in order, at the mean pace", async () => {
  const { clock, gate, passed, ask } = gateScene();
  const names = Array.from({ length: 500 }, (_, n) => `r${n}`);
  for (const name of names) ask(name);
  await clock.advanceAsync(60_000);
  assert.deepEqual(passed.map(({ registrar }) => registrar), names);
  for (const [index, { atMs }] of passed.slice(1).entries()) {
    const gapMs = atMs - passed[index]!.atMs;
    assert.ok(gapMs >= MEAN_GAP_MS * 0.5 - 0.001 && gapMs <= MEAN_GAP_MS * 1.5 + 0.001, `${gapMs}`);
  }
  const lastMs = passed.at(-1)!.atMs;
  assert.ok(lastMs > 450 * MEAN_GAP_MS && lastMs < 550 * MEAN_GAP_MS, `${lastMs}`);
  for (const { pass } of passed) pass?.[Symbol.dispose]();
  assert.equal(gate.size, 0);
});

Deno.test("gate: so many for a registrar at once, and one that does not answer holds up nobody else's", async () => {
  const { clock, gate, passed, ask } = gateScene();
  for (let n = 0; n < 100; n++) ask("away");
  for (let n = 0; n < 5; n++) ask("here");
  await clock.advanceAsync(10_000);
  const count = (name: string) => passed.filter(({ registrar }) => registrar === name).length;
  assert.deepEqual([count("away"), count("here")], [MOST_AT_ONCE, 5]);
  for (const { registrar, pass } of [...passed]) if (registrar === "away") pass?.[Symbol.dispose]();
  await clock.advanceAsync(10_000);
  assert.deepEqual([count("away"), count("here")], [2 * MOST_AT_ONCE, 5]);
  assert.equal(gate.size, 2);
});

Deno.test("gate: who gives up gets nothing and leaves no gap, wherever it waited", async () => {
  const { clock, gate, passed, ask } = gateScene();
  const impatient = new AbortController();
  ask("a", AbortSignal.abort()); // before it came
  ask("a");
  ask("a", impatient.signal); // at the pace
  for (let n = 0; n < MOST_AT_ONCE - 2; n++) ask("a");
  ask("a", impatient.signal); // in the lane
  ask("a");
  impatient.abort();
  await clock.advanceAsync(10_000);
  assert.equal(passed.filter(({ pass }) => pass === null).length, 3);
  assert.equal(passed.filter(({ pass }) => pass !== null).length, MOST_AT_ONCE);
  for (const { pass } of passed) pass?.[Symbol.dispose]();
  assert.equal(gate.size, 0);
  assert.equal(clock.pending, 0);
});

const USER: Identity = {
  aor: parseSipUri("sip:desk@example.com"),
  displayName: null,
  username: null,
  password: "hunter2",
};
const ELSEWHERE: Identity = { ...USER, registrar: parseSipUri("sip:pbx.example:5080") };
const NO_PASSWORD: Identity = { ...USER, password: null };

function lost(status: number, reason: string, retryMs?: number): RegistrationChange {
  return { type: "lost", status, reason, ...(retryMs !== undefined && { retryMs }) };
}

const TABLE: [identity: Identity, change: RegistrationChange, before: boolean, text: string][] = [
  [USER, { type: "registered", expiresSeconds: 180 }, false, "registered at sip:example.com for 180 s"],
  [
    ELSEWHERE,
    { type: "registered", expiresSeconds: 60 },
    false,
    "registered at sip:pbx.example:5080 for 60 s",
  ],
  [
    USER,
    lost(401, "Unauthorized", 47_300),
    false,
    "not registered: sip:example.com refuses the user name or password (401 Unauthorized); " +
    "retrying in 47 s (backoff); SIGHUP tries at once",
  ],
  [
    NO_PASSWORD,
    lost(401, "Unauthorized"),
    false,
    "not registered: sip:example.com asks for a password, and the account has none (401 Unauthorized); " +
    "SIGHUP tries at once",
  ],
  [
    ELSEWHERE,
    lost(408, "Request timeout", 1_500),
    true,
    "no longer registered: sip:pbx.example:5080 does not answer (408 Request timeout); " +
    "retrying in 2 s (backoff)",
  ],
  [
    USER,
    lost(503, "no address found for sip:example.com", 2_000),
    false,
    "not registered: sip:example.com cannot be reached or has no room (503 no address found for sip:example.com); " +
    "retrying in 2 s (backoff)",
  ],
  [
    USER,
    lost(404, "Not Found", 3_600_000),
    true,
    "no longer registered: sip:example.com does not know the user (404 Not Found); " +
    "retrying in 60 min (backoff); SIGHUP tries at once",
  ],
  [
    USER,
    lost(500, "Server Error", 2_000),
    true,
    "no longer registered: sip:example.com does not register the user (500 Server Error); " +
    "retrying in 2 s (backoff)",
  ],
];

Deno.test("account words: what happened, to whom, when it is tried again", () => {
  for (const [identity, change, before, text] of TABLE) {
    assert.equal(registrationText(identity, change, before), text);
  }
  assert.match(
    registrationText(USER, lost(403, "Forbidden"), false),
    /refuses the user, or its name or password \(403/,
  );
});

Deno.test("account words: times", () => {
  assert.deepEqual([0, 400, 1_499, 119_000, 120_000, 3_540_000].map(durationText), [
    "1 s",
    "1 s",
    "1 s",
    "119 s",
    "2 min",
    "59 min",
  ]);
});

Deno.test("an account that is not to be registered says why", () => {
  assert.equal(unregisteredText(NO_PASSWORD), "not registered: it has no password and no registrar");
  assert.equal(unregisteredText(USER), "not registered: it has register = false");
  assert.equal(
    unregisteredText({ ...ELSEWHERE, password: null }),
    "not registered: it has register = false",
  );
});

Deno.test("what a registrar has against a user is said with its name and answer", () => {
  assert.equal(
    refusalText(ELSEWHERE, 404, "Not Found"),
    "sip:pbx.example:5080 does not know the user (404 Not Found)",
  );
});
