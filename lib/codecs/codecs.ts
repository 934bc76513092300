// All codecs that are there: whichever of the modules were built, and those that need none (G.711, G.722).
// Role: machine

import {
  AacDecoder,
  type AacDecoderLibrary,
  AacEncoder,
  type AacEncoderLibrary,
  createAacDecoderLibrary,
  createAacEncoderLibrary,
} from "./aac.ts";
import {
  type AudioCodecName,
  type AudioDecoder,
  type AudioEncoder,
  type AudioFormat,
  packetSamples,
} from "./codec.ts";
import { G722Decoder, G722Encoder } from "./g722.ts";
import { createOpusLibrary, OpusDecoder, OpusEncoder, type OpusLibrary } from "./opus.ts";
import { createResamplerLibrary, Resampler, type ResamplerLibrary } from "./resampler.ts";
import { createSpeexLibrary, SpeexDecoder, SpeexEncoder, type SpeexLibrary } from "./speex.ts";
import { decodeG711, encodeG711, type G711Law } from "../media/g711.ts";

const CODEC_NAMES: readonly AudioCodecName[] = ["speex", "pcmu", "pcma", "g722", "aac", "opus"];

/** The modules that `deno task codecs` builds. */
export type ModuleName = "resampler" | "speex" | "aac_decoder" | "aac_encoder" | "opus";

/** Their names in the order they are built. */
export const MODULE_NAMES: readonly ModuleName[] = [
  "resampler",
  "speex",
  "aac_decoder",
  "aac_encoder",
  "opus",
];

export type CodecModules = ReadonlyMap<ModuleName, WebAssembly.Module>;

/** Makes decoders, encoders and resamplers. One for the whole process. */
export class Codecs {
  /** Modules that are not there. */
  readonly missing: readonly ModuleName[];
  readonly #resampler: ResamplerLibrary | null;
  readonly #speex: SpeexLibrary | null;
  readonly #opus: OpusLibrary | null;
  readonly #aacDecoder: AacDecoderLibrary | null;
  readonly #aacEncoder: AacEncoderLibrary | null;

  constructor(modules: CodecModules) {
    this.missing = MODULE_NAMES.filter((name) => !modules.has(name));
    const library = <T>(name: ModuleName, create: (module: WebAssembly.Module) => T): T | null => {
      const module = modules.get(name);
      return module === undefined ? null : create(module);
    };
    this.#resampler = library("resampler", createResamplerLibrary);
    this.#speex = library("speex", createSpeexLibrary);
    this.#opus = library("opus", createOpusLibrary);
    this.#aacDecoder = library("aac_decoder", createAacDecoderLibrary);
    this.#aacEncoder = library("aac_encoder", createAacEncoderLibrary);
  }

  /** True when packets of this codec can be decoded here. */
  canDecode(codec: AudioCodecName): boolean {
    if (codec === "speex") return this.#speex !== null;
    if (codec === "opus") return this.#opus !== null;
    return codec !== "aac" || this.#aacDecoder !== null;
  }

  /** True when packets of this codec can be made here. */
  canEncode(codec: AudioCodecName): boolean {
    return codec === "aac" ? this.#aacEncoder !== null : this.canDecode(codec);
  }

  /** The codecs that can be turned into one another; none without the resampler. */
  get transcodable(): ReadonlySet<AudioCodecName> {
    return new Set(
      this.#resampler === null
        ? []
        : CODEC_NAMES.filter((codec) => this.canEncode(codec) && this.canDecode(codec)),
    );
  }

  /** True when audio can go from one format to the other. */
  canTranscode(from: AudioFormat, to: AudioFormat): boolean {
    if (!this.canDecode(from.codec) || !this.canEncode(to.codec)) return false;
    return this.#resampler !== null || from.codec !== "aac" && from.sampleRate === to.sampleRate;
  }

