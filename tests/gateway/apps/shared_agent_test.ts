// Answers to: lib/gateway/apps/shared_agent.ts. FAQ 18, policy share: real Contexts and SIP on a network in memory.

import assert from "node:assert/strict";
import type { AmfValue } from "../../../lib/amf/value.ts";
import { InvitationFork } from "../../../lib/gateway/apps/invitation_fork.ts";
import { AgentMember, SharedAgents } from "../../../lib/gateway/apps/shared_agent.ts";
import { Context } from "../../../lib/gateway/context.ts";
import { textBody } from "../../../lib/sip/message/body.ts";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import type { AcceptOutcome } from "../../../lib/sip/ua/invitation.ts";
import type { RegisterOutcome } from "../../../lib/sip/ua/registration.ts";
import { MAX_INVITATIONS } from "../../../lib/sip/ua/user_agent.ts";
import { settle } from "../../support/fake_clock.ts";
import {
  callShared,
  RecordingFactory,
  RecordingLink,
  RecordingReply,
  ScriptedAgent,
  ScriptedInvitation,
} from "../../support/gateway_fakes.ts";
import {
  collect,
  contactUri,
  identity,
  type ScriptedPeer,
  sdp,
  SipNetwork,
} from "../../support/sip_network.ts";

const HOST = "10.0.0.1";
const REGISTRAR = "10.0.0.9";
const BOB = "10.0.0.2";
const forever = (): AbortSignal => new AbortController().signal;

/** A client of a shared address. */
class Client {
  readonly link = new RecordingLink();
  readonly factory = new RecordingFactory();
  readonly context: Context;
  readonly #network: SipNetwork;

  constructor(scene: Scene, displayName: string | null, password: string | null) {
    this.#network = scene.network;
    const who = { ...identity(`sip:alice@${REGISTRAR}`, password), displayName };
    const services = { shared: callShared(scene.network.clock), log: scene.network.log, media: this.factory };
    this.context = new Context({ link: this.link, agent: scene.lines.join(who), services });
  }

  register(): Promise<RegisterOutcome | { type: "not needed" }> {
    return this.context.register(forever());
  }

  rpc(name: string, ...args: AmfValue[]): RecordingReply {
    const reply = new RecordingReply();
    this.context.handle({ type: "command", name, args, streamId: 0, reply });
    return reply;
  }

  async told(count: number): Promise<string[]> {
    await this.#network.until(
      `${count} callbacks, have ${this.link.calls}`,
      () => this.link.calls.length >= count,
    );
    return this.link.take();
  }

  /** Callbacks by name. */
  async heard(...names: string[]): Promise<void> {
    const told = await this.told(names.length);
    assert.deepEqual(told.map((text) => text.replace(/\(.*/, "")), names);
  }
}

class Scene {
  readonly network = new SipNetwork();
  readonly endpoint = this.network.endpoint(HOST);
  readonly lines = new SharedAgents({
    sip: this.endpoint,
    log: this.network.log,
  });
  readonly bob: ScriptedPeer = this.network.peer(BOB);
  /** REGISTERs so far: their Expires; "refused" while `refuse` is set. */
  readonly registers: string[] = [];
  refuse: number | null = null;
  contact = "";
  readonly registrar: ScriptedPeer = this.network.peer(REGISTRAR);

  constructor() {
    this.registrar.onMessage = (message) => {
      if (message.kind !== "request" || message.method !== "REGISTER") return false;
      this.registers.push(this.refuse === null ? message.headers.get("Expires") ?? "" : "refused");
      this.contact = contactUri(message);
      this.registrar.answer(message, this.refuse ?? 200);
      return true;
    };
  }

  async clients(...names: (string | null)[]): Promise<Client[]> {
    const clients = names.map((name) => new Client(this, name, "secret"));
    for (const client of clients) {
      assert.equal((await this.network.settled(client.register())).type, "registered");
      client.context.start();
    }
    return clients;
  }

  /** Bob calls the one Contact. */
  call(): SipRequest {
    const invite = this.bob.build("INVITE", this.contact, {}, sdp("bob"));
    this.bob.send(invite, HOST);
    return invite;
  }

