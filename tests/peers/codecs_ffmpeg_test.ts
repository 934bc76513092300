// Our G.722, AAC and Opus against ffmpeg's own codecs, both ways.
import assert from "node:assert/strict";
import { AacDecoder, AacEncoder, parseAacConfig } from "../../lib/codecs/aac.ts";
import { G722Decoder, G722Encoder } from "../../lib/codecs/g722.ts";
import { OpusDecoder, OpusEncoder } from "../../lib/codecs/opus.ts";
import { concatBytes } from "../../lib/base/bytes.ts";
import { readFlvAac, writeOggOpus } from "../support/codecs_files.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { findDelay, measureTone, SampleCollector, snrDb, tone } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";
import { readOggPackets, writeWav } from "../support/media_ogg.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";

const present = hasPeer("ffmpeg");

function ffmpeg(
  input: Uint8Array,
  inputName: string,
  outputName: string,
  ...args: string[]
): Promise<Uint8Array> {
  const whole = ["-v", "error", ...args.slice(0, args.indexOf("|")), "-i", inputName];
  whole.push(...args.slice(args.indexOf("|") + 1), outputName);
  return runProgram("ffmpeg", whole, { input, inputName, outputName });
}

const toSamples = (bytes: Uint8Array): Int16Array => new Int16Array(bytes.slice().buffer);

/** Speech, then noise at full level. */
function hardSignal(): Int16Array {
  const speech = speechSamples(16000);
  const samples = new Int16Array(2 * speech.length);
  let state = 1;
  for (let i = 0; i < speech.length; i++) {
    samples[i] = 2 * speech[i]!;
    state = state * 1103515245 + 12345 & 0x7fffffff;
    samples[speech.length + i] = (state >> 8 & 0xffff) - 32768;
  }
  return samples;
}

function g722Encode(samples: Int16Array): Uint8Array {
  const encoder = new G722Encoder();
  const packets: Uint8Array[] = [];
  for (let at = 0; at < samples.length; at += 320) {
    packets.push(encoder.encode(samples.subarray(at, at + 320)).slice());
  }
  return concatBytes(packets);
}

Deno.test({
  name: "G.722: our octets are those of ffmpeg, our samples too",
  ignore: !present,
  fn: async () => {
    const samples = hardSignal();
    const ours = g722Encode(samples);
    const theirs = await ffmpeg(writeWav(samples, 16000), "in.wav", "out.g722", "|", "-c:a", "g722");
    assert.deepEqual(ours, theirs);
    const decoder = new G722Decoder();
    const heard = new SampleCollector();
    for (let at = 0; at < ours.length; at += 160) heard.add(decoder.decode(ours.subarray(at, at + 160)));
    const decoded = await ffmpeg(ours, "in.g722", "out.raw", "-f", "g722", "|", "-f", "s16le");
    assert.deepEqual(heard.all(), toSamples(decoded));
  },
});

for (
  const [sampleRate, channels] of [[8000, 1], [16000, 1], [22050, 2], [44100, 2], [48000, 1], [
    48000,
    2,
  ]] as const
) {
  Deno.test({
    name: `AAC ${sampleRate} Hz, ${channels} channels: ffmpeg's frames sound to us as to ffmpeg`,
    ignore: !present || libraries.aacDecoder === null,
    fn: async () => {
      const wav = writeWav(speechSamples(sampleRate), sampleRate);
      const coding = ["-c:a", "aac", "-ac", String(channels), "-b:a", "64k"];
      const flv = await ffmpeg(wav, "in.wav", "out.flv", "|", ...coding);
      const { config, frames } = readFlvAac(flv);
      assert.equal(parseAacConfig(config).channels, channels);
      using decoder = new AacDecoder(libraries.aacDecoder!, config);
      const heard = new SampleCollector();
      for (const frame of frames) heard.add(decoder.decode(frame));
      assert.equal(decoder.channels, channels);
      const raw = toSamples(await ffmpeg(flv, "in.flv", "out.raw", "|", "-f", "s16le"));
      const ours = heard.all();
      // FAAD2 gives nothing for the first frame, ffmpeg gives its 1024 samples.
      const frame = 1024 * channels;
      const theirs = raw.subarray(frame, frame + ours.length);
      const clarity = Math.max(snrDb(theirs, ours), snrDb(raw.subarray(0, ours.length), ours));
      assert.ok(clarity > 60, `${clarity} dB`);
    },
  });
}

