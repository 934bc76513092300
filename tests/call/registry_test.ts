// The registry by itself, and what it is told of each kind of call by each of its ends.

import { builtInCodecs } from "../../lib/codecs/registry.ts";
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import { answer, invited } from "../../lib/call/answer.ts";
import { DECLINE } from "../../lib/call/leg.ts";
import { dial } from "../../lib/call/dial.ts";
import {
  type CallChange,
  type CallRecord,
  CallRegistry,
  type CallWatch,
  completed,
  endingOf,
  MAX_CHANGES,
  MAX_ENDED,
  MAX_ENDED_LENGTH,
  type RegisteredCall,
} from "../../lib/call/registry.ts";
import type { StreamRecord } from "../../lib/call/call_media.ts";
import { CallInLine } from "../../lib/gateway/apps/call_in_line.ts";
import { PublishedCall } from "../../lib/gateway/apps/published_call.ts";
import { silentFrames, WaitingSound } from "../../lib/gateway/apps/waiting_sound.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import {
  type RecordingFactory,
  type ScriptedAgent,
  ScriptedCall,
  ScriptedInvitation,
  ScriptedOwner,
} from "../support/gateway_fakes.ts";
import { LineBench, message, sipAccount } from "../support/stream_line_bench.ts";

// ---- by itself

const BOB = '"Bob" <sip:bob@10.0.0.2>';

class Bench {
  readonly clock = new FakeClock();
  readonly calls = new CallRegistry({ clock: this.clock, random: seededRandom(1) });
  /** Calls that were told to end. */
  readonly hungUp: string[] = [];

  register(remote = BOB): RegisteredCall {
    const call: RegisteredCall = this.calls.register({
      direction: "out",
      account: "desk",
      remote: parseNameAddr(remote),
      local: "sip:desk@10.0.0.1",
      rtmp: () => ({ address: "192.0.2.1", connection: 3, path: "call/desk/100" }),
      hangUp: () => this.hungUp.push(call.id),
    });
    return call;
  }
}

function streamOf(received: number): StreamRecord {
  const codec = { payloadType: 0, codec: "pcmu", client: "pcmu" };
  return {
    kind: "audio",
    clockRate: 8000,
    send: codec,
    receive: [codec],
    direction: "sendrecv",
    heldByRemote: false,
    peer: "10.0.0.2:4000",
    stats: {
      sent: 1,
      octetsSent: 160,
      received,
      octetsReceived: 160 * received,
      lost: 0,
      late: 0,
      duplicates: 0,
      invalid: 0,
      wrongSource: 0,
      suppressed: 0,
      remoteLoss: null,
      remoteLost: null,
      remoteJitterMs: null,
      roundTripMs: 12,
      jitterMs: 1,
    },
  };
}

Deno.test("registry: a record holds everything, with the counters of the moment it is asked for", () => {
  const scene = new Bench();
  const call = scene.register();
  const began = scene.clock.wallMs();
  let received = 0;
  call.media = { streams: () => [streamOf(received)] };
  call.sipCallId = "abc@10.0.0.1";
  scene.clock.advance(1000);
  call.become("ringing");
  scene.clock.advance(1000);
  call.become("in-progress");
  received = 50;
  assert.deepEqual(scene.calls.list(), [{
    id: call.id,
    sipCallId: "abc@10.0.0.1",
    account: "desk",
    direction: "out",
    remote: { uri: "sip:bob@10.0.0.2", displayName: "Bob" },
    local: "sip:desk@10.0.0.1",
    status: "in-progress",
    startMs: began,
    statusMs: began + 2000,
    answerMs: began + 2000,
    endMs: null,
    ending: null,
    rtmp: { address: "192.0.2.1", connection: 3, path: "call/desk/100" },
    streams: [streamOf(50)],
  }]);
  received = 100;
  scene.clock.advance(500);
  call.end(completed("remote", "hung up"));
  received = 150;
  const [ended] = scene.calls.ended();
  assert.deepEqual([scene.calls.list(), scene.calls.size, scene.calls.find(call.id)], [[], 0, ended]);
  assert.deepEqual([ended?.status, ended?.endMs, ended?.answerMs], ["completed", began + 2500, began + 2000]);
  assert.deepEqual(ended?.streams, [streamOf(100)], "read for the last time at the end");
  assert.deepEqual(structuredClone(ended), ended, "it can be posted");
  assert.deepEqual(JSON.parse(JSON.stringify(ended)), ended, "and written");
});