  async leave(...clients: Client[]): Promise<void> {
    this.bob.onMessage = (message) => {
      if (message.kind !== "request" || message.method === "ACK") return false;
      this.bob.answer(message, 200);
      return true;
    };
    for (const client of clients) {
      await this.network.settled(client.context[Symbol.asyncDispose]());
      assert.deepEqual([client.context.leg.scope.size, client.factory.openCount], [0, 0]);
    }
  }

  /** Nothing may be left. */
  async end(...clients: Client[]): Promise<void> {
    await this.leave(...clients);
    assert.equal(this.lines.size, 0);
    assert.equal(this.registers.at(-1), this.registers.length === 0 ? undefined : "0");
    await this.network.close(this.endpoint);
    await this.network.clock.advanceAsync(40_000);
    assert.equal(this.network.clock.pending, 0);
    assert.deepEqual(this.network.log.at("error"), []);
  }
}

Deno.test("FAQ 18, share: one registration for all, given back by the last to leave", async () => {
  const scene = new Scene();
  const [a, b, c] = await scene.clients("A", "B", "C");
  assert.deepEqual([scene.registers, scene.lines.size], [["180"], 1]);
  await scene.leave(a!, b!);
  assert.deepEqual(scene.registers, ["180"]);
  await scene.end(c!);
  assert.deepEqual(scene.registers, ["180", "0"]);
});

Deno.test("FAQ 18, share: all ring, the first to accept talks, the others are told cancelled", async () => {
  const scene = new Scene();
  const [a, b, c] = await scene.clients("A", "B", "C");
  const invite = scene.call();
  for (const client of [a!, b!, c!]) await client.heard("invited");
  await scene.bob.response(180);
  b!.rpc("accept");
  const ok = await scene.bob.response(200, "INVITE");
  scene.bob.send(scene.bob.buildAsCaller("ACK", invite, ok, 1), HOST);
  await b!.heard("accepted");
  await a!.heard("cancelled");
  await c!.heard("cancelled");
  assert.equal(
    scene.bob.drop((message) => message.kind === "response" && message.status === 180),
    0,
    "one 180",
  );
  a!.rpc("accept");
  await a!.heard("byed");
  scene.bob.send(scene.bob.buildAsCaller("BYE", invite, ok, 2), HOST);
  await b!.heard("byed");
  await scene.end(a!, b!, c!);
});

Deno.test("FAQ 18, share: while one talks the others can be called", async () => {
  const scene = new Scene();
  const [a, b] = await scene.clients("A", "B");
  a!.rpc("invite", `sip:bob@${BOB}`);
  const outgoing = await scene.bob.request("INVITE");
  scene.bob.answer(outgoing, 200, { body: sdp("bob") });
  await a!.heard("accepted");
  scene.bob.send(scene.bob.build("INVITE", scene.contact, { "Call-ID": "second" }, sdp("bob")), HOST);
  await b!.heard("invited");
  b!.rpc("reject", "486 Busy Here");
  await scene.bob.response(486);
  assert.deepEqual(a!.link.take(), []);
  await scene.end(a!, b!);
});

Deno.test("FAQ 18, share: one who declines declines for all; one who is busy for itself", async () => {
  const scene = new Scene();
  const [a, b] = await scene.clients("A", "B");
  scene.call();
  await a!.heard("invited");
  await b!.heard("invited");
  a!.rpc("reject", "486 Busy Here");
  await scene.network.clock.advanceAsync(1_000);
  assert.equal(
    scene.bob.received.some((message) => message.kind === "response" && message.status >= 300),
    false,
  );
  b!.rpc("reject", "603 Decline");
  await scene.bob.response(603);
  assert.deepEqual(a!.link.take(), [], "it had refused before");
  await scene.end(a!, b!);
});

Deno.test("FAQ 18, share: the caller's CANCEL is told to all", async () => {
  const scene = new Scene();
  const [a, b] = await scene.clients("A", "B");
  const invite = scene.call();
  await a!.heard("invited");
  await b!.heard("invited");
  const via = invite.headers.get("Via")!;
  scene.bob.send(scene.bob.build("CANCEL", scene.contact, { Via: via }), HOST);
  await a!.heard("cancelled");
  await b!.heard("cancelled");
  await scene.bob.response(487);
  await scene.end(a!, b!);
});

