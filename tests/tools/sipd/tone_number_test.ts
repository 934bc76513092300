import assert from "node:assert/strict";
import { Ticker } from "../../../lib/base/ticker.ts";
import { decodeG711, type G711Law } from "../../../lib/codecs/g711_tables.ts";
import { countSpeexFrames } from "../../../lib/codecs/speex_bits.ts";
import type { RtpSession } from "../../../lib/rtp/session.ts";
import { type MediaFormat, mediaFormat } from "../../../lib/sdp/media_format.ts";
import {
  g711Tone,
  speexSpeech,
  TONE_HZ,
  TonePlayer,
  ToneTreatment,
} from "../../../lib/tools/sipd/tone_number.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { agreedOn, PCMA, PCMU, RecordingSession, SPEEX } from "../../support/sipd_bench.ts";

const NARROW = mediaFormat(98, "Speex", 8000);
const DIGITS = mediaFormat(101, "telephone-event", 8000);
const DIGITS_16 = mediaFormat(102, "telephone-event", 16000);
const SOUND = { description: "numbers", blocks: [Uint8Array.of(0), Uint8Array.of(1), Uint8Array.of(2)] };
const FORMAT = { clockRate: 8000, sendPayloadType: 8 };

const ACCEPTED: { name: string; offered: MediaFormat[]; accepted: MediaFormat[] }[] = [
  { name: "the first G.711", offered: [SPEEX, PCMA, PCMU], accepted: [PCMA] },
  { name: "G.711 with its DTMF", offered: [PCMU, DIGITS_16, DIGITS], accepted: [PCMU, DIGITS] },
  { name: "Speex when there is nothing else", offered: [DIGITS_16, NARROW, SPEEX], accepted: [NARROW] },
  { name: "nothing it cannot play", offered: [mediaFormat(9, "G722", 8000), DIGITS], accepted: [] },
  { name: "no G.711 in stereo", offered: [mediaFormat(96, "PCMU", 8000, { channels: 2 })], accepted: [] },
  { name: "no Speex of 32 kHz", offered: [mediaFormat(96, "speex", 32000)], accepted: [] },
];

for (const { name, offered, accepted } of ACCEPTED) {
  Deno.test(`tone takes ${name}`, () => {
    using ticker = new Ticker(new FakeClock(), 20);
    const treatment = new ToneTreatment(ticker, new RecordLog());
    assert.deepEqual(treatment.accept("audio", offered), accepted);
    assert.deepEqual(treatment.accept("video", offered), []);
  });
}

Deno.test("a packet each 20 ms from the next tick on; the first one is marked", () => {
  const clock = new FakeClock(1000);
  using ticker = new Ticker(clock, 20);
  const session = new RecordingSession();
  const player = new TonePlayer({ ticker, session, format: FORMAT, sound: SOUND });
  clock.advance(80);
  assert.deepEqual(session.sent.map(({ payload }) => payload[0]), [0, 1, 2, 0]);
  assert.deepEqual(session.sent.map(({ timestamp }) => timestamp), [8160, 8320, 8480, 8640]);
  assert.deepEqual(session.sent.map(({ marker }) => marker), [true, false, false, false]);
  assert.ok(session.sent.every(({ payloadType }) => payloadType === 8));
  assert.deepEqual(session.anchors, [[8160, 1020]]);
  player[Symbol.dispose]();
  clock.advance(100);
  assert.equal(session.sent.length, 4);
  assert.equal(clock.pending, 0);
});

/** A ticker that is called when the test says, as one of a busy process. */
class LateTicker extends Ticker {
  run: (nowMs: number) => void = () => {};

  override add(run: (nowMs: number) => void): Disposable {
    this.run = run;
    return { [Symbol.dispose]: () => {} };
  }
}

Deno.test("ticks a little early or late do not change the rhythm, a busy moment is made up for", () => {
  using ticker = new LateTicker(new FakeClock(), 20);
  const session = new RecordingSession();
  using _player = new TonePlayer({ ticker, session, format: FORMAT, sound: SOUND });
  const counts = [1000, 1019, 1048, 1061, 1139].map((nowMs) => {
    ticker.run(nowMs);
    return session.sent.length;
  });
  assert.deepEqual(counts, [1, 2, 3, 4, 8]);
  const steps = session.sent.slice(1).map(({ timestamp }, i) => timestamp - session.sent[i]!.timestamp);
  assert.deepEqual(steps, [160, 160, 160, 160, 160, 160, 160]);
});

