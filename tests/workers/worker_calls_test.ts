import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { type CallChange, type CallRecord, CallRegistry, completed } from "../../lib/call/registry.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import type { CallsReply, CallsRequest, ToWorker } from "../../lib/workers/messages.ts";
import { WorkerCalls } from "../../lib/workers/worker_calls.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";

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
