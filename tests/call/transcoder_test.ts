// One direction: every codec in, changes in the middle, broken audio.
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { Codecs } from "../../lib/codecs/codecs.ts";
import { clientFormat, sipFormat } from "../support/audio_formats.ts";
import { Transcoder } from "../../lib/call/transcoder.ts";
import { codecs, levelDb, measureTone, tone } from "../support/codecs_audio.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { mutate } from "../support/mutate.ts";
import { built, type CodedAudio, decodePayloads, encodeAudio } from "../support/transcode_bench.ts";

const PCMA = sipFormat("pcma", 8000);

/** A transcoder to PCMA that is ticked as its source is pushed. */
class Bench implements Disposable {
  readonly clock = new FakeClock(1000);
  readonly packets: Uint8Array[] = [];
  readonly warning: string[] = [];
  readonly transcoder: Transcoder;
  #mediaMs = 0;

  constructor(to: AudioFormat = PCMA) {
    this.transcoder = new Transcoder({
      to,
      codecs,
      clock: this.clock,
      random: seededRandom(1),
      sink: (packet) => this.packets.push(packet.slice()),
      onWarning: (text) => this.warning.push(text),
    });
  }

  /** The source sends its packets at their times. */
  play(format: AudioFormat, audio: CodedAudio, packets = audio.packets): void {
    if (audio.config !== null) this.transcoder.configure(audio.config);
    for (const packet of packets) {
      this.transcoder.push(format, packet, this.#mediaMs);
      this.#mediaMs += audio.packetMs;
      this.pass(audio.packetMs);
    }
  }

  /** Time passes. */
  pass(milliseconds: number): void {
    const endMs = this.clock.now() + milliseconds;
    for (let tickMs = Math.ceil(this.clock.now() / 10) * 10; tickMs <= endMs; tickMs += 10) {
      this.clock.advance(tickMs - this.clock.now());
      this.transcoder.tick(tickMs);
    }
    this.clock.advance(endMs - this.clock.now());
  }

  heard(): Int16Array {
    return decodePayloads(PCMA, this.packets);
  }

  [Symbol.dispose](): void {
    this.transcoder[Symbol.dispose]();
  }
}

function toneOf(format: AudioFormat, milliseconds = 1500): CodedAudio {
  return encodeAudio(format, tone(1004, format.sampleRate, milliseconds));
}

const SOURCES: Record<string, AudioFormat> = {
  "Speex": clientFormat("speex"),
  "AAC 44100": { codec: "aac", sampleRate: 44100 },
  "AAC 8000": { codec: "aac", sampleRate: 8000 },
  "Opus": clientFormat("opus"),
  "PCMU": clientFormat("pcmu"),
  "G.722": sipFormat("g722", 8000),
};

for (const [name, format] of Object.entries(SOURCES)) {
  Deno.test({
    name: `${name} at its own pace: the tone goes on without a gap`,
    ignore: !built,
    fn: () => {
      using bench = new Bench();
      // All AAC is one format to the client's side: its configuration says the rest.
      const audio = toneOf(format);
      bench.play(format.codec === "aac" ? clientFormat("aac") : format, audio);
      const { playout } = bench.transcoder;
      assert.deepEqual([playout?.underruns, playout?.skippedMs, bench.transcoder.broken], [0, 0, 0]);
      const heard = bench.heard();
      const lengthMs = audio.packets.length * audio.packetMs;
      assert.ok(Math.abs(heard.length / 8 - lengthMs) <= 40, `${heard.length / 8} ms of ${lengthMs}`);
      const { amplitude, snrDb } = measureTone(heard.subarray(4000, 11000), 1004, 8000);
      assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 1 && snrDb > 18, `${amplitude} ${snrDb}`);
    },
  });
}

Deno.test({
  name: "a source that changes its codec again and again is heard on one grid",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    const sources = ["speex", "pcmu", "opus", "aac", "speex"] as const;
    for (const codec of sources) bench.play(clientFormat(codec), toneOf(clientFormat(codec), 1000));
    assert.ok(Math.abs(bench.packets.length - 250) <= 2, `${bench.packets.length}`);
    const heard = bench.heard();
    sources.forEach((codec, i) => {
      const part = heard.subarray(i * 8000 + 2400, i * 8000 + 7600);
      const { amplitude, snrDb } = measureTone(part, 1004, 8000);
      assert.ok(amplitude > 9000 && snrDb > 18, `${codec}: ${amplitude} ${snrDb}`);
    });
  },
});

Deno.test({
  name: "AAC whose sample rate changes in the middle: rebuilt, and heard at the right pitch",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    for (const sampleRate of [44100, 16000, 48000]) {
      bench.play(clientFormat("aac"), toneOf({ codec: "aac", sampleRate }, 1200));
    }
    const heard = bench.heard();
    for (const at of [0, 1, 2]) {
      const part = heard.subarray(at * 9600 + 4000, at * 9600 + 9000);
      assert.ok(measureTone(part, 1004, 8000).snrDb > 25, `part ${at}`);
    }
    assert.equal(bench.transcoder.broken, 0);
  },
});