Deno.test("registry: ids are no other call's, nor those of another registry", () => {
  const scene = new Bench();
  const other = new CallRegistry({ clock: scene.clock, random: seededRandom(2) });
  const ids = [scene.register().id, scene.register().id];
  const start = { direction: "in", account: null, local: "", remote: parseNameAddr(BOB) } as const;
  ids.push(other.register({ ...start, rtmp: () => null, hangUp: () => {} }).id);
  assert.equal(new Set(ids).size, 3);
});

Deno.test("registry: only the first end counts, and nothing after it", async () => {
  const scene = new Bench();
  using changes = scene.calls.watch();
  const call = scene.register();
  call.end(endingOf(486, "Busy Here", "remote"));
  call.end(completed("local", "hung up"));
  call.become("in-progress");
  call.changed();
  assert.deepEqual([await next(changes), await next(changes)], [
    "added trying",
    "ended busy 486 Busy Here by remote",
  ]);
  assert.equal(scene.calls.ended().length, 1);
});

Deno.test("registry: hangUp() asks whoever runs the call; unknown and ended calls are told apart", () => {
  const scene = new Bench();
  const [call, ended] = [scene.register(), scene.register()];
  ended.end(completed("local", "hung up"));
  assert.deepEqual([call.id, ended.id, "nobody"].map((id) => scene.calls.hangUp(id)), [true, false, false]);
  assert.deepEqual(scene.hungUp, [call.id]);
});

Deno.test("registry: a watcher that does not keep up hears so and nothing more; others are not held up", async () => {
  const scene = new Bench();
  using slow = scene.calls.watch();
  scene.calls.watch()[Symbol.dispose]();
  for (let count = 0; count < MAX_CHANGES + 10; count++) scene.register();
  using quick = scene.calls.watch();
  const heard = (await Array.fromAsync(slow)).map(({ type }) => type);
  assert.deepEqual([heard.length, heard.at(-2), heard.at(-1)], [MAX_CHANGES + 1, "added", "overrun"]);
  scene.register();
  assert.equal(await next(quick), "added trying");
});

Deno.test("registry: ended calls are kept up to a number, and up to a length", () => {
  const scene = new Bench();
  const end = (remote?: string): void => scene.register(remote).end(completed("local", "hung up"));
  for (let count = 0; count < MAX_ENDED + 5; count++) end();
  assert.equal(scene.calls.ended().length, MAX_ENDED);
  const long = "x".repeat(4000);
  for (let count = 0; count < MAX_ENDED; count++) end(`"${long}" <sip:${long}@10.0.0.2>`);
  const kept = scene.calls.ended();
  assert.ok(JSON.stringify(kept).length <= MAX_ENDED_LENGTH + kept.length + 1);
  assert.ok(kept.every(({ remote }) => remote.uri.length <= 256), "what a peer says is cut");
});

const FINAL: [sipStatus: number, status: string][] = [
  [486, "busy"],
  [600, "busy"],
  [408, "no-answer"],
  [480, "no-answer"],
  [487, "no-answer"],
  [404, "failed"],
  [503, "failed"],
  [603, "failed"],
];

for (const [sipStatus, status] of FINAL) {
  Deno.test(`registry: ${sipStatus} is the end of a call that is "${status}"`, () => {
    assert.equal(endingOf(sipStatus, "", "remote").status, status);
  });
}

// ---- told by calls

/** A call of one kind, with its remote party in the hands of the test. */
interface Kind extends AsyncDisposable {
  readonly calls: CallRegistry;
  readonly factory: RecordingFactory;
  readonly expected: Pick<CallRecord, "account" | "direction" | "local" | "rtmp">;
  /** What its client was told. */
  told(): string[];
  /** Our side ends it. */
  bye(): void;
}

