import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_QUEUED_KEYS } from "../../lib/base/pacer.ts";
import {
  TelephoneEventSender,
  type TelephoneEventSenderOptions,
} from "../../lib/rtp/telephone_event_sender.ts";
import { decodeRedundancy, decodeTelephoneEvent, digitOfEvent } from "../../lib/rtp/telephone_event.ts";
import { toHex } from "../support/hex.ts";
import { FakeClock } from "../support/fake_clock.ts";

interface Sent {
  atMs: number;
  timestamp: number;
  marker: boolean;
  payloadType: number;
  payload: Uint8Array;
}

function createSender(options: Partial<TelephoneEventSenderOptions> = {}): {
  clock: FakeClock;
  sender: TelephoneEventSender;
  sent: Sent[];
} {
  const clock = new FakeClock(1000);
  const sent: Sent[] = [];
  const rate = options.audioClockRate ?? 8000;
  const sender = new TelephoneEventSender({
    clock,
    audioClockRate: rate,
    eventClockRate: 8000,
    payloadType: 101,
    redundancyPayloadType: null,
    timestampAt: (nowMs) => nowMs * rate / 1000,
    send: (payload, timestamp, marker, payloadType) =>
      sent.push({ atMs: clock.now(), timestamp, marker, payloadType, payload }),
    ...options,
  });
  return { clock, sender, sent };
}

Deno.test("digits sent: one key is updates with one timestamp, the marker first, three equal ends", () => {
  const { clock, sender, sent } = createSender();
  assert.equal(sender.enqueue("5", 100), true);
  assert.equal(sender.active, true);
  clock.advance(1000);
  assert.equal(sender.active, false);
  assert.deepEqual(sent.map(({ atMs, payload }) => [atMs, toHex(payload)]), [
    [1000, "050a00a0"],
    [1020, "050a0140"],
    [1040, "050a01e0"],
    [1060, "050a0280"],
    [1080, "058a0320"],
    [1100, "058a0320"],
    [1120, "058a0320"],
  ]);
  assert.ok(sent.every(({ timestamp, payloadType }) => timestamp === 8000 && payloadType === 101));
  assert.deepEqual(sent.map(({ marker }) => marker), [true, false, false, false, false, false, false]);
  assert.equal(clock.pending, 0);
});

Deno.test("digits sent: a string goes out in order with pauses, more may be added meanwhile", () => {
  const { clock, sender, sent } = createSender();
  sender.enqueue("1*", 60);
  assert.equal(sender.pending, 1);
  clock.advance(50);
  sender.enqueue("d", 40);
  clock.advance(2000);
  const starts = sent.filter(({ marker }) => marker);
  const keys = starts.map(({ payload }) => digitOfEvent(decodeTelephoneEvent(payload).event));
  assert.deepEqual(keys, ["1", "*", "D"]);
  // 60 ms and a pause of 80, twice.
  assert.deepEqual(starts.map(({ atMs }) => atMs), [1000, 1140, 1280]);
  assert.deepEqual(starts.map(({ timestamp }) => timestamp), [8000, 9120, 10240]);
  sender.enqueue("0", 40);
  assert.equal(sent.at(-1)!.atMs, clock.now());
});

Deno.test("digits sent: a stream whose timestamps stand still still gives each key its own", () => {
  const { clock, sender, sent } = createSender({ timestampAt: () => 500 });
  sender.enqueue("11", 100);
  clock.advance(2000);
  const timestamps = new Set(sent.map(({ timestamp }) => timestamp));
  assert.deepEqual([...timestamps], [500, 500 + 800 + 640]);
});

Deno.test("digits sent: durations run on the event's clock, timestamps on the stream's", () => {
  const { clock, sender, sent } = createSender({ audioClockRate: 16000, eventClockRate: 16000 });
  sender.enqueue("7", 40);
  clock.advance(500);
  assert.equal(sent[0]!.timestamp, 16000);
  assert.deepEqual(sent.map(({ payload }) => decodeTelephoneEvent(payload).duration), [320, 640, 640, 640]);
  const mixed = createSender({ audioClockRate: 16000, eventClockRate: 8000 });
  mixed.sender.enqueue("7", 40);
  mixed.clock.advance(500);
  assert.equal(mixed.sent[0]!.timestamp, 16000);
  assert.equal(decodeTelephoneEvent(mixed.sent.at(-1)!.payload).duration, 320);
});