for (const sampleRate of [8000, 16000, 44100, 48000]) {
  Deno.test({
    name: `AAC ${sampleRate} Hz: ffmpeg hears our frames`,
    ignore: !present || libraries.aacEncoder === null,
    fn: async () => {
      using encoder = new AacEncoder(libraries.aacEncoder!, sampleRate);
      const wave = tone(1000, sampleRate, 2000);
      const parts: Uint8Array[] = [];
      for (let at = 0; at + 1024 <= wave.length; at += 1024) {
        const frame = encoder.encode(wave.subarray(at, at + 1024));
        parts.push(adtsHeader(encoder.config, frame.length), frame.slice());
      }
      const raw = await ffmpeg(concatBytes(parts), "in.aac", "out.raw", "|", "-f", "s16le");
      const from = Math.floor(sampleRate * 0.5);
      const { amplitude, snrDb } = measureTone(
        toSamples(raw).subarray(from, from + sampleRate),
        1000,
        sampleRate,
      );
      assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 0.5 && snrDb > 25, `${amplitude} ${snrDb} dB`);
    },
  });
}

/** ISO/IEC 13818-7 6.2: what a file of AAC frames has before each of them. */
function adtsHeader(config: Uint8Array, octets: number): Uint8Array {
  const rateIndex = (config[0]! & 7) << 1 | config[1]! >> 7;
  const channels = config[1]! >> 3 & 15;
  const size = octets + 7;
  return Uint8Array.of(
    0xff,
    0xf1,
    0x40 | rateIndex << 2 | channels >> 2,
    (channels & 3) << 6 | size >> 11,
    size >> 3 & 255,
    (size & 7) << 5 | 0x1f,
    0xfc,
  );
}

for (const channels of [1, 2]) {
  Deno.test({
    name: `Opus: packets of ffmpeg (libopus, ${channels} channels) sound to us as to ffmpeg`,
    ignore: !present || libraries.opus === null,
    fn: async () => {
      const wav = writeWav(speechSamples(48000), 48000);
      const coding = ["-c:a", "libopus", "-ac", String(channels), "-b:a", "48k", "-application", "voip"];
      const ogg = await ffmpeg(wav, "in.wav", "out.ogg", "|", ...coding);
      using decoder = new OpusDecoder(libraries.opus!, 48000);
      const heard = new SampleCollector();
      for (const packet of readOggPackets(ogg).slice(2)) heard.add(decoder.decode(packet));
      const raw = await ffmpeg(ogg, "in.ogg", "out.raw", "-c:a", "libopus", "|", "-ac", "1", "-f", "s16le");
      const theirs = toSamples(raw);
      const delay = findDelay(theirs, heard.all(), 700); // ffmpeg leaves out what the header calls pre-skip
      const clarity = snrDb(theirs, heard.all(), delay);
      assert.ok(clarity > 35, `${clarity} dB at ${delay}`);
    },
  });
}

Deno.test({
  name: "Opus: ffmpeg (libopus) hears our packets as we do",
  ignore: !present || libraries.opus === null,
  fn: async () => {
    for (const sampleRate of [16000, 48000]) {
      const speech = speechSamples(sampleRate);
      using encoder = new OpusEncoder(libraries.opus!, { sampleRate, bitrate: 40000 });
      using decoder = new OpusDecoder(libraries.opus!, 48000);
      const packets: Uint8Array[] = [];
      const heard = new SampleCollector();
      for (let at = 0; at < speech.length; at += encoder.frameSamples) {
        packets.push(encoder.encode(speech.subarray(at, at + encoder.frameSamples)).slice());
        heard.add(decoder.decode(packets.at(-1)!));
      }
      const raw = await ffmpeg(
        writeOggOpus(packets),
        "in.ogg",
        "out.raw",
        "-c:a",
        "libopus",
        "|",
        "-f",
        "s16le",
      );
      const theirs = toSamples(raw);
      const delay = findDelay(theirs, heard.all(), 700);
      const clarity = snrDb(theirs, heard.all(), delay);
      assert.ok(clarity > 35, `${sampleRate}: ${clarity} dB at ${delay}`);
    }
  },
});
