// H.264 and audio made by ffmpeg go through our packets and back, and ffmpeg finds every frame unchanged.
import assert from "node:assert/strict";
import { ByteWriter } from "../../lib/base/bytes.ts";
import { encodeFlvHeader, encodeFlvTag, FlvTagReader } from "../../lib/flv/tag.ts";
import {
  createAudioDepacketizer,
  createAudioPacketizer,
  type PassThroughAudio,
} from "../support/audio_formats.ts";
import { decodeTag, encodeTag } from "../../lib/media/flv_tag.ts";
import {
  createFrame,
  type Depacketizer,
  type Frame,
  type Packetizer,
  tagTypeOf,
} from "../../lib/media/frame.ts";
import { H264Depacketizer } from "../../lib/codecs/h264/depacketizer.ts";
import { H264Packetizer } from "../../lib/codecs/h264/packetizer.ts";
import { XflvDepacketizer, XflvPacketizer } from "../../lib/codecs/xflv.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { hasPrograms, runProgram } from "../support/media_programs.ts";

const ignore = !await hasPrograms("ffmpeg");
const NO_INPUT = { input: new Uint8Array(0), inputName: "none" };

function makeFlv(args: readonly string[]): Promise<Uint8Array> {
  return runProgram("ffmpeg", ["-v", "error", ...args, "out.flv"], { ...NO_INPUT, outputName: "out.flv" });
}

/** One line per decoded frame: its hash, without its time. */
async function frameHashes(file: Uint8Array, stream: "v" | "a"): Promise<string[]> {
  const args = ["-v", "error", "-i", "in.flv", "-map", `0:${stream}`, "-f", "framemd5", "out.txt"];
  const names = { input: file, inputName: "in.flv", outputName: "out.txt" };
  const text = new TextDecoder().decode(await runProgram("ffmpeg", args, names));
  return text.split("\n").filter((line) => /^\d/.test(line)).map((line) => line.split(",").at(-1)!.trim());
}

/** Sends the tags of a file through packets, with their own clock, and makes a file of what comes out. */
function throughPackets(
  file: Uint8Array,
  chains: { 8?: [Packetizer, Depacketizer]; 9?: [Packetizer, Depacketizer] },
  clock: FakeClock,
): Uint8Array {
  const reader = new FlvTagReader();
  const written = new ByteWriter(1 << 20);
  encodeFlvHeader(written, { audio: chains[8] !== undefined, video: chains[9] !== undefined });
  const frame = createFrame();
  const body = new ByteWriter();
  const write = (out: Frame): void => {
    body.reset();
    encodeTag(out, body);
    encodeFlvTag(written, tagTypeOf(out), out.timeMs, body.view());
  };
  reader.feed(file);
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.type === 18 || chains[tag.type] === undefined) continue;
    const [packetizer, depacketizer] = chains[tag.type]!;
    clock.advance(Math.max(0, tag.timeMs - clock.now()));
    decodeTag(tag.type, tag.timeMs, tag.body, frame);
    packetizer.push(
      frame,
      (payload, timestamp, marker) => depacketizer.push(payload, timestamp, marker, write, 0),
    );
  }
  return written.take();
}

const VIDEO = [
  "-f",
  "lavfi",
  "-i",
  "testsrc=size=320x240:rate=25:duration=4",
  "-c:v",
  "libx264",
  "-g",
  "25",
  "-pix_fmt",
  "yuv420p",
];

