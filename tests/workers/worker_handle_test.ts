import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../lib/base/clock.ts";
import { TransportError } from "../../lib/base/errors.ts";
import type { DialogRecord } from "../../lib/sip/ua/worker_events.ts";
import type { FromWorker, Opening } from "../../lib/workers/messages.ts";
import {
  DEAD_AFTER_LOOKS,
  type TeamOrLog,
  WorkerHandle,
  WorkerThread,
} from "../../lib/workers/worker_handle.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/workers_house.ts";
import { script } from "../support/workers_script.ts";

const OPENING: Omit<Opening, "orphans" | "files"> = {
  type: "open",
  sources: {},
  slot: { index: 3, count: 4, rtmpPort: 1935, sipPort: 5063, sipFallback: false },
  memory: new SharedArrayBuffer(8),
  secret: "s",
  workers: [],
  remoteUsers: [],
  addresses: [],
};

/** Says how many orphans it was given by its port; does as told by the secret. */
const OBEDIENT = `
onmessage = ({ data }) => {
  if (data.type === "open" && data.secret === "fail") {
    return postMessage({ type: "failed", error: { kind: "addr-in-use", message: "port 5063 is taken" } });
  }
  if (data.type === "open" && data.secret === "die") throw new Error("it was told to");
  if (data.type === "open") {
    postMessage({ type: "left", line: "3.x" });
    postMessage({ type: "opened", endpoints: { worker: 3, sipPort: 6000 + data.orphans.length, relay: null } });
  }
  if (data.type === "stop") postMessage({ type: "stopped" });
};
postMessage({ type: "loaded" });`;

function handle(text: string, clock: Clock = systemClock) {
  const [messages, deaths]: [TeamOrLog[], string[]] = [[], []];
  const worker = new WorkerHandle({
    index: 3,
    entry: script(text),
    pulse: () => 0,
    clock,
    onMessage: (message) => messages.push(message),
    onDeath: (reason) => deaths.push(reason),
  });
  return { worker, messages, deaths };
}

Deno.test("worker handle: loads, opens, stops; what is not an answer goes to the supervisor", async () => {
  const { worker, messages } = handle(OBEDIENT);
  assert.equal(worker.occupied, false);
  await worker.load();
  worker.orphans = [{ id: "a" }, { id: "b" }] as unknown as DialogRecord[];
  assert.equal((await worker.open(OPENING)).sipPort, 6002);
  assert.deepEqual([worker.endpoints?.sipPort, worker.orphans], [6002, []]);
  assert.deepEqual(messages, [{ type: "left", line: "3.x" }]);
  await worker.ask({ type: "stop" }, "stopped");
  worker.terminate("done");
  assert.equal(worker.occupied, false);
  await assert.rejects(worker.ask({ type: "stop" }, "stopped"), /it is not there/);
});

/** Knows what it is asked for a list, and nothing else. */
const FORGETFUL = `
onmessage = ({ data: { type, ask, request } }) => {
  if (type === "request" && request.type === "list") {
    postMessage({ type: "reply", ask, reply: { type: "calls", calls: [], more: ask } });
  }
  if (type === "request" && request.type === "hang up") throw new Error("it was told to");
};
postMessage({ type: "loaded" });`;

Deno.test("worker handle: requests are answered each by its own; without an answer in time, or a worker, by null", async () => {
  const clock = new FakeClock();
  const { worker } = handle(FORGETFUL, clock);
  assert.equal(await worker.request({ type: "list" }), null, "nobody is there");
  await worker.load();
  const late = worker.request({ type: "ended" });
  const answers = await Promise.all([worker.request({ type: "list" }), worker.request({ type: "list" })]);
  assert.deepEqual(answers, [2, 3].map((more) => ({ type: "calls", calls: [], more })));
  clock.advance(1000);
  assert.equal(await late, null);
  assert.equal(await worker.request({ type: "hang up", id: "x" }), null, "it died of it");
  assert.equal(clock.pending, 0);
});

Deno.test("worker handle: what is in the way of opening is thrown as it was, and the orphans are kept", async () => {
  const { worker, deaths } = handle(OBEDIENT);
  await worker.load();
  worker.orphans = [{ id: "a" }] as unknown as DialogRecord[];
  await assert.rejects(worker.open({ ...OPENING, secret: "fail" }), (error) => {
    assert.ok(error instanceof TransportError);
    assert.deepEqual([error.code, error.message], ["addr-in-use", "port 5063 is taken"]);
    return true;
  });
  assert.equal(worker.orphans.length, 1);
  worker.terminate("done");
  assert.deepEqual(deaths, []);
});

