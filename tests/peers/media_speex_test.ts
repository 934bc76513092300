// The Speex bit walk and G.711 against the real codecs: speexenc, speexdec and ffmpeg.
import assert from "node:assert/strict";
import { decodeG711 } from "../../lib/codecs/g711_tables.ts";
import { speechSamples, speexSample } from "../../lib/codecs/sample.ts";
import {
  countSpeexFrames,
  joinSpeexFrames,
  splitSpeexFrames,
  stripWidebandLayer,
} from "../../lib/codecs/speex_bits.ts";
import { readOggPackets, writeOggSpeex, writeWav } from "../support/media_ogg.ts";
import { hasPrograms, runProgram } from "../support/media_programs.ts";

const ignore = !await hasPrograms("speexenc", "speexdec", "ffmpeg");

async function encode(sampleRate: 8000 | 16000, args: readonly string[]): Promise<Uint8Array[]> {
  const mode = sampleRate === 8000 ? "-n" : "-w";
  const file = await runProgram("speexenc", [mode, ...args, "in.wav", "out.spx"], {
    input: writeWav(speechSamples(sampleRate), sampleRate),
    inputName: "in.wav",
    outputName: "out.spx",
  });
  return readOggPackets(file).slice(2);
}

/** What speexdec makes of an Ogg file, as raw 16-bit samples. */
function decode(file: Uint8Array, args: readonly string[] = []): Promise<Uint8Array> {
  const names = { input: file, inputName: "in.spx", outputName: "out.raw" };
  return runProgram("speexdec", ["--no-enh", ...args, "in.spx", "out.raw"], names);
}

for (let quality = 0; quality <= 10; quality++) {
  Deno.test({
    name: `Speex quality ${quality}: stripped wideband decodes as the narrowband it contains`,
    ignore,
    fn: async () => {
      const packets = await encode(16000, ["--quality", String(quality)]);
      assert.ok(packets.length >= 100);
      for (const packet of packets) assert.equal(countSpeexFrames(packet), 1);
      const wanted = await decode(writeOggSpeex(packets, 16000), ["--force-nb"]);
      const stripped = packets.map(stripWidebandLayer);
      const got = await decode(writeOggSpeex(stripped, 8000));
      assert.ok(wanted.length > 2 * 8000);
      assert.deepEqual(got, wanted);
      assert.ok(stripped.every((packet, i) => packet.length < packets[i]!.length || quality === 0));
    },
  });
}

for (
  const [name, rate, args] of [
    ["narrowband, quality 3", 8000, ["--quality", "3"]],
    ["narrowband, lowest rate", 8000, ["--quality", "0"]],
    ["wideband, variable rate with silence", 16000, ["--vbr", "--vad", "--dtx", "--quality", "6"]],
    ["narrowband, variable rate with silence", 8000, ["--vbr", "--vad", "--dtx", "--quality", "4"]],
    ["wideband, average rate", 16000, ["--abr", "18000"]],
  ] as const
) {
  Deno.test({
    name: `Speex ${name}: packets of several frames are walked, split and joined as the encoder made them`,
    ignore,
    fn: async () => {
      const single = await encode(rate, [...args, "--nframes", "1"]);
      for (const frames of [2, 3, 10]) {
        const several = await encode(rate, [...args, "--nframes", String(frames)]);
        // The encoder fills its last packet up with terminators.
        const last = several.pop()!;
        assert.ok(countSpeexFrames(last) <= frames);
        for (const packet of several) {
          assert.equal(countSpeexFrames(packet), frames);
          assert.deepEqual(joinSpeexFrames(splitSpeexFrames(packet)), packet);
        }
        const split = several.flatMap((packet) => splitSpeexFrames(packet));
        assert.ok(split.length >= 90);
        assert.deepEqual(split, single.slice(0, split.length));
        assert.deepEqual(joinSpeexFrames(single.slice(0, frames)), several[0]);
      }
    },
  });
}

Deno.test({
  name: "Speex: frames joined by us decode as they did one by one",
  ignore,
  fn: async () => {
    const packets = speexSample();
    const pairs = Array.from(
      { length: 50 },
      (_, i) => joinSpeexFrames([packets[2 * i]!, packets[2 * i + 1]!]),
    );
    assert.deepEqual(
      await decode(writeOggSpeex(pairs, 16000, 2)),
      await decode(writeOggSpeex(packets, 16000)),
    );
  },
});

Deno.test({
  name: "Speex: ffmpeg decodes stripped packets as narrowband",
  ignore,
  fn: async () => {
    const stripped = speexSample().map(stripWidebandLayer);
    const args = ["-v", "error", "-c:a", "libspeex", "-i", "in.spx", "-f", "s16le", "out.raw"];
    const names = { input: writeOggSpeex(stripped, 8000), inputName: "in.spx", outputName: "out.raw" };
    const samples = new Int16Array((await runProgram("ffmpeg", args, names)).slice().buffer);
    assert.ok(samples.length >= 15000, `${samples.length} samples`);
    assert.ok(samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0) > 3000);
  },
});

Deno.test({
  name: "Speex: the built-in sample is what the encoder makes of its arithmetic",
  ignore,
  fn: async () => {
    const round = speechSamples(16000);
    const two = new Int16Array(2 * round.length);
    two.set(round);
    two.set(round, round.length);
    const file = await runProgram("speexenc", ["-w", "--quality", "5", "--comp", "10", "in.wav", "out.spx"], {
      input: writeWav(two, 16000),
      inputName: "in.wav",
      outputName: "out.spx",
    });
    assert.deepEqual(readOggPackets(file).slice(102, 202), speexSample());
  },
});

for (const [law, format] of [["pcmu", "mulaw"], ["pcma", "alaw"]] as const) {
  Deno.test({
    name: `G.711: ffmpeg decodes every ${format} octet to our sample`,
    ignore,
    fn: async () => {
      const octets = Uint8Array.from({ length: 256 }, (_, octet) => octet);
      const args = [
        "-v",
        "error",
        "-f",
        format,
        "-ar",
        "8000",
        "-ac",
        "1",
        "-i",
        "in.raw",
        "-f",
        "s16le",
        "out.raw",
      ];
      const file = await runProgram("ffmpeg", args, {
        input: octets,
        inputName: "in.raw",
        outputName: "out.raw",
      });
      const samples = new Int16Array(256);
      decodeG711(law, octets, samples);
      assert.deepEqual(new Int16Array(file.slice().buffer), samples);
    },
  });
}
