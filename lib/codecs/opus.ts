// Opus by libopus in WebAssembly: mono, at any rate that Opus knows, for RFC 7587 on the SIP side and Enhanced
// RTMP on the other. A stereo packet is mixed down by the decoder; a packet may hold 2.5 to 120 ms.
// Role: machine

import { ByteWriter } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { fourCcOf } from "../media/codec_ids.ts";
import { type MediaFormat, mediaFormat } from "../sdp/media_format.ts";
import type {
  AudioDecoder,
  AudioDepacketizer,
  AudioEncoder,
  AudioPacketizer,
  AudioPacketOptions,
  Codec,
} from "./codec.ts";
import {
  type CodecInstance,
  type CodecLibrary,
  type CodecModule,
  type ModuleExports,
  WasmCodec,
  WasmEncoder,
} from "./wasm_library.ts";
import { createFrame, type Frame, type FrameSink, type PayloadSink } from "../media/frame.ts";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "../media/timeline.ts";

interface OpusExports extends ModuleExports {
  /** Opens an encoder; 0 when it cannot. */
  openEncoder(sampleRate: number, bitrate: number, complexity: number, lossPercent: number): number;
  /** Opens a decoder; 0 when it cannot. */
  openDecoder(sampleRate: number): number;
  closeEncoder(handle: number): void;
  closeDecoder(handle: number): void;
  /** Gives the octets of the packet, or a negative error. */
  encode(handle: number, samples: number, count: number, octets: number, capacity: number): number;
  /** Gives the samples, or a negative error; octets 0: `capacity` samples are concealed. */
  decode(
    handle: number,
    octets: number,
    length: number,
    samples: number,
    capacity: number,
    fec: number,
  ): number;
}

/** The rates an Opus codec can run at on our side; the wire always says 48000. */
export const OPUS_RATES: readonly number[] = [8000, 12000, 16000, 24000, 48000];

/** The longest packet, 120 ms, at 48 kHz. */
const MAX_SAMPLES = 5760;
/** What a packet may be: RFC 6716 3.4 allows 1275 octets a frame; a datagram is smaller anyway. */
const MAX_PACKET_OCTETS = 8192;
const MAX_MADE_OCTETS = 1275;

export const OPUS: CodecModule<OpusExports> = {
  file: "opus",
  name: "Opus",
  inputOctets: 2 * MAX_SAMPLES,
  outputOctets: 2 * MAX_SAMPLES,
};

/** The smallest Opus rate that holds all of `sampleRate`. */
export function opusRateFor(sampleRate: number): number {
  return OPUS_RATES.find((rate) => rate >= sampleRate) ?? 48000;
}

export interface OpusEncoderOptions {
  /** One of {@link OPUS_RATES}. */
  readonly sampleRate: number;
  /** Bits a second; default 32000. */
  readonly bitrate?: number;
  /** Effort 0-10; default 3: half the cost of 5, and hardly less quality. */
  readonly complexity?: number;
  /** 20, 40 or 60; default 20. */
  readonly packetMs?: number;
  /** Loss to expect; above 0, packets carry what helps to rebuild the one before (in-band FEC). */
  readonly lossPercent?: number;
}

export class OpusEncoder extends WasmEncoder<OpusExports> implements AudioEncoder {
  readonly sampleRate: number;
  readonly frameSamples: number;

  constructor(library: CodecLibrary<OpusExports>, options: OpusEncoderOptions) {
    const { sampleRate, bitrate = 32000, complexity = 3, packetMs = 20, lossPercent = 0 } = options;
    super(library, {
      open: (instance) => instance.exports.openEncoder(sampleRate, bitrate, complexity, lossPercent),
      close: (exports, handle) => exports.closeEncoder(handle),
    });
    this.sampleRate = sampleRate;
    this.frameSamples = sampleRate * packetMs / 1000;
  }

  protected encodeInput({ exports, input, output }: CodecInstance<OpusExports>, handle: number): number {
    const { frameSamples } = this;
    const length = exports.encode(handle, input.address, frameSamples, output.address, MAX_MADE_OCTETS);
    if (length < 0) throw new Error(`Opus refuses ${frameSamples} samples (error ${length})`);
    return length;
  }
}

