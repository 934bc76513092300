// AAC-LC: decoding by FAAD2, encoding by vo-aacenc, both in WebAssembly; raw frames as FLV carries them, without
// ADTS. Of HE-AAC the core layer is decoded. Each decoder has an instance of its own: its input comes from
// anybody who may publish. Code from FAAD2 is copyright (c) Nero AG, www.nero.com
// Role: machine

import { WireError } from "../base/errors.ts";
import { fourCcOf } from "../media/codec_ids.ts";
import type { AudioDecoder, AudioEncoder, Codec, TagFrames } from "./codec.ts";
import { OPUS_OF_TRANSCODING } from "./opus.ts";
import {
  type CodecInstance,
  type CodecLibrary,
  type CodecModule,
  type ModuleExports,
  WasmCodec,
  WasmEncoder,
} from "./wasm_library.ts";

interface AacDecoderExports extends ModuleExports {
  /** Opens a decoder for an AudioSpecificConfig; 0 when it cannot. */
  open(config: number, length: number): number;
  close(handle: number): void;
  /** Gives the samples of all channels together, or a negative error. */
  decode(handle: number, octets: number, length: number): number;
  samples(handle: number): number;
  channels(handle: number): number;
}

interface AacEncoderExports extends ModuleExports {
  /** Opens an encoder; 0 when it cannot. */
  open(sampleRate: number, channels: number, bitrate: number): number;
  close(handle: number): void;
  /** Gives the octets of the frame, or -1. */
  encode(handle: number, samples: number, octets: number, capacity: number): number;
}

const AAC_FRAME_SAMPLES = 1024;
/** A frame has at most 6144 bits a channel (ISO/IEC 14496-3 4.5.3). */
const MAX_FRAME_OCTETS = 1536;

export const AAC_DECODER: CodecModule<AacDecoderExports> = {
  file: "aac_decoder",
  name: "AAC",
  inputOctets: 2 * MAX_FRAME_OCTETS,
  outputOctets: 16,
  isolated: true,
};

export const AAC_ENCODER: CodecModule<AacEncoderExports> = {
  file: "aac_encoder",
  name: "AAC encoder",
  inputOctets: 2 * 2 * AAC_FRAME_SAMPLES,
  outputOctets: 2 * MAX_FRAME_OCTETS,
};

export class AacDecoder extends WasmCodec<AacDecoderExports> implements AudioDecoder {
  readonly sampleRate: number;
  /** 1 or 2, as the last frame had. */
  channels: number;
  #view: Int16Array = new Int16Array(0);
  #address = 0;

  /** Opens a decoder. @param config the AudioSpecificConfig; @throws WireError when it is of an unknown kind */
  constructor(library: CodecLibrary<AacDecoderExports>, config: Uint8Array) {
    const { sampleRate, channels } = parseAacConfig(config);
    const plain = formatAacConfig(sampleRate, channels);
    super(library, {
      open: ({ exports, input }) => {
        input.octets.set(plain);
        return exports.open(input.address, plain.length);
      },
      close: (exports, handle) => exports.close(handle),
    });
    this.sampleRate = sampleRate;
    this.channels = channels;
  }

  /** One frame; the first gives nothing, it only fills the overlap. */
  decode(packet: Uint8Array): Int16Array {
    this.core.putPacket(packet);
    const { handle, instance } = this.core;
    let count: number;
    try {
      count = instance.exports.decode(handle, instance.input.address, packet.length);
    } catch (error) {
      throw this.core.failed(error);
    }
    if (count < 0) throw new WireError("AAC frame", `FAAD2 says error ${-1 - count}`);
    if (count === 0) return NOTHING;
    const channels = instance.exports.channels(handle);
    if (channels > 2) throw new WireError("AAC frame", `${channels} channels`);
    this.channels = channels;
    return this.#viewOf(instance.exports.samples(handle), count);
  }

  /** FAAD2 conceals nothing. */
  conceal(): Int16Array {
    return NOTHING;
  }

  #viewOf(address: number, count: number): Int16Array {
    const { buffer } = this.core.instance.exports.memory;
    const view = this.#view;
    if (view.buffer !== buffer || this.#address !== address || view.length !== count) {
      this.#view = new Int16Array(buffer, address, count);
      this.#address = address;
    }
    return this.#view;
  }
}

const NOTHING = new Int16Array(0);