Deno.test("FAQ 18, share: a client that leaves while it rings leaves the others ringing", async () => {
  const scene = new Scene();
  const [a, b] = await scene.clients("A", "B");
  scene.call();
  await a!.heard("invited");
  await b!.heard("invited");
  await scene.leave(a!);
  assert.deepEqual(b!.link.take(), []);
  b!.rpc("accept");
  await scene.bob.response(200, "INVITE");
  await scene.end(b!);
});

Deno.test("FAQ 18, share: a client that leaves between its answer and the ACK is hung up for", async () => {
  const scene = new Scene();
  const [a, b] = await scene.clients("A", "B");
  const invite = scene.call();
  await a!.heard("invited");
  a!.rpc("accept");
  const ok = await scene.bob.response(200, "INVITE");
  const byes: string[] = [];
  await scene.leave(a!);
  scene.bob.onMessage = (message) => {
    if (message.kind !== "request" || message.method !== "BYE") return false;
    byes.push(message.method);
    scene.bob.answer(message, 200);
    return true;
  };
  scene.bob.send(scene.bob.buildAsCaller("ACK", invite, ok, 1), HOST);
  await scene.network.until("the BYE", () => byes.length > 0);
  assert.deepEqual(a!.link.take(), []);
  await scene.end(b!);
});

Deno.test("FAQ 18, share: calls and messages of each carry its own name; messages for the address reach all", async () => {
  const scene = new Scene();
  const [a, b, c] = await scene.clients("Anna", "Ben", null);
  b!.rpc("invite", `sip:bob@${BOB}`);
  const invite = await scene.bob.request("INVITE");
  assert.match(invite.headers.get("From") ?? "", /^"Ben" <sip:alice@10\.0\.0\.9>;tag=/);
  scene.bob.answer(invite, 404);
  await b!.heard("rejected");
  a!.rpc("sendPagingMessage", `sip:bob@${BOB}`, "hello");
  const message = await scene.bob.request("MESSAGE");
  assert.match(message.headers.get("From") ?? "", /^"Anna" <sip:alice@/);
  scene.bob.answer(message, 200);
  c!.rpc("sendPagingMessage", `sip:bob@${BOB}`, "hello");
  const plain = await scene.bob.request("MESSAGE");
  assert.match(plain.headers.get("From") ?? "", /^<sip:alice@/);
  scene.bob.answer(plain, 200);
  scene.bob.send(scene.bob.build("MESSAGE", scene.contact, {}, textBody("to all")), HOST);
  for (const client of [a!, b!, c!]) await client.heard("receivedPagingMessage");
  await scene.end(a!, b!, c!);
});

Deno.test("FAQ 18, share: another password is another line, which must register for itself", async () => {
  const scene = new Scene();
  const [a] = await scene.clients("A");
  scene.refuse = 403;
  const guest = new Client(scene, "Guest", "guess");
  const outcome = await scene.network.settled(guest.register());
  assert.deepEqual([outcome.type, scene.registers], ["refused", ["180", "refused"]]);
  await scene.leave(guest);
  scene.refuse = null;
  const nobody = new Client(scene, null, null);
  assert.equal((await nobody.register()).type, "not needed");
  nobody.context.start();
  assert.equal(scene.lines.size, 2);
  await scene.leave(nobody);
  assert.equal(scene.lines.size, 1);
  await scene.end(a!);
});

Deno.test("FAQ 18, share: clients that register at a time share one REGISTER, and one refusal", async () => {
  const scene = new Scene();
  scene.refuse = 404;
  const clients = ["A", "B"].map((name) => new Client(scene, name, "secret"));
  const outcomes = await Promise.all(clients.map((client) => scene.network.settled(client.register())));
  assert.deepEqual(outcomes.map((outcome) => outcome.type === "refused" && outcome.status), [404, 404]);
  assert.deepEqual(scene.registers, ["refused"]);
  scene.refuse = null;
  const third = new Client(scene, "C", "secret");
  assert.equal((await scene.network.settled(third.register())).type, "registered");
  third.context.start();
  await scene.end(...clients, third);
});

