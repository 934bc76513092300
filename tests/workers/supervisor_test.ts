// What the supervisor does that tests/e2e/workers_test.ts does not show: what is in the way of a start, and of a
// replacement.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { ConfigError, TransportError } from "../../lib/base/errors.ts";
import { seededRandom, systemRandom } from "../../lib/base/random.ts";
import { type CallChange, type CallRecord, CallRegistry, completed } from "../../lib/call/registry.ts";
import { buildConfig, type ConfigSources } from "../../lib/config/config.ts";
import type { SettingName } from "../../lib/config/settings.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import type { CallsReply, CallsRequest, ToWorker } from "../../lib/workers/messages.ts";
import { RestartBackoff, Supervisor, WorkerCalls, workersOf } from "../../lib/workers/supervisor.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";
import { until } from "../support/workers_house.ts";
import { script, unchecked } from "../support/workers_script.ts";

const LOCAL = { host: "127.0.0.1", "int-ip": "127.0.0.1", port: "0", "sip-port": "0", workers: "2" } as const;

const ENTRY = unchecked("lib/workers/worker_main.ts");

interface Started {
  readonly log: RecordLog;
  readonly lines: string[];
  readonly starting: Promise<Supervisor>;
}

function start(flags: Partial<Record<SettingName, string>> = {}, entry = ENTRY): Started {
  const [log, lines]: [RecordLog, string[]] = [new RecordLog("debug"), []];
  const sources: ConfigSources = { flags: { ...LOCAL, ...flags } };
  const starting = Supervisor.start(buildConfig(sources), sources, {
    clock: systemClock,
    log,
    random: systemRandom,
    putLine: (line) => void lines.push(line),
    entry,
  });
  return { log, lines, starting };
}

function portOf(listener: Deno.Listener): string {
  return String((listener.addr as Deno.NetAddr).port);
}

Deno.test("supervisor: auto is a worker for each core", () => {
  assert.equal(workersOf(3), 3);
  assert.equal(workersOf("auto"), navigator.hardwareConcurrency);
});

Deno.test("supervisor: a busy RTMP port is told before any worker is started", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await assert.rejects(start({ port: portOf(taken) }).starting, (error) => {
    assert.ok(error instanceof TransportError);
    assert.match(error.message, /in use/);
    return true;
  });
});

Deno.test("supervisor: an RTP range that is too small is a wrong setting", async () => {
  await assert.rejects(start({ "rtp-ports": "20000-20002" }).starting, ConfigError);
});

Deno.test("supervisor: a SIP port that only the second worker cannot have ends the start, and all workers", async () => {
  for (let tries = 0; tries < 20; tries++) {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const base = String(Number(portOf(taken)) - 1);
    const error = await start({ "sip-port": base }).starting.then(() => assert.fail("it started"), String);
    if (error.includes(`127.0.0.1:${base}`) || error.includes(`port ${base}`)) continue; // somebody else has that one
    return assert.match(error, new RegExp(`^TransportError: TCP port ${portOf(taken)} .* is taken$`));
  }
  assert.fail("no two free ports beside each other");
});

Deno.test("supervisor: what kills a worker while it starts is told", async () => {
  await assert.rejects(start({}, script(`throw new Error("not today");`)).starting, /not today/);
});

/** Opens the first time, and dies of every later attempt; the pulse of worker 1 never comes. */
const DIES = `
onmessage = ({ data }) => {
  if (data.type === "open" && data.orphans.length > 0) throw new Error("again");
  if (data.type === "open") {
    const { index } = data.slot;
    postMessage({ type: "dialog", record: { id: "d" + index } });
    postMessage({ type: "log", lines: ["line of " + index] });
    postMessage({ type: "opened", endpoints: { worker: index, sipPort: 7000 + index, relay: null } });
    if (index === 1) setTimeout(() => { throw new Error("first"); }, 0);
  }
  if (data.type === "reload") postMessage({ type: "reloaded" });
  if (data.type === "stop") postMessage({ type: "stopped" });
};
postMessage({ type: "loaded" });`;

Deno.test("supervisor: a worker that cannot be replaced is tried again; the others serve, reload and stop", async () => {
  const { log, lines, starting } = start({}, script(DIES));
  const supervisor = await starting;
  await until("a second try", () => log.at("warn").length > 0);
  assert.match(
    log.at("error").join("\n"),
    /worker 1 crashed, 1 calls and 0 connections are lost: .*first/,
  );
  assert.match(log.at("warn").join("\n"), /worker 1 restart failed, retrying: .*again/);
  assert.deepEqual(supervisor.sipPorts, [7000, 7001]);
  assert.deepEqual(lines.sort(), ["line of 0", "line of 1"]);
  assert.deepEqual(await supervisor.calls.list(), { calls: [], more: 0, missing: [0, 1] });
  assert.match(log.at("warn").join("\n"), /calls of worker 0, 1 not listed: no answer in time/);
  await supervisor.reload();
  await supervisor[Symbol.asyncDispose]();
  assert.doesNotMatch(log.at("warn").join("\n"), /did not end in time/);
});