export class OpusDecoder extends WasmCodec<OpusExports> implements AudioDecoder {
  readonly sampleRate: number;
  /** Always mono. */
  readonly channels = 1;

  /** Opens a decoder. @param sampleRate one of {@link OPUS_RATES}, whatever the packets were made from */
  constructor(library: CodecLibrary<OpusExports>, sampleRate: number) {
    super(library, {
      open: (instance) => instance.exports.openDecoder(sampleRate),
      close: (exports, handle) => exports.closeDecoder(handle),
    });
    this.sampleRate = sampleRate;
  }

  decode(packet: Uint8Array): Int16Array {
    if (packet.length === 0 || packet.length > MAX_PACKET_OCTETS) {
      throw new WireError("Opus packet", `${packet.length} octets are no packet`);
    }
    this.core.putPacket(packet);
    return this.#decode(this.core.instance.input.address, packet.length, MAX_SAMPLES, 0);
  }

  conceal(samples: number): Int16Array {
    const step = this.sampleRate / 100;
    const count = Math.min(MAX_SAMPLES, this.sampleRate * 12 / 100, Math.ceil(samples / step) * step);
    return this.#decode(0, 0, count, 0);
  }

  /** The packet before `packet`, as far as `packet` tells (in-band FEC); else concealment of `samples`. */
  recover(packet: Uint8Array, samples: number): Int16Array {
    if (packet.length === 0 || packet.length > MAX_PACKET_OCTETS) return this.conceal(samples);
    this.core.putPacket(packet);
    return this.#decode(this.core.instance.input.address, packet.length, samples, 1);
  }

  #decode(octets: number, length: number, capacity: number, fec: number): Int16Array {
    const { handle, instance } = this.core;
    const { exports, output } = instance;
    let samples: number;
    try {
      samples = exports.decode(handle, octets, length, output.address, capacity, fec);
    } catch (error) {
      throw this.core.failed(error);
    }
    if (samples < 0) throw new WireError("Opus packet", `libopus says error ${samples}`);
    return output.firstSamples(samples);
  }
}

/** RTP counts Opus at 48000 whatever is in it (RFC 7587 4.1). */
const OPUS_CLOCK_RATE = 48000;

const TICKS_PER_MS = OPUS_CLOCK_RATE / 1000;
/** RFC 6716 3.2.1: a packet has at most 120 ms. */
const MAX_TICKS = 120 * TICKS_PER_MS;
/** Tenths of a millisecond of one frame, for SILK-only, hybrid and CELT-only configs. */
const SILK = [100, 200, 400, 600] as const;
const HYBRID = [100, 200] as const;
const CELT = [25, 50, 100, 200] as const;

/** Length of a packet in units of 48 kHz; 0 when it is none. */
export function opusTicks(packet: Uint8Array): number {
  if (packet.length === 0) return 0;
  const config = packet[0]! >> 3;
  const tenths = config < 12 ? SILK[config & 3]! : config < 16 ? HYBRID[config & 1]! : CELT[config & 3]!;
  const ticks = frameCount(packet) * tenths * TICKS_PER_MS / 10;
  return ticks <= MAX_TICKS ? ticks : 0;
}

function frameCount(packet: Uint8Array): number {
  const code = packet[0]! & 3;
  if (code < 3) return code === 0 ? 1 : 2;
  return packet.length < 2 ? 0 : packet[1]! & 63;
}

/** The configuration that Enhanced RTMP and Ogg begin with: the OpusHead of RFC 7845 5.1. */
export function opusHead(channels: 1 | 2 = 1): Uint8Array<ArrayBuffer> {
  const head = new ByteWriter(19);
  head.utf8("OpusHead");
  head.u8(1);
  head.u8(channels);
  head.u16(0); // nothing to skip: a call has no beginning to align
  head.u32le(OPUS_CLOCK_RATE);
  head.u16(0);
  head.u8(0);
  return head.take();
}

