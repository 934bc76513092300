// Our Speex against the native library: every packet of speexenc, every sample of speexdec, bit by bit.
import assert from "node:assert/strict";
import { SpeexDecoder, SpeexEncoder } from "../../lib/codecs/speex.ts";
import { speechSamples, speexSample } from "../../lib/codecs/sample.ts";
import { SampleCollector } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";
import { readOggPackets, writeOggSpeex, writeWav } from "../support/media_ogg.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";

const ignore = !hasPeer("speexenc", "speexdec") || libraries.speex === null;
const library = libraries.speex!;

type Rate = 8000 | 16000;

async function speexenc(
  samples: Int16Array,
  sampleRate: Rate,
  args: readonly string[],
): Promise<Uint8Array[]> {
  const mode = sampleRate === 8000 ? "-n" : "-w";
  const file = await runProgram("speexenc", [mode, ...args, "in.wav", "out.spx"], {
    input: writeWav(samples, sampleRate),
    inputName: "in.wav",
    outputName: "out.spx",
  });
  return readOggPackets(file).slice(2);
}

/** What speexdec makes of packets; `rate` may be forced, as on a telephone of the other bandwidth. */
async function speexdec(
  packets: readonly Uint8Array[],
  rate: Rate,
  args: string[] = [],
): Promise<Int16Array> {
  const file = await runProgram("speexdec", [...args, "in.spx", "out.raw"], {
    input: writeOggSpeex(packets, rate),
    inputName: "in.spx",
    outputName: "out.raw",
  });
  return new Int16Array(file.slice().buffer);
}

function encode(samples: Int16Array, options: ConstructorParameters<typeof SpeexEncoder>[1]): Uint8Array[] {
  using encoder = new SpeexEncoder(library, options);
  const packets: Uint8Array[] = [];
  const block = encoder.frameSamples;
  for (let at = 0; at + block <= samples.length; at += block) {
    packets.push(encoder.encode(samples.subarray(at, at + block)).slice());
  }
  return packets;
}

function decode(packets: readonly Uint8Array[], sampleRate: Rate, enhance: boolean): Int16Array {
  using decoder = new SpeexDecoder(library, sampleRate, enhance);
  const heard = new SampleCollector();
  for (const packet of packets) heard.add(decoder.decode(packet));
  return heard.all();
}

/** speexdec leaves out the first samples, which only fill the codec's look-ahead. */
function assertSameSound(ours: Int16Array, theirs: Int16Array, name: string): void {
  const skipped = ours.length - theirs.length;
  assert.ok(
    skipped >= 0 && skipped < 640 && theirs.length > 20 * skipped,
    `${name}: ${skipped} samples fewer`,
  );
  assert.deepEqual(ours.subarray(skipped), theirs, name);
}

for (const sampleRate of [8000, 16000] as const) {
  Deno.test({
    name: `Speex ${sampleRate}: our packets are those of speexenc, all qualities`,
    ignore,
    fn: async () => {
      const speech = speechSamples(sampleRate);
      for (let quality = 0; quality <= 10; quality++) {
        for (const complexity of [2, 5]) {
          const args = ["--quality", String(quality), "--comp", String(complexity)];
          const theirs = await speexenc(speech, sampleRate, args);
          const ours = encode(speech, { sampleRate, quality, complexity });
          assert.ok(ours.length >= 100);
          assert.deepEqual(
            ours,
            theirs.slice(0, ours.length),
            `quality ${quality}, complexity ${complexity}`,
          );
        }
      }
    },
  });

  Deno.test({
    name: `Speex ${sampleRate}: several frames in a packet as speexenc packs them`,
    ignore,
    fn: async () => {
      const speech = speechSamples(sampleRate);
      for (const framesPerPacket of [2, 3, 5]) {
        const args = ["--quality", "7", "--comp", "3", "--nframes", String(framesPerPacket)];
        const theirs = await speexenc(speech, sampleRate, args);
        const ours = encode(speech, { sampleRate, quality: 7, complexity: 3, framesPerPacket });
        assert.ok(ours.length >= 20);
        assert.deepEqual(ours, theirs.slice(0, ours.length));
      }
    },
  });

  Deno.test({
    name:
      `Speex ${sampleRate}: our samples are those of speexdec, all qualities, with and without post-filter`,
    ignore,
    fn: async () => {
      const speech = speechSamples(sampleRate);
      for (let quality = 0; quality <= 10; quality++) {
        const packets = encode(speech, { sampleRate, quality });
        for (const enhance of [true, false]) {
          const theirs = await speexdec(packets, sampleRate, enhance ? [] : ["--no-enh"]);
          assertSameSound(decode(packets, sampleRate, enhance), theirs, `quality ${quality}`);
        }
      }
    },
  });
}

Deno.test({
  name: "Speex: a narrowband decoder hears wideband packets as speexdec --force-nb does",
  ignore,
  fn: async () => {
    const packets = speexSample();
    assertSameSound(decode(packets, 8000, true), await speexdec(packets, 16000, ["--force-nb"]), "forced");
  },
});

Deno.test({
  name: "Speex: variable and average rates and silence suppression decode as speexdec decodes them",
  ignore,
  fn: async () => {
    for (const args of [["--vbr", "--vad", "--dtx"], ["--abr", "16000"], ["--vbr", "--quality", "9"]]) {
      const packets = await speexenc(speechSamples(16000), 16000, args);
      assertSameSound(decode(packets, 16000, true), await speexdec(packets, 16000), args.join(" "));
    }
  },
});