Deno.test("digits sent: a key longer than 16 bits is cut into segments (RFC 4733 2.5.1.3)", () => {
  const { clock, sender, sent } = createSender({ audioClockRate: 48000, eventClockRate: 48000 });
  sender.enqueue("9", 3000);
  clock.advance(5000);
  const reports = sent.map(({ payload, timestamp, marker }) => ({
    ...decodeTelephoneEvent(payload),
    timestamp,
    marker,
  }));
  assert.deepEqual([...new Set(reports.map(({ timestamp }) => timestamp))], [48000, 113535, 179070]);
  for (const timestamp of [48000, 113535]) {
    const segment = reports.filter((report) => report.timestamp === timestamp);
    assert.deepEqual([segment.at(-1)!.duration, segment.at(-1)!.end], [0xffff, false]);
  }
  assert.equal(reports.filter(({ marker }) => marker).length, 1);
  const ends = reports.filter(({ end }) => end);
  assert.deepEqual(ends.map(({ duration }) => duration), Array(3).fill(144000 - 2 * 65535));
});

Deno.test("digits sent: with redundancy each packet repeats the last two keys", () => {
  const { clock, sender, sent } = createSender({ redundancyPayloadType: 102 });
  sender.enqueue("1234", 40);
  clock.advance(2000);
  assert.ok(sent.every(({ payloadType }) => payloadType === 102));
  const last = decodeRedundancy(sent.at(-1)!.payload);
  const keys = last.map(({ data }) => digitOfEvent(decodeTelephoneEvent(data).event));
  assert.deepEqual(keys, ["2", "3", "4"]);
  assert.deepEqual(last.map(({ timestampOffset }) => timestampOffset), [1920, 960, 0]);
  assert.ok(last.every(({ payloadType, data }) => payloadType === 101 && decodeTelephoneEvent(data).end));
  assert.equal(decodeRedundancy(sent[0]!.payload).length, 1);
});

Deno.test("digits sent: what cannot be sent is refused whole", () => {
  const { clock, sender, sent } = createSender();
  for (const digits of ["", "x", "12e", "1 2", "😀"]) assert.equal(sender.enqueue(digits), false, digits);
  assert.equal(sent.length, 0);
  assert.equal(sender.enqueue("1".repeat(MAX_QUEUED_KEYS + 1)), false);
  assert.equal(sender.enqueue("1".repeat(MAX_QUEUED_KEYS)), true);
  assert.equal(sender.enqueue("2"), true); // the first one already sounds
  assert.equal(sender.enqueue("3"), false);
  sender[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});

Deno.test("digits sent: durations are kept within bounds", () => {
  const final = (durationMs: number) => {
    const { clock, sender, sent } = createSender();
    sender.enqueue("1", durationMs);
    clock.advance(20_000);
    return decodeTelephoneEvent(sent.at(-1)!.payload).duration;
  };
  assert.equal(final(0), 320);
  assert.equal(final(-5), 320);
  assert.equal(final(NaN), 1280);
  assert.equal(final(1e9), 80_000 - 65_535);
});

Deno.test("digits sent: disposing stops at once, in the middle and within its own outlet", () => {
  const { clock, sender, sent } = createSender();
  sender.enqueue("123", 100);
  clock.advance(30);
  sender[Symbol.dispose]();
  const count = sent.length;
  clock.advance(5000);
  assert.equal(sent.length, count);
  assert.deepEqual([sender.active, sender.pending, clock.pending], [false, 0, 0]);

  let packets = 0;
  const inside = createSender({
    send: () => {
      if (++packets === 3) inside.sender[Symbol.dispose]();
    },
  });
  inside.sender.enqueue("123", 100);
  inside.clock.advance(40);
  assert.deepEqual([packets, inside.clock.pending], [3, 0]);
  assert.equal(inside.sender.enqueue("1"), false);
});

Deno.test("digits sent: any string of keys comes out once each, one after the other", () => {
  const digits = fc.array(fc.constantFrom(..."0123456789*#ABCD"), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(digits, fc.integer({ min: 40, max: 400 }), fc.boolean(), (keys, durationMs, red) => {
    const { clock, sender, sent } = createSender({ redundancyPayloadType: red ? 102 : null });
    sender.enqueue(keys.join(""), durationMs);
    clock.advance(60_000);
    const reports = sent.map(({ payload, timestamp, atMs }) => ({
      ...decodeTelephoneEvent(red ? decodeRedundancy(payload).at(-1)!.data : payload),
      timestamp,
      atMs,
    }));
    const ends = reports.filter((report) => report.end);
    assert.deepEqual(ends.map(({ event }) => digitOfEvent(event)), keys.flatMap((key) => [key, key, key]));
    for (let index = 1; index < reports.length; index++) {
      const before = reports[index - 1]!;
      const here = reports[index]!;
      if (here.timestamp === before.timestamp) assert.ok(here.duration >= before.duration);
      else assert.ok(here.timestamp >= before.timestamp + before.duration + 640);
    }
    assert.equal(clock.pending, 0);
  }));
});
