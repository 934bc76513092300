import assert from "node:assert/strict";
import fc from "fast-check";
import { DIGIT_SILENCE_MS, TelephoneEventReceiver } from "../../lib/rtp/telephone_event_receiver.ts";
import { TelephoneEventSender } from "../../lib/rtp/telephone_event_sender.ts";
import { ReorderBuffer } from "../../lib/rtp/reorder_buffer.ts";
import { encodeRedundancy, encodeTelephoneEvent, eventOfDigit } from "../../lib/rtp/telephone_event.ts";
import { WireError } from "../../lib/base/errors.ts";
import { hex } from "../support/hex.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Events by payload type. */
const EVENTS = new Map([1, 5, 101].map((payloadType) => [payloadType, { eventClockRate: 8000 }]));

class Bench implements Disposable {
  readonly clock = new FakeClock();
  readonly heard: string[] = [];
  readonly receiver: TelephoneEventReceiver;

  constructor(eventClockRate = 8000, audioClockRate = eventClockRate) {
    this.receiver = new TelephoneEventReceiver({
      clock: this.clock,
      eventClockRate,
      audioClockRate,
      onDigit: (digit, durationMs) => this.heard.push(`${digit} ${durationMs}`),
    });
  }

  /** "5 160" or "5 160 E" at a timestamp; "M" sets the marker. */
  push(timestamp: number, text: string): void {
    this.receiver.push(report(text), timestamp, text.includes("M"));
  }

  [Symbol.dispose](): void {
    this.receiver[Symbol.dispose]();
  }
}

function report(text: string): Uint8Array {
  const [digit, duration] = text.split(" ");
  const event = eventOfDigit(digit!)!;
  return encodeTelephoneEvent({ event, end: text.includes("E"), volume: 10, duration: Number(duration) });
}

interface Case {
  name: string;
  /** Timestamp and report; a number alone lets so many ms pass. */
  steps: ([timestamp: number, report: string] | number)[];
  heard: string[];
}

const CASES: Case[] = [
  {
    name: "one key, its end three times",
    steps: [[0, "5 160 M"], [0, "5 320"], [0, "5 800 E"], [0, "5 800 E"], [0, "5 800 E"]],
    heard: ["5 100"],
  },
  { name: "only one end packet arrives", steps: [[0, "5 800 E"]], heard: ["5 100"] },
  { name: "siprtmp's single packet", steps: [[0, "5 200 E"]], heard: ["5 25"] },
  {
    name: "all ends lost: silence ends the key",
    steps: [[0, "5 160 M"], 20, [0, "5 320"], DIGIT_SILENCE_MS - 1, [0, "5 480"], DIGIT_SILENCE_MS - 1],
    heard: [],
  },
  {
    name: "all ends lost: silence has ended the key",
    steps: [[0, "5 160 M"], 20, [0, "5 320"], DIGIT_SILENCE_MS, [0, "5 480"], [0, "5 640 E"]],
    heard: ["5 40"],
  },
  {
    name: "all ends lost: the next key ends this one",
    steps: [[0, "5 160 M"], [0, "5 320"], [1600, "6 160 M"], [1600, "6 320 E"]],
    heard: ["5 40", "6 40"],
  },
  {
    name: "the same key twice, with and without markers",
    steps: [[0, "5 160 M"], [0, "5 800 E"], [1600, "5 160"], [1600, "5 800 E"], [3200, "5 800 E"]],
    heard: ["5 100", "5 100", "5 100"],
  },
  {
    name: "the same key twice, first end and second start lost",
    steps: [[0, "5 160 M"], [0, "5 320"], [1600, "5 320"], [1600, "5 800 E"]],
    heard: ["5 40", "5 100"],
  },
  {
    name: "updates out of order, and after the end",
    steps: [[0, "5 480"], [0, "5 160 M"], [0, "5 320"], [0, "5 800 E"], [0, "5 640"], [0, "5 160 M"]],
    heard: ["5 100"],
  },
  {
    name: "ends of the last key arrive while the next one sounds",
    steps: [[0, "5 800 E"], [1600, "6 160 M"], [0, "5 800 E"], [1600, "6 800 E"], [0, "5 800 E"]],
    heard: ["5 100", "6 100"],
  },
  {
    name: "a key whose end comes only while the next one sounds",
    steps: [[1600, "6 160 M"], [0, "5 160 M"], [0, "5 800 E"], [0, "5 800 E"], [1600, "6 800 E"]],
    heard: ["5 100", "6 100"],
  },
  {
    name: "a long key in segments (RFC 4733 2.5.1.3)",
    steps: [[0, "5 160 M"], [0, "5 65535"], [65535, "5 1000"], [65535, "5 14465 E"], [65535, "5 14465 E"]],
    heard: ["5 10000"],
  },
  {
    name: "a sender that moves the timestamp with every update",
    steps: [
      [0, "5 160 M"],
      [160, "5 320"],
      [320, "5 480"],
      [480, "5 640 E"],
      [640, "5 640 E"],
      [800, "5 640 E"],
      [4000, "5 160 M"],
      [4160, "5 320 E"],
    ],
    heard: ["5 80", "5 40"],
  },
  {
    name: "timestamps below zero",
    steps: [[-1600, "1 160 M"], [-1600, "1 800 E"], [-100, "2 800 E"]],
    heard: ["1 100", "2 100"],
  },
];

