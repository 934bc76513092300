// Opus by libopus in WebAssembly: mono, at any rate that Opus knows, for RFC 7587 on the SIP side and Enhanced
// RTMP on the other. A stereo packet is mixed down by the decoder; a packet may hold 2.5 to 120 ms.
// Role: machine

import { WireError } from "../base/errors.ts";
import type { AudioDecoder, AudioEncoder } from "./codec.ts";
import { CodecHandle, CodecLibrary, type ModuleExports } from "./wasm_library.ts";

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

export type OpusLibrary = CodecLibrary<OpusExports>;

/** The rates an Opus codec can run at on our side; the wire always says 48000. */
export const OPUS_RATES: readonly number[] = [8000, 12000, 16000, 24000, 48000];

/** The longest packet, 120 ms, at 48 kHz. */
const MAX_SAMPLES = 5760;
/** What a packet may be: RFC 6716 3.4 allows 1275 octets a frame; a datagram is smaller anyway. */
const MAX_PACKET_OCTETS = 8192;
const MAX_MADE_OCTETS = 1275;

export function createOpusLibrary(module: WebAssembly.Module): OpusLibrary {
  return new CodecLibrary(module, {
    name: "Opus",
    inputOctets: 2 * MAX_SAMPLES,
    outputOctets: 2 * MAX_SAMPLES,
  });
}

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

export class OpusEncoder implements AudioEncoder {
  readonly sampleRate: number;
  readonly frameSamples: number;
  readonly #core: CodecHandle<OpusExports>;

  constructor(library: OpusLibrary, options: OpusEncoderOptions) {
    const { sampleRate, bitrate = 32000, complexity = 3, packetMs = 20, lossPercent = 0 } = options;
    this.sampleRate = sampleRate;
    this.frameSamples = sampleRate * packetMs / 1000;
    this.#core = new CodecHandle(library, {
      open: (instance) => instance.exports.openEncoder(sampleRate, bitrate, complexity, lossPercent),
      close: (exports, handle) => exports.closeEncoder(handle),
    });
  }

  encode(samples: Int16Array): Uint8Array {
    const { handle, instance } = this.#core;
    const { exports, input, output } = instance;
    input.samples.set(samples);
    try {
      const length = exports.encode(
        handle,
        input.address,
        this.frameSamples,
        output.address,
        MAX_MADE_OCTETS,
      );
      if (length < 0) throw new Error(`Opus refuses ${this.frameSamples} samples (error ${length})`);
      return output.firstOctets(length);
    } catch (error) {
      throw this.#core.failed(error);
    }
  }

  [Symbol.dispose](): void {
    this.#core[Symbol.dispose]();
  }
}

export class OpusDecoder implements AudioDecoder {
  readonly sampleRate: number;
  /** Always mono. */
  readonly channels = 1;
  readonly #core: CodecHandle<OpusExports>;

  /** Opens a decoder. @param sampleRate one of {@link OPUS_RATES}, whatever the packets were made from */
  constructor(library: OpusLibrary, sampleRate: number) {
    this.sampleRate = sampleRate;
    this.#core = new CodecHandle(library, {
      open: (instance) => instance.exports.openDecoder(sampleRate),
      close: (exports, handle) => exports.closeDecoder(handle),
    });
  }

  decode(packet: Uint8Array): Int16Array {
    if (packet.length === 0 || packet.length > MAX_PACKET_OCTETS) {
      throw new WireError("Opus packet", `${packet.length} octets are no packet`);
    }
    this.#core.putPacket(packet);
    return this.#decode(this.#core.instance.input.address, packet.length, MAX_SAMPLES, 0);
  }

  conceal(samples: number): Int16Array {
    const step = this.sampleRate / 100;
    const count = Math.min(MAX_SAMPLES, this.sampleRate * 12 / 100, Math.ceil(samples / step) * step);
    return this.#decode(0, 0, count, 0);
  }

  /** The packet before `packet`, as far as `packet` tells (in-band FEC); else concealment of `samples`. */
  recover(packet: Uint8Array, samples: number): Int16Array {
    if (packet.length === 0 || packet.length > MAX_PACKET_OCTETS) return this.conceal(samples);
    this.#core.putPacket(packet);
    return this.#decode(this.#core.instance.input.address, packet.length, samples, 1);
  }

  [Symbol.dispose](): void {
    this.#core[Symbol.dispose]();
  }

  #decode(octets: number, length: number, capacity: number, fec: number): Int16Array {
    const { handle, instance } = this.#core;
    const { exports, output } = instance;
    let samples: number;
    try {
      samples = exports.decode(handle, octets, length, output.address, capacity, fec);
    } catch (error) {
      throw this.#core.failed(error);
    }
    if (samples < 0) throw new WireError("Opus packet", `libopus says error ${samples}`);
    return output.firstSamples(samples);
  }
}
