// The grid on which transcoded audio leaves, over a path that needs no module: PCMU in, PCMA out.

import fc from "fast-check";
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { JitterEstimate, MAX_TARGET_MS, MIN_TARGET_MS, Playout } from "../../lib/call/playout.ts";
import { AudioPath } from "../../lib/codecs/audio_path.ts";
import { Codecs } from "../../lib/codecs/codecs.ts";
import { encodeComfortNoise } from "../../lib/codecs/comfort_noise.ts";

const SILENCE = 0xd5;

interface Sent {
  readonly nowMs: number;
  readonly elapsedMs: number;
  readonly resumed: boolean;
  readonly mediaMs: number;
  readonly silent: boolean;
}

/** A playout with a clock, ticked every 10 ms. */
class Bench {
  readonly sent: Sent[] = [];
  readonly path: AudioPath;
  readonly playout: Playout;
  nowMs = 0;

  constructor() {
    this.path = open();
    this.playout = new Playout(this.path, (packet, elapsedMs, resumed, mediaMs) => {
      const silent = packet.every((octet) => octet === SILENCE);
      this.sent.push({ nowMs: this.nowMs, elapsedMs, resumed, mediaMs, silent });
    });
  }

  /** A packet of sound arrives now. */
  arrive(mediaMs: number, milliseconds = 20, path = this.path): void {
    path.push(new Uint8Array(milliseconds * 8).fill(0x20));
    this.playout.arrived(this.nowMs, mediaMs);
  }

  tick(nowMs: number): void {
    this.nowMs = nowMs;
    this.playout.tick(nowMs);
  }

  /** Ticks up to `endMs`; `arrivals` come between the ticks at their times: [arrival, media time, length]. */
  run(endMs: number, arrivals: readonly (readonly [number, number, number?])[] = []): void {
    const waiting = [...arrivals].sort((a, b) => a[0] - b[0]);
    for (let tickMs = Math.floor(this.nowMs / 10) * 10 + 10; tickMs <= endMs; tickMs += 10) {
      while (waiting.length > 0 && waiting[0]![0] <= tickMs) {
        const [atMs, mediaMs, length] = waiting.shift()!;
        this.nowMs = atMs;
        this.arrive(mediaMs, length);
      }
      this.tick(tickMs);
    }
  }

  /** The first packet with sound in it. */
  get firstSound(): Sent | undefined {
    return this.sent.find((one) => !one.silent);
  }
}

function open(): AudioPath {
  return new AudioPath({
    from: { codec: "pcmu", sampleRate: 8000 },
    to: { codec: "pcma", sampleRate: 8000 },
    codecs: new Codecs(new Map()),
    random: seededRandom(2),
  });
}

/** Arrivals that are late by so much; none overtakes another. */
function delayed(arrivals: readonly (readonly [number, number])[], late: (mediaMs: number) => number) {
  let last = 0;
  return arrivals.map(([at, media]): [number, number] => [last = Math.max(last, at + late(media)), media]);
}

const steady = (count: number, fromMs: number, periodMs = 20): [number, number][] =>
  Array.from({ length: count }, (_, i) => [fromMs + i * periodMs, i * 20]);

Deno.test("silence leaves from the start, each packet at its deadline, the first one resumed", () => {
  const bench = new Bench();
  bench.tick(0);
  bench.run(200);
  assert.deepEqual(bench.sent.map(({ nowMs }) => nowMs), Array.from({ length: 11 }, (_, i) => i * 20));
  assert.deepEqual(bench.sent.map(({ elapsedMs }) => elapsedMs), bench.sent.map(({ nowMs }) => nowMs));
  assert.deepEqual(bench.sent.map(({ resumed }) => resumed), [true, ...Array(10).fill(false)]);
  assert.ok(bench.sent.every(({ silent, mediaMs }) => silent && Number.isNaN(mediaMs)));
});

Deno.test("the first arrival waits for the target delay, then every packet follows, with its place", () => {
  const bench = new Bench();
  bench.tick(0);
  bench.run(2000, steady(90, 103));
  const first = bench.firstSound!;
  assert.ok(first.nowMs >= 143 && first.nowMs <= 160, `${first.nowMs}`);
  const sound = bench.sent.filter(({ mediaMs }) => !Number.isNaN(mediaMs));
  assert.deepEqual(sound.slice(0, 3).map(({ mediaMs }) => mediaMs), [0, 20, 40]);
  assert.equal(bench.playout.underruns, 0);
  assert.equal(sound.length, 90);
});

