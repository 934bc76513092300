import assert from "node:assert/strict";
import fc from "fast-check";
import { RtpSource, type SourceVerdict } from "../../lib/rtp/source.ts";
import { rtpPacket } from "../support/rtp_packets.ts";

const RATE = 8000;

interface Step {
  seq: number;
  ts: number;
  ssrc?: number;
  atMs: number;
  /** Verdict, sequence and timestamp expected; sequence and timestamp are not looked at when suspended. */
  then: [SourceVerdict, number?, number?];
}

function play(source: RtpSource, steps: readonly Step[]): void {
  for (const { seq, ts, ssrc = 1, atMs, then } of steps) {
    const header = rtpPacket({ sequenceNumber: seq, timestamp: ts, ssrc });
    const verdict = source.receive(header, atMs);
    const seen = verdict === "suspended" ? [verdict] : [verdict, source.sequence, source.timestamp];
    assert.deepEqual(seen, then, `packet ${seq}`);
  }
}

Deno.test("source: sequence numbers and timestamps pass their wraps", () => {
  play(new RtpSource(RATE), [
    { seq: 65534, ts: 0xffffff00, atMs: 0, then: ["started", 0, 0] },
    { seq: 65535, ts: 0xffffffa0, atMs: 20, then: ["accepted", 1, 160] },
    { seq: 0, ts: 0x40, atMs: 40, then: ["accepted", 2, 320] },
    { seq: 1, ts: 0xe0, atMs: 60, then: ["accepted", 3, 480] },
    { seq: 65535, ts: 0xffffffa0, atMs: 61, then: ["accepted", 1, 160] },
    { seq: 2, ts: 0x180, atMs: 80, then: ["accepted", 4, 640] },
  ]);
});

Deno.test("source: defect 19, a packet from before the first one, gives a number below zero and no error", () => {
  play(new RtpSource(RATE), [
    { seq: 10, ts: 1600, atMs: 0, then: ["started", 0, 0] },
    { seq: 9, ts: 1440, atMs: 1, then: ["accepted", -1, -160] },
    { seq: 11, ts: 1760, atMs: 20, then: ["accepted", 1, 160] },
  ]);
});

Deno.test("source: a new SSRC continues the numbers; its timestamps go on with the time that passed", () => {
  const source = new RtpSource(RATE);
  play(source, [
    { seq: 100, ts: 5000, atMs: 0, then: ["started", 0, 0] },
    { seq: 101, ts: 5160, atMs: 20, then: ["accepted", 1, 160] },
    { seq: 40000, ts: 77, ssrc: 2, atMs: 60, then: ["restarted", 2, 480] },
    { seq: 40001, ts: 237, ssrc: 2, atMs: 80, then: ["accepted", 3, 640] },
  ]);
  assert.equal(source.restarts, 1);
  assert.equal(source.ssrc, 2);
});

Deno.test("source: a large jump is believed when a second packet follows it (RFC 3550 A.1)", () => {
  const source = new RtpSource(RATE);
  play(source, [
    { seq: 1, ts: 0, atMs: 0, then: ["started", 0, 0] },
    { seq: 20000, ts: 160, atMs: 20, then: ["suspended"] },
    { seq: 2, ts: 160, atMs: 20, then: ["accepted", 1, 160] },
    { seq: 20001, ts: 320, atMs: 40, then: ["suspended"] },
    { seq: 20002, ts: 480, atMs: 60, then: ["restarted", 2, 480] },
    { seq: 20003, ts: 640, atMs: 80, then: ["accepted", 3, 640] },
  ]);
});

Deno.test("source: the borders of dropout and misorder", () => {
  play(new RtpSource(RATE), [
    { seq: 200, ts: 0, atMs: 0, then: ["started", 0, 0] },
    { seq: 100, ts: 0, atMs: 0, then: ["accepted", -100, 0] },
    { seq: 99, ts: 0, atMs: 0, then: ["suspended"] },
    { seq: 3199, ts: 0, atMs: 0, then: ["accepted", 2999, 0] },
    { seq: 6199, ts: 0, atMs: 0, then: ["suspended"] },
  ]);
});

Deno.test("source: a timestamp that starts anew within one source goes on with the time that passed", () => {
  const source = new RtpSource(RATE);
  play(source, [
    { seq: 1, ts: 1_000_000, atMs: 0, then: ["started", 0, 0] },
    { seq: 2, ts: 1_000_160, atMs: 20, then: ["accepted", 1, 160] },
    // 10 minutes of silence with a running clock is no jump.
    { seq: 3, ts: 1_000_160 + 600 * RATE, atMs: 600_020, then: ["accepted", 2, 160 + 600 * RATE] },
    { seq: 5, ts: 77, atMs: 600_060, then: ["accepted", 4, 480 + 600 * RATE] },
    // A straggler from before the jump stays where the stream is.
    { seq: 4, ts: 1_000_320 + 600 * RATE, atMs: 600_061, then: ["accepted", 3, 480 + 600 * RATE] },
    { seq: 6, ts: 237, atMs: 600_080, then: ["accepted", 5, 640 + 600 * RATE] },
  ]);
  assert.equal(source.timestampJumps, 1);
});