Deno.test("FAQ 18, share: a client that gives up while it registers does not stop the others", async () => {
  const scene = new Scene();
  const [a, b] = ["A", "B"].map((name) => new Client(scene, name, "secret"));
  const patience = new AbortController();
  const first = a!.context.register(patience.signal);
  const second = b!.register();
  patience.abort();
  assert.deepEqual(await first, { type: "refused", status: 487, reason: "given up" });
  await scene.leave(a!);
  assert.equal((await scene.network.settled(second)).type, "registered");
  b!.context.start();
  await scene.end(b!);
});

Deno.test("FAQ 18, share: a lost registration is told to all, and to who comes meanwhile", async () => {
  const scene = new Scene();
  const [a, b] = await scene.clients("A", "B");
  scene.refuse = 503;
  await scene.network.clock.advanceAsync(200_000);
  assert.match((await a!.told(1)).join(), /^unregistered\("503 /);
  assert.match((await b!.told(1)).join(), /^unregistered\("503 /);
  const late = new Client(scene, "C", "secret");
  const outcome = await scene.network.settled(late.register());
  assert.ok(outcome.type === "refused" && outcome.status === 503);
  scene.refuse = null;
  await a!.heard("registered");
  await b!.heard("registered");
  await scene.end(late, a!, b!);
});

class Bench {
  readonly agent = new ScriptedAgent();
  readonly registered = Promise.withResolvers<RegisterOutcome>();
  readonly late: Promise<AcceptOutcome>[] = [];
  left = 0;
  readonly member = new AgentMember(identity("sip:alice@example.com", "secret"), this.agent, {
    register: () => this.registered.promise,
    hangUpLater: (accepting) => void this.late.push(accepting),
    leave: () => {
      this.left += 1;
      return Promise.resolve();
    },
  });

  offer(): ScriptedInvitation {
    const invitation = new ScriptedInvitation();
    this.member.offer(new InvitationFork(invitation).takeLeg());
    return invitation;
  }
}

Deno.test("line_member: calls beyond its room are refused in its name", () => {
  const bench = new Bench();
  const invitations = Array.from({ length: MAX_INVITATIONS + 2 }, () => bench.offer());
  assert.deepEqual(invitations.map(({ said }) => said.join()).slice(-3), [
    "",
    "486 Busy Here",
    "486 Busy Here",
  ]);
});

Deno.test("line_member: its end refuses what it was offered, cancels what it tries, and is one end", async () => {
  const bench = new Bench();
  const waiting = bench.offer();
  const registering = bench.member.register(forever());
  const steps = collect(bench.member.invite(parseNameAddr("<sip:bob@10.0.0.2>"), null, forever()));
  const streams = [
    collect(bench.member.invitations()),
    collect(bench.member.registrations()),
    collect(bench.member.messages()),
  ];
  await settle();
  await Promise.all([bench.member[Symbol.asyncDispose](), bench.member[Symbol.asyncDispose]()]);
  assert.deepEqual(waiting.said, ["480 Temporarily Unavailable"]);
  assert.deepEqual(await registering, { type: "refused", status: 487, reason: "given up" });
  await settle();
  assert.deepEqual(steps.map((step) => step.type), ["refused"]);
  assert.equal(streams[0]!.length, 1, "what was waiting is still handed over, refused");
  assert.deepEqual([bench.left, bench.agent.disposed], [1, false], "the user agent is the line's");
});

Deno.test("line_member: an answer on its way when it leaves is handed to the line", async () => {
  const bench = new Bench();
  const invitation = bench.offer();
  const { value: leg } = await bench.member.invitations().next();
  assert.ok(leg);
  const accepted = leg.accept(sdp("a"));
  await bench.member[Symbol.asyncDispose]();
  assert.deepEqual(await accepted, { type: "failed", reason: "the client has left" });
  assert.equal(bench.late.length, 1);
  invitation.fail("no ACK");
  assert.deepEqual(await bench.late[0], { type: "failed", reason: "no ACK" });
});

Deno.test("line_member: an answer that is settled is not the line's any more", async () => {
  const bench = new Bench();
  const invitation = bench.offer();
  const { value: leg } = await bench.member.invitations().next();
  const accepted = leg!.accept(sdp("a"));
  invitation.fail("no ACK");
  await accepted;
  await settle();
  await bench.member[Symbol.asyncDispose]();
  assert.equal(bench.late.length, 0);
});
