// Markers that do not end pictures, that end them too early, or never come: what leaves is what an honest sender's
// packets give, picture for picture, and as soon as it can be known.
import assert from "node:assert/strict";
import fc from "fast-check";
import { H264Depacketizer } from "../../../lib/codecs/h264/depacketizer.ts";
import { sliceOf } from "../../../lib/codecs/h264/slice.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { fromHex } from "../../../lib/base/bytes.ts";
import { toHex } from "../../support/hex.ts";
import { avc, PPS, slice, SPS } from "../../support/media_h264.ts";

const FRAME_MS = 40;

interface Packet {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  /** Position among the picture's packets, and whether it is the last of a NAL unit, or of the picture. */
  readonly at: number;
  readonly endsNal: boolean;
  readonly last: boolean;
}

/** How packets of a picture are marked; `picture` counts from 0. */
type Marking = (packet: Packet, picture: number) => boolean;

/** NAL units in FU-A of at most this many octets each. */
function fragments(nal: Uint8Array, octets: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 1; at < nal.length; at += octets) {
    const flags = (at === 1 ? 0x80 : 0) | (at + octets >= nal.length ? 0x40 : 0);
    parts.push(Uint8Array.of(nal[0]! & 0xe0 | 28, flags | nal[0]! & 31, ...nal.subarray(at, at + octets)));
  }
  return parts;
}

/** The packets of one picture: small slices alone, large ones in fragments. */
function packetsOf(nals: readonly Uint8Array[], timestamp: number, maxOctets = 200): Packet[] {
  const parts = nals.map((nal) => nal.length <= maxOctets ? [nal] : fragments(nal, maxOctets - 2));
  const all = parts.flatMap((payloads) =>
    payloads.map((payload, i) => ({ payload, endsNal: i === payloads.length - 1 }))
  );
  return all.map((part, at) => ({ ...part, timestamp, at, last: at === all.length - 1 }));
}

/** Pictures of `slices(i)` slices, every tenth a key frame with its parameter sets. */
function pictures(count: number, slices: (picture: number) => number, octets = 60): Uint8Array[][] {
  return Array.from({ length: count }, (_, i) => {
    const kind = i % 10 === 0 ? "I" : "P";
    const parts = Array.from(
      { length: slices(i) },
      (_, n) => slice(kind, octets, { first: n === 0, seed: 100 * i + n }),
    );
    return kind === "I" ? [SPS, PPS, ...parts] : parts;
  });
}

const withoutSets = (nals: readonly Uint8Array[]) => nals.filter((nal) => ![7, 8].includes(nal[0]! & 31));

interface Bench {
  readonly clock: FakeClock;
  readonly depacketizer: H264Depacketizer;
  /** AVC data of the pictures that left. */
  readonly left: string[];
  /** RTMP time of each, and how long after its last packet it left. */
  readonly times: number[];
  readonly delays: number[];
  wanted: number;
  send(packet: Packet, marker: boolean, lostBefore?: number): void;
}

function open(): Bench {
  const clock = new FakeClock();
  const depacketizer = new H264Depacketizer({ clock, originMs: 0 });
  const lastMs = new Map<string, number>();
  const bench: Bench = {
    clock,
    depacketizer,
    left: [],
    times: [],
    delays: [],
    wanted: 0,
    send({ payload, timestamp }, marker, lostBefore = 0) {
      lastMs.set(String(timestamp), clock.now());
      depacketizer.push(payload, timestamp, marker, (frame) => {
        if (frame.config) return;
        bench.left.push(toHex(frame.data));
        bench.times.push(frame.timeMs);
        bench.delays.push(clock.now() - lastMs.get(String(timestamp))!);
      }, lostBefore);
    },
  };
  depacketizer.onKeyFrameWanted = () => bench.wanted++;
  return bench;
}

/** Sends pictures at their times, the packets of each at once, and waits for the last. */
function play(
  bench: Bench,
  list: readonly (readonly Uint8Array[])[],
  marking: Marking,
  maxOctets = 200,
): void {
  list.forEach((nals, i) => {
    for (const packet of packetsOf(nals, i * FRAME_MS * 90, maxOctets)) {
      bench.send(packet, marking(packet, i));
    }
    bench.clock.advance(FRAME_MS);
  });
  bench.clock.advance(1000);
}

