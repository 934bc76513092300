// The yardstick of call quality: what it must find, and what it must not.
import assert from "node:assert/strict";
import { atRate, measureSpeech, measureTone } from "../../scripts/quality/measure.ts";
import { StallWatch } from "../../scripts/quality/stall_watch.ts";
import { formatTable, isGood, replaceTable, type Row } from "../../scripts/quality/table.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import type { Clock } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { tone } from "../support/codecs_audio.ts";
import { FakeClock } from "../support/fake_clock.ts";

const RATE = 8000;

/** Three seconds of the tone, changed. */
function toneWith(change: (samples: Int16Array) => Int16Array = (samples) => samples) {
  return measureTone(change(tone(1004, RATE, 3000)), 1004, RATE, 10000);
}

function noisy(samples: Int16Array, amplitude: number): Int16Array {
  const random = seededRandom(3);
  return samples.map((sample) => sample + (random.float() - 0.5) * 2 * amplitude);
}

Deno.test("a clean tone: its level, no noise to speak of, nothing wrong", () => {
  const { levelDb, snrDb, clicks, gaps } = toneWith();
  assert.ok(Math.abs(levelDb) < 0.01 && snrDb > 60, `${levelDb} ${snrDb}`);
  assert.deepEqual([clicks, gaps], [0, 0]);
});

Deno.test("noise and level are measured as they are", () => {
  const { levelDb, snrDb, clicks, gaps } = toneWith((samples) => noisy(samples.map((one) => one / 2), 1000));
  assert.ok(Math.abs(levelDb + 6) < 0.2 && Math.abs(snrDb - 16) < 1, `${levelDb} ${snrDb}`);
  assert.deepEqual([clicks, gaps], [0, 0], "steady noise is no click");
});

Deno.test("a few wrong samples are one click", () => {
  const quality = toneWith((samples) => samples.map((one, i) => i >= 12000 && i < 12020 ? -20000 : one));
  assert.deepEqual([quality.clicks, quality.gaps], [1, 0]);
});

for (const lengthMs of [10, 20, 40]) {
  Deno.test(`${lengthMs} ms that are silent, cut out, or said twice are one gap each`, () => {
    const at = 12000;
    const length = lengthMs * 8;
    const silent = toneWith((samples) => samples.map((one, i) => i >= at && i < at + 4 * length ? 0 : one));
    assert.ok(silent.gaps >= 1 && silent.gaps <= 2, `${silent.gaps}`);
    const cut = toneWith((samples) =>
      Int16Array.from([...samples.subarray(0, at), ...samples.subarray(at + length)])
    );
    assert.equal(cut.gaps, 1, "cut");
    const twice = toneWith((samples) =>
      Int16Array.from([...samples.subarray(0, at), ...samples.subarray(at - length)])
    );
    assert.equal(twice.gaps, 1, "twice");
  });
}

Deno.test("no sound at all is a gap", () => {
  assert.ok(measureTone(new Int16Array(0), 1004, RATE, 10000).gaps > 0);
  assert.ok(toneWith((samples) => samples.fill(0)).levelDb < -60);
});

Deno.test("speech is found where it is, also when it is quieter and noisy", () => {
  const sent = speechSamples(RATE);
  for (const delayMs of [0, 5, 150, 490]) {
    const heard = new Int16Array(sent.length + 8000);
    heard.set(noisy(sent.map((one) => one / 2), 200), delayMs * 8);
    const quality = measureSpeech(sent, heard, RATE, 500);
    assert.equal(quality.delayMs, delayMs);
    assert.ok(Math.abs(quality.levelDb + 6) < 0.3, `${quality.levelDb}`);
    assert.equal(quality.gaps, 0);
  }
});

Deno.test("speech that is missing for 60 ms is counted", () => {
  const sent = speechSamples(RATE);
  const heard = new Int16Array(sent.length + 8000);
  heard.set(sent, 800);
  heard.fill(0, 800 + 800, 800 + 1280);
  assert.ok(measureSpeech(sent, heard, RATE, 500).gaps >= 1);
});

Deno.test("other rates keep time and level", () => {
  for (const rate of [16000, 44100, 48000]) {
    const slow = atRate(tone(204, rate, 1000), rate, RATE);
    assert.ok(Math.abs(slow.length - RATE) < 10, `${slow.length}`);
    assert.ok(Math.abs(measureTone(slow, 204, RATE, 10000).levelDb) < 0.2);
  }
  const samples = tone(204, RATE, 100);
  assert.equal(atRate(samples, RATE, RATE), samples);
});

const ROW: Row = {
  client: "Speex wb",
  peer: "PCMU",
  accepted: "speex",
  tone: { levelDb: -0.31, snrDb: 20.44, clicks: 0, gaps: 0 },
  speech: { levelDb: 0.04, delayMs: 151.6, gaps: 0 },
};

Deno.test("the table has a row for each pairing, and replaces the one before", () => {
  const table = formatTable([ROW]);
  assert.match(table, /^\| RTMP client \| SIP phone \| +tone dB \|/);
  assert.match(table, /\| Speex wb +\| PCMU +\| +-0\.3 \| +20\.4 \| +\+0\.0 \| +152 \| +0 \| +0 \|$/);
  const document = "# Title\n\nText\n\n| a |\n| - |\n| 1 |\n\nMore\n";
  assert.equal(replaceTable(document, table), `# Title\n\nText\n\n${table}\n\nMore\n`);
  assert.throws(() => replaceTable("no table\n", table), /no table/);
});

Deno.test("good is within 1 dB, without clicks and gaps", () => {
  assert.ok(isGood(ROW));
  assert.ok(!isGood({ ...ROW, tone: { ...ROW.tone, levelDb: -1.2 } }));
  assert.ok(!isGood({ ...ROW, tone: { ...ROW.tone, clicks: 1 } }));
  assert.ok(!isGood({ ...ROW, speech: { ...ROW.speech, gaps: 1 } }));
});

Deno.test("a process that is held up is noticed", () => {
  const clock = new FakeClock();
  const late: Clock = {
    now: () => clock.now() + (clock.now() > 100 ? 70 : 0),
    wallMs: () => clock.wallMs(),
    after: (ms, run) => clock.after(ms, run),
  };
  {
    using watch = new StallWatch(late);
    clock.advance(90);
    assert.equal(watch.worstMs, 0);
    clock.advance(100);
    assert.equal(watch.worstMs, 70);
    watch.reset();
    clock.advance(100);
    assert.equal(watch.worstMs, 0);
  }
  assert.equal(clock.pending, 0);
});
