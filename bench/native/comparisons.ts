// The same work for a WebAssembly module, as the gateway calls it, and for the native library: one second of speech
// each time, with the same settings, by codecs that live on from second to second.
// Role: edge

import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { type Codecs, Resampler } from "../../lib/codecs/codecs.ts";
import { AacEncoder } from "../../lib/codecs/aac.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { type Native, type NativeName, type NativeOutcome, openNative } from "./native_codecs.ts";

/** One piece of work, twice. */
export interface Comparison {
  /** What is done. */
  readonly name: string;
  /** A second of it by the WebAssembly module. */
  readonly ours: () => void;
  /** A second of it by the native library; null: there is none here. */
  readonly native: (() => void) | null;
  /** Why there is none. */
  readonly reason: string;
}

/** Packets lie this far apart in the native loops' memory. */
const STRIDE = 2048;
const SPEEX_QUALITY = 8;
const OPUS_BITRATE = 32000;
const AAC_BITRATE = 64000;
const RESAMPLER_QUALITY = 4;

/** Everything that can be compared here. */
export async function openComparisons(codecs: Codecs): Promise<Comparison[]> {
  const natives = {
    speex: await openNative("speex"),
    opus: await openNative("opus"),
    aacDecoder: await openNative("aac_decoder"),
    aacEncoder: await openNative("aac_encoder"),
    resampler: await openNative("resampler"),
  };
  const wide: AudioFormat = { codec: "speex", sampleRate: 16000, quality: SPEEX_QUALITY };
  const opus: AudioFormat = { codec: "opus", sampleRate: 48000, bitrate: OPUS_BITRATE };
  return [
    ...[wide, { ...wide, sampleRate: 8000 }].flatMap((format) => compareSpeex(codecs, natives.speex, format)),
    ...compareOpus(codecs, natives.opus, opus),
    ...compareAac(codecs, natives.aacDecoder, natives.aacEncoder),
    compareResampler(codecs, natives.resampler, 16000, 8000),
    compareResampler(codecs, natives.resampler, 8000, 48000),
  ];
}

function compareSpeex(
  codecs: Codecs,
  { native, reason }: NativeOutcome<"speex">,
  format: AudioFormat,
): Comparison[] {
  const { sampleRate } = format;
  const name = sampleRate === 16000 ? "Speex wideband" : "Speex narrowband";
  const work = new Work(codecs, format);
  return [
    {
      name: `${name}, encode`,
      reason,
      ours: work.encoding(),
      native: native &&
        nativeEncoding(native, native.symbols.open_speex_encoder(sampleRate, SPEEX_QUALITY), work),
    },
    {
      name: `${name}, decode`,
      reason,
      ours: work.decoding(),
      native: native && nativeDecoding(native, native.symbols.open_speex_decoder(sampleRate), work),
    },
  ];
}

function compareOpus(
  codecs: Codecs,
  { native, reason }: NativeOutcome<"opus">,
  format: AudioFormat,
): Comparison[] {
  const work = new Work(codecs, format);
  const { sampleRate } = format;
  return [
    {
      name: "Opus 48 kHz, encode",
      reason,
      ours: work.encoding(),
      native: native &&
        nativeEncoding(native, native.symbols.open_opus_encoder(sampleRate, OPUS_BITRATE), work),
    },
    {
      name: "Opus 48 kHz, decode",
      reason,
      ours: work.decoding(),
      native: native && nativeDecoding(native, native.symbols.open_opus_decoder(sampleRate), work),
    },
  ];
}

function compareAac(
  codecs: Codecs,
  decoder: NativeOutcome<"aac_decoder">,
  encoder: NativeOutcome<"aac_encoder">,
): Comparison[] {
  const work = new Work(codecs, { codec: "aac", sampleRate: 48000, bitrate: AAC_BITRATE });
  const open = (native: Native<"aac_decoder">): Deno.PointerValue =>
    native.symbols.open_aac_decoder(work.config!, work.config!.length);
  return [
    {
      name: "AAC 48 kHz, encode",
      reason: encoder.reason,
      ours: work.encoding(),
      native: encoder.native &&
        nativeEncoding(encoder.native, encoder.native.symbols.open_aac_encoder(48000, AAC_BITRATE), work),
    },
    {
      name: "AAC 48 kHz, decode",
      reason: decoder.reason,
      ours: work.decoding(),
      native: decoder.native && nativeDecoding(decoder.native, open(decoder.native), work),
    },
  ];
}

