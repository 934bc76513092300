import assert from "node:assert/strict";
import { TouchTones, type TouchTonesOptions } from "../../lib/bridge/touch_tones.ts";
import { encodeRedundancy } from "../../lib/rtp/redundancy.ts";
import { decodeTelephoneEvent, encodeTelephoneEvent } from "../../lib/rtp/telephone_event.ts";
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
  readonly tones: TouchTones;

  constructor(options: Partial<TouchTonesOptions> = {}) {
    this.tones = new TouchTones({
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

Deno.test("what is no touch tone is not taken, what is a broken one is counted", () => {
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
  assert.equal(bench.tones.send(digits, 60, "sound"), true);
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