const MARKINGS: [name: string, marking: Marking, misses: number][] = [
  ["on the last packet", ({ last }) => last, 0],
  ["on every slice", ({ endsNal }) => endsNal, 0],
  ["on every packet", () => true, 0],
  [
    "on every slice, but not on parameter sets",
    ({ payload, endsNal }) => endsNal && sliceOf(payload) !== null,
    0,
  ],
  ["never, whereby the last picture waits for another", () => false, 1],
  ["on the first packet only", ({ at }) => at === 0, 1],
  ["in the middle as well, in every picture", ({ at, last }) => last || at === 2, 0],
  [
    "in the middle as well, now and then",
    ({ at, last }, picture) => last || picture % 7 === 5 && at === 3,
    0,
  ],
  ["in the middle instead, now and then", ({ at, last }, i) => i % 7 === 5 ? at === 3 : last, 0],
  ["lost now and then", ({ last }, picture) => last && picture % 5 !== 3, 0],
  ["right at first, then on every slice", ({ last, endsNal }, picture) => picture > 8 ? endsNal : last, 0],
];

const SHAPES: [name: string, slices: (picture: number) => number, octets: number, max: number][] = [
  ["four slices", () => 4, 60, 200],
  ["four slices in fragments", () => 4, 500, 200],
  ["one slice in fragments", () => 1, 900, 200],
];

for (const [shape, slices, octets, max] of SHAPES) {
  for (const [name, marking, misses] of MARKINGS) {
    Deno.test(`${shape}, the marker ${name}: one picture for each timestamp, whole`, () => {
      const sent = pictures(40, slices, octets);
      const bench = open();
      play(bench, sent, marking, max);
      // Without any marker the last picture may be incomplete: nothing says that it is not.
      const heard = sent.slice(0, sent.length - misses);
      assert.deepEqual(bench.left, heard.map((nals) => toHex(avc(withoutSets(nals)))));
      const firstMs = bench.times[0]!;
      assert.ok(firstMs === 0 || misses > 0 && firstMs === FRAME_MS);
      assert.deepEqual(bench.times, heard.map((_, i) => firstMs + i * FRAME_MS));
      assert.equal(bench.wanted, 0);
      bench.depacketizer[Symbol.dispose]();
      assert.equal(bench.clock.pending, 0, "a timer is left");
    });
  }
}

Deno.test("STAP-A with several slices, each packet marked", () => {
  const bench = open();
  const joined = (nals: Uint8Array[]) =>
    Uint8Array.of(0x78, ...nals.flatMap((nal) => [nal.length >> 8, nal.length & 255, ...nal]));
  const sent = pictures(12, () => 4);
  sent.forEach((nals, i) => {
    const slices = withoutSets(nals);
    for (const part of [[SPS, PPS, slices[0]!], slices.slice(1, 3), slices.slice(3)]) {
      bench.send({ payload: joined(part), timestamp: i * 3600, at: 0, endsNal: true, last: false }, true);
    }
    bench.clock.advance(FRAME_MS);
  });
  bench.clock.advance(1000);
  assert.deepEqual(bench.left, sent.map((nals) => toHex(avc(withoutSets(nals)))));
});

Deno.test("honest streams of any number of slices wait for nothing, but for the first pictures", () => {
  for (const slices of [() => 1, () => 4, (picture: number) => picture % 10 === 0 ? 6 : 1 + picture % 3]) {
    const bench = open();
    play(bench, pictures(40, slices), ({ last }) => last);
    assert.equal(bench.left.length, 40);
    const late = bench.delays.filter((delay) => delay > 0);
    assert.ok(late.length <= 5, `${late.length} waited`);
    assert.ok(bench.delays.slice(10).every((delay) => delay === 0));
    assert.ok(bench.delays.every((delay) => delay <= FRAME_MS));
  }
});