Deno.test("jitter within the target is not heard; beyond it is concealed, and the delay grows by it", () => {
  const bench = new Bench();
  const random = seededRandom(3);
  bench.run(10_000, delayed(steady(480, 100), () => random.float() * 35));
  assert.ok(bench.playout.underruns <= 1, `${bench.playout.underruns}`);
  const rough = new Bench();
  const late = (media: number): number => media % 1000 === 500 ? 120 : 0;
  rough.run(10_000, delayed(steady(480, 100), late));
  assert.ok(rough.playout.underruns >= 1 && rough.playout.underruns <= 6, `${rough.playout.underruns}`);
  const { nowMs, mediaMs } = rough.sent.findLast((one) => !Number.isNaN(one.mediaMs))!;
  assert.ok(nowMs - 100 - mediaMs >= 120 && nowMs - 100 - mediaMs < 200, `${nowMs - 100 - mediaMs}`);
});

Deno.test("when the jitter is over, the delay shrinks again", () => {
  const bench = new Bench();
  const late = (media: number): number => media < 5000 && media % 1000 === 500 ? 150 : 0;
  bench.run(25_000, delayed(steady(1240, 100), late));
  assert.ok(bench.playout.skippedMs > 50);
  const { nowMs, mediaMs } = bench.sent.findLast((one) => !Number.isNaN(one.mediaMs))!;
  assert.ok(nowMs - 100 - mediaMs < 90, `${nowMs - 100 - mediaMs}`);
});

for (const [what, factor] of [["fast", 0.9995], ["slow", 1.0005]] as const) {
  Deno.test(`a source whose clock is ${what} by 500 millionths: ten minutes, the delay stays bounded`, () => {
    const bench = new Bench();
    bench.run(600_000, steady(30_000, 100, 20 * factor));
    const delays = bench.sent.filter(({ mediaMs }) => !Number.isNaN(mediaMs)).map(({ nowMs, mediaMs }) =>
      nowMs - 100 - mediaMs * factor
    );
    assert.ok(Math.max(...delays) < 130 && Math.min(...delays) >= 0, `${Math.max(...delays)}`);
    assert.ok(bench.playout.underruns + bench.playout.skippedMs / 20 < 30);
  });
}

Deno.test("a source that stops fades to silence; the next talk spurt waits for its own target", () => {
  const bench = new Bench();
  bench.run(3000, steady(50, 100));
  assert.ok(bench.playout.waiting);
  assert.ok(bench.sent.slice(-80).every(({ silent }) => silent));
  const before = bench.sent.length;
  bench.run(5000, steady(50, 4000).map(([at, media]) => [at, media + 3900]));
  const again = bench.sent.slice(before).find(({ silent }) => !silent)!;
  assert.ok(again.nowMs - 4000 >= 20 && again.nowMs - 4000 <= 60, `${again.nowMs - 4000}`);
});

Deno.test("three seconds at once: the newest is heard within the target, nothing else waits", () => {
  const bench = new Bench();
  bench.run(1000);
  for (let i = 0; i < 150; i++) bench.arrive(i * 20);
  bench.run(4000, steady(150, 1020).map(([at, media]) => [at, media + 3000]));
  const first = bench.firstSound!;
  assert.ok(first.nowMs <= 1100, `${first.nowMs}`);
  assert.ok(first.mediaMs >= 2900, `${first.mediaMs}`);
  assert.equal(bench.playout.underruns, 0);
  assert.ok(bench.path.bufferedMs < 100);
});

Deno.test("deadlines missed by a busy process are made up for, or given up when there are too many", () => {
  const bench = new Bench();
  bench.tick(0);
  bench.run(1000);
  const before = bench.sent.length;
  bench.tick(1085);
  assert.equal(bench.sent.length - before, 4);
  bench.tick(3085);
  const after = bench.sent.slice(before + 4);
  assert.equal(after.length, 1);
  assert.deepEqual([after[0]!.elapsedMs, after[0]!.resumed], [3080, true]);
});

Deno.test("a process that was held up finds its packets after its tick: nothing is concealed, nothing is lost", () => {
  const bench = new Bench();
  bench.tick(0);
  bench.run(1000, steady(45, 100)); // up to the packet of 980
  const before = bench.sent.length;
  bench.tick(1150); // the tick first, as the event loop does, then the sockets
  const late = bench.sent.slice(before);
  assert.ok(late.length >= 1 && late.length <= 4 && late.every(({ mediaMs }) => !Number.isNaN(mediaMs)));
  bench.nowMs = 1152;
  for (let i = 45; i < 53; i++) bench.arrive(i * 20);
  bench.run(2000, steady(42, 1160).map(([at, media]) => [at, media + 53 * 20]));
  assert.equal(bench.playout.underruns, 0);
  const places = bench.sent.filter(({ mediaMs }) => !Number.isNaN(mediaMs)).map(({ mediaMs }) => mediaMs);
  assert.deepEqual(places, places.map((_, i) => i * 20), "every packet, once");
  const times = bench.sent.map(({ elapsedMs }) => elapsedMs);
  assert.deepEqual(times, times.map((_, i) => i * 20), "each at its place");
});