Deno.test("a worker is replaced at once, one that breaks down again and again ever later, up to 30 s", () => {
  const clock = new FakeClock();
  const schedule = new RestartBackoff(clock);
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    const waitMs = schedule.brokeDown();
    waits.push(waitMs);
    clock.advance(waitMs + 10);
  }
  assert.deepEqual(waits, [50, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

Deno.test("one that has run well for a minute begins anew", () => {
  const clock = new FakeClock();
  const schedule = new RestartBackoff(clock);
  schedule.brokeDown();
  clock.advance(1000);
  assert.equal(schedule.brokeDown(), 1000);
  clock.advance(62_000);
  assert.equal(schedule.brokeDown(), 50);
});

/** A worker with a registry, in this thread; silent: it answers nothing. */
class Worker {
  readonly index: number;
  readonly calls: CallRegistry;
  readonly posted: string[] = [];
  silent = false;
  take: ((change: CallChange) => void) | null = null;

  constructor(index: number, clock: FakeClock) {
    this.index = index;
    this.calls = new CallRegistry({ clock, random: seededRandom(index + 10) });
  }

  request(request: CallsRequest): Promise<CallsReply | null> {
    if (this.silent) return Promise.resolve(null);
    return Promise.resolve(
      request.type === "hang up"
        ? { type: "hung up", found: this.calls.hangUp(request.id) }
        : { type: "calls", calls: request.type === "list" ? this.calls.list() : this.calls.ended(), more: 1 },
    );
  }

  post(message: ToWorker): void {
    this.posted.push(message.type === "watch calls" ? `watch ${message.on}` : message.type);
  }
}

function scene() {
  const [clock, log] = [new FakeClock(), new RecordLog()];
  const workers = [new Worker(0, clock), new Worker(1, clock)];
  const own = new CallRegistry({ clock, random: seededRandom(1) });
  const all = new WorkerCalls(workers, { log, calls: own });
  const hungUp: string[] = [];
  const register = (registry: CallRegistry) => {
    clock.advance(1);
    const call = registry.register({
      direction: "in",
      account: null,
      remote: parseNameAddr("<sip:bob@10.0.0.2>"),
      local: "sip:alice@10.0.0.1",
      rtmp: () => null,
      hangUp: () => hungUp.push(call.id),
    });
    return call;
  };
  return { all, own, workers, log, register, hungUp };
}

function ids(calls: readonly CallRecord[]): string[] {
  return calls.map(({ id }) => id);
}

Deno.test("worker calls: one list, oldest first, with those of this thread; ended ones too", async () => {
  const { all, own, workers: [a, b], register } = scene();
  const calls = [register(b!.calls), register(own), register(a!.calls)];
  assert.deepEqual(ids((await all.list()).calls), calls.map(({ id }) => id));
  assert.deepEqual((await all.list()).more, 2);
  for (const call of calls) call.end(completed("local", "hung up"));
  assert.deepEqual((await all.list()).calls, []);
  assert.equal((await all.ended()).calls.length, 3);
});

Deno.test("worker calls: a worker that does not answer is left out, by name", async () => {
  const { all, workers: [a, b], register, log } = scene();
  const call = register(a!.calls);
  register(b!.calls);
  b!.silent = true;
  assert.deepEqual(await all.list(), { calls: [call.record()], more: 1, missing: [1] });
  assert.match(log.lines.join(), /calls of worker 1 not listed: no answer in time/);
});

Deno.test("worker calls: hung up wherever they are", async () => {
  const { all, own, workers: [, b], register, hungUp } = scene();
  const calls = [register(own), register(b!.calls)];
  for (const { id } of calls) assert.equal(await all.hangUp(id), true);
  assert.equal(await all.hangUp("nobody"), false);
  assert.deepEqual(hungUp, calls.map(({ id }) => id));
});

Deno.test("worker calls: workers tell their changes while somebody watches, from the first to the last", async () => {
  const { all, own, workers: [a], register } = scene();
  const call = register(a!.calls);
  const change: CallChange = { type: "changed", call: call.record() };
  all.take(change);
  const [first, second] = [all.watch(), all.watch()];
  all.take(change);
  const mine = register(own);
  await settle();
  first[Symbol.dispose]();
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  all.take(change);
  assert.deepEqual(a!.posted, ["watch true", "watch false"]);
  const told = (await Array.fromAsync(second)).map((each) => each.type === "overrun" ? "" : each.call.id);
  assert.deepEqual(told, [call.id, mine.id]);
});

Deno.test("worker calls: a worker that opens is watched; when one crashes, or has lost changes, all list anew", async () => {
  for (const lose of ["crash", "overrun"] as const) {
    const { all, workers: [a] } = scene();
    all.opened(a!);
    assert.deepEqual(a!.posted, [], "nobody watches");
    using watch = all.watch();
    all.opened(a!);
    if (lose === "crash") all.lost();
    else all.take({ type: "overrun" });
    assert.deepEqual((await Array.fromAsync(watch)).map(({ type }) => type), ["overrun"]);
    assert.deepEqual(a!.posted, ["watch true", "watch true", "watch false"]);
  }
});
