import assert from "node:assert/strict";
import { AudioBridge, type AudioBridgeOptions } from "../../lib/call/audio_bridge.ts";
import type { NegotiatedAudio } from "../../lib/call/negotiation.ts";
import {
  decodeTelephoneEvent,
  encodeRedundancy,
  encodeTelephoneEvent,
} from "../../lib/rtp/telephone_event.ts";
import type { AgreedFormat } from "../../lib/sdp/agreed_media.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { g711Frames, speexFrames, tag } from "../support/gateway_media.ts";

const SPEEX: NegotiatedAudio = {
  kind: "codec",
  client: "speex",
  remote: "speex",
  clockRate: 16000,
  sendPayloadType: 96,
  receive: [{ payloadType: 110, codec: "speex", clockRate: 16000, toClient: "speex" }],
  ptimeMs: null,
};

const PCMU: NegotiatedAudio = {
  kind: "codec",
  client: "pcmu",
  remote: "pcmu",
  clockRate: 8000,
  sendPayloadType: 0,
  receive: [
    { payloadType: 0, codec: "pcmu", clockRate: 8000, toClient: "pcmu" },
    { payloadType: 8, codec: "pcma", clockRate: 8000, toClient: "pcma" },
  ],
  ptimeMs: null,
};

function agreed(name: string, sendPayloadType: number, receivePayloadType: number): AgreedFormat {
  return {
    name,
    sendPayloadType,
    receivePayloadTypes: [receivePayloadType],
    clockRate: 8000,
    channels: 1,
    fmtp: null,
    localFmtp: null,
    rtcpFb: [],
  };
}

const EVENTS = agreed("telephone-event", 101, 102);
const RED = agreed("red", 103, 104);

interface Sent {
  readonly hex: string;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payloadType: number;
}

/** A line and all that came out of it. */
class Bench implements Disposable {
  readonly clock = new FakeClock(10_000);
  readonly sent: Sent[] = [];
  readonly played: { timeMs: number; hex: string }[] = [];
  readonly digits: string[] = [];
  readonly placed: { timestamp: number; timeMs: number }[] = [];
  readonly line: AudioBridge;

  constructor(options: Partial<AudioBridgeOptions> = {}) {
    this.line = new AudioBridge({
      chain: PCMU,
      telephoneEvents: [],
      redundancy: null,
      clock: this.clock,
      originMs: 9_000,
      toSip: {
        send: (payload, timestamp, marker, payloadType) =>
          this.sent.push({ hex: payload.toHex(), timestamp, marker, payloadType }),
      },
      toRtmp: {
        play: (type, timeMs, body) => {
          assert.equal(type, 8);
          this.played.push({ timeMs, hex: body.toHex() });
        },
      },
      onDigit: (digit, durationMs) => this.digits.push(`${digit}/${durationMs}`),
      onPlaced: (timestamp, timeMs) => this.placed.push({ timestamp, timeMs }),
      ...options,
    });
  }

  publish(timeMs: number, body: Uint8Array): void {
    this.line.fromRtmp({ type: 8, timeMs, body });
  }

  /** What was sent with a payload type. */
  ofType(payloadType: number): Sent[] {
    return this.sent.filter((one) => one.payloadType === payloadType);
  }

  [Symbol.dispose](): void {
    this.line[Symbol.dispose]();
    assert.equal(this.clock.pending, 0, "a timer is left");
  }
}

Deno.test("Speex out: payload as it is, clock by its time, marker on the first and after a pause", () => {
  using bench = new Bench({ chain: SPEEX });
  const frames = speexFrames(4);
  for (const [i, timeMs] of [0, 20, 40, 1000].entries()) {
    bench.publish(timeMs, tag(0xb2, frames[i]!));
    bench.clock.advance(timeMs === 40 ? 960 : 20);
  }
  assert.deepEqual(bench.sent.map(({ hex }) => hex), frames.map((frame) => frame.toHex()));
  const [first] = bench.sent;
  assert.deepEqual(bench.sent.map(({ timestamp }) => timestamp - first!.timestamp), [0, 320, 640, 16000]);
  assert.deepEqual(bench.sent.map(({ marker }) => marker), [true, false, false, true]);
  assert.ok(bench.sent.every(({ payloadType }) => payloadType === 96));
});