Deno.test("source: timestamps of sender reports lie on the same line", () => {
  const source = new RtpSource(RATE);
  source.receive(rtpPacket({ sequenceNumber: 1, timestamp: 0xffffff00 }), 0);
  source.receive(rtpPacket({ sequenceNumber: 2, timestamp: 0xffffffa0 }), 20);
  assert.equal(source.unwrapTimestamp(0x40), 320);
  assert.equal(source.unwrapTimestamp(0xfffffe60), -160);
});

Deno.test("source: loss as in RFC 3550 A.3", () => {
  const source = new RtpSource(RATE);
  const receive = (seq: number) => source.receive(rtpPacket({ sequenceNumber: seq & 0xffff }), 0);
  for (const seq of [65530, 65531, 65533, 65535]) receive(seq);
  assert.deepEqual(source.takeReport(), {
    fractionLost: Math.floor(256 * 2 / 6),
    cumulativeLost: 2,
    highestSequence: 65535,
    jitter: 0,
  });
  for (const seq of [65536, 65537, 65537, 65537]) receive(seq);
  assert.deepEqual(source.takeReport(), {
    fractionLost: 0,
    cumulativeLost: 0,
    highestSequence: 65537,
    jitter: 0,
  });
  for (let copy = 0; copy < 5; copy++) receive(65537);
  assert.equal(source.takeReport().cumulativeLost, -5);
});

Deno.test("source: jitter as in RFC 3550 A.8, nothing from packets of one instant", () => {
  const source = new RtpSource(RATE);
  const receive = (seq: number, ts: number, atMs: number) =>
    source.receive(rtpPacket({ sequenceNumber: seq, timestamp: ts }), atMs);
  receive(1, 0, 0);
  receive(2, 160, 20);
  assert.equal(source.jitterMs, 0);
  receive(3, 320, 56); // 16 ms late: D = 128 units, J += 128 / 16
  assert.equal(source.jitterMs, 1);
  receive(4, 320, 90);
  receive(5, 320, 95);
  assert.equal(source.jitterMs, 1);
  receive(6, 480, 76); // as late as the one before: D = 0, J -= J / 16
  assert.equal(source.jitterMs, 1 - 1 / 16);
});

Deno.test("source: another clock rate starts jitter anew and keeps the numbers", () => {
  const source = new RtpSource(RATE);
  play(source, [
    { seq: 1, ts: 0, atMs: 0, then: ["started", 0, 0] },
    { seq: 2, ts: 160, atMs: 36, then: ["accepted", 1, 160] },
  ]);
  assert.equal(source.jitterMs, 1);
  source.setClockRate(RATE);
  assert.equal(source.jitterMs, 1);
  source.setClockRate(16_000);
  assert.equal(source.jitterMs, 0);
  play(source, [
    { seq: 3, ts: 480, atMs: 56, then: ["accepted", 2, 480] },
    { seq: 4, ts: 800, atMs: 76, then: ["accepted", 3, 800] },
    // 10 s on this clock, not a jump; on the old one it would be 20 s.
    { seq: 5, ts: 160_800, atMs: 10_076, then: ["accepted", 4, 160_800] },
  ]);
  assert.deepEqual([source.jitterMs, source.timestampJumps], [0, 0]);
});

Deno.test("source: any headers give finite numbers, restarts never repeat a sequence number", () => {
  const step = fc.record({
    seq: fc.nat(0xffff),
    ts: fc.integer({ min: 0, max: 0xffffffff }),
    ssrc: fc.nat(2),
    waitMs: fc.nat(10_000),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const source = new RtpSource(RATE);
    let nowMs = 0;
    let highest = -Infinity;
    let highestTimestamp = -Infinity;
    for (const { seq, ts, ssrc, waitMs } of steps) {
      nowMs += waitMs;
      const verdict = source.receive(rtpPacket({ sequenceNumber: seq, timestamp: ts, ssrc }), nowMs);
      if (verdict === "suspended") continue;
      if (verdict === "restarted") {
        assert.equal(source.sequence, highest + 1);
        assert.ok(source.timestamp > highestTimestamp);
      }
      highest = Math.max(highest, source.sequence);
      highestTimestamp = Math.max(highestTimestamp, source.timestamp);
      assert.ok(Number.isSafeInteger(source.timestamp) && Number.isFinite(source.jitterMs));
    }
    const report = source.takeReport();
    assert.ok(report.fractionLost >= 0 && report.fractionLost <= 255);
    assert.ok(Math.abs(report.cumulativeLost) <= 0x800000);
  }));
});

Deno.test("source: a steady stream with loss and reordering keeps true numbers over several wraps", () => {
  const order = fc.array(fc.record({ skip: fc.nat(3), back: fc.nat(5) }), { minLength: 50, maxLength: 400 });
  fc.assert(
    fc.property(fc.nat(0xffff), fc.integer({ min: 0, max: 0xffffffff }), order, (seq0, ts0, moves) => {
      const source = new RtpSource(RATE);
      const receive = (index: number, atMs: number) =>
        source.receive(
          rtpPacket({ sequenceNumber: seq0 + index & 0xffff, timestamp: ts0 + 160 * index >>> 0 }),
          atMs,
        );
      receive(0, 0);
      let index = 0;
      for (const { skip, back } of moves) {
        index += 1 + 500 * skip;
        receive(index, 20 * index);
        assert.deepEqual([source.sequence, source.timestamp], [index, 160 * index]);
        const earlier = Math.max(0, index - back);
        receive(earlier, 20 * index);
        assert.deepEqual([source.sequence, source.timestamp], [earlier, 160 * earlier]);
      }
    }),
  );
});
