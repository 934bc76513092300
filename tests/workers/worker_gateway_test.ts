// A worker's gateway in the thread of the test.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { Codecs } from "../../lib/codecs/codecs.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { silentLog } from "../../lib/base/log.ts";
import type { FromWorker, Opening } from "../../lib/workers/messages.ts";
import { OpenFiles } from "../../lib/net/linux/calls.ts";
import { SharedCounts } from "../../lib/workers/shared_counts.ts";
import { type TeamMessage, TeamState } from "../../lib/workers/team_state.ts";
import { WorkerGateway } from "../../lib/workers/worker_gateway.ts";
import { until } from "../support/workers_house.ts";

const ENVIRONMENT = {
  clock: systemClock,
  random: systemRandom,
  dns: systemDns,
  loadCodecs: () => Promise.resolve(new Codecs(new Map())),
};

function opening(counts: SharedCounts, rtmpPort = 0): Opening {
  return {
    type: "open",
    sources: { flags: { host: "127.0.0.1", "int-ip": "127.0.0.1" } },
    slot: { index: 1, count: 2, rtmpPort, sipPort: 0, sipFallback: false },
    memory: counts.memory,
    files: new OpenFiles().memory,
    secret: "s",
    workers: [],
    remoteUsers: [],
    addresses: [],
    orphans: [],
  };
}

function start() {
  const posted: FromWorker[] = [];
  const state = new TeamState({
    sameAddress: { policy: "replace", accounts: [] },
    workers: 2,
    post: (_, message) => worker.take(message),
  });
  const isTeam = (message: FromWorker): message is TeamMessage =>
    message.type !== "reply" && message.type !== "call" && ("news" in message || "ask" in message);
  const worker: WorkerGateway = new WorkerGateway(ENVIRONMENT, (message) => {
    posted.push(message);
    if (isTeam(message)) queueMicrotask(() => state.take(1, message));
  });
  const has = (type: FromWorker["type"]) =>
    until(type, () => posted.some((message) => message.type === type));
  return { posted, worker, has };
}

Deno.test("worker gateway: opens, shows its pulse, counts, tells, reloads, stops", async () => {
  const { posted, worker, has } = start();
  const counts = new SharedCounts(2);
  const port = freePort();
  worker.take(opening(counts, port));
  worker.take(opening(counts, port)); // once is enough
  await has("opened");
  const endpoints = posted.find((message) => message.type === "opened")?.endpoints;
  assert.deepEqual([endpoints?.worker, endpoints?.relay], [1, null]);
  const client = await RtmpClient.open(`rtmp://127.0.0.1:${port}/sip/alice@127.0.0.1`, {
    ...ENVIRONMENT,
    log: silentLog,
  });
  assert.deepEqual([counts.of(1, "connections"), counts.of(1, "clients")], [1, 1]);
  const came = posted.find((message) => message.type === "came")?.news;
  assert.deepEqual([came?.user, came?.host, came?.line.startsWith("1.")], ["alice", "127.0.0.1", true]);
  await until("a pulse", () => counts.beats(1) > 0);
  worker.take({ type: "request", ask: 7, request: { type: "list" } });
  worker.take({ type: "request", ask: 8, request: { type: "hang up", id: "nobody" } });
  await until("replies", () => posted.filter(({ type }) => type === "reply").length === 2);
  assert.deepEqual(posted.filter(({ type }) => type === "reply"), [
    { type: "reply", ask: 7, reply: { type: "calls", calls: [], more: 0 } },
    { type: "reply", ask: 8, reply: { type: "hung up", found: false } },
  ]);
  worker.take({ type: "reload" });
  await has("reloaded");
  assert.ok(worker.uncaught(new Error("some defect")));
  await until("told", () => JSON.stringify(posted).includes("worker 1: internal error"));
  worker.take({ type: "stop" });
  await has("stopped");
  await client.closed;
  await client[Symbol.asyncDispose]();
  assert.deepEqual([counts.total("connections"), counts.total("clients")], [0, 0]);
  assert.ok(posted.some((message) => message.type === "left" && message.line === came?.line));
});

Deno.test("worker gateway: a port that is taken is posted as what it is; stop works all the same", async () => {
  const { posted, worker, has } = start();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  worker.take(opening(new SharedCounts(2), (taken.addr as Deno.NetAddr).port));
  await has("failed");
  const failed = posted.find((message) => message.type === "failed");
  assert.deepEqual(failed?.error.kind, "addr-in-use");
  assert.match(failed?.error.message ?? "", /Cannot listen on TCP 127\.0\.0\.1/);
  worker.take({ type: "stop" });
  await has("stopped");
});

Deno.test("worker gateway: before it has opened, an error is not its to tell", () => {
  const { posted, worker } = start();
  assert.equal(worker.uncaught(new Error("x")), false);
  assert.deepEqual(posted, [{ type: "loaded" }]);
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
