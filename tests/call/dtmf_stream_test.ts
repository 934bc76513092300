import assert from "node:assert/strict";
import { DtmfStream, type DtmfStreamOptions } from "../../lib/call/dtmf_stream.ts";
import {
  decodeTelephoneEvent,
  encodeRedundancy,
  encodeTelephoneEvent,
} from "../../lib/rtp/telephone_event.ts";
import type { AgreedFormat } from "../../lib/sdp/agreed_media.ts";
import { FakeClock } from "../support/fake_clock.ts";

function agreed(name: string, sendPayloadType: number, receivePayloadType: number): AgreedFormat {
  const rest = { clockRate: 8000, channels: 1, fmtp: null, localFmtp: null, rtcpFb: [] };
  return { name, sendPayloadType, receivePayloadTypes: [receivePayloadType], ...rest };
}

const EVENTS = agreed("telephone-event", 101, 102);
const RED = agreed("red", 103, 104);

interface Sent {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payloadType: number;
}

/** Tones and all that came out of them. */
class Bench implements Disposable {
  readonly clock = new FakeClock(5000);
  readonly sent: Sent[] = [];
  readonly digits: string[] = [];
  readonly tones: DtmfStream;

  constructor(options: Partial<DtmfStreamOptions> = {}) {
    this.tones = new DtmfStream({
      telephoneEvents: [EVENTS],
      redundancy: null,
      clockRate: 8000,
      sentSound: null,
      heardSound: [],
      clock: this.clock,
      toSip: {
        send: (payload, timestamp, marker, payloadType) =>
          void this.sent.push({ payload: payload.slice(), timestamp, marker, payloadType }),
      },
      onDigit: (digit, durationMs) => void this.digits.push(`${digit}/${durationMs}`),
      ...options,
    });
  }

  [Symbol.dispose](): void {
    this.tones[Symbol.dispose]();
    assert.equal(this.clock.pending, 0, "a timer is left");
  }
}

const key = (event: number, end: boolean, duration: number): Uint8Array =>
  encodeTelephoneEvent({ event, end, volume: 10, duration });

Deno.test("a key begins where the audio is by now, and audio rests while it sounds", () => {
  using bench = new Bench();
  bench.tones.audioSent(16_000);
  bench.clock.advance(30);
  assert.equal(bench.tones.active, false);
  assert.equal(bench.tones.send("8", 100), true);
  assert.equal(bench.tones.active, true);
  bench.clock.advance(1000);
  assert.equal(bench.tones.active, false);
  assert.deepEqual([...new Set(bench.sent.map((sent) => sent.timestamp))], [16_240]);
  assert.equal(decodeTelephoneEvent(bench.sent.at(-1)!.payload).duration, 800);
});

Deno.test("with redundancy agreed, keys are sent in it and repeat the ones before", () => {
  using bench = new Bench({ redundancy: RED });
  bench.tones.send("12", 60);
  bench.clock.advance(1000);
  assert.deepEqual([...new Set(bench.sent.map((sent) => sent.payloadType))], [103]);
  using other = new Bench({
    redundancy: { ...RED, receivePayloadTypes: [103] },
    telephoneEvents: [{ ...EVENTS, receivePayloadTypes: [101] }],
  });
  const lastOnly = bench.sent.at(-1)!; // all other packets were lost
  assert.equal(other.tones.fromRtp(lastOnly.payload, lastOnly.timestamp, false, 103), true);
  assert.deepEqual(other.digits, ["1/60", "2/60"]);
});

Deno.test("what is no DTMF digit is not taken, what is a broken one is counted", () => {
  using bench = new Bench({ redundancy: RED });
  assert.equal(bench.tones.fromRtp(key(1, true, 800), 0, true, 0), false);
  assert.equal(bench.tones.unreadable, 0);
  assert.equal(bench.tones.fromRtp(new Uint8Array(3), 0, true, 102), false);
  assert.equal(bench.tones.fromRtp(Uint8Array.of(0xe5), 0, true, 104), false);
  assert.equal(bench.tones.unreadable, 2);
  const redundant = encodeRedundancy([], { payloadType: 102, data: key(5, true, 800) });
  assert.equal(bench.tones.fromRtp(redundant, 4000, true, 104), true);
  assert.deepEqual(bench.digits, ["5/100"]);
});

Deno.test("without an agreed format nothing is sent and nothing is taken", () => {
  using bench = new Bench({ telephoneEvents: [] });
  assert.equal(bench.tones.send("1", 100), false);
  assert.equal(bench.tones.fromRtp(key(1, true, 800), 0, true, 102), false);
  assert.deepEqual([bench.sent, bench.digits, bench.tones.active], [[], [], false]);
});

/** What somebody sends as sound. */
function soundOfKeys(digits: string): readonly Sent[] {
  using bench = new Bench({ telephoneEvents: [], sentSound: { payloadType: 8, law: "pcma" } });
  bench.tones.audioSent(8000);
  assert.equal(bench.tones.send(digits, 60, "rtp"), false);
  assert.equal(bench.tones.send(digits, 60, "inband"), true);
  assert.equal(bench.tones.active, true);
  bench.clock.advance(5000);
  assert.equal(bench.tones.active, false);
  assert.equal(bench.tones.freeTimestamp, bench.sent.at(-1)!.timestamp + 160);
  return bench.sent;
}