Deno.test("another path goes on in the same grid, without what the old one held", () => {
  const bench = new Bench();
  bench.run(1000, steady(40, 100));
  const other = open();
  other.push(new Uint8Array(800).fill(0x20));
  bench.playout.use(other);
  assert.equal(other.bufferedMs, 0);
  const before = bench.sent.length;
  bench.run(1100);
  assert.ok(bench.sent.slice(before).every(({ silent, resumed }) => silent && !resumed));
  bench.arrive(0, 60, other);
  bench.run(1200);
  assert.ok(bench.sent.slice(before).some(({ silent }) => !silent));
});

Deno.test("comfort noise is heard instead of silence until audio comes again", () => {
  const bench = new Bench();
  bench.run(1000, steady(30, 100));
  bench.path.comfortNoise(encodeComfortNoise({ levelDbov: 35, reflection: [] }));
  const before = bench.sent.length;
  bench.run(1500);
  assert.ok(bench.sent.slice(before + 5).every(({ silent }) => !silent));
  assert.ok(bench.sent.slice(before + 5).every(({ mediaMs }) => Number.isNaN(mediaMs)));
});

/** Packets of 20 ms, each late by what `lateness` says; gives the target after the last. */
function arrivals(
  estimate: JitterEstimate,
  count: number,
  lateness: (i: number) => number,
  from = 0,
): number {
  for (let i = from; i < from + count; i++) estimate.observe(5000 + i * 20 + lateness(i), i * 20);
  return estimate.targetMs;
}

Deno.test("before anything is known some jitter is assumed; a steady source needs the least", () => {
  const estimate = new JitterEstimate();
  assert.equal(estimate.targetMs, 40);
  assert.equal(arrivals(estimate, 100, () => 0), 40);
  assert.equal(arrivals(estimate, 150, () => 0, 100), MIN_TARGET_MS);
});

Deno.test("the spread between early and late packets counts, at once", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 300, () => 0);
  assert.equal(arrivals(estimate, 1, () => 65, 300), 85);
  assert.equal(arrivals(estimate, 1, () => -10, 301), 95);
});

Deno.test("what is rare is remembered for four to eight seconds", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 250, () => 0);
  assert.equal(arrivals(estimate, 1, () => 100, 250), 120);
  assert.equal(arrivals(estimate, 190, () => 0, 251), 120);
  assert.equal(arrivals(estimate, 250, () => 0, 441), MIN_TARGET_MS);
});

Deno.test("a clock that drifts is no jitter", () => {
  const estimate = new JitterEstimate();
  const target = arrivals(estimate, 3000, (i) => i * 20 * 100e-6);
  assert.ok(target < 21, `${target}`);
});

Deno.test("a jump of the source's time starts anew, what was learnt of the way stays for a while", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 300, (i) => i % 10 === 3 ? 50 : 0);
  assert.equal(estimate.targetMs, 70);
  estimate.observe(12_000, 500_000);
  assert.equal(estimate.targetMs, 70);
  for (let i = 1; i < 250; i++) estimate.observe(12_000 + i * 20, 500_000 + i * 20);
  assert.equal(estimate.targetMs, MIN_TARGET_MS);
  for (let i = 250; i < 400; i++) estimate.observe(12_000 + i * 20, 500_000 + i * 20);
  estimate.restart();
  estimate.observe(20_500, 0);
  assert.equal(estimate.targetMs, MIN_TARGET_MS);
});

Deno.test("a stall is no jitter: neither what was late, nor all that came at once, raises the target", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 300, () => 0);
  for (let i = 300; i < 350; i++) estimate.observe(5000 + 350 * 20, i * 20);
  assert.equal(arrivals(estimate, 300, () => 0, 350), MIN_TARGET_MS);
  const burst = new JitterEstimate();
  for (let i = 0; i < 150; i++) burst.observe(5000, i * 20);
  for (let i = 150; i < 200; i++) burst.observe(5000 + (i - 150) * 20, i * 20);
  assert.ok(burst.targetMs < 100, `${burst.targetMs}`);
});

Deno.test("whatever arrives, the target stays within its bounds", () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(1e7), fc.nat(1e7)), { maxLength: 100 }), (packets) => {
    const estimate = new JitterEstimate();
    for (const [arrivalMs, mediaMs] of packets) {
      estimate.observe(arrivalMs, mediaMs);
      assert.ok(estimate.targetMs >= MIN_TARGET_MS && estimate.targetMs <= MAX_TARGET_MS);
    }
  }));
  const random = seededRandom(4);
  assert.equal(arrivals(new JitterEstimate(), 200, () => random.float() * 900), MAX_TARGET_MS);
});
