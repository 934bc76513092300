import fc from "fast-check";
import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import {
  ByteQueue,
  PollInterval,
  type SessionOptions,
  TunnelSession,
} from "../../../lib/rtmp/tunnel/session.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { readBytes } from "../../support/pipe.ts";

const NOTHING = new Uint8Array(0);

interface Bench {
  readonly session: TunnelSession;
  readonly clock: FakeClock;
  closes: number;
}

function open(options: Partial<SessionOptions> = {}): Bench {
  const clock = new FakeClock();
  const session = new TunnelSession({
    peer: { hostname: "192.0.2.1", port: 40000 },
    local: { hostname: "192.0.2.2", port: 80 },
    clock,
    onClose: () => bench.closes++,
    ...options,
  });
  const bench: Bench = { session, clock, closes: 0 };
  return bench;
}

/** A reader that answers each run of bytes with as many bytes of 100 plus the value. */
async function echo(session: TunnelSession): Promise<string> {
  const buffer = new Uint8Array(100);
  try {
    for (let n = await session.read(buffer); n !== null; n = await session.read(buffer)) {
      session.put(buffer.subarray(0, n).map((byte) => byte + 100));
    }
    return "end";
  } catch (error) {
    assert.ok(error instanceof TransportError);
    return error.message;
  }
}

Deno.test("what a request carries is read, and what it brings about goes with its own answer", async () => {
  const { session, clock } = open();
  const ended = echo(session);
  assert.deepEqual(await session.exchange(0, Uint8Array.of(1, 2, 3)), Uint8Array.of(1, 101, 102, 103));
  assert.deepEqual(await session.exchange(1, NOTHING), Uint8Array.of(1));
  session.put(Uint8Array.of(7));
  assert.deepEqual(await session.exchange(2, NOTHING), Uint8Array.of(1, 7));
  assert.equal(clock.pending, 0);
  session.close();
  assert.equal(await ended, "end");
});

Deno.test("an answer does not wait for a reader that is busy elsewhere", async () => {
  const { session, clock } = open();
  const answer = session.exchange(5, Uint8Array.of(1));
  await settle();
  clock.advance(50);
  assert.deepEqual(await answer, Uint8Array.of(1));
  assert.deepEqual(await readBytes(session, 1), Uint8Array.of(1), "nothing was lost");
});

Deno.test("a repeated request gets the same answer and is not read twice", async () => {
  const { session } = open();
  const ended = echo(session);
  const first = session.exchange(0, Uint8Array.of(1));
  const meanwhile = session.exchange(0, Uint8Array.of(1));
  assert.deepEqual(await first, Uint8Array.of(1, 101));
  assert.deepEqual(await meanwhile, Uint8Array.of(1, 101));
  assert.deepEqual(await session.exchange(0, Uint8Array.of(1)), Uint8Array.of(1, 101));
  assert.deepEqual(await session.exchange(1, NOTHING), Uint8Array.of(1));
  session.close();
  assert.equal(await ended, "end");
});

Deno.test("requests that overtake their answers are answered in order", async () => {
  const { session } = open();
  const ended = echo(session);
  const answers = [0, 1, 2].map((sequence) => session.exchange(sequence, Uint8Array.of(sequence)));
  const bytes = (await Promise.all(answers)).flatMap((answer) => [...answer!.subarray(1)]);
  assert.deepEqual(bytes, [100, 101, 102]);
  session.close();
  assert.equal(await ended, "end");
});

Deno.test("a missing request ends the session, and the reader learns why", async () => {
  const bench = open();
  const ended = echo(bench.session);
  await bench.session.exchange(0, Uint8Array.of(1));
  assert.equal(await bench.session.exchange(2, Uint8Array.of(2)), null);
  assert.equal(await ended, "RTMPT client 192.0.2.1:40000 sent request 2 after 0");
  assert.equal(bench.closes, 1);
  assert.equal(await bench.session.exchange(3, NOTHING), null);
});

Deno.test("a client that asks no more has ended", async () => {
  const bench = open();
  const ended = echo(bench.session);
  bench.clock.advance(10_000);
  await bench.session.exchange(0, NOTHING);
  bench.session.checkSilence(10_000);
  assert.equal(bench.session.closed, false);
  bench.session.checkSilence(10_001);
  assert.equal(await ended, "RTMPT client 192.0.2.1:40000 asks no more");
  assert.equal(bench.closes, 1);
});