for (const { name, steps, heard } of CASES) {
  Deno.test(`digits heard: ${name}`, () => {
    const bench = new Bench();
    for (const step of steps) {
      if (typeof step === "number") bench.clock.advance(step);
      else bench.push(...step);
    }
    assert.deepEqual(bench.heard, heard);
    bench[Symbol.dispose]();
    assert.equal(bench.clock.pending, 0);
  });
}

Deno.test("digits heard: a key that sounds when the call ends is still reported", () => {
  const bench = new Bench();
  bench.push(0, "5 160 M");
  bench[Symbol.dispose]();
  bench[Symbol.dispose]();
  assert.deepEqual(bench.heard, ["5 20"]);
});

Deno.test("digits heard: late packets are known again for 32 keys, not for ever", () => {
  const bench = new Bench();
  for (let key = 0; key < 40; key++) bench.push(1600 * key, "1 800 E");
  for (let key = 39; key >= 8; key--) bench.push(1600 * key, "1 800 E");
  assert.equal(bench.heard.length, 40);
  bench.push(0, "1 800 E");
  assert.equal(bench.heard.length, 41);
});

Deno.test("digits heard: several reports in one packet (RFC 4733 2.5.1.5)", () => {
  const bench = new Bench(8000, 16000);
  bench.receiver.push(
    Uint8Array.from([...report("1 400 E"), ...report("2 400 E"), ...report("3 80")]),
    0,
    true,
  );
  assert.deepEqual(bench.heard, ["1 50", "2 50"]);
  bench.push(1600, "3 400 E");
  assert.deepEqual(bench.heard, ["1 50", "2 50", "3 50"]);
});

Deno.test("digits heard: redundancy brings back a key that was lost altogether, once", () => {
  const bench = new Bench();
  const block = (timestampOffset: number, text: string) => ({
    payloadType: 101,
    timestampOffset,
    data: report(text),
  });
  const audio = { payloadType: 0, timestampOffset: 160, data: hex`ffffffff` };
  const first = encodeRedundancy([block(1600, "1 800 E"), audio], {
    payloadType: 101,
    data: report("2 160"),
  });
  const second = encodeRedundancy([block(1600, "1 800 E")], { payloadType: 101, data: report("2 800 E") });
  for (const payload of [first, second, second]) {
    bench.receiver.pushRedundant(payload, 3200, payload === first, EVENTS);
  }
  assert.deepEqual(bench.heard, ["1 100", "2 100"]);
});

Deno.test("digits heard: other events are counted, broken payloads refused, nothing changes", () => {
  const bench = new Bench();
  bench.receiver.push(hex`10 80 00a0`, 0, true);
  bench.receiver.push(hex`24 0a 00a0`, 160, true);
  assert.equal(bench.receiver.ignored, 2);
  assert.throws(() => bench.receiver.push(hex`050a00`, 0, true), WireError);
  assert.throws(() => bench.receiver.pushRedundant(hex`80`, 0, true, EVENTS), WireError);
  assert.deepEqual([bench.heard, bench.clock.pending], [[], 0]);
});