interface OutgoingKind extends Kind {
  readonly agent: ScriptedAgent;
  dial(): void;
  /** Somebody else publishes. */
  publish(): void;
}

interface IncomingKind extends Kind {
  /** Takes it; with `answers` it is answered, else it rings. */
  invite(invitation: ScriptedInvitation, answers: boolean): void;
}

const LOCAL = "sip:alice@example.com";

function outgoingClient(): OutgoingKind {
  const owner = new ScriptedOwner();
  return {
    calls: owner.calls,
    factory: owner.factory,
    agent: owner.agent,
    expected: { account: null, direction: "out", local: LOCAL, rtmp: null },
    dial: () => dial(owner, "sip:bob@10.0.0.2", ["pcmu"]),
    publish: () => owner.publishedBy(owner.publisher),
    bye: () => owner.hangUp(DECLINE),
    told: () => owner.link.take(),
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

const RTMP = { address: "192.0.2.1", connection: 7, path: "call/desk/bob" };

function callByUrl(): OutgoingKind {
  const bench = new LineBench();
  Object.assign(bench.services, { account: "desk" });
  bench.rtmpPeer = RTMP;
  const told: string[] = [];
  const call = new PublishedCall({
    destination: "sip:bob@10.0.0.2",
    rules: sipAccount(),
    registry: builtInCodecs,
    transcodable: new Set(["aac"]),
    openClient: (link) => bench.openClient(link),
    clock: bench.clock,
    random: bench.random,
    tell: (_level, code, text) => void told.push(`${code.replace("NetStream.", "")}: ${text}`),
    callClient: () => {},
    onOver: () => {},
  }, bench.publisher);
  return {
    calls: bench.calls,
    factory: bench.factory,
    agent: bench.agent,
    expected: { account: "desk", direction: "out", local: "sip:desk@10.0.0.1", rtmp: RTMP },
    dial: () => call.media(message(8, 0, "b20011")),
    publish: () => call.publishedBy(bench.publisher),
    bye: () => call.bye(),
    told: () => told.splice(0),
    async [Symbol.asyncDispose]() {
      await call[Symbol.asyncDispose]();
      assert.deepEqual(await bench.close(), []);
    },
  };
}

function incomingClient(): IncomingKind {
  const owner = new ScriptedOwner();
  return {
    calls: owner.calls,
    factory: owner.factory,
    expected: { account: null, direction: "in", local: LOCAL, rtmp: null },
    invite: (invitation, answers) => {
      invited(owner, invitation);
      if (answers) answer(owner, ["pcmu"]);
    },
    bye: () => owner.hangUp(DECLINE),
    told: () => owner.link.take(),
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

function callInLine(): IncomingKind {
  const bench = new LineBench();
  const account = { config: sipAccount({ answer: "on-publish" }), agent: bench.agent, log: bench.log };
  const ticker = new Ticker(bench.clock, 20);
  const { clock, streams } = bench;
  const line: CallInLine = new CallInLine({
    account,
    codecs: ["pcmu"],
    openClient: (link) => bench.openClient(link, () => line.rtmpPeer),
    createWaiting: (leg) =>
      new WaitingSound({ frames: silentFrames(), clock, ticker, put: (each) => leg.put(each) }),
    streams,
    clock,
  });
  Object.assign(bench.services, { account: "desk" });
  const rtmp = { ...RTMP, path: "line/desk/say" };
  const published = line.publish.bind(line, {
    account,
    rest: "say",
    stream: bench.publisher.net,
    connection: {
      peer: { hostname: RTMP.address, port: 1 },
      id: RTMP.connection,
      call: () => {},
      close: () => Promise.resolve(),
      answers: () => Promise.resolve(true),
    },
    proof: null,
    end: () => {},
  });
  const publish = (): void => {
    const outcome = published();
    if (outcome.type === "publishing") bye = () => outcome.publisher.bye();
  };
  let bye = (): void => line.leg.hangUp(DECLINE);
  return {
    calls: bench.calls,
    factory: bench.factory,
    expected: { account: "desk", direction: "in", local: "sip:desk@10.0.0.1", rtmp },
    invite: (invitation, answers) => {
      line.invited(invitation);
      if (answers) publish();
    },
    bye: () => bye(),
    told: () => bench.publisher.events.splice(0).map((each) => each.replace("status NetStream.", "")),
    async [Symbol.asyncDispose]() {
      await line[Symbol.asyncDispose]();
      ticker[Symbol.dispose]();
      assert.deepEqual(await bench.close(), []);
    },
  };
}

async function next(changes: CallWatch): Promise<string> {
  const { value } = await changes[Symbol.asyncIterator]().next();
  return textOf(value);
}

function textOf(change: CallChange): string {
  if (change.type === "overrun") return change.type;
  const { status, ending } = change.call;
  if (ending === null) return `${change.type} ${status}`;
  const { sipStatus, reason, by } = ending;
  return [change.type, status, sipStatus, reason, "by", by].filter((part) => part !== null).join(" ");
}

/** Runs a call and gives what was told of it. */
async function changesOf(calls: CallRegistry, run: () => Promise<void>): Promise<string[]> {
  using changes = calls.watch();
  const told: string[] = [];
  const reading = (async () => {
    for await (const change of changes) {
      const text = textOf(change);
      if (text !== told.at(-1)) told.push(text); // another publisher
      if (change.type === "ended") return;
    }
  })();
  await run();
  await reading;
  assert.equal(calls.size, 0);
  return told;
}

interface OutgoingCase {
  readonly name: string;
  run(kind: OutgoingKind): Promise<void>;
  readonly changes: readonly string[];
}

async function ring(kind: OutgoingKind): Promise<void> {
  kind.dial();
  await settle();
  kind.agent.invites.at(-1)!.steps.push({ type: "progress", status: 180, reason: "Ringing", body: null });
  await settle();
}

async function up(kind: OutgoingKind): Promise<ScriptedCall> {
  await ring(kind);
  const call = new ScriptedCall();
  kind.agent.invites.at(-1)!.steps.push({ type: "accepted", call: call.call });
  await settle();
  const [record] = kind.calls.list();
  const { account, direction, local, rtmp } = kind.expected;
  assert.deepEqual(
    [record?.account, record?.direction, record?.local, record?.rtmp, record?.remote.uri, record?.sipCallId],
    [account, direction, local, rtmp, "sip:bob@10.0.0.2", "call-1"],
  );
  return call;
}

async function refused(kind: OutgoingKind, status: number, reason: string): Promise<void> {
  await ring(kind);
  kind.agent.invites.at(-1)!.steps.push({ type: "refused", status, reason, warning: null });
  await settle();
}

const RINGS = ["added trying", "changed ringing"];
const UP = [...RINGS, "changed in-progress"];

const OUTGOING: readonly OutgoingCase[] = [
  {
    name: "ended by us",
    run: async (kind) => {
      await up(kind);
      kind.bye();
      await settle();
    },
    changes: [...UP, "ended completed hung up by local"],
  },
  {
    name: "ended by the remote party",
    run: async (kind) => {
      (await up(kind)).end("remote", "Q.850 cause 16");
      await settle();
    },
    changes: [...UP, "ended completed Q.850 cause 16 by remote"],
  },
  {
    name: "cancelled by us",
    run: async (kind) => {
      await ring(kind);
      kind.bye();
      await settle();
    },
    changes: [...RINGS, "ended no-answer 487 cancelled by local"],
  },
  {
    name: "busy",
    run: (kind) => refused(kind, 486, "Busy Here"),
    changes: [...RINGS, "ended busy 486 Busy Here by remote"],
  },
  {
    name: "no answer in time",
    run: (kind) => refused(kind, 408, "Request Timeout"),
    changes: [...RINGS, "ended no-answer 408 Request timeout by remote"],
  },
  {
    name: "without a route",
    run: async (kind) => {
      kind.agent.routeOutcome = Promise.resolve({ type: "unreachable", reason: "no address found for x" });
      kind.dial();
      await settle();
    },
    changes: ["added trying", "ended failed 503 no address found for x by failure"],
  },
  {
    name: "with an answer that cannot be used",
    run: async (kind) => {
      await ring(kind);
      const call = new ScriptedCall();
      call.remoteBody = null;
      kind.agent.invites.at(-1)!.steps.push({ type: "accepted", call: call.call });
      await settle();
      assert.equal(call.hangUps, 1);
    },
    changes: [
      ...RINGS,
      "ended failed 488 Not Acceptable Here: the answer cannot be used, it has no session description by local",
    ],
  },
  {
    name: "no media in time",
    run: async (kind) => {
      await up(kind);
      kind.factory.last.watched?.dead("no RTP from 10.0.0.2 for 30 s", 30);
      await settle();
    },
    changes: [...UP, "ended completed no RTP from 10.0.0.2 for 30 s by failure"],
  },
  {
    name: "with early media",
    run: async (kind) => {
      await ring(kind);
      const call = new ScriptedCall();
      const { steps } = kind.agent.invites.at(-1)!;
      const body = call.remoteBody;
      steps.push({ type: "progress", status: 183, reason: "Session Progress", body });
      steps.push({ type: "progress", status: 180, reason: "Ringing", body: null });
      steps.push({ type: "accepted", call: call.call });
      await settle();
      call.end("remote");
      await settle();
    },
    changes: [...RINGS, "changed early-media", "changed in-progress", "ended completed hung up by remote"],
  },
  {
    name: "hung up through the registry",
    run: async (kind) => {
      const call = await up(kind);
      kind.told();
      assert.ok(kind.calls.hangUp(kind.calls.list()[0]!.id));
      await settle();
      assert.deepEqual([call.hangUps, kind.told()], [1, [told(kind, "byed()", "Call.Ended: hung up")]]);
    },
    changes: [...UP, "ended completed hung up by local"],
  },
  {
    name: "cancelled through the registry",
    run: async (kind) => {
      await ring(kind);
      kind.told();
      assert.ok(kind.calls.hangUp(kind.calls.list()[0]!.id));
      await settle();
      const rejected = "487 Request Terminated";
      assert.deepEqual(kind.told(), [told(kind, `rejected("${rejected}")`, `Call.Rejected: ${rejected}`)]);
    },
    changes: [...RINGS, "ended no-answer 487 cancelled by local"],
  },
];

function told(kind: Kind, byCallback: string, byStatus: string): string {
  return kind.expected.account === null ? byCallback : byStatus;
}

for (const [name, open] of [["a client's call", outgoingClient], ["a call by URL", callByUrl]] as const) {
  for (const { name: end, run, changes } of OUTGOING) {
    Deno.test(`registry: ${name}, ${end}`, async () => {
      await using kind = open();
      assert.deepEqual(await changesOf(kind.calls, () => run(kind)), changes);
    });
  }
}

interface IncomingCase {
  readonly name: string;
  run(kind: IncomingKind): Promise<void>;
  readonly changes: readonly string[];
}

async function answered(kind: IncomingKind): Promise<ScriptedCall> {
  const [invitation, call] = [new ScriptedInvitation(), new ScriptedCall()];
  kind.invite(invitation, true);
  await settle();
  invitation.confirm(call);
  await settle();
  const [record] = kind.calls.list();
  const { account, direction, local, rtmp } = kind.expected;
  assert.deepEqual(
    [record?.account, record?.direction, record?.local, record?.rtmp, record?.remote, record?.sipCallId],
    [account, direction, local, rtmp, { uri: "sip:bob@10.0.0.2", displayName: "Bob" }, "invitation-1"],
  );
  return call;
}

const INCOMING: readonly IncomingCase[] = [
  {
    name: "ended by us",
    run: async (kind) => {
      await answered(kind);
      kind.bye();
      await settle();
    },
    changes: [...UP, "ended completed hung up by local"],
  },
  {
    name: "ended by the remote party",
    run: async (kind) => {
      (await answered(kind)).end("remote");
      await settle();
    },
    changes: [...UP, "ended completed hung up by remote"],
  },
  {
    name: "given up by the caller",
    run: async (kind) => {
      const invitation = new ScriptedInvitation();
      kind.invite(invitation, false);
      invitation.cancel();
      await settle();
    },
    changes: [...RINGS, "ended no-answer 487 cancelled by remote"],
  },
  {
    name: "declined",
    run: async (kind) => {
      kind.invite(new ScriptedInvitation(), false);
      kind.bye();
      await settle();
    },
    changes: [...RINGS, "ended failed 603 Decline by local"],
  },
  {
    name: "with nothing that can be played",
    run: async (kind) => {
      const { offer } = new ScriptedInvitation();
      const bytes = new TextEncoder().encode(
        new TextDecoder().decode(offer!.bytes).replace("bob", "impossible"),
      );
      kind.invite(new ScriptedInvitation({ ...offer!, bytes }), false);
      await settle();
    },
    changes: ["added trying", 'ended failed 488 peer has "g729", gateway has speex by local'],
  },
  {
    name: "without an ACK",
    run: async (kind) => {
      const invitation = new ScriptedInvitation();
      kind.invite(invitation, true);
      await settle();
      invitation.fail("no ACK");
      await settle();
    },
    changes: [...RINGS, "ended failed no ACK by failure"],
  },
  {
    name: "no media in time",
    run: async (kind) => {
      await answered(kind);
      kind.factory.last.watched?.dead("no RTP", 30);
      await settle();
    },
    changes: [...UP, "ended completed no RTP by failure"],
  },
  {
    name: "hung up through the registry",
    run: async (kind) => {
      const call = await answered(kind);
      kind.told();
      assert.ok(kind.calls.hangUp(kind.calls.list()[0]!.id));
      await settle();
      assert.deepEqual([call.hangUps, kind.told()], [1, [told(kind, "byed()", "Call.Ended hung up")]]);
    },
    changes: [...UP, "ended completed hung up by local"],
  },
  {
    name: "refused through the registry",
    run: async (kind) => {
      const invitation = new ScriptedInvitation();
      kind.invite(invitation, false);
      assert.ok(kind.calls.hangUp(kind.calls.list()[0]!.id));
      await settle();
      assert.deepEqual(invitation.said, ["180", "480 Temporarily Unavailable"]);
    },
    changes: [...RINGS, "ended no-answer 480 Temporarily Unavailable by local"],
  },
];

for (
  const [name, open] of [["a call to a client", incomingClient], ["a call-in line", callInLine]] as const
) {
  for (const { name: end, run, changes } of INCOMING) {
    Deno.test(`registry: ${name}, ${end}`, async () => {
      await using kind = open();
      assert.deepEqual(await changesOf(kind.calls, () => run(kind)), changes);
    });
  }

  Deno.test(`registry: ${name}, busy: the second caller is listed and has ended at once`, async () => {
    await using kind = open();
    const call = await answered(kind);
    const second = await firstChanges(kind.calls, () => kind.invite(new ScriptedInvitation(), false));
    assert.deepEqual(second, ["added trying", "ended busy 486 Busy Here by local"]);
    assert.deepEqual([kind.calls.size, kind.calls.ended().length], [1, 1]);
    call.end("remote");
    await settle();
  });
}

Deno.test("registry: other codecs, hold and another publisher are changes of a call that is up", async () => {
  await using kind = outgoingClient();
  const call = await up(kind);
  using changes = kind.calls.watch();
  const { last } = kind.factory;
  const renewals = [
    () => void (last.agreed = [streamOf(0)], call.offer(call.remoteBody)),
    () => void (last.agreed = [{ ...streamOf(0), heldByRemote: true }], call.offer(call.remoteBody)),
    () => kind.publish(),
  ];
  const held: unknown[] = [];
  for (const renew of renewals) {
    renew();
    await settle();
    const { value } = await changes[Symbol.asyncIterator]().next();
    assert.equal(textOf(value), "changed in-progress");
    if (value.type !== "overrun") held.push(value.call.streams[0]?.heldByRemote);
  }
  assert.deepEqual(held, [false, true, true]);
  call.end("remote");
  await settle();
});

async function firstChanges(calls: CallRegistry, run: () => void): Promise<string[]> {
  using changes = calls.watch();
  run();
  return [await next(changes), await next(changes)];
}
