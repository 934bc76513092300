// Speex narrowband and wideband by libspeex in WebAssembly, the same packets and samples as the native library.
// A packet holds one or more 20 ms frames (RFC 5574 3.3); frames of a wideband stream may lack the wideband
// layer, and a narrowband decoder passes over that layer.
// Role: machine

import { WireError } from "../base/errors.ts";
import type {
  AudioDecoder,
  AudioDepacketizer,
  AudioEncoder,
  AudioPacketizer,
  AudioPacketOptions,
  Codec,
} from "./codec.ts";
import { SpeexBitWriter, SpeexWalker } from "./speex_bits.ts";
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
import { mediaFormat } from "../sdp/media_format.ts";

interface SpeexExports extends ModuleExports {
  /** Opens an encoder; 0 when it cannot. */
  openEncoder(mode: number, quality: number, complexity: number): number;
  /** Opens a decoder; 0 when it cannot. */
  openDecoder(mode: number, enhance: number): number;
  close(handle: number): void;
  /** Gives the octets of a packet of so many frames. */
  encode(handle: number, samples: number, frames: number, octets: number, capacity: number): number;
  /** Gives the frames of a packet, -1 when it is damaged; octets 0: one frame is concealed. */
  decode(handle: number, octets: number, length: number, samples: number, maxFrames: number): number;
}

/** Frames of one packet that are decoded, as many as speex_bits.ts counts: 1.28 s. */
const MAX_FRAMES = 64;
const MAX_PACKET_OCTETS = 8192;
const WIDEBAND_SAMPLES = 320;

const MAX_SAMPLES_OCTETS = 2 * MAX_FRAMES * WIDEBAND_SAMPLES;

export const SPEEX: CodecModule<SpeexExports> = {
  file: "speex",
  name: "Speex",
  inputOctets: Math.max(MAX_PACKET_OCTETS, MAX_SAMPLES_OCTETS),
  outputOctets: MAX_SAMPLES_OCTETS,
};

interface SpeexEncoderOptions {
  /** 8000 or 16000. */
  readonly sampleRate: number;
  /** 0 (worst) to 10 (best); default 8. */
  readonly quality?: number;
  /** Effort 1-10; default 2. */
  readonly complexity?: number;
  /** Frames of 20 ms in a packet; default 1. */
  readonly framesPerPacket?: number;
}

export class SpeexEncoder extends WasmEncoder<SpeexExports> implements AudioEncoder {
  /** 8000 or 16000. */
  readonly sampleRate: number;
  readonly frameSamples: number;
  readonly #frames: number;

  constructor(library: CodecLibrary<SpeexExports>, options: SpeexEncoderOptions) {
    const { sampleRate, quality = 8, complexity = 2, framesPerPacket = 1 } = options;
    super(library, {
      open: (instance) => instance.exports.openEncoder(modeOf(sampleRate), quality, complexity),
      close: (exports, handle) => exports.close(handle),
    });
    this.sampleRate = sampleRate;
    this.#frames = Math.min(MAX_FRAMES, Math.max(1, framesPerPacket));
    this.frameSamples = this.#frames * sampleRate / 50;
  }

  protected encodeInput({ exports, input, output }: CodecInstance<SpeexExports>, handle: number): number {
    return exports.encode(handle, input.address, this.#frames, output.address, MAX_PACKET_OCTETS);
  }
}

export class SpeexDecoder extends WasmCodec<SpeexExports> implements AudioDecoder {
  /** 8000 or 16000, whatever the packets hold. */
  readonly sampleRate: number;
  /** Always mono. */
  readonly channels = 1;
  readonly #frameSamples: number;

  /** Opens a decoder. @param enhance the perceptual post-filter, on as in every player */
  constructor(library: CodecLibrary<SpeexExports>, sampleRate: number, enhance = true) {
    super(library, {
      open: (instance) => instance.exports.openDecoder(modeOf(sampleRate), enhance ? 1 : 0),
      close: (exports, handle) => exports.close(handle),
    });
    this.sampleRate = sampleRate;
    this.#frameSamples = sampleRate / 50;
  }

