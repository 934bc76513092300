// What a worker's gateway says becomes messages, and messages reach the part they are for.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { LocalCounter } from "../../lib/base/counter.ts";
import type { AddressChange } from "../../lib/gateway/access/address_limits.ts";
import { OpenFiles } from "../../lib/net/linux/calls.ts";
import { encodeSipMessage, type SipMessage } from "../../lib/sip/message/message.ts";
import type { Flow } from "../../lib/sip/message/target.ts";
import type { MessageTransport } from "../../lib/sip/ua/endpoint.ts";
import type { FromWorker, Opening } from "../../lib/workers/messages.ts";
import { ReplayedStream } from "../../lib/workers/relay.ts";
import { SharedCounts } from "../../lib/workers/shared_counts.ts";
import { RemoteAddresses, TeamMember } from "../../lib/workers/team_member.ts";
import { pipePair } from "../support/pipe.ts";
import { RecordLog } from "../support/record_log.ts";
import { SipNetwork } from "../support/sip_network.ts";

const FLOW: Flow = {
  transport: "udp",
  remote: { hostname: "192.0.2.1", port: 5060 },
  local: { hostname: "192.0.2.2", port: 5061 },
  connectionId: 0,
};

function member(index: number, changes: Partial<Opening> = {}) {
  const posted: FromWorker[] = [];
  const counts = new SharedCounts(2);
  const log = new RecordLog("debug");
  const opening: Opening = {
    type: "open",
    sources: {},
    slot: { index, count: 2, rtmpPort: 0, sipPort: 0, sipFallback: false },
    memory: counts.memory,
    files: new OpenFiles().memory,
    secret: "s",
    workers: [{ worker: 0, sipPort: 5060, relay: null }],
    remoteUsers: [{ worker: 0, line: "0.a", user: "alice", host: "x", port: null, ownsAddress: false }],
    addresses: [{ type: "came", key: "a" }],
    orphans: [],
    ...changes,
  };
  const post = (message: FromWorker) => void posted.push(message);
  const team = new TeamMember({ opening, counts, post, limits: {}, clock: systemClock, log });
  return { team, posted, counts, log };
}

class FakeTransport implements MessageTransport {
  readonly port = 5061;
  readonly sent: SipMessage[] = [];
  onMessage: ((message: SipMessage, flow: Flow) => void) | null = null;