Deno.test("where markers are wrong a picture leaves with the next one, or 120 ms after its last packet", () => {
  const bench = open();
  const sent = pictures(3, () => 4);
  sent.forEach((nals, i) => {
    for (const packet of packetsOf(nals, i * 3600)) bench.send(packet, true);
    if (i < 2) bench.clock.advance(FRAME_MS);
  });
  assert.equal(bench.left.length, 2);
  bench.clock.advance(119);
  assert.equal(bench.left.length, 2);
  bench.clock.advance(1);
  assert.equal(bench.left.length, 3);
  assert.deepEqual(bench.times, [0, 40, 80]);
});

Deno.test("slices that come one by one, each marked, are waited for", () => {
  const bench = open();
  const sent = pictures(5, () => 4);
  sent.forEach((nals, i) => {
    for (const packet of packetsOf(nals, i * 36_000)) {
      bench.send(packet, true);
      bench.clock.advance(100 / (nals.length - 1));
    }
    bench.clock.advance(400 - 100 / (nals.length - 1) * nals.length);
  });
  bench.clock.advance(1000);
  assert.deepEqual(bench.left, sent.map((nals) => toHex(avc(withoutSets(nals)))));
});

Deno.test("a slice of a picture that has left is dropped, told of, and makes the stream be waited for", () => {
  const bench = open();
  play(bench, pictures(3, () => 1), ({ last }) => last);
  const [first, second] = [slice("P", 30), slice("P", 30, { first: false })];
  const at = (payload: Uint8Array, timestamp: number) => ({
    payload,
    timestamp,
    at: 0,
    endsNal: true,
    last: false,
  });
  bench.send(at(first, 20_000), true);
  assert.equal(bench.left.length, 4);
  bench.send(at(second, 20_000), true);
  bench.send(at(second, 20_000), true);
  assert.deepEqual([bench.left.length, bench.wanted, bench.depacketizer.broken], [4, 1, 1]);
  bench.send(at(first, 23_600), true);
  bench.send(at(second, 23_600), true);
  bench.clock.advance(200);
  assert.equal(bench.left[4], toHex(avc([first, second])));
});

Deno.test("pictures whose packets are mixed: the later one is whole, of the earlier no part comes behind it", () => {
  const bench = open();
  play(bench, pictures(5, () => 2), ({ last }) => last);
  const [a, b] = [
    packetsOf([slice("P", 30), slice("P", 30, { first: false })], 30_000),
    packetsOf([
      slice("P", 31),
      slice("P", 31, { first: false }),
    ], 33_600),
  ];
  bench.send(a[0]!, false);
  bench.send(b[0]!, false);
  bench.send(a[1]!, true);
  bench.send(b[1]!, true);
  bench.clock.advance(200);
  assert.equal(bench.left.at(-1), toHex(avc(b.map(({ payload }) => payload))));
  assert.equal(bench.wanted, 1);
});

Deno.test("pictures of one timestamp are kept apart where a marker ends each", () => {
  const bench = open();
  const sent = [[SPS, PPS, slice("I", 40)], [slice("P", 30)], [slice("P", 31)]];
  for (const nals of sent) for (const packet of packetsOf(nals, 0)) bench.send(packet, packet.last);
  bench.clock.advance(1000);
  assert.deepEqual(bench.left, sent.map((nals) => toHex(avc(withoutSets(nals)))));
});

Deno.test("the first picture outlives the loss of the second, its marker having been the only one", () => {
  const bench = open();
  const [first, lost, third] = pictures(3, () => 1);
  for (const packet of packetsOf(first!, 0)) bench.send(packet, packet.last);
  bench.clock.advance(2 * FRAME_MS);
  for (const packet of packetsOf(third!, 7200)) bench.send(packet, packet.last, lost!.length);
  bench.clock.advance(200);
  assert.deepEqual(bench.left, [first!, third!].map((nals) => toHex(avc(withoutSets(nals)))));
  assert.equal(bench.wanted, 1);
});

