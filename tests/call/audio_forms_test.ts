// The audio of clients in every form in which senders put it into tags: heard, or told to them.
import assert from "node:assert/strict";
import { concatBytes } from "../../lib/base/bytes.ts";
import { clientFormat } from "../support/audio_formats.ts";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { adts, loas } from "../support/adts.ts";
import { tone, toneBackMs } from "../support/codecs_audio.ts";
import { AudioBench, chainOf } from "../support/audio_bench.ts";
import { built, type CodedAudio, encodeAudio } from "../support/transcode_bench.ts";

const HZ = 1004;

const toneOf = (format: AudioFormat, milliseconds: number): CodedAudio =>
  encodeAudio(format, tone(HZ, format.sampleRate, milliseconds));

const test = (name: string, fn: () => void) => Deno.test({ name, ignore: !built, fn });

/** AAC as senders put it into tags. */
const AAC_FORMS: readonly (readonly [what: string, form: (audio: CodedAudio) => CodedAudio])[] = [
  [
    "ADTS headers, no configuration",
    (audio) => ({ ...audio, config: null, packets: withAdts(audio, false) }),
  ],
  ["ADTS headers with CRC", (audio) => ({ ...audio, config: null, packets: withAdts(audio, true) })],
  ["ADTS headers beside the configuration", (audio) => ({ ...audio, packets: withAdts(audio, false) })],
  [
    "an ADTS header for a configuration",
    (audio) => ({ ...audio, config: withAdts(audio, false)[0]!.subarray(0, 7) }),
  ],
  ["two frames with ADTS headers in a tag", (audio) => ({
    ...audio,
    config: null,
    packetMs: 2 * audio.packetMs,
    packets: pairsOf(withAdts(audio, false)),
  })],
];

function withAdts(audio: CodedAudio, crc: boolean): Uint8Array[] {
  return audio.packets.map((packet) => adts(packet, audio.config!, crc));
}

function pairsOf(packets: readonly Uint8Array[]): Uint8Array[] {
  return packets.flatMap((packet, i) => i % 2 === 1 ? [concatBytes([packets[i - 1]!, packet])] : []);
}

for (const [what, form] of AAC_FORMS) {
  test(`AAC of a client is heard: ${what}`, () => {
    using bench = new AudioBench(chainOf("aac", "g722"));
    bench.publish("aac", form(toneOf(clientFormat("aac"), 1500)), 0);
    assert.ok(toneBackMs(bench.heard("g722"), HZ, 16000) < 300);
    assert.deepEqual([bench.warning, bench.line.broken.fromRtmp], [[], 0]);
  });
}

/** What cannot be read of it. */
const UNREAD: readonly (readonly [what: string, form: (audio: CodedAudio) => CodedAudio, words: RegExp])[] = [
  ["raw, without configuration", (audio) => ({ ...audio, config: null }), /without its sequence header/],
  ["LATM", (audio) => ({ ...audio, config: null, packets: audio.packets.map(loas) }), /LATM/],
  ["LATM beside a configuration", (audio) => ({ ...audio, packets: audio.packets.map(loas) }), /LATM/],
  ["5.1 by ADTS", (audio) => ({
    ...audio,
    config: null,
    packets: audio.packets.map((packet) => adts(packet, Uint8Array.fromHex("11b0"))),
  }), /neither mono nor stereo; send AAC-LC, mono or stereo/],
  ["7.1", (audio) => ({ ...audio, config: Uint8Array.fromHex("11b8") }), /neither mono nor stereo/],
  [
    "channels by a program element",
    (audio) => ({ ...audio, config: Uint8Array.fromHex("1180") }),
    /channel configuration 0/,
  ],
  ["AAC Main", (audio) => ({ ...audio, config: Uint8Array.fromHex("0a10") }), /object type 1 is not AAC-LC/],
  ["AAC-LD", (audio) => ({ ...audio, config: Uint8Array.fromHex("ba10") }), /object type 23/],
];

for (const [what, form, words] of UNREAD) {
  test(`AAC of a client that cannot be read is told, once, with a status: ${what}`, () => {
    using bench = new AudioBench(chainOf("aac", "pcmu"));
    bench.publish("aac", form(toneOf(clientFormat("aac"), 2500)), 0);
    assert.deepEqual(bench.warning.map(({ status }) => status), ["NetStream.Publish.UnsupportedCodec"]);
    assert.match(bench.warning[0]!.text, words);
    assert.ok(bench.line.broken.fromRtmp > 0);
  });
}

test("multichannel configuration, other tracks and ModEx do not disturb Opus", () => {
  using bench = new AudioBench(chainOf("opus", "pcmu"));
  const audio = toneOf(clientFormat("opus"), 1000);
  bench.message(0, Uint8Array.fromHex("904f7075734f707573486561640102380180bb0000000000"));
  bench.message(0, Uint8Array.fromHex("944f707573010200000003"));
  audio.packets.forEach((packet, i) => {
    const timeMs = Math.round(i * audio.packetMs);
    bench.message(timeMs, concatBytes([Uint8Array.fromHex("95014f70757301"), new Uint8Array(20)]));
    const header = ["914f707573", "95014f70757300", "97020003e8014f707573"][i % 3]!;
    bench.message(timeMs, concatBytes([Uint8Array.fromHex(header), packet]));
    bench.clock.advance(audio.packetMs);
  });
  assert.ok(toneBackMs(bench.heard("pcmu"), HZ, 8000) < 300);
  assert.deepEqual([bench.warning, bench.line.broken.fromRtmp, bench.line.unusable], [[], 0, 0]);
});

test("FLAC, AC-3, E-AC-3: refused once by name, as the older ones are", () => {
  const table: [body: string, words: RegExp][] = [
    ["91664c6143aabb", /FLAC/],
    ["9161632d33aabb", /AC-3/],
    ["9165632d33aabb", /E-AC-3/],
    ["912e6d7033fffb", /MP3/],
    ["91787878780102", /this audio codec/],
  ];
  for (const [body, words] of table) {
    using bench = new AudioBench(chainOf("speex", "pcmu"));
    for (let i = 0; i < 5; i++) bench.message(i * 20, Uint8Array.fromHex(body));
    assert.equal(bench.warning.length, 1);
    assert.match(bench.warning[0]!.text, words);
    assert.equal(bench.warning[0]!.status, "NetStream.Publish.UnsupportedCodec");
  }
});