  send(message: SipMessage) {
    this.sent.push(message);
    return Promise.resolve({ type: "sent", transport: "udp", flow: FLOW } as const);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

let requests = 0;

function request(uri: string): SipMessage {
  return new SipNetwork().peer("192.0.2.1").build("OPTIONS", uri, { "Call-ID": `call-${requests++}` });
}

Deno.test("member: knows the users of others from the opening and from news, until their worker is gone", () => {
  const { team, posted } = member(1);
  const inner = new FakeTransport();
  const transport = team.joinTransport(inner);
  const mine: string[] = [];
  transport.onMessage = (message) => void (message.kind === "request" && mine.push(message.uri.user ?? ""));
  const ask = (user: string): number => {
    posted.length = 0;
    inner.onMessage?.(request(`sip:${user}@gateway`), FLOW);
    return posted.filter(({ type }) => type === "hand over").length;
  };
  assert.deepEqual([ask("alice"), ask("bob")], [1, 0]);
  team.take({
    type: "came",
    user: { worker: 0, line: "0.b", user: "bob", host: "x", port: null, ownsAddress: false },
  });
  assert.equal(ask("bob"), 1);
  team.take({ type: "left", line: "0.b" });
  assert.equal(ask("bob"), 0);
  team.sip.agentCame({ line: "1.c", user: "alice", host: "x", port: null, ownsAddress: false }); // the newest is ours
  assert.deepEqual(posted.at(-1), {
    type: "came",
    news: { line: "1.c", user: "alice", host: "x", port: null, ownsAddress: false },
  });
  team.sip.agentLeft("1.c");
  team.take({ type: "gone", worker: 0 });
  assert.equal(ask("alice"), 0);
  assert.deepEqual(mine, ["bob", "bob", "alice"]);

  const message = { bytes: encodeSipMessage(request("sip:carol@gateway")), flow: FLOW };
  team.take({ type: "handed", from: 0, message });
  assert.equal(mine.at(-1), "carol");
  const target = { transport: "udp", endpoint: FLOW.remote } as const;
  team.take({ type: "relayed", message: { bytes: message.bytes, target } });
  assert.equal(inner.sent.length, 1);
});

Deno.test("member: what addresses did is told in order, also what came before there was anybody to hear", () => {
  const { team, posted } = member(1);
  const heard: AddressChange[] = [];
  team.take({ type: "address", change: { type: "left", key: "a" } });
  team.addresses.onChange = (change) => heard.push(change);
  team.take({ type: "address", change: { type: "called", key: "b" } });
  team.opened();
  team.take({ type: "address", change: { type: "login failed", key: "c" } });
  assert.deepEqual(heard.map(({ type }) => type), ["came", "left", "called", "login failed"]);
  team.addresses.tell({ type: "came", key: "d" });
  assert.deepEqual(posted, [{ type: "address", change: { type: "came", key: "d" } }]);
});

Deno.test("member: counts are shared, connections numbered for all", () => {
  const { team, counts } = member(1);
  team.calls.add(2);
  team.connections.add(1);
  assert.deepEqual([counts.of(1, "calls"), counts.of(1, "connections"), counts.of(0, "calls")], [2, 1, 0]);
  counts.set(0, "calls", 5);
  assert.deepEqual([team.calls.here, team.calls.everywhere], [2, 7]);
  assert.deepEqual([team.nextConnectionId(), counts.nextSerial(), team.nextConnectionId()], [1, 2, 3]);
});

Deno.test("member: without a home a client of streams is closed, and that is told", async () => {
  const { team, log } = member(1);
  const { streams } = team;
  assert.ok(streams.type === "elsewhere");
  const [near, far] = pipePair();
  await streams.carry(streams.watch(near), new AbortController().signal);
  assert.equal(await far.read(new Uint8Array(1)), null);
  assert.match(
    log.at("info").join(),
    /stream client lost: the worker that serves streams is down/,
  );
  assert.ok(streams.watch(near) instanceof ReplayedStream);
  await assert.rejects(streams.carry(near, new AbortController().signal), /not watched/);
});

Deno.test("member: worker 0 is the home, and says its private port when it listens", async () => {
  const { team } = member(0);
  assert.ok(team.streams.type === "here");
  const stop = new AbortController();
  const arrivals = team.streams.arrivals(stop.signal)[Symbol.asyncIterator]();
  const first = arrivals.next();
  const endpoints = await team.endpoints(5060);
  assert.deepEqual([endpoints.worker, endpoints.sipPort, endpoints.relay?.hostname], [0, 5060, "127.0.0.1"]);
  stop.abort();
  assert.equal((await first).done, true);
  assert.equal((await member(1).team.endpoints(5061)).relay, null);
});

Deno.test("member: a private port that was never opened is an error, not a wait without end", async () => {
  const { team } = member(0);
  assert.ok(team.streams.type === "here");
  for await (const _ of team.streams.arrivals(AbortSignal.abort())) assert.fail();
  await assert.rejects(team.endpoints(5060), /the private port for clients of streams cannot be had/);
});

const PATH = { address: "alice@example.com", key: "sip/alice@example.com" };

function scene() {
  const posted: FromWorker[] = [];
  const clients = new LocalCounter();
  return { posted, clients, sipAddresses: new RemoteAddresses((message) => posted.push(message), clients) };
}

Deno.test("remote sipAddresses: each question gets its own answer", async () => {
  const { posted, sipAddresses } = scene();
  const first = sipAddresses.arrive(PATH, false);
  const second = sipAddresses.arrive({ ...PATH, key: "sip/alice@example.com/x" }, true);
  assert.deepEqual(posted.map((message) => message.type === "arrive" && message.ask), [1, 2]);
  sipAddresses.answered({ type: "arrival", ask: 2, arrival: { type: "rejected", reason: "full" } });
  sipAddresses.answered({ type: "arrival", ask: 1, arrival: { type: "welcome", shared: true } });
  sipAddresses.answered({ type: "arrival", ask: 9, arrival: { type: "welcome", shared: true } });
  assert.deepEqual(await first, { type: "welcome", shared: true });
  assert.deepEqual(await second, { type: "rejected", reason: "full" });
});

Deno.test("remote sipAddresses: who enters counts, who is rejected or leaves does not", async () => {
  const { posted, clients, sipAddresses } = scene();
  const [one, two] = [{ id: 1 }, { id: 2 }];
  const entering = [sipAddresses.enter(PATH, one, false), sipAddresses.enter(PATH, two, true)];
  sipAddresses.answered({ type: "entry", ask: 1, rejected: null });
  sipAddresses.answered({ type: "entry", ask: 2, rejected: "another client uses this address" });
  assert.deepEqual(await Promise.all(entering), [
    { type: "entered", replaced: null },
    { type: "rejected", reason: "another client uses this address" },
  ]);
  assert.deepEqual([sipAddresses.size, clients.here], [1, 1]);
  posted.length = 0;
  sipAddresses.leave(PATH, two);
  sipAddresses.leave(PATH, one);
  sipAddresses.leave(PATH, one);
  assert.deepEqual(posted, [{ type: "leave", path: PATH, id: 1 }]);
  assert.deepEqual([sipAddresses.size, clients.here], [0, 0]);
});

Deno.test("remote sipAddresses: a client whose place was taken elsewhere hears of it, even before its own answer", () => {
  const { clients, sipAddresses } = scene();
  const replaced: string[] = [];
  sipAddresses.onReplaced = (client: { id: number }, path) => replaced.push(`${client.id} ${path.key}`);
  void sipAddresses.enter(PATH, { id: 7 }, false);
  sipAddresses.replaced(7);
  sipAddresses.replaced(7);
  sipAddresses.answered({ type: "entry", ask: 1, rejected: null });
  assert.deepEqual(replaced, ["7 sip/alice@example.com"]);
  assert.equal(clients.here, 0);
});