Deno.test("after a long stop the sound goes on at the present, marked", () => {
  using ticker = new LateTicker(new FakeClock(), 20);
  const session = new RecordingSession();
  using _player = new TonePlayer({ ticker, session, format: FORMAT, sound: SOUND });
  ticker.run(1000);
  ticker.run(3000);
  assert.equal(session.sent.length, 2);
  assert.deepEqual(session.sent[1], { payload: [1], timestamp: 24_000, marker: true, payloadType: 8 });
});

Deno.test("a later player of the same session goes on in time", () => {
  const clock = new FakeClock(5000);
  using ticker = new Ticker(clock, 20);
  const treatment = new ToneTreatment(ticker, new RecordLog());
  const session = new RecordingSession();
  const asSession = session as unknown as RtpSession;
  const first = treatment.connect(agreedOn({ formats: [PCMU] }), asSession);
  clock.advance(40);
  first[Symbol.dispose]();
  clock.advance(1000);
  using _second = treatment.connect(agreedOn({ formats: [PCMA] }), asSession);
  clock.advance(20);
  assert.deepEqual(session.sent.map(({ payloadType }) => payloadType), [0, 0, 8]);
  assert.equal(session.sent[2]!.timestamp - session.sent[1]!.timestamp, 8 * 1020);
});

Deno.test("the log says what is heard", () => {
  const clock = new FakeClock();
  using ticker = new Ticker(clock, 20);
  const log = new RecordLog();
  const treatment = new ToneTreatment(ticker, log);
  const session = new RecordingSession() as unknown as RtpSession;
  using _a = treatment.connect(agreedOn({ formats: [PCMU] }), session);
  using _b = treatment.connect(agreedOn({ formats: [NARROW] }), session);
  assert.match(log.lines[0]!, /playing a tone of 1004 Hz \(PCMU\/8000\)/);
  assert.match(log.lines[1]!, /playing the built-in speech sample.*\(Speex\/8000\)/);
});

function samplesOf(law: G711Law, rounds: number): Int16Array {
  const { blocks } = g711Tone(law);
  const all = Array.from({ length: rounds }, () => blocks).flat();
  const samples = new Int16Array(all.length * 160);
  all.forEach((block, i) => decodeG711(law, block, samples.subarray(i * 160, (i + 1) * 160)));
  return samples;
}

/** Power of one frequency, as a share of all power. */
function share(samples: Int16Array, hz: number): number {
  let re = 0;
  let im = 0;
  let power = 0;
  samples.forEach((sample, i) => {
    re += sample * Math.cos(2 * Math.PI * hz * i / 8000);
    im += sample * Math.sin(2 * Math.PI * hz * i / 8000);
    power += sample * sample;
  });
  return 2 * (re * re + im * im) / (samples.length * power);
}

for (const law of ["pcmu", "pcma"] as const) {
  Deno.test(`the ${law} tone is a pure 1004 Hz, also across the seam of its rounds`, () => {
    const { blocks } = g711Tone(law);
    assert.equal(blocks.length, 25);
    assert.ok(blocks.every((block) => block.length === 160));
    // Only quantisation is left beside the tone: less than a thousandth of the power.
    assert.ok(share(samplesOf(law, 3), TONE_HZ) > 0.999);
    assert.ok(share(samplesOf(law, 3), 1000) < 0.001);
  });

  Deno.test(`the ${law} tone has -16 dBm0`, () => {
    const samples = samplesOf(law, 1);
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    // 0 dBm0 is 3.14 to 3.17 dB below the largest sine of 16 bits.
    const dbm0 = 20 * Math.log10(rms * Math.SQRT2 / 32768) + 3.15;
    assert.ok(Math.abs(dbm0 + 16) < 0.1, `${dbm0}`);
  });
}

Deno.test("Speex callers get one frame a block, without the wideband layer at 8 kHz", () => {
  const wide = speexSpeech(16000);
  const narrow = speexSpeech(8000);
  assert.equal(wide.blocks.length, narrow.blocks.length);
  assert.match(narrow.description, /speech sample/);
  for (const [i, block] of wide.blocks.entries()) {
    assert.equal(countSpeexFrames(block), 1);
    assert.equal(countSpeexFrames(narrow.blocks[i]!), 1);
    assert.ok(narrow.blocks[i]!.length < block.length);
  }
});
