import assert from "node:assert/strict";
import fc from "fast-check";
import { type OrderedPacket, ReorderBuffer } from "../../lib/rtp/reorder_buffer.ts";

interface Delivered {
  sequence: number;
  lostBefore: number;
  atMs: number;
  payload: number[];
}

/** A buffer with a record of what came out. */
class Bench {
  readonly delivered: Delivered[] = [];
  readonly buffer: ReorderBuffer;
  nowMs = 0;

  constructor(maxWaitMs?: number) {
    this.buffer = new ReorderBuffer({
      ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
      deliver: ({ sequence, payload }, lostBefore) =>
        this.delivered.push({ sequence, lostBefore, atMs: this.nowMs, payload: [...payload] }),
    });
  }

  /** Pushes a packet whose bytes are spoilt afterwards, as a receive buffer is. */
  push(sequence: number, atMs = this.nowMs): void {
    this.nowMs = atMs;
    const payload = Uint8Array.of(sequence & 0xff, sequence >> 8 & 0xff);
    // As a session does; half of the packets take the longer way, which must come to the same.
    if (sequence % 2 === 0 && this.buffer.passes(sequence)) {
      return void this.delivered.push({ sequence, lostBefore: 0, atMs, payload: [...payload] });
    }
    const packet: OrderedPacket = {
      sequence,
      timestamp: 160 * sequence,
      marker: false,
      payloadType: 0,
      payload,
    };
    this.buffer.push(packet, atMs);
    payload.fill(0xee);
  }

  tick(atMs: number): void {
    this.nowMs = atMs;
    this.buffer.flush(atMs);
  }

  get order(): number[] {
    return this.delivered.map((packet) => packet.sequence);
  }

  get counts(): number[] {
    return [this.buffer.lost, this.buffer.late, this.buffer.duplicates, this.buffer.held];
  }
}

Deno.test("reorder: packets in order go on at once", () => {
  const bench = new Bench();
  for (const sequence of [7, 8, 9]) bench.push(sequence);
  assert.deepEqual(bench.order, [7, 8, 9]);
  assert.deepEqual(bench.counts, [0, 0, 0, 0]);
});

Deno.test("reorder: a swapped pair is put right, with its bytes", () => {
  const bench = new Bench();
  for (const sequence of [0, 2, 3, 1, 4]) bench.push(sequence);
  assert.deepEqual(bench.order, [0, 1, 2, 3, 4]);
  assert.deepEqual(bench.delivered.map((packet) => packet.payload[0]), [0, 1, 2, 3, 4]);
  assert.deepEqual(bench.counts, [0, 0, 0, 0]);
});

Deno.test("reorder: a lost packet is given up after the wait, not before; then it is late", () => {
  const bench = new Bench(60);
  bench.push(0, 0);
  bench.push(2, 20);
  bench.push(3, 40);
  bench.tick(79);
  assert.deepEqual(bench.order, [0]);
  bench.tick(80);
  assert.deepEqual(bench.order, [0, 2, 3]);
  assert.deepEqual(bench.delivered.map((packet) => packet.lostBefore), [0, 1, 0]);
  bench.push(1, 81);
  assert.deepEqual(bench.order, [0, 2, 3]);
  assert.deepEqual(bench.counts, [1, 1, 0, 0]);
});

Deno.test("reorder: each gap has its own wait", () => {
  const bench = new Bench(60);
  bench.push(0, 0);
  bench.push(2, 10); // 1 missing until 70
  bench.push(4, 50); // 3 missing until 110
  bench.tick(70);
  assert.deepEqual(bench.order, [0, 2]);
  bench.push(5, 100);
  bench.tick(109);
  assert.deepEqual(bench.order, [0, 2]);
  bench.tick(110);
  assert.deepEqual(bench.order, [0, 2, 4, 5]);
});

Deno.test("reorder: a gap that was filled does not shorten the wait for the next one", () => {
  const bench = new Bench(60);
  bench.push(0, 0);
  bench.push(2, 10);
  bench.push(4, 50);
  bench.push(1, 55); // fills the first gap; 3 is missing since 50
  bench.tick(75);
  assert.deepEqual(bench.order, [0, 1, 2]);
  bench.push(3, 90);
  assert.deepEqual(bench.order, [0, 1, 2, 3, 4]);
  assert.deepEqual(bench.counts, [0, 0, 0, 0]);
});