  /** All frames of a packet, or those before the damage. */
  decode(packet: Uint8Array): Int16Array {
    if (packet.length === 0 || packet.length > MAX_PACKET_OCTETS) {
      throw new WireError("Speex packet", `${packet.length} octets are no packet`);
    }
    this.core.putPacket(packet);
    const { input, output } = this.core.instance;
    const frames = this.#decode(input.address, packet.length, output.address, MAX_FRAMES);
    if (frames < 0) throw new WireError("Speex packet", "bits that are no frame");
    return output.firstSamples(frames * this.#frameSamples);
  }

  conceal(samples: number): Int16Array {
    const frames = Math.min(MAX_FRAMES, Math.ceil(samples / this.#frameSamples));
    const { output } = this.core.instance;
    for (let i = 0; i < frames; i++) this.#decode(0, 0, output.address + 2 * i * this.#frameSamples, 1);
    return output.firstSamples(frames * this.#frameSamples);
  }

  #decode(octets: number, length: number, samples: number, maxFrames: number): number {
    try {
      return this.core.instance.exports.decode(this.core.handle, octets, length, samples, maxFrames);
    } catch (error) {
      throw this.core.failed(error);
    }
  }
}

function modeOf(sampleRate: number): number {
  return sampleRate === 8000 ? 0 : sampleRate === 16000 ? 1 : -1;
}

const WIDEBAND = mediaFormat(96, "speex", 16000);
const NARROWBAND = mediaFormat(98, "speex", 8000);

/** Nothing is coded (submode 0), padded as RFC 5574 3.3 has it: narrowband, and with its wideband layer. */
const NARROWBAND_SILENCE = Uint8Array.of(0b00000_011);
const WIDEBAND_SILENCE = Uint8Array.of(0b00000_100, 0b0_0111111);

/** FLV knows wideband alone; narrowband packets are wideband packets without the upper layer. */
export const speex: Codec<"speex"> = {
  name: "speex",
  label: "Speex",
  kind: "audio",
  encodingName: "speex",
  tokens: [{ token: "wideband", formats: [WIDEBAND] }, { token: "narrowband", formats: [NARROWBAND] }],
  flv: { ids: [11], frameHeader: Uint8Array.of(0xb2) },
  passthrough: {
    createPacketizer: (options) => new SpeexPacketizer(options),
    createDepacketizer: (options) => new SpeexDepacketizer(options),
    silence: (clockRate) => clockRate === 8000 ? NARROWBAND_SILENCE : WIDEBAND_SILENCE,
  },
  transcode: {
    decoding: SPEEX,
    encoding: SPEEX,
    client: { codec: "speex", sampleRate: 16000 },
    offers: [
      { format: WIDEBAND, wideband: true, rank: { wide: 3, narrow: 6 } },
      { format: NARROWBAND, wideband: false, rank: { wide: 6, narrow: 3 } },
    ],
    createDecoder: (libraries, { sampleRate }) => new SpeexDecoder(libraries.of(SPEEX), sampleRate),
    createEncoder: (libraries, { sampleRate, quality = 8, packetMs = 20 }) =>
      new SpeexEncoder(libraries.of(SPEEX), { sampleRate, quality, framesPerPacket: packetMs / 20 }),
  },
};

/** Frames of one RTP packet when the peer asked for no packet time: as many as the tag had, up to 200 ms. */
const MAX_SPEEX_FRAMES = 10;
const SPEEX_FRAME_MS = 20;

/** Walks through one packet at a time, for all calls of this thread. */
const walker = new SpeexWalker();
/** Puts packets together anew, one at a time. */
const writer = new SpeexBitWriter();

class SpeexPacketizer implements AudioPacketizer {
  dropped = 0;
  readonly timeline: RtmpToRtpTimeline;
  readonly #strip: boolean;
  readonly #frameTicks: number;
  readonly #framesPerPacket: number;
  #layered = false;

  constructor(options: AudioPacketOptions) {
    this.timeline = new RtmpToRtpTimeline(options.clockRate, options.clock);
    this.#strip = options.clockRate === 8000;
    this.#frameTicks = options.clockRate * SPEEX_FRAME_MS / 1000;
    const ptimeMs = options.ptimeMs ?? MAX_SPEEX_FRAMES * SPEEX_FRAME_MS;
    this.#framesPerPacket = Math.min(MAX_SPEEX_FRAMES, Math.max(1, Math.floor(ptimeMs / SPEEX_FRAME_MS)));
  }

  restart(): void {
    this.timeline.restart();
  }

  push(frame: Frame, emit: PayloadSink): void {
    if (frame.data.length === 0) return;
    const frames = frame.codec === "speex" ? this.#count(frame.data) : 0;
    if (frames === 0) {
      this.dropped++;
      return;
    }
    const timestamp = this.timeline.placeBlock(frame.timeMs, frames * this.#frameTicks);
    const asItIs = frames <= this.#framesPerPacket && !walker.broken && !(this.#strip && this.#layered);
    if (asItIs) emit(frame.data, timestamp >>> 0, this.timeline.afterGap);
    else this.#rewrite(frame.data, timestamp, emit);
  }

  #count(packet: Uint8Array): number {
    walker.start(packet);
    this.#layered = false;
    let frames = 0;
    while (walker.next()) {
      frames++;
      if (walker.layers > 0) this.#layered = true;
    }
    return frames;
  }

  #rewrite(packet: Uint8Array, timestamp: number, emit: PayloadSink): void {
    walker.start(packet);
    let marker = this.timeline.afterGap;
    let frames = 0;
    let at = timestamp;
    writer.reset();
    for (;;) {
      const more = walker.next();
      if (frames === this.#framesPerPacket || !more && frames > 0) {
        emit(writer.finish(), at >>> 0, marker);
        writer.reset();
        marker = false;
        at += frames * this.#frameTicks;
        frames = 0;
      }
      if (!more) return;
      walker.copyTo(writer, !this.#strip);
      frames++;
    }
  }
}

class SpeexDepacketizer implements AudioDepacketizer {
  dropped = 0;
  readonly timeline: RtpToRtmpTimeline;
  readonly #frame = createFrame();

  constructor(options: AudioPacketOptions) {
    this.timeline = new RtpToRtmpTimeline(options.clockRate, options.clock, options.originMs);
    this.#frame.codec = "speex";
  }

  restart(): void {
    this.timeline.restart();
  }

  push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink): void {
    if (walker.count(payload) === 0) {
      this.dropped++;
      return;
    }
    this.#frame.timeMs = this.timeline.timeMsOf(timestamp);
    this.#frame.data = payload;
    emit(this.#frame);
  }
}