Deno.test("each packet lost in turn, every slice marked: no part of a picture is ever taken for a whole one", () => {
  const sent = pictures(24, () => 3);
  const whole = new Set(sent.map((nals) => toHex(avc(withoutSets(nals)))));
  const packets = sent.flatMap((nals, i) => packetsOf(nals, i * 3600));
  for (let lost = 5; lost < packets.length; lost++) {
    const bench = open();
    packets.forEach((packet, i) => {
      if (i === lost) return;
      bench.send(packet, true, i === lost + 1 ? 1 : 0);
      if (packet.last) bench.clock.advance(FRAME_MS);
    });
    if (lost === packets.length - 1) continue; // nothing after it tells
    bench.clock.advance(1000);
    assert.ok(bench.left.every((data) => whole.has(data)), `packet ${lost}`);
    assert.ok(bench.left.length >= sent.length - 2, `packet ${lost}: ${bench.left.length}`);
    assert.ok(bench.wanted > 0, `packet ${lost}`);
  }
});

Deno.test("a timer that fires late gives what waits in the socket a chance", () => {
  const clock = new FakeClock();
  let timer: { ms: number; fire: () => void } | null = null;
  const stalling = {
    now: () => clock.now(),
    wallMs: () => clock.wallMs(),
    after: (ms: number, fire: () => void) => {
      timer = { ms, fire };
      return { [Symbol.dispose]: () => void (timer = null) };
    },
  };
  const fire = (lateMs: number): void => {
    const { ms, fire } = timer!;
    clock.advance(ms + lateMs);
    fire();
  };
  const depacketizer = new H264Depacketizer({ clock: stalling, originMs: 0 });
  const left: string[] = [];
  const send = (payload: Uint8Array) =>
    depacketizer.push(payload, 0, true, ({ config, data }) => void (config || left.push(toHex(data))), 0);
  const [first, second] = [slice("I", 40), slice("I", 40, { first: false })];
  for (const nal of [SPS, PPS, first]) send(nal);
  fire(400);
  assert.deepEqual(left, [], "the event loop was late, not the packets");
  send(second);
  fire(0);
  assert.deepEqual(left, [], "each slice is waited behind");
  fire(0);
  assert.deepEqual(left, [toHex(avc([first, second]))]);
});

Deno.test("any marks at all: pictures that leave are whole, in order, and none is left out", () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 12 });
  fc.assert(
    fc.property(
      shapes,
      fc.infiniteStream(fc.boolean()),
      fc.constantFrom(60, 400),
      (counts, marks, octets) => {
        const sent = pictures(counts.length, (i) => Math.max(...counts.slice(0, i + 1), counts[i]!), octets);
        const bench = open();
        // The first picture is marked inside, as by a sender that marks every slice; what follows is as it likes.
        play(
          bench,
          sent,
          ({ last, endsNal }, i) => last || (i === 0 ? endsNal : marks.next().value === true),
        );
        const firstProves = sent[0]!.length > 3;
        const data = sent.map((nals) => toHex(avc(withoutSets(nals))));
        if (firstProves) assert.deepEqual(bench.left, data);
        assert.ok(bench.left.length <= data.length);
      },
    ),
  );
});

const SLICES: [name: string, payload: string, expected: string | null][] = [
  ["a first slice", "6588", "first"],
  ["a further slice", "4140", "further"],
  ["a slice cut off", "41", "further"],
  ["a parameter set", "6742c01e", null],
  ["an SEI", "0605", null],
  ["the start of a first slice in fragments", "7c8588", "first"],
  ["the start of a further one", "7c8540", "further"],
  ["the middle of one", "7c0588", "further"],
  ["fragments of an SEI", "7c8605", null],
  ["STAP-A with sets and a first slice", "780004674200010002658800024140", "first"],
  ["STAP-A with a further slice", "7800024140", "further"],
  ["STAP-A without", "7800046742c01e", null],
  ["STAP-A cut off", "780002", null],
  ["nothing", "", null],
];

Deno.test("what a payload does to a picture", () => {
  for (const [name, payload, expected] of SLICES) assert.equal(sliceOf(fromHex(payload)), expected, name);
});