Deno.test("worker handle: a thread that dies fails what was asked of it, and another one may come", async () => {
  const { worker, deaths } = handle(OBEDIENT);
  await worker.load();
  await assert.rejects(worker.open({ ...OPENING, secret: "die" }), /it was told to/);
  await until("its death", () => deaths.length === 1);
  assert.equal(worker.occupied, false);
  await worker.load();
  assert.equal((await worker.open(OPENING)).sipPort, 6000);
  worker.terminate("done");
});

interface Watched {
  readonly thread: WorkerThread;
  readonly messages: FromWorker[];
  readonly deaths: string[];
  pulse: number;
}

function start(text: string, clock = new FakeClock()): Watched {
  const [messages, deaths]: [FromWorker[], string[]] = [[], []];
  const watched = { messages, deaths, pulse: 0 };
  const thread = new WorkerThread({
    entry: script(text),
    name: "worker 7",
    pulse: () => watched.pulse,
    clock,
    onMessage: (message) => messages.push(message),
    onDeath: (reason, over) => deaths.push(`${over ? "over" : "not over"}: ${reason}`),
  });
  return Object.assign(watched, { thread });
}

Deno.test("worker thread: messages go both ways, none after its end", async () => {
  const watched = start(
    `onmessage = () => postMessage({ type: "stopped" }); postMessage({ type: "loaded" });`,
  );
  await until("loaded", () => watched.messages.length === 1);
  watched.thread.post({ type: "stop" });
  await until("stopped", () => watched.messages.length === 2);
  assert.deepEqual(watched.messages.map(({ type }) => type), ["loaded", "stopped"]);
  watched.thread.terminate();
  watched.thread.post({ type: "stop" });
  watched.thread.terminate();
  assert.deepEqual(watched.deaths, []);
});

Deno.test("worker thread: an error ends it, and is told once", async () => {
  const watched = start(`postMessage({ type: "loaded" }); reportError(new Error("lost my mind"));`);
  await until("its death", () => watched.deaths.length > 0);
  assert.equal(watched.deaths.length, 1);
  assert.match(watched.deaths[0]!, /^over: .*lost my mind/);
  watched.thread.terminate();
});

Deno.test("worker thread: one that shows no pulse while it is watched is dead", () => {
  const clock = new FakeClock();
  const watched = start("", clock);
  clock.advance(60_000);
  assert.deepEqual(watched.deaths, [], "nobody watches yet");
  watched.thread.watch();
  for (let second = 0; second < 40; second++) {
    watched.pulse++;
    clock.advance(1000);
  }
  clock.advance((DEAD_AFTER_LOOKS - 1) * 1000);
  assert.deepEqual(watched.deaths, []);
  clock.advance(1000);
  assert.match(
    watched.deaths.join(),
    /^not over: no sign of life for 15 s; [^,]*, its ports are free after a restart only$/,
  );
  clock.advance(60_000);
  assert.equal(watched.deaths.length, 1);
  assert.equal(clock.pending, 0);
});

Deno.test("worker thread: one that cannot be loaded is dead at once", async () => {
  const deaths: string[] = [];
  const thread = new WorkerThread({
    entry: script("what is this?"),
    name: "worker 7",
    pulse: () => 0,
    clock: systemClock,
    onMessage: () => assert.fail(),
    onDeath: (reason, over) => deaths.push(`${over ? "over" : "not over"}: ${reason}`),
  });
  await until("its death", () => deaths.length > 0);
  assert.match(deaths[0]!, /SyntaxError|Unexpected|Expected/);
  assert.equal(deaths.length, 1);
  thread.terminate();
});

Deno.test("worker thread: one whose memory is used up dies alone", async () => {
  const deaths: string[] = [];
  const thread = new WorkerThread({
    entry: script(
      `const kept = []; setInterval(() => kept.push(...Array.from({ length: 1e5 }, () => ({}))), 1);`,
    ),
    name: "worker 7",
    pulse: () => 0,
    clock: systemClock,
    onMessage: () => assert.fail(),
    maxHeapMib: 48,
    onDeath: (reason, over) => deaths.push(`${over ? "over" : "not over"}: ${reason}`),
  });
  await until("its death", () => deaths.length > 0);
  assert.match(deaths[0]!, /memory/);
  thread.terminate();
});

Deno.test("worker thread: one that ends without a word is noticed at once", async () => {
  const watched = start(`setTimeout(() => close(), 10);`);
  await until("its end", () => watched.deaths.length > 0);
  assert.deepEqual(watched.deaths, ["over: it ended by itself with code 0"]);
});
