// Audio for transcoded calls: streams of every codec as RTMP tags and RTP payloads, and ears that decode them.
// Role: machine

import { seededRandom } from "../../lib/base/random.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import type { AacEncoder } from "../../lib/codecs/aac.ts";
import type { AudioDecoder, AudioFormat } from "../../lib/codecs/codec.ts";
import { type ClientAudio, clientFormat } from "./audio_formats.ts";
import type { TranscodeServices } from "../../lib/call/transcode_bridge.ts";
import { ByteWriter } from "../../lib/base/bytes.ts";
import { decodeTag, encodeTag } from "../../lib/media/flv_tag.ts";
import { createFrame } from "../../lib/media/frame.ts";
import { codecs, SampleCollector } from "./codecs_audio.ts";
import type { FakeClock } from "./fake_clock.ts";

/** True where `deno task codecs` has built everything. */
export const built = codecs.missing.length === 0;

/** What a line needs, on a clock of the test. */
export function transcodeServices(clock: FakeClock): TranscodeServices & Disposable {
  const ticker = new Ticker(clock, 10, (error) => {
    throw error;
  });
  return { codecs, random: seededRandom(9), ticker, [Symbol.dispose]: () => ticker[Symbol.dispose]() };
}

/** Samples as packets of a format, with the configuration of AAC. */
export interface CodedAudio {
  readonly packets: readonly Uint8Array[];
  readonly packetMs: number;
  readonly config: Uint8Array | null;
}

/** Encodes what fills whole packets. */
export function encodeAudio(format: AudioFormat, samples: Int16Array): CodedAudio {
  using encoder = codecs.createEncoder(format, format.sampleRate);
  const packets: Uint8Array[] = [];
  const block = encoder.frameSamples;
  for (let at = 0; at + block <= samples.length; at += block) {
    packets.push(encoder.encode(samples.subarray(at, at + block)).slice());
  }
  const config = format.codec === "aac" ? (encoder as AacEncoder).config : null;
  return { packets, packetMs: block * 1000 / encoder.sampleRate, config };
}

/** The body of an audio tag. */
export function audioTag(codec: ClientAudio, data: Uint8Array, config = false): Uint8Array {
  const writer = new ByteWriter(64);
  encodeTag({ ...createFrame(), codec, data, config }, writer);
  return writer.take();
}

/** Decodes what a player gets, tag by tag, whatever codec. */
export class PlayerEar implements Disposable {
  /** Codecs that were heard. */
  readonly codecs = new Set<string>();
  readonly #heard = new SampleCollector();
  readonly #frame = createFrame();
  #decoder: AudioDecoder | null = null;
  #codec = "";

  /** Samples a second of what it gives. */
  get sampleRate(): number {
    return this.#decoder?.sampleRate ?? 0;
  }

  /** One tag body; gives its samples. */
  hear(body: Uint8Array): Int16Array {
    const frame = this.#frame;
    decodeTag(8, 0, body, frame);
    if (frame.config) {
      if (frame.codec === "aac") this.#use("aac", codecs.createConfigured(clientFormat("aac"), frame.data));
      return new Int16Array(0);
    }
    this.codecs.add(frame.codec);
    if (frame.codec !== this.#codec) {
      const format = clientFormat(frame.codec as ClientAudio);
      this.#use(frame.codec, codecs.createDecoder(format, format.sampleRate));
    }
    const samples = this.#decoder!.decode(frame.data).slice();
    this.#heard.add(samples);
    return samples;
  }

  /** Everything so far. */
  all(): Int16Array {
    return this.#heard.all();
  }

  [Symbol.dispose](): void {
    this.#decoder?.[Symbol.dispose]();
  }

  #use(codec: string, decoder: AudioDecoder): void {
    this.#decoder?.[Symbol.dispose]();
    this.#decoder = decoder;
    this.#codec = codec;
  }
}

/** Decodes the payloads of a peer's codec. */
export function decodePayloads(format: AudioFormat, payloads: readonly Uint8Array[]): Int16Array {
  using decoder = codecs.createDecoder(format, format.sampleRate);
  const heard = new SampleCollector();
  for (const payload of payloads) heard.add(decoder.decode(payload));
  return heard.all();
}
