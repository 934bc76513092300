// Accounts on a network in memory: what registrars hear of them, what the log says, what becomes of calls.
// Answers to: lib/gateway/account_registry.ts.

import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { SipAccount } from "../../lib/config/sip_account.ts";
import { readSipAccount } from "../../lib/config/sip_account.ts";
import { MOST_AT_ONCE } from "../../lib/gateway/account_gate.ts";
import { AccountRegistry } from "../../lib/gateway/account_registry.ts";
import { DigestVerifier } from "../../lib/sip/ua/digest_verifier.ts";
import type { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import type { Invitation } from "../../lib/sip/ua/invitation.ts";
import type { SipRequest } from "../../lib/sip/message/message.ts";
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
  assert.match(set.network.log.lines.join("\n"), /Unregistered: 200/);
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