function compareResampler(
  codecs: Codecs,
  { native, reason }: NativeOutcome<"resampler">,
  fromRate: number,
  toRate: number,
): Comparison {
  const resampler: Resampler = codecs.createResampler(fromRate, toRate);
  const samples = speechSamples(fromRate).slice(0, fromRate);
  const block = fromRate / 50;
  const out = new Int16Array(toRate / 50 + 64);
  const handle = native?.symbols.open_resampler(fromRate, toRate, RESAMPLER_QUALITY) ?? null;
  return {
    name: `resampling, ${fromRate / 1000} to ${toRate / 1000} kHz`,
    reason,
    ours: () => {
      for (let at = 0; at < samples.length; at += block) resampler.process(samples, at, block);
    },
    native: native && (() => void native.symbols.resample_all(handle, samples, 50, block, out, out.length)),
  };
}

/** A second of speech, and what its packets are. */
class Work {
  readonly samples: Int16Array<ArrayBuffer>;
  readonly packets: readonly Uint8Array[];
  readonly frameSamples: number;
  readonly config: Uint8Array<ArrayBuffer> | null;
  readonly #codecs: Codecs;
  readonly #format: AudioFormat;

  constructor(codecs: Codecs, format: AudioFormat) {
    this.#codecs = codecs;
    this.#format = format;
    using encoder = codecs.createEncoder(format, format.sampleRate);
    this.frameSamples = encoder.frameSamples;
    const count = Math.ceil(format.sampleRate / this.frameSamples);
    this.samples = speechSamples(format.sampleRate).slice(0, count * this.frameSamples);
    const packets: Uint8Array[] = [];
    this.#eachFrame((frame) => packets.push(encoder.encode(frame).slice()));
    this.packets = packets;
    this.config = encoder instanceof AacEncoder ? encoder.config.slice() : null;
  }

  encoding(): () => void {
    const encoder = this.#codecs.createEncoder(this.#format, this.#format.sampleRate);
    return () => this.#eachFrame((frame) => encoder.encode(frame));
  }

  decoding(): () => void {
    const decoder = this.config === null
      ? this.#codecs.createDecoder(this.#format, this.#format.sampleRate)
      : this.#codecs.createConfigured(this.#format, this.config);
    return () => {
      for (const packet of this.packets) decoder.decode(packet);
    };
  }

  #eachFrame(use: (frame: Int16Array) => void): void {
    for (let at = 0; at < this.samples.length; at += this.frameSamples) {
      use(this.samples.subarray(at, at + this.frameSamples));
    }
  }
}

type Encoding = Native<Exclude<NativeName, "resampler" | "aac_decoder">>;
type Decoding = Native<Exclude<NativeName, "resampler" | "aac_encoder">>;

function nativeEncoding(native: Encoding, codec: Deno.PointerValue, { samples, packets }: Work): () => void {
  const out = new Uint8Array(packets.length * STRIDE);
  const octets = new Int32Array(packets.length);
  return () => void native.symbols.encode_all(codec, samples, packets.length, out, STRIDE, octets);
}

function nativeDecoding(native: Decoding, codec: Deno.PointerValue, { packets }: Work): () => void {
  const input = new Uint8Array(packets.length * STRIDE);
  packets.forEach((packet, i) => input.set(packet, i * STRIDE));
  const octets = Int32Array.from(packets, ({ length }) => length);
  const samples = new Int16Array(64 * 320);
  return () => void native.symbols.decode_all(codec, input, packets.length, STRIDE, octets, samples);
}

/** How much longer ours takes: the median over rounds in which both take turns. */
export function measureRatio(
  { ours, native }: Comparison,
  rounds = 15,
  seconds = 10,
): { ratio: number; oursMs: number } {
  if (native === null) return { ratio: NaN, oursMs: NaN };
  const time = (work: () => void): number => {
    const begun = performance.now();
    for (let i = 0; i < seconds; i++) work();
    return (performance.now() - begun) / seconds;
  };
  time(ours);
  time(native);
  const pairs = Array.from({ length: rounds }, () => [time(ours), time(native)] as const);
  const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
  return { ratio: middle(pairs.map(([a, b]) => a / b)), oursMs: middle(pairs.map(([a]) => a)) };
}