Deno.test("RTP in: by payload type to the tag of its codec; first time is now, since the client connected", () => {
  using bench = new Bench();
  const [ulaw, alaw] = g711Frames(2) as [Uint8Array, Uint8Array];
  assert.equal(bench.line.fromRtp(ulaw, 5000, false, 0, 0), true);
  assert.equal(bench.line.fromRtp(alaw, 5160, false, 8, 0), true);
  assert.deepEqual(bench.played.map(({ hex }) => hex), [
    tag(0x82, ulaw).toHex(),
    tag(0x72, alaw).toHex(),
  ]);
  assert.equal(bench.played[0]?.timeMs, 1000);
});

Deno.test("both ways the place of audio on the other clock is known", () => {
  using bench = new Bench();
  const [frame] = g711Frames(1) as [Uint8Array];
  bench.publish(40, tag(0x82, frame));
  bench.publish(60, tag(0xb2, frame)); // not sent
  bench.publish(80, tag(0x82, frame));
  const [first, third] = bench.placed;
  assert.deepEqual([first?.timeMs, third?.timeMs, bench.placed.length], [40, 80, 2]);
  assert.equal(third!.timestamp - first!.timestamp, 160, "a step this small is jitter");
  assert.equal(bench.line.peekMs(0), null);
  bench.line.fromRtp(frame, 5000, false, 8, 0);
  assert.equal(bench.line.peekMs(5800), 1100);
});

Deno.test("an unknown payload type is not ours and changes nothing", () => {
  using bench = new Bench({ telephoneEvents: [EVENTS], redundancy: RED });
  for (const type of [1, 96, 101, 103, 127]) {
    assert.equal(bench.line.fromRtp(new Uint8Array(160), 0, false, type, 0), false, `${type}`);
  }
  assert.deepEqual([bench.played, bench.digits], [[], []]);
});

Deno.test("messages that cannot be sent on are counted, the first one by name; an empty one is silence", () => {
  using bench = new Bench();
  bench.publish(0, new Uint8Array(0));
  bench.publish(0, new Uint8Array([0x82]));
  assert.deepEqual([bench.line.unusable, bench.line.firstUnusable], [0, null]);
  bench.publish(0, new Uint8Array([0xb2, 1, 2, 3]));
  bench.publish(0, new Uint8Array([0xaf])); // AAC, cut off
  bench.publish(0, new Uint8Array([0x2f, 1]));
  assert.deepEqual([bench.line.unusable, bench.line.firstUnusable, bench.sent], [3, "speex", []]);
  using broken = new Bench();
  broken.publish(0, new Uint8Array([0xaf]));
  assert.equal(broken.line.firstUnusable, "broken");
});

Deno.test("another publisher, and another phone: time goes on from now", () => {
  using bench = new Bench();
  const [frame] = g711Frames(1) as [Uint8Array];
  bench.publish(60_000, tag(0x82, frame));
  bench.line.fromRtp(frame, 90_000, false, 0, 0);
  bench.clock.advance(1000);
  bench.line.publisherChanged();
  bench.publish(0, tag(0x82, frame));
  bench.line.sourceChanged();
  bench.line.fromRtp(frame, 3, false, 0, 0);
  assert.equal(bench.sent[1]!.timestamp - bench.sent[0]!.timestamp, 8000);
  assert.equal(bench.sent[1]!.marker, true);
  assert.deepEqual(bench.played.map(({ timeMs }) => timeMs), [1000, 2000]);
});

Deno.test("DTMF out: start with marker, updates, three ends, audio rests until it is over", () => {
  using bench = new Bench({ telephoneEvents: [EVENTS] });
  const [frame] = g711Frames(1) as [Uint8Array];
  bench.publish(0, tag(0x82, frame));
  bench.clock.advance(20);
  assert.equal(bench.line.sendDigits("5", 100), true);
  bench.publish(20, tag(0x82, frame));
  bench.clock.advance(500);
  const reports = bench.ofType(101).map(({ hex, marker }) => ({
    ...decodeTelephoneEvent(Uint8Array.fromHex(hex)),
    marker,
  }));
  assert.ok(reports.every(({ event }) => event === 5));
  assert.deepEqual(reports.map(({ marker }) => marker), [true, ...reports.slice(1).map(() => false)]);
  assert.deepEqual(reports.filter(({ end }) => end).map(({ duration }) => duration), [800, 800, 800]);
  const audio = bench.ofType(0);
  assert.deepEqual([...new Set(bench.ofType(101).map(({ timestamp }) => timestamp))], [
    audio[0]!.timestamp + 160,
  ]);
  assert.equal(audio.length, 1);
  bench.publish(520, tag(0x82, frame));
  assert.equal(bench.ofType(0)[1]!.timestamp - audio[0]!.timestamp, 520 * 8);
});