Deno.test("a client that does not fetch what is put is closed as too slow", async () => {
  const { session } = open({ softUnsent: 10, hardUnsent: 20 });
  assert.equal(session.put(new Uint8Array(10)), true);
  assert.equal(session.put(new Uint8Array(1)), false);
  assert.equal(session.unsent, 11);
  assert.equal(session.put(new Uint8Array(10)), false);
  await assert.rejects(session.read(new Uint8Array(1)), /too slow: 11 bytes unsent/);
  assert.equal(await session.read(new Uint8Array(1)), null, "told once");
  assert.equal(session.put(NOTHING), false);
});

Deno.test("a client that sends faster than it is read waits, then is dropped", async () => {
  const { session, clock } = open();
  const big = new Uint8Array(300_000);
  let answered = false;
  const answer = session.exchange(0, big).then(() => answered = true);
  await settle();
  clock.advance(50);
  await settle();
  assert.equal(answered, false, "its answer is held back");
  assert.equal((await readBytes(session, 100_000)).length, 100_000);
  await answer;
  for (let sequence = 1; !session.closed; sequence++) {
    assert.ok(sequence < 100, "never gave up");
    void session.exchange(sequence, big);
  }
  await assert.rejects(session.read(big), /faster than it can be served/);
  assert.equal(clock.pending, 0);
});

Deno.test("answers carry a megabyte at most; the rest goes with the next", async () => {
  const { session } = open();
  session.put(new Uint8Array(1_500_000));
  assert.equal((await session.exchange(0, NOTHING))?.length, 1 + 1024 * 1024);
  assert.equal((await session.exchange(1, NOTHING))?.length, 1 + 1_500_000 - 1024 * 1024);
});

Deno.test("flush waits for the client's next request, for a time", async () => {
  const { session, clock } = open();
  assert.equal(await session.flush(1000), true);
  session.put(Uint8Array.of(1));
  const fetched = session.flush(1000);
  await session.exchange(0, NOTHING);
  assert.equal(await fetched, true);
  session.put(Uint8Array.of(1));
  const late = session.flush(1000);
  await settle();
  clock.advance(1000);
  assert.equal(await late, false);
  assert.equal(clock.pending, 0);
});

Deno.test("after the client's close what it sent before is still read", async () => {
  const { session } = open();
  void session.exchange(0, Uint8Array.of(1, 2));
  session.endInput();
  assert.deepEqual(await readBytes(session), Uint8Array.of(1, 2));
  session.close();
  session.close();
});

Deno.test("what goes in comes out in order, whatever the sizes", () => {
  const steps = fc.array(fc.oneof(fc.record({ put: fc.nat(9000) }), fc.record({ take: fc.nat(9000) })));
  fc.assert(fc.property(steps, (script) => {
    const queue = new ByteQueue();
    let written = 0;
    let read = 0;
    for (const step of script) {
      if ("put" in step) queue.push(Uint8Array.from({ length: step.put }, () => written++ % 251));
      else {
        const into = new Uint8Array(step.take);
        const count = queue.shiftInto(into);
        assert.equal(count, Math.min(step.take, written - read));
        for (let i = 0; i < count; i++) assert.equal(into[i], read++ % 251);
      }
      assert.equal(queue.length, written - read);
    }
  }));
});

Deno.test("bytes are copied, and clear() drops them", () => {
  const queue = new ByteQueue();
  const bytes = Uint8Array.of(1, 2, 3);
  queue.push(bytes);
  bytes.fill(9);
  const into = new Uint8Array(2);
  assert.equal(queue.shiftInto(into), 2);
  assert.deepEqual(into, Uint8Array.of(1, 2));
  queue.clear();
  assert.equal(queue.length, 0);
  assert.equal(queue.shiftInto(into), 0);
});

Deno.test("the interval grows by siprtmp's steps while nothing flows, and falls at once", () => {
  const interval = new PollInterval();
  const seen: number[] = [];
  for (let i = 0; i < 200; i++) {
    const next = interval.next(false);
    if (next !== seen.at(-1)) seen.push(next);
  }
  assert.deepEqual(seen, [1, 3, 5, 9, 17, 33]);
  assert.equal(interval.next(true), 1);
  assert.equal(interval.next(false), 1);
});
