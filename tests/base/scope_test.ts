// Ends, failures and the order of both.

import assert from "node:assert/strict";
import { Scope } from "../../lib/base/scope.ts";
import { RecordLog } from "../support/record_log.ts";
import { settle } from "../support/fake_clock.ts";

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

Deno.test("close aborts every task and waits for the slowest", async () => {
  const scope = new Scope("root");
  const order: string[] = [];
  for (const [name, steps] of [["slow", 5], ["fast", 1]] as const) {
    scope.spawn(name, async (signal) => {
      await untilAborted(signal);
      for (let i = 0; i < steps; i++) await Promise.resolve();
      order.push(name);
    });
  }
  assert.equal(scope.size, 2);
  await scope.close("stop");
  order.push("closed");
  assert.deepEqual(order, ["fast", "slow", "closed"]);
  assert.equal(scope.size, 0);
  assert.equal(scope.signal.reason, "stop");
  await scope.close();
});

Deno.test("a failing task is logged once with its path and stack, its siblings go on", async () => {
  const log = new RecordLog();
  const failures: [string, unknown][] = [];
  const scope = new Scope("root", { log, onFailure: (task, error) => failures.push([task, error]) });
  const boom = new Error("boom");
  let siblingEnded = false;
  scope.spawn("sibling", async (signal) => {
    await untilAborted(signal);
    siblingEnded = true;
  });
  scope.spawn("bad", () => Promise.reject(boom));
  scope.spawn("worse", () => {
    throw new Error("before the first await");
  });
  await settle();
  assert.deepEqual(log.lines.toSorted(), [
    'error main task "root > bad" failed: boom',
    'error main task "root > worse" failed: before the first await',
  ]);
  assert.deepEqual(failures.find(([task]) => task === "bad"), ["bad", boom]);
  assert.deepEqual([scope.signal.aborted, siblingEnded, scope.size], [false, false, 1]);
  await scope.close();
  assert.ok(siblingEnded);
});

Deno.test("waits that ended because of our abort are no failures, other errors are", async () => {
  const log = new RecordLog();
  const scope = new Scope("root", { log });
  const fail = (error: (signal: AbortSignal) => unknown) => async (signal: AbortSignal) => {
    await untilAborted(signal);
    throw error(signal);
  };
  scope.spawn("reason", fail((signal) => signal.reason));
  scope.spawn("abort error", fail(() => new DOMException("aborted", "AbortError")));
  scope.spawn("bug", fail(() => new TypeError("undefined is not a call")));
  await scope.close(new Error("shutting down"));
  assert.deepEqual(log.lines, ['error main task "root > bug" failed: undefined is not a call']);
});

Deno.test("an AbortError without our abort is a failure", async () => {
  const log = new RecordLog();
  await using scope = new Scope("root", { log });
  scope.spawn("odd", () => Promise.reject(new DOMException("not ours", "AbortError")));
  await settle();
  assert.equal(log.lines.length, 1);
});

Deno.test("the parent's abort reaches the tasks; a closed scope has left its parent", async () => {
  const parent = new AbortController();
  const scope = new Scope("child", { parent: parent.signal });
  let seen: unknown;
  scope.spawn("task", async (signal) => {
    await untilAborted(signal);
    seen = signal.reason;
  });
  parent.abort("all stop");
  await scope.close();
  assert.equal(seen, "all stop");
  assert.ok(new Scope("late", { parent: parent.signal }).signal.aborted);

  const other = new AbortController();
  const early = new Scope("early", { parent: other.signal });
  await early.close("own end");
  other.abort("too late");
  assert.equal(early.signal.reason, "own end");
});

Deno.test("tasks spawned while closing still run, aborted, and are waited for", async () => {
  const scope = new Scope("root");
  const seen: string[] = [];
  scope.spawn("first", async (signal) => {
    await untilAborted(signal);
    scope.spawn("second", async (inner) => {
      await Promise.resolve();
      seen.push(`second ${inner.aborted}`);
    });
  });
  await scope.close();
  assert.deepEqual(seen, ["second true"]);
  scope.spawn("after the end", async (signal) => {
    await Promise.resolve();
    seen.push(`late ${signal.aborted}`);
  });
  await settle();
  assert.deepEqual(seen, ["second true", "late true"]);
});

Deno.test("a failure handler that fails is logged and hurts nobody", async () => {
  const log = new RecordLog();
  await using scope = new Scope("root", {
    log,
    onFailure: () => {
      throw new Error("handler");
    },
  });
  scope.spawn("bad", () => Promise.reject(new Error("boom")));
  await settle();
  assert.deepEqual(log.lines, [
    'error main task "root > bad" failed: boom',
    'error main failure handler of "root > bad" failed: handler',
  ]);
});

Deno.test("await using closes the scope at the end of the block", async () => {
  const order: string[] = [];
  {
    await using scope = new Scope("block");
    scope.spawn("task", async (signal) => {
      await untilAborted(signal);
      order.push("task");
    });
  }
  order.push("after");
  assert.deepEqual(order, ["task", "after"]);
});

Deno.test("a task that throws before it waits is a failed task, not a failed spawn", async () => {
  const failures: string[] = [];
  const scope = new Scope("test", { onFailure: (task) => failures.push(task) });
  scope.spawn("quick", () => {
    throw new Error("at once");
  });
  assert.equal(scope.size, 1);
  await scope.close();
  assert.deepEqual([failures, scope.size], [["quick"], 0]);
});

Deno.test("a joined signal aborts with its source or with the scope, and leaves neither behind", async () => {
  const scope = new Scope("test");
  const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
  const bySource = scope.join(first.signal);
  const byScope = scope.join(second.signal);
  const left = scope.join(third.signal);
  left[Symbol.dispose]();
  first.abort("source");
  assert.deepEqual([bySource.signal.reason, byScope.signal.aborted], ["source", false]);
  await scope.close("over");
  assert.deepEqual([byScope.signal.reason, left.signal.aborted, second.signal.aborted], [
    "over",
    false,
    false,
  ]);
  third.abort();
  assert.equal(left.signal.aborted, false);
  assert.equal(scope.join(second.signal).signal.reason, "over", "of a scope that has ended");
  assert.equal(new Scope("other").join(first.signal).signal.reason, "source", "of a source that has aborted");
});

Deno.test("a scope follows its parent, whoever asks first for its signal", async () => {
  const parent = new AbortController();
  const [asked, joined, late] = [1, 2, 3].map((n) => new Scope(`s${n}`, { parent: parent.signal })) as [
    Scope,
    Scope,
    Scope,
  ];
  const { signal } = asked;
  const both = joined.join(new AbortController().signal);
  parent.abort("parent");
  assert.deepEqual([signal.reason, both.signal.reason, late.signal.reason], ["parent", "parent", "parent"]);
  assert.equal(late.join(new AbortController().signal).signal.reason, "parent");
  for (const scope of [asked, joined, late]) await scope.close("closed");
  assert.equal(signal.reason, "parent");

  const closed = new Scope("closed");
  await closed.close("why");
  assert.deepEqual([closed.signal.aborted, closed.signal.reason], [true, "why"]);
});