Deno.test("reorder: a push after the wait gives nothing up: when we were late, it may be the missing packet", () => {
  const bench = new Bench(60);
  bench.push(0, 0);
  bench.push(2, 0);
  bench.push(1, 60);
  assert.deepEqual(bench.order, [0, 1, 2]);
  assert.deepEqual(bench.counts, [0, 0, 0, 0]);
});

Deno.test("reorder: duplicates of waiting, delivered and just delivered packets", () => {
  const bench = new Bench();
  for (const sequence of [0, 0, 2, 2, 1, 1, 2, 0]) bench.push(sequence);
  assert.deepEqual(bench.order, [0, 1, 2]);
  assert.deepEqual(bench.counts, [0, 0, 5, 0]);
});

Deno.test("reorder: packets before the first one are late, also below zero", () => {
  const bench = new Bench();
  for (const sequence of [0, -1, -64, 1]) bench.push(sequence);
  assert.deepEqual(bench.order, [0, 1]);
  assert.deepEqual(bench.counts, [0, 2, 0, 0]);
});

Deno.test("reorder: the window is bounded: what runs away gives up what lies behind", () => {
  const bench = new Bench(200);
  bench.push(0);
  bench.push(2);
  bench.push(63 + 2);
  assert.deepEqual(bench.order, [0, 2]);
  assert.equal(bench.buffer.held, 1);
  bench.push(5000);
  assert.deepEqual(bench.order, [0, 2, 65, 5000]);
  assert.deepEqual(bench.delivered.map((packet) => packet.lostBefore), [0, 1, 62, 4934]);
  assert.deepEqual(bench.counts, [4997, 0, 0, 0]);
});

Deno.test("reorder: drain gives everything in order", () => {
  const bench = new Bench();
  for (const sequence of [0, 5, 3, 9]) bench.push(sequence);
  bench.buffer.drain();
  assert.deepEqual(bench.order, [0, 3, 5, 9]);
  assert.deepEqual(bench.counts, [6, 0, 0, 0]);
  bench.push(10);
  assert.deepEqual(bench.order, [0, 3, 5, 9, 10]);
});

Deno.test("reorder: without a wait nothing is held; silly waits are kept within 0 and 200 ms", () => {
  const none = new Bench(0);
  for (const sequence of [0, 2, 1, 3]) none.push(sequence);
  assert.deepEqual(none.order, [0, 2, 3]);
  const long = new Bench(10_000);
  long.push(0, 0);
  long.push(2, 0);
  long.tick(199);
  assert.equal(long.buffer.held, 1);
  long.tick(200);
  assert.equal(long.buffer.held, 0);
});

Deno.test("reorder: large and small payloads through the same slot", () => {
  const out: number[] = [];
  const buffer = new ReorderBuffer({ deliver: ({ payload }) => out.push(payload.length) });
  const push = (sequence: number, length: number) =>
    buffer.push(
      { sequence, timestamp: 0, marker: false, payloadType: 0, payload: new Uint8Array(length) },
      0,
    );
  for (let round = 0; round < 3; round++) {
    const length = [2000, 0, 300][round]!;
    push(64 * round, 1);
    push(64 * round + 2, length);
    push(64 * round + 1, 2);
    for (let sequence = 64 * round + 3; sequence < 64 * round + 64; sequence++) push(sequence, 3);
  }
  assert.deepEqual(out.filter((length) => length !== 3), [1, 2, 2000, 1, 2, 0, 1, 2, 300]);
});

/** Copies of packet numbers with the time each takes to arrive; missing numbers are lost. */
const journeys = fc.array(
  fc.record({ fate: fc.constantFrom("once", "once", "once", "twice", "lost"), delayMs: fc.nat(300) }),
  { minLength: 1, maxLength: 200 },
);