for (
  const [name, args] of [
    ["baseline", ["-profile:v", "baseline", "-tune", "zerolatency"]],
    ["baseline, four slices a picture", ["-profile:v", "baseline", "-x264-params", "slices=4:bframes=0"]],
    ["main with B frames", ["-profile:v", "main", "-bf", "2"]],
    ["High with B frames and delimiters", ["-profile:v", "high", "-bf", "3", "-x264-params", "aud=1"]],
    ["large pictures", ["-profile:v", "baseline", "-s", "1280x720", "-b:v", "6M"]],
  ] as const
) {
  for (const packetizationMode of [1, 0] as const) {
    Deno.test({
      name: `H.264 ${name}, packetization mode ${packetizationMode}: every picture arrives as ffmpeg made it`,
      ignore,
      fn: async () => {
        const file = await makeFlv([...VIDEO, ...args]);
        const clock = new FakeClock();
        const packetizer = new H264Packetizer({ clock, packetizationMode });
        const depacketizer = new H264Depacketizer({ clock, originMs: 0 });
        const back = throughPackets(file, { 9: [packetizer, depacketizer] }, clock);
        const wanted = await frameHashes(file, "v");
        assert.equal(wanted.length, 100);
        assert.deepEqual(await frameHashes(back, "v"), wanted);
        assert.equal(packetizer.dropped + depacketizer.broken + depacketizer.heldBack, 0);
        assert.equal(packetizer.bFrames, depacketizer.bFrames);
        assert.equal(packetizer.bFrames > 0, name.includes("with B"));
      },
    });
  }
}

Deno.test({
  name: "x-flv: ffmpeg finds video and audio unchanged",
  ignore,
  fn: async () => {
    const audio = [
      "-f",
      "lavfi",
      "-i",
      "sine=frequency=440:sample_rate=16000:duration=4",
      "-c:a",
      "libspeex",
      "-ac",
      "1",
    ];
    const file = await makeFlv([
      ...VIDEO.slice(0, 4),
      ...audio.slice(0, 4),
      ...VIDEO.slice(4),
      "-bf",
      "0",
      ...audio.slice(4),
    ]);
    const clock = new FakeClock();
    const chain: [Packetizer, Depacketizer] = [new XflvPacketizer(clock), new XflvDepacketizer(clock, 0)];
    const back = throughPackets(file, { 8: chain, 9: chain }, clock);
    for (const stream of ["v", "a"] as const) {
      assert.deepEqual(await frameHashes(back, stream), await frameHashes(file, stream));
    }
  },
});

for (
  const [codec, clockRate, args] of [
    ["speex", 16000, ["-c:a", "libspeex", "-ar", "16000"]],
    ["speex", 16000, ["-c:a", "libspeex", "-ar", "16000", "-frames_per_packet", "3"]],
    ["pcmu", 8000, ["-c:a", "pcm_mulaw", "-ar", "8000"]],
    ["pcma", 8000, ["-c:a", "pcm_alaw", "-ar", "8000"]],
  ] as readonly (readonly [PassThroughAudio, number, readonly string[]])[]
) {
  Deno.test({
    name: `audio of ffmpeg ${args.join(" ")}: the same octets arrive`,
    ignore,
    fn: async () => {
      const file = await makeFlv(["-f", "lavfi", "-i", "sine=frequency=500:duration=3", "-ac", "1", ...args]);
      const clock = new FakeClock();
      const packetizer = createAudioPacketizer({ codec, clockRate, clock });
      const depacketizer = createAudioDepacketizer({ codec, clockRate, clock, originMs: 0 });
      const back = throughPackets(file, { 8: [packetizer, depacketizer] }, clock);
      const wanted = audioOctets(file);
      const got = audioOctets(back);
      assert.equal(packetizer.dropped + depacketizer.dropped, 0);
      // G.711 keeps up to 20 ms that do not fill a packet.
      assert.ok(got.length > wanted.length - 160 && got.length > 3000, `${got.length} of ${wanted.length}`);
      assert.deepEqual(got, wanted.slice(0, got.length));
    },
  });
}

/** All audio data of a file in a row, tag bytes left out. */
function audioOctets(file: Uint8Array): Uint8Array {
  const reader = new FlvTagReader();
  const octets = new ByteWriter();
  const frame = createFrame();
  reader.feed(file);
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.type !== 8) continue;
    decodeTag(8, tag.timeMs, tag.body, frame);
    octets.bytes(frame.data);
  }
  return octets.take();
}