Deno.test("DTMF are refused when the peer takes none, or when they are none", () => {
  using deaf = new Bench();
  assert.equal(deaf.line.sendDigits("5", 100), false);
  using bench = new Bench({ telephoneEvents: [EVENTS] });
  assert.equal(bench.line.sendDigits("x", 100), false);
  assert.equal(bench.line.sendDigits("", 100), false);
});

Deno.test("a DTMF digit in is told once, however often its end comes", () => {
  using bench = new Bench({ telephoneEvents: [EVENTS] });
  for (
    const [duration, end] of [[160, false], [320, false], [800, true], [800, true], [800, true]] as const
  ) {
    const payload = encodeTelephoneEvent({ event: 11, end, volume: 10, duration });
    assert.equal(bench.line.fromRtp(payload, 1000, duration === 160, 102, 0), true);
  }
  assert.deepEqual([bench.digits, bench.played], [["#/100"], []]);
});

Deno.test("a DTMF digit in that came with redundancy only, and a broken one", () => {
  using bench = new Bench({ telephoneEvents: [EVENTS], redundancy: RED });
  const end = (event: number): Uint8Array =>
    encodeTelephoneEvent({ event, end: true, volume: 10, duration: 800 });
  const redundant = encodeRedundancy([{ payloadType: 102, timestampOffset: 1600, data: end(1) }], {
    payloadType: 102,
    data: end(2),
  });
  assert.equal(bench.line.fromRtp(redundant, 5000, false, 104, 0), true);
  assert.equal(bench.line.fromRtp(new Uint8Array(2), 6000, false, 102, 0), false);
  assert.equal(bench.line.fromRtp(new Uint8Array([0x80]), 6000, false, 104, 0), false);
  assert.deepEqual(bench.digits, ["1/100", "2/100"]);
});

Deno.test("disposed in the middle of a tone: no timer is left, nothing more is sent", () => {
  using bench = new Bench({ telephoneEvents: [EVENTS] });
  bench.line.sendDigits("123", 100);
  bench.line.fromRtp(
    encodeTelephoneEvent({ event: 1, end: false, volume: 10, duration: 160 }),
    0,
    true,
    102,
    0,
  );
  bench.clock.advance(30);
  bench.line[Symbol.dispose]();
  const sent = bench.sent.length;
  bench.clock.advance(5000);
  assert.equal(bench.sent.length, sent);
});

const OPUS: NegotiatedAudio = {
  kind: "codec",
  client: "opus",
  remote: "opus",
  clockRate: 48000,
  sendPayloadType: 107,
  receive: [
    { payloadType: 107, codec: "opus", clockRate: 48000, toClient: "opus" },
    { payloadType: 111, codec: "opus", clockRate: 48000, toClient: "opus" },
    { payloadType: 0, codec: "pcmu", clockRate: 8000, toClient: "pcmu" },
  ],
  ptimeMs: null,
};

Deno.test("a peer that changes between codecs of different clocks, and numbers of one codec, is played in time", () => {
  using bench = new Bench({ chain: OPUS });
  let timestamp = 0;
  // The timestamps go on as the peer's clock of the moment says (RFC 7160 tells why it should not be so).
  for (
    const [payloadType, ticks, count] of [[107, 960, 50], [0, 160, 75], [111, 960, 50], [107, 960, 10], [
      0,
      160,
      50,
    ]] as const
  ) {
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(payloadType === 0 ? 160 : 40).fill(0x55);
      assert.ok(bench.line.fromRtp(payload, timestamp, false, payloadType, 0));
      timestamp += ticks;
      const { timeMs } = bench.played.at(-1)!;
      const lateMs = bench.clock.now() - 9_000 - timeMs;
      assert.ok(Math.abs(lateMs) <= 1, `${payloadType}: ${lateMs} ms off`);
      bench.clock.advance(20);
    }
  }
});

Deno.test("a codec that goes on under its other number goes on in time, whenever its packets come", () => {
  using bench = new Bench({ chain: OPUS });
  const times = [[107, 0, 0], [107, 960, 20], [111, 1920, 15], [107, 2880, 30]] as const;
  for (const [payloadType, timestamp, waitMs] of times) {
    bench.clock.advance(waitMs);
    bench.line.fromRtp(new Uint8Array(40).fill(0x55), timestamp, false, payloadType, 0);
  }
  const sound = bench.played.filter(({ hex }) => !hex.startsWith("90"));
  assert.deepEqual(sound.map(({ timeMs }) => timeMs), [1000, 1020, 1040, 1060]);
});