Deno.test("reorder: whatever is lost, doubled or delayed, order is strict and the delay bounded", () => {
  fc.assert(fc.property(journeys, fc.integer({ min: 0, max: 200 }), (packets, maxWaitMs) => {
    const bench = new Bench(maxWaitMs);
    const arrivals: { atMs: number; sequence: number }[] = [];
    packets.forEach(({ fate, delayMs }, sequence) => {
      if (fate !== "lost") arrivals.push({ atMs: 20 * sequence + delayMs, sequence });
      if (fate === "twice") arrivals.push({ atMs: 20 * sequence + delayMs + 7, sequence });
    });
    arrivals.sort((a, b) => a.atMs - b.atMs);
    const arrivedMs = new Map<number, number>();
    let tickMs = 0;
    for (const { atMs, sequence } of arrivals) {
      for (; tickMs < atMs; tickMs += 10) bench.tick(tickMs);
      if (!arrivedMs.has(sequence)) arrivedMs.set(sequence, atMs);
      bench.push(sequence, atMs);
    }
    for (const endMs = tickMs + 300; tickMs < endMs; tickMs += 10) bench.tick(tickMs);

    const { delivered, buffer } = bench;
    let expected = delivered[0]?.sequence ?? 0;
    for (const { sequence, lostBefore, atMs, payload } of delivered) {
      assert.equal(sequence, expected + lostBefore);
      assert.ok(lostBefore >= 0);
      assert.ok(atMs - arrivedMs.get(sequence)! <= maxWaitMs + 10);
      assert.deepEqual(payload, [sequence & 0xff, sequence >> 8]);
      expected = sequence + 1;
    }
    assert.equal(buffer.held, 0);
    assert.equal(delivered.length + buffer.late + buffer.duplicates, arrivals.length);
    assert.equal(buffer.lost, delivered.reduce((sum, packet) => sum + packet.lostBefore, 0));
  }));
});

Deno.test("reorder: swaps shorter than the wait lose nothing", () => {
  fc.assert(fc.property(fc.array(fc.nat(50), { minLength: 2, maxLength: 150 }), (delays) => {
    const bench = new Bench(60);
    const arrivals = delays.map((delayMs, sequence) => ({ atMs: 20 * sequence + delayMs, sequence }));
    // The first packet decides where the stream begins.
    arrivals[0]!.atMs = 0;
    arrivals.sort((a, b) => a.atMs - b.atMs);
    for (const { atMs, sequence } of arrivals) bench.push(sequence, atMs);
    bench.buffer.drain();
    assert.deepEqual(bench.order, delays.map((_, sequence) => sequence));
    assert.deepEqual(bench.counts, [0, 0, 0, 0]);
  }));
});

Deno.test("reorder: nothing is kept for packets that wait while none does", () => {
  const bench = new Bench(60);
  for (let sequence = 0; sequence < 1000; sequence++) {
    if (sequence % 50 !== 7) bench.push(sequence, 20 * sequence);
    assert.equal(bench.buffer.slots > 0, bench.buffer.held > 0);
    bench.tick(20 * sequence + 10);
  }
  assert.deepEqual([bench.buffer.lost, bench.buffer.slots], [20, 0]);
  for (let sequence = 1001; sequence < 1040; sequence++) bench.push(sequence, 20_000);
  assert.equal(bench.buffer.held, 39);
  bench.tick(20_100);
  assert.deepEqual([bench.buffer.held, bench.buffer.slots], [0, 0]);
});

Deno.test("reorder: of the last 64 numbers it is known which were delivered, of older ones that they are late", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 60 }),
    fc.nat(200),
    (steps, back) => {
      const bench = new Bench(0); // gaps are given up at once: what was skipped is late
      const sent = new Set<number>();
      let sequence = 1000;
      for (const step of steps) {
        bench.push(sequence += step);
        sent.add(sequence);
      }
      const asked = sequence - back;
      const { duplicates, late } = bench.buffer;
      bench.push(asked);
      const known = back < 64 && sent.has(asked);
      const now = [bench.buffer.duplicates - duplicates, bench.buffer.late - late];
      assert.deepEqual(now, known ? [1, 0] : [0, 1]);
    },
  ));
});