Deno.test("digits heard: any payloads at any time end in a bounded number of reports and no timer", () => {
  const step = fc.record({
    payload: fc.uint8Array({ maxLength: 12 }),
    timestamp: fc.integer({ min: -1e6, max: 1e6 }),
    marker: fc.boolean(),
    waitMs: fc.nat(300),
    red: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step), (steps) => {
    const bench = new Bench();
    let reports = 0;
    for (const { payload, timestamp, marker, waitMs, red } of steps) {
      try {
        if (red) bench.receiver.pushRedundant(payload, timestamp, marker, EVENTS);
        else bench.receiver.push(payload, timestamp, marker);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
      reports += payload.length;
      bench.clock.advance(waitMs);
    }
    bench[Symbol.dispose]();
    assert.ok(bench.heard.length <= reports);
    assert.equal(bench.clock.pending, 0);
  }));
});

interface Flight {
  atMs: number;
  sequence: number;
  payload: Uint8Array;
  timestamp: number;
  marker: boolean;
  payloadType: number;
}

/** Keys through a sender, a network that loses and delays, a reorder buffer and a receiver. */
function carry(
  keys: string,
  network: { red: boolean; lost: (sequence: number) => boolean; delayMs: (sequence: number) => number },
): string[] {
  const clock = new FakeClock();
  const flights: Flight[] = [];
  const sender = new TelephoneEventSender({
    clock,
    audioClockRate: 8000,
    eventClockRate: 8000,
    payloadType: 101,
    redundancyPayloadType: network.red ? 102 : null,
    timestampAt: (nowMs) => nowMs * 8,
    send: (payload, timestamp, marker, payloadType) => {
      const sequence = sent++;
      if (network.lost(sequence)) return;
      const atMs = clock.now() + network.delayMs(sequence);
      flights.push({ atMs, sequence, payload, timestamp, marker, payloadType });
    },
  });
  let sent = 0;
  sender.enqueue(keys, 100);
  clock.advance(60_000);
  const bench = new Bench();
  const buffer = new ReorderBuffer({
    deliver: ({ payload, timestamp, marker, payloadType }) => {
      if (payloadType === 102) bench.receiver.pushRedundant(payload, timestamp, marker, EVENTS);
      else bench.receiver.push(payload, timestamp, marker);
    },
  });
  flights.sort((a, b) => a.atMs - b.atMs);
  for (const { atMs, ...packet } of flights) {
    while (bench.clock.now() < atMs) {
      bench.clock.advance(Math.min(10, atMs - bench.clock.now()));
      buffer.flush(bench.clock.now());
    }
    buffer.push(packet, atMs);
  }
  buffer.drain();
  bench[Symbol.dispose]();
  return bench.heard.map((line) => line.split(" ")[0]!);
}

const keyList = fc.array(fc.constantFrom(..."0123456789*#ABCD"), { minLength: 1, maxLength: 10 });

Deno.test("digits end to end: reordering within the buffer's reach changes nothing", () => {
  fc.assert(
    fc.property(keyList, fc.array(fc.nat(45), { minLength: 80 }), fc.boolean(), (keys, delays, red) => {
      const network = { red, lost: () => false, delayMs: (sequence: number) => delays[sequence % 80]! };
      // The first packet must not be overtaken: it says where the stream begins.
      const heard = carry(keys.join(""), { ...network, delayMs: (n) => n === 0 ? 0 : network.delayMs(n) });
      assert.deepEqual(heard, keys);
    }),
  );
});

Deno.test("digits end to end: each key comes once as long as one of its packets arrives", () => {
  // A key of 100 ms has seven packets: at most six in a row may be lost.
  const losses = fc.array(fc.boolean(), { minLength: 7, maxLength: 70 });
  fc.assert(fc.property(keyList, losses, (keys, pattern) => {
    const lost = (sequence: number) => {
      const inKey = sequence % 7;
      const allLost = pattern.slice(0, 7).every((gone) => gone);
      return pattern[sequence % pattern.length]! && !(inKey === 3 && (allLost || pattern.length % 7 !== 0));
    };
    const survives = keys.filter((_, key) =>
      Array.from({ length: 7 }, (_, packet) => 7 * key + packet).some((sequence) => !lost(sequence))
    );
    assert.deepEqual(carry(keys.join(""), { red: false, lost, delayMs: () => 0 }), survives);
  }));
});

Deno.test("digits end to end: with redundancy two whole keys in a row may be lost", () => {
  const lost = (sequence: number) => sequence >= 14 && sequence < 28;
  assert.deepEqual(carry("12345", { red: true, lost, delayMs: () => 0 }), ["1", "2", "3", "4", "5"]);
  assert.deepEqual(carry("12345", { red: false, lost, delayMs: () => 0 }), ["1", "2", "5"]);
});