Deno.test("keys as sound follow the audio and are heard where no events were agreed, once each", () => {
  const sent = soundOfKeys("1#D");
  assert.deepEqual([sent[0]!.timestamp, sent[0]!.payloadType], [8000, 8]);
  using bench = new Bench({ telephoneEvents: [], heardSound: [{ payloadType: 8, law: "pcma" }] });
  for (const { payload } of sent) bench.tones.hear(payload, 8, 0);
  assert.deepEqual(bench.digits.map((digit) => digit[0]), ["1", "#", "D"]);
});

Deno.test("where events were agreed, in other codecs and across a gap nothing is heard", () => {
  const sent = soundOfKeys("5");
  const heardSound = [{ payloadType: 8, law: "pcma" as const }];
  for (const options of [{ heardSound }, { telephoneEvents: [], heardSound: [] }]) {
    using bench = new Bench(options);
    for (const { payload } of sent) bench.tones.hear(payload, 8, 0);
    assert.deepEqual(bench.digits, []);
  }
  using bench = new Bench({ telephoneEvents: [], heardSound });
  for (const { payload } of sent) bench.tones.hear(payload, 0, 0);
  for (const { payload } of sent) bench.tones.hear(payload, 8, 1);
  bench.tones.hear(new Uint8Array(5000), 8, 0);
  assert.deepEqual(bench.digits, []);
});

Deno.test("a key that still sounds when the call ends is told", () => {
  const sent = soundOfKeys("9");
  const bench = new Bench({ telephoneEvents: [], heardSound: [{ payloadType: 8, law: "pcma" }] });
  for (const { payload } of sent.slice(0, 3)) bench.tones.hear(payload, 8, 0);
  assert.deepEqual(bench.digits, []);
  bench.tones[Symbol.dispose]();
  assert.deepEqual(bench.digits.map((digit) => digit[0]), ["9"]);
});

/** Events of another clock and number. */
const eventsAt = (clockRate: number, payloadType: number, ...more: number[]): AgreedFormat => ({
  ...agreed("telephone-event", payloadType, payloadType),
  receivePayloadTypes: [payloadType, ...more],
  clockRate,
});

const HEARD: [name: string, formats: AgreedFormat[], keys: [payloadType: number, duration: number][]][] = [
  ["two clocks", [eventsAt(48000, 101), eventsAt(8000, 102)], [[101, 4800], [102, 800]]],
  ["three clocks, the last first", [eventsAt(16000, 103), eventsAt(48000, 101), eventsAt(8000, 102)], [
    [102, 800],
    [101, 4800],
    [103, 1600],
  ]],
  ["our number and the peer's", [eventsAt(8000, 101, 122)], [[101, 800], [122, 800]]],
  ["one clock under two numbers", [eventsAt(8000, 101), eventsAt(8000, 96)], [[96, 800], [101, 800]]],
  ["only 8000 beside audio of 48000", [eventsAt(8000, 101)], [[101, 800]]],
];

for (const [name, telephoneEvents, keys] of HEARD) {
  Deno.test(`every agreed event is heard, for as long as its clock says: ${name}`, () => {
    using bench = new Bench({ telephoneEvents, clockRate: 48000, redundancy: RED });
    keys.forEach(([payloadType, duration], i) => {
      assert.ok(bench.tones.fromRtp(key(i, true, duration), i * 50_000, true, payloadType));
      const data = key(i + 5, true, duration);
      assert.ok(
        bench.tones.fromRtp(encodeRedundancy([], { payloadType, data }), i * 50_000 + 9000, true, 104),
      );
    });
    assert.deepEqual(bench.digits, keys.flatMap((_, i) => [`${i}/100`, `${i + 5}/100`]));
    assert.equal(bench.tones.fromRtp(key(1, true, 800), 900_000, true, 99), false, "no number of an event");
  });
}

Deno.test("one key pressed twice without markers is two keys, where events run on their own clock", () => {
  using bench = new Bench({ telephoneEvents: [eventsAt(48000, 101), eventsAt(8000, 102)], clockRate: 48000 });
  for (const timestamp of [0, 1600]) {
    for (const duration of [160, 480, 800]) {
      bench.tones.fromRtp(key(5, duration === 800, duration), timestamp, false, 102);
    }
  }
  assert.deepEqual(bench.digits, ["5/100", "5/100"]);
});

Deno.test("a key that is sent in two events at once is one key", () => {
  using bench = new Bench({ telephoneEvents: [eventsAt(48000, 101), eventsAt(8000, 102)], clockRate: 48000 });
  bench.tones.fromRtp(key(5, true, 4800), 700, true, 101);
  bench.tones.fromRtp(key(5, true, 800), 700, false, 102);
  assert.deepEqual(bench.digits, ["5/100"]);
});

const CARRIED: [fmtp: string | null, sent: number][] = [
  [null, 103],
  ["", 103],
  ["101/101", 103],
  ["0/101", 103],
  ["102/102", 101],
  ["0/0", 101],
];

Deno.test("keys are sent in redundancy that names their events, or nothing", () => {
  for (const [fmtp, sent] of CARRIED) {
    using bench = new Bench({ telephoneEvents: [eventsAt(8000, 101)], redundancy: { ...RED, fmtp } });
    bench.tones.send("1", 60);
    bench.clock.advance(1000);
    assert.deepEqual([...new Set(bench.sent.map(({ payloadType }) => payloadType))], [sent], `${fmtp}`);
  }
});