/**
 * Frames of RTMP to payloads of RTP.
 *
 *   config:5 stereo:1 frame count code:2 | code 3 only: VBR:1 padding:1 count:6
 */
export class OpusPacketizer implements AudioPacketizer {
  dropped = 0;
  /** Where its frames lie on the RTP clock. */
  readonly timeline: RtmpToRtpTimeline;

  /** Starts at the first frame. */
  constructor(options: Pick<AudioPacketOptions, "clock">) {
    this.timeline = new RtmpToRtpTimeline(OPUS_CLOCK_RATE, options.clock);
  }

  restart(): void {
    this.timeline.restart();
  }

  push(frame: Frame, emit: PayloadSink): void {
    if (frame.config || frame.data.length === 0) return;
    const ticks = frame.codec === "opus" ? opusTicks(frame.data) : 0;
    if (ticks === 0) {
      this.dropped++;
      return;
    }
    const timestamp = this.timeline.placeBlock(frame.timeMs, ticks);
    emit(frame.data, timestamp >>> 0, this.timeline.afterGap);
  }
}

export class OpusDepacketizer implements AudioDepacketizer {
  /** Payloads that are no packet. */
  dropped = 0;
  /** Where its payloads lie in RTMP time. */
  readonly timeline: RtpToRtmpTimeline;
  readonly #frame = createFrame();

  /** The first timestamp means "now". */
  constructor(options: Pick<AudioPacketOptions, "clock" | "originMs">) {
    this.timeline = new RtpToRtmpTimeline(OPUS_CLOCK_RATE, options.clock, options.originMs);
    this.#frame.codec = "opus";
  }

  restart(): void {
    this.timeline.restart();
  }

  push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink): void {
    if (opusTicks(payload) === 0) {
      this.dropped++;
      return;
    }
    this.#frame.timeMs = this.timeline.timeMsOf(timestamp);
    this.#frame.data = payload;
    emit(this.#frame);
  }
}

/** 20 ms of CELT whose first bit says silence (RFC 6716 4.3). */
const SILENCE = Uint8Array.of(0xf8, 0xff, 0xfe);

/** Always two channels (RFC 7587 4.1), whatever is in it. */
const FORMAT = mediaFormat(107, "opus", OPUS_CLOCK_RATE, { channels: 2 });
/** What is lost is rebuilt (RFC 7587 6.1): a player of packets passed through could not. */
export const OPUS_OF_TRANSCODING: MediaFormat = { ...FORMAT, fmtp: "useinbandfec=1" };

export const opus: Codec<"opus"> = {
  name: "opus",
  label: "Opus",
  kind: "audio",
  encodingName: "opus",
  tokens: [{ token: "opus", formats: [FORMAT], late: true }],
  flv: {
    ids: [fourCcOf("Opus")],
    frameHeader: Uint8Array.of(0x91, 0x4f, 0x70, 0x75, 0x73),
    configHeader: Uint8Array.of(0x90, 0x4f, 0x70, 0x75, 0x73),
    config: opusHead(),
  },
  passthrough: {
    createPacketizer: (options) => new OpusPacketizer(options),
    createDepacketizer: (options) => new OpusDepacketizer(options),
    silence: () => SILENCE,
  },
  transcode: {
    decoding: OPUS,
    encoding: OPUS,
    client: { codec: "opus", sampleRate: OPUS_CLOCK_RATE },
    sampleRate: OPUS_CLOCK_RATE,
    offers: [{ format: OPUS_OF_TRANSCODING, wideband: true, rank: { wide: 1, narrow: 5 } }],
    createDecoder: (libraries, _format, sampleRate) =>
      new OpusDecoder(libraries.of(OPUS), OPUS_RATES.includes(sampleRate) ? sampleRate : OPUS_CLOCK_RATE),
    createEncoder: (libraries, format, sampleRate) =>
      new OpusEncoder(libraries.of(OPUS), { ...format, sampleRate: opusRateFor(sampleRate) }),
  },
};