Deno.test({
  name: "Speex that changes between narrowband and wideband in the middle is one stream, at its level",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    for (const sampleRate of [16000, 8000, 16000]) {
      bench.play(clientFormat("speex"), toneOf({ codec: "speex", sampleRate }, 1200));
    }
    const heard = bench.heard();
    for (const at of [0, 1, 2]) {
      const { amplitude, snrDb } = measureTone(
        heard.subarray(at * 9600 + 4000, at * 9600 + 9000),
        1004,
        8000,
      );
      const gain = 20 * Math.log10(amplitude / 10000);
      assert.ok(Math.abs(gain) < 1 && snrDb > 14, `part ${at}: ${gain} dB, SNR ${snrDb} dB`);
    }
    assert.deepEqual([bench.transcoder.broken, bench.transcoder.playout?.underruns], [0, 0]);
  },
});

Deno.test({
  name: "AAC before its configuration is counted; a configuration nobody can use is told once",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    const audio = toneOf(clientFormat("aac"), 300);
    bench.play(clientFormat("aac"), { ...audio, config: null });
    assert.equal(bench.transcoder.broken, audio.packets.length);
    bench.play(clientFormat("aac"), { ...audio, config: Uint8Array.fromHex("13b0") }); // six channels
    bench.play(clientFormat("aac"), { ...audio, config: Uint8Array.fromHex("13b0") });
    assert.deepEqual(bench.warning.filter((text) => /channel/.test(text)).length, 1, bench.warning.join());
    bench.play(clientFormat("aac"), toneOf(clientFormat("aac"), 1500));
    assert.ok(levelDb(bench.heard().subarray(-8000)) > -20);
  },
});

Deno.test({
  name: "a configuration that changes with each frame costs one decoder in 200 ms, no more",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    const rates = [44100, 48000].map((sampleRate) => toneOf({ codec: "aac", sampleRate }, 1000));
    for (let i = 0; i < 40; i++) {
      const { config, packets } = rates[i % 2]!;
      bench.play(clientFormat("aac"), { config, packets: [packets[i]!], packetMs: 21 });
    }
    assert.ok(bench.transcoder.broken >= 30, `${bench.transcoder.broken}`);
  },
});

for (const [name, format] of Object.entries(SOURCES)) {
  Deno.test({
    name: `broken ${name}: counted, told once, and the tone is back when the source is whole`,
    ignore: !built,
    fn: () => {
      using bench = new Bench();
      const audio = toneOf(format, 1500);
      const kind = format.codec === "aac" ? clientFormat("aac") : format;
      bench.play(kind, audio, audio.packets.map((packet, seed) => mutate(packet, seed)));
      assert.ok(bench.warning.length <= 1, bench.warning.join());
      const before = bench.packets.length;
      bench.play(kind, audio);
      const back = decodePayloads(PCMA, bench.packets.slice(before)).subarray(4000, 11000);
      assert.ok(measureTone(back, 1004, 8000).snrDb > 18);
      const lengthMs = 2 * audio.packets.length * audio.packetMs;
      assert.ok(Math.abs(bench.packets.length * 20 - lengthMs) <= 40, `${bench.packets.length}`);
    },
  });
}

Deno.test("stopped it sends nothing, started it sends silence, and the next packet begins a new grid", () => {
  using bench = new Bench();
  bench.pass(100);
  assert.deepEqual([bench.packets.length, bench.transcoder.active], [0, false]);
  bench.transcoder.start(clientFormat("pcmu"));
  bench.pass(100);
  assert.ok(bench.packets.length >= 5 && bench.heard().every((sample) => Math.abs(sample) < 20));
  bench.transcoder.stop();
  const before = bench.packets.length;
  bench.pass(200);
  assert.equal(bench.packets.length, before);
  bench.transcoder.push(clientFormat("pcmu"), new Uint8Array(160), 0);
  assert.ok(bench.transcoder.active);
});

Deno.test("losses are concealed, but not what was made up already", () => {
  using bench = new Bench();
  const audio = encodeAudio(clientFormat("pcmu"), tone(204, 8000, 2000));
  const format = clientFormat("pcmu");
  bench.play(format, audio, audio.packets.slice(0, 50));
  bench.transcoder.lost(format, 40); // two packets, told at once
  bench.play(format, audio, audio.packets.slice(52, 80));
  const steady = bench.transcoder.playout!.underruns;
  bench.pass(60); // three packets that nobody has told of yet
  bench.transcoder.lost(format, 60);
  bench.play(format, audio, audio.packets.slice(83));
  assert.equal(steady, 0);
  assert.ok(bench.transcoder.playout!.underruns <= 1);
  const heard = bench.heard();
  assert.ok(levelDb(heard.subarray(1600, 14000)) > -15);
});

Deno.test("without modules only what needs none is taken", () => {
  const none = new Transcoder({
    to: PCMA,
    codecs: new Codecs(new Map()),
    clock: new FakeClock(),
    random: seededRandom(1),
    sink: () => {},
    onWarning: () => {},
  });
  assert.ok(none.takes(clientFormat("pcmu")));
  for (const codec of ["speex", "aac", "opus"] as const) assert.ok(!none.takes(clientFormat(codec)), codec);
});
