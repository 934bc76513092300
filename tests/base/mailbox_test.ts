// Order, bound, end with and without a reason, waiting with a signal.

import assert from "node:assert/strict";
import { Mailbox } from "../../lib/base/mailbox.ts";

async function readAll<T>(mailbox: Mailbox<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of mailbox) all.push(value);
  return all;
}

Deno.test("values queued before close are delivered in order, then the loop ends", async () => {
  const mailbox = new Mailbox<number>(3);
  assert.deepEqual([1, 2, 3, 4].map((value) => mailbox.push(value)), [true, true, true, false]);
  assert.equal(mailbox.size, 3);
  mailbox.close();
  assert.equal(mailbox.push(5), false);
  assert.equal(mailbox.closed, true);
  assert.deepEqual(await readAll(mailbox), [1, 2, 3]);
  assert.equal(await mailbox.next(), undefined);
});

Deno.test("a waiting reader is handed values at once, also with capacity 0", async () => {
  const mailbox = new Mailbox<string>(0);
  assert.equal(mailbox.push("early"), false);
  const first = mailbox.next();
  assert.equal(mailbox.push("a"), true);
  assert.equal(mailbox.push("b"), false, "nobody waits any more");
  assert.equal(await first, "a");
});

Deno.test("a reason is thrown after the queued values", async () => {
  const mailbox = new Mailbox<number>(2);
  const reason = new Error("over");
  mailbox.push(1);
  mailbox.close(reason);
  mailbox.close(new Error("second close does not count"));
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const value of mailbox) seen.push(value);
  }, reason);
  assert.deepEqual(seen, [1]);
  await assert.rejects(mailbox.next(), reason);
});

Deno.test("closing ends a reader that waits", async () => {
  const quiet = new Mailbox<number>(1);
  const ended = readAll(quiet);
  quiet[Symbol.dispose]();
  assert.deepEqual(await ended, []);

  const loud = new Mailbox<number>(1);
  const failed = loud.next();
  loud.close(new Error("gone"));
  await assert.rejects(failed, /gone/);
});

Deno.test("an aborted wait gives undefined and loses no value", async () => {
  const mailbox = new Mailbox<number>(2);
  const stop = new AbortController();
  const waiting = mailbox.next(stop.signal);
  stop.abort();
  mailbox.push(1);
  assert.equal(await waiting, undefined);
  assert.equal(await mailbox.next(stop.signal), 1, "what is queued is still given");
  assert.equal(await mailbox.next(stop.signal), undefined);
});

Deno.test("a value that came before the abort wins", async () => {
  const mailbox = new Mailbox<number>(2);
  const stop = new AbortController();
  const waiting = mailbox.next(stop.signal);
  mailbox.push(1);
  stop.abort();
  assert.equal(await waiting, 1);
});

Deno.test("a second reader at the same time is refused", async () => {
  const mailbox = new Mailbox<number>(1);
  const first = mailbox.next();
  await assert.rejects(mailbox.next(), /one reader/);
  mailbox.push(1);
  assert.equal(await first, 1);
});

Deno.test("breaking out of a loop leaves the rest for the next one", async () => {
  const mailbox = new Mailbox<number>(3);
  [1, 2, 3].forEach((value) => mailbox.push(value));
  for await (const value of mailbox) {
    assert.equal(value, 1);
    break;
  }
  mailbox.close();
  assert.deepEqual(await readAll(mailbox), [2, 3]);
});

Deno.test("two loops one after the other: the second goes on where the first was left", async () => {
  const mailbox = new Mailbox<number>(5);
  for (const value of [1, 2, 3]) mailbox.push(value);
  for await (const value of mailbox) {
    assert.equal(value, 1);
    break;
  }
  const reader = mailbox[Symbol.asyncIterator]();
  assert.deepEqual(await reader.next(), { value: 2, done: false });
  assert.deepEqual(await reader.return(), { value: undefined, done: true });
  assert.deepEqual(await reader.next(), { value: undefined, done: true });
  await assert.rejects(reader.throw(new Error("thrown in")), /thrown in/);
  mailbox.close(new Error("over"));
  const last = mailbox[Symbol.asyncIterator]();
  assert.deepEqual(await last.next(), { value: 3, done: false });
  await assert.rejects(last.next(), /over/);
  assert.deepEqual(await last.next(), { value: undefined, done: true });
});

Deno.test("a last value is taken though there is no room, and nothing after it", async () => {
  const mailbox = new Mailbox<number>(1);
  mailbox.push(1);
  mailbox.end(2);
  mailbox.end(3);
  assert.equal(mailbox.push(4), false);
  assert.deepEqual([mailbox.closed, await readAll(mailbox)], [true, [1, 2]]);

  const waited = new Mailbox<number>(1);
  const all = readAll(waited);
  waited.end(5);
  assert.deepEqual(await all, [5]);
});

Deno.test("handed over: what waits and what comes, from inside push, until it is closed; no other reader", async () => {
  const mailbox = new Mailbox<number>(2);
  mailbox.push(1);
  mailbox.push(2);
  const taken: number[] = [];
  mailbox[Symbol.asyncIterator]().handTo((value) => taken.push(value));
  assert.deepEqual([mailbox.push(3), taken, mailbox.size], [true, [1, 2, 3], 0]);
  await assert.rejects(mailbox.next(), /one reader/);
  mailbox.end(4);
  assert.deepEqual([mailbox.push(5), taken], [false, [1, 2, 3, 4]]);

  const broken = new Mailbox<number>(2);
  broken.handTo(() => {
    throw new Error("our bug");
  });
  assert.throws(() => broken.push(1), /our bug/);
});