  /**
   * A decoder; AAC's is made from its config by {@link Codecs.createAacDecoder}.
   * @param sampleRate what Opus shall give, one of its rates; the others give what their format says
   * @throws Error when {@link Codecs.canDecode} is false
   */
  createDecoder(format: AudioFormat, sampleRate: number): AudioDecoder {
    switch (format.codec) {
      case "speex":
        return new SpeexDecoder(needed(this.#speex), format.sampleRate);
      case "opus":
        return new OpusDecoder(needed(this.#opus), sampleRate);
      case "g722":
        return new G722Decoder();
      case "aac":
        throw new Error("An AAC decoder needs an AudioSpecificConfig");
      default:
        return new G711Decoder(format.codec, format.channels ?? 1);
    }
  }

  /** A decoder for one AAC stream. @throws WireError when the config is of an unknown kind */
  createAacDecoder(config: Uint8Array): AudioDecoder {
    return new AacDecoder(needed(this.#aacDecoder), config);
  }

  /**
   * An encoder.
   * @param sampleRate what Opus shall take, one of its rates; the others take what their format says
   * @throws Error when {@link Codecs.canEncode} is false
   */
  createEncoder(format: AudioFormat, sampleRate: number): AudioEncoder {
    switch (format.codec) {
      case "speex":
        return this.#createSpeexEncoder(format);
      case "opus":
        return new OpusEncoder(needed(this.#opus), { ...format, sampleRate });
      case "g722":
        return new G722Encoder(packetSamples(format, 16000));
      case "aac":
        return new AacEncoder(needed(this.#aacEncoder), format.sampleRate, format.bitrate, format.channels);
      default:
        return new G711Encoder(format.codec, packetSamples(format, 8000));
    }
  }

  /** A resampler. @throws Error when its module is missing */
  createResampler(fromRate: number, toRate: number): Resampler {
    return new Resampler(needed(this.#resampler), fromRate, toRate);
  }

  #createSpeexEncoder(format: AudioFormat): SpeexEncoder {
    const { sampleRate, quality = 8, packetMs = 20 } = format;
    return new SpeexEncoder(needed(this.#speex), { sampleRate, quality, framesPerPacket: packetMs / 20 });
  }
}

function needed<T>(library: T | null): T {
  if (library === null) throw new Error("A codec module is missing: deno task codecs builds it");
  return library;
}

const SAMPLE_RATE = 8000;
/** The longest packet that is taken at once: half a second. */
const MAX_PACKET_OCTETS = 4000;

/** Samples of 8 kHz to octets. */
export class G711Encoder implements AudioEncoder {
  /** 8000. */
  readonly sampleRate: number = SAMPLE_RATE;
  readonly frameSamples: number;
  readonly #law: G711Law;
  readonly #packet: Uint8Array;

  /** An encoder of one law. @param frameSamples samples, and octets, of a packet */
  constructor(law: G711Law, frameSamples = 160) {
    this.#law = law;
    this.frameSamples = frameSamples;
    this.#packet = new Uint8Array(frameSamples);
  }

  /** One packet; borrowed until the next. */
  encode(samples: Int16Array): Uint8Array {
    encodeG711(this.#law, samples, this.#packet);
    return this.#packet;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}
}

/** Octets to samples of 8 kHz. */
export class G711Decoder implements AudioDecoder {
  /** 8000. */
  readonly sampleRate: number = SAMPLE_RATE;
  /** 1, or 2 as it was made for. */
  readonly channels: 1 | 2;
  readonly #law: G711Law;
  #samples = new Int16Array(160);

  /** A decoder of one law. @param channels 2: the octets are interleaved stereo */
  constructor(law: G711Law, channels: 1 | 2 = 1) {
    this.#law = law;
    this.channels = channels;
  }

  /** A sample for each octet; every octet means something, but half a pair. */
  decode(packet: Uint8Array): Int16Array {
    const whole = Math.min(MAX_PACKET_OCTETS, packet.length - packet.length % this.channels);
    const octets = packet.length > whole ? packet.subarray(0, whole) : packet;
    if (this.#samples.length !== octets.length) this.#samples = new Int16Array(octets.length);
    decodeG711(this.#law, octets, this.#samples);
    return this.#samples;
  }

  /** Nothing of its own: the audio path repeats what was heard. */
  conceal(): Int16Array {
    return NOTHING;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}
}

const NOTHING = new Int16Array(0);