/** Mono samples, or interleaved stereo, to AAC frames. */
export class AacEncoder extends WasmEncoder<AacEncoderExports> implements AudioEncoder {
  readonly sampleRate: number;
  readonly frameSamples: number;
  /** The AudioSpecificConfig of the stream, to be sent before its first frame. */
  readonly config: Uint8Array;

  /** Opens an encoder. @param bitrate bits a second; default 3 a sample, at most 64000 a channel */
  constructor(
    library: CodecLibrary<AacEncoderExports>,
    sampleRate: number,
    bitrate?: number,
    channels: 1 | 2 = 1,
  ) {
    const rate = bitrate ?? Math.min(64000, sampleRate * 3) * channels;
    super(library, {
      open: (instance) => instance.exports.open(sampleRate, channels, rate),
      close: (exports, handle) => exports.close(handle),
    });
    this.sampleRate = sampleRate;
    this.frameSamples = AAC_FRAME_SAMPLES * channels;
    this.config = formatAacConfig(sampleRate, channels);
  }

  protected encodeInput(
    { exports, input, output }: CodecInstance<AacEncoderExports>,
    handle: number,
  ): number {
    const length = exports.encode(handle, input.address, output.address, 2 * MAX_FRAME_OCTETS);
    if (length < 0) throw new Error("The AAC encoder refuses a frame");
    return length;
  }
}

/** What a decoder of the core layer must know. */
interface AacConfig {
  /** Samples a second of the core layer, 8000 to 48000. */
  readonly sampleRate: number;
  /** 1 or 2. */
  readonly channels: 1 | 2;
  /** True when the stream announces spectral band replication, which is left aside. */
  readonly highEfficiency: boolean;
}

const RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000] as const;
const LOW_COMPLEXITY = 2;
const SBR = 5;
const PARAMETRIC_STEREO = 29;
const FORMAT = "AudioSpecificConfig";

/** Reads the config of an AAC-LC stream, or of the core of an HE-AAC one. @throws WireError for other kinds */
export function parseAacConfig(bytes: Uint8Array): AacConfig {
  const bits = new BitReader(bytes);
  let objectType = readObjectType(bits);
  const sampleRate = readRate(bits);
  const channels = bits.read(4);
  const highEfficiency = objectType === SBR || objectType === PARAMETRIC_STEREO;
  if (highEfficiency) {
    readRate(bits);
    objectType = readObjectType(bits);
  }
  if (objectType !== LOW_COMPLEXITY) throw new WireError(FORMAT, `object type ${objectType} is not AAC-LC`);
  if (bits.read(1) === 1) throw new WireError(FORMAT, "frames of 960 samples are not supported");
  if (channels !== 1 && channels !== 2) {
    throw new WireError(FORMAT, `channel configuration ${channels} is neither mono nor stereo`);
  }
  if (sampleRate < 8000 || sampleRate > 48000) {
    throw new WireError(FORMAT, `${sampleRate} Hz is not supported`);
  }
  return { sampleRate, channels, highEfficiency };
}

/** The two octets of an AAC-LC stream. @throws Error for a rate that has no index */
export function formatAacConfig(sampleRate: number, channels: 1 | 2): Uint8Array<ArrayBuffer> {
  const index = RATES.findIndex((rate) => rate === sampleRate);
  if (index < 0) throw new Error(`AAC has no rate of ${sampleRate} Hz`);
  const bits = LOW_COMPLEXITY << 11 | index << 7 | channels << 3;
  return new Uint8Array([bits >> 8, bits & 255]);
}

function readObjectType(bits: BitReader): number {
  const type = bits.read(5);
  return type === 31 ? 32 + bits.read(6) : type;
}

function readRate(bits: BitReader): number {
  const index = bits.read(4);
  const rate = index === 15 ? bits.read(24) : RATES[index];
  if (rate === undefined || !RATES.some((known) => known === rate)) {
    throw new WireError(FORMAT, `no known sample rate (index ${index})`);
  }
  return rate;
}

class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.#at++) {
      const octet = this.#bytes[this.#at >> 3];
      if (octet === undefined) throw new WireError(FORMAT, "it ends too early");
      value = value << 1 | octet >> 7 - (this.#at & 7) & 1;
    }
    return value;
  }
}

const IN_LATM = "AAC in LATM is not supported: send it raw, as FLV has it, or with ADTS headers";
const HEADER_OCTETS = 7;
const CRC_OCTETS = 2;
const ADTS_RATES = 13;

/** Takes the AAC frames of one tag after another out of their ADTS headers (ISO/IEC 13818-7 6.2), which FLV has not. */
export class AdtsFrames implements TagFrames {
  readonly config = new Uint8Array(2);
  /** True when it differs from that of the frame before. */
  changed = false;
  /** Where the frame begins, behind its header. */
  start = 0;
  end = 0;
  #data: Uint8Array = new Uint8Array(0);

  refusal(data: Uint8Array): string | null {
    return isLoas(data) ? IN_LATM : null;
  }

  /** Begins with a tag's data; false when it does not begin with a header and the frame it names. */
  open(data: Uint8Array): boolean {
    this.#data = data;
    this.end = 0;
    return frameOctets(data, 0) > 0;
  }

  /** Finds the next frame; false behind the last whole one. */
  next(): boolean {
    const data = this.#data;
    const at = this.end;
    const octets = frameOctets(data, at);
    if (octets === 0) return false;
    this.start = at + headerOctets(data, at);
    this.end = at + octets;
    const [first, second] = configAt(data, at);
    this.changed = first !== this.config[0] || second !== this.config[1];
    this.config[0] = first;
    this.config[1] = second;
    return true;
  }
}

/** The AudioSpecificConfig that an ADTS header says, for those who send one in its place; null when it is none. */
export function configOfAdts(data: Uint8Array): Uint8Array | null {
  return isHeader(data, 0) ? Uint8Array.from(configAt(data, 0)) : null;
}

/** True for LOAS: AAC in LATM, whose frames do not begin at octets. */
export function isLoas(data: Uint8Array): boolean {
  if (data.length < 3 || data[0] !== 0x56 || (data[1]! & 0xe0) !== 0xe0) return false;
  return ((data[1]! & 0x1f) << 8 | data[2]!) + 3 <= data.length;
}

/** An AAC frame itself never begins with the twelve ones: its first element would be the end. */
function isHeader(data: Uint8Array, at: number): boolean {
  if (at + HEADER_OCTETS > data.length || data[at] !== 0xff || (data[at + 1]! & 0xf6) !== 0xf0) return false;
  return (data[at + 2]! >> 2 & 15) < ADTS_RATES;
}

function headerOctets(data: Uint8Array, at: number): number {
  return (data[at + 1]! & 1) === 1 ? HEADER_OCTETS : HEADER_OCTETS + CRC_OCTETS;
}

/** Of header and frame; 0 when no whole frame is here. */
function frameOctets(data: Uint8Array, at: number): number {
  if (!isHeader(data, at)) return 0;
  const octets = (data[at + 3]! & 3) << 11 | data[at + 4]! << 3 | data[at + 5]! >> 5;
  return octets > headerOctets(data, at) && at + octets <= data.length ? octets : 0;
}

/** Object type, which is the profile and one; rate; channels. */
function configAt(data: Uint8Array, at: number): readonly [number, number] {
  const objectType = (data[at + 2]! >> 6) + 1;
  const rate = data[at + 2]! >> 2 & 15;
  const channels = (data[at + 2]! & 1) << 2 | data[at + 3]! >> 6;
  return [objectType << 3 | rate >> 1, (rate & 1) << 7 | channels << 3];
}

/** RTP carries none here: it goes to the remote party as Opus, or whatever else that takes. Made with 48 kHz, where its frames are shortest. */
export const aac: Codec<"aac"> = {
  name: "aac",
  label: "AAC",
  kind: "audio",
  tokens: [{ token: "aac", formats: [OPUS_OF_TRANSCODING], remote: "opus" }],
  flv: {
    ids: [10, fourCcOf("mp4a")],
    frameHeader: Uint8Array.of(0xaf, 1),
    configHeader: Uint8Array.of(0xaf, 0),
  },
  transcode: {
    decoding: AAC_DECODER,
    encoding: AAC_ENCODER,
    client: { codec: "aac", sampleRate: 48000 },
    offers: [],
    createDecoder: () => {
      throw new Error("An AAC decoder needs an AudioSpecificConfig");
    },
    createEncoder: (libraries, { sampleRate, bitrate, channels }) =>
      new AacEncoder(libraries.of(AAC_ENCODER), sampleRate, bitrate, channels),
    configured: {
      createDecoder: (libraries, config) => new AacDecoder(libraries.of(AAC_DECODER), config),
      configOf: (data) => configOfAdts(data) ?? data,
      createFrames: () => new AdtsFrames(),
      missing: "audio dropped: AAC without its sequence header (AudioSpecificConfig, AF 00)",
      unusable: (reason) => `AAC cannot be decoded: ${reason}; send AAC-LC, mono or stereo`,
    },
  },
};
