// Changes the sample rate of mono audio: speexdsp's resampler in WebAssembly, one per direction of a call.
// Its delay at quality 4 is 32 samples of the lower rate: 4 ms at 8 kHz.
// Role: machine

import { type CodecLibrary, type CodecModule, type ModuleExports, WasmCodec } from "./wasm_library.ts";

interface ResamplerExports extends ModuleExports {
  /** Opens a resampler; 0 when it cannot. */
  open(fromRate: number, toRate: number, quality: number): number;
  close(handle: number): void;
  latency(handle: number): number;
  /** Gives how many samples were made of `count`, -1 when they would not fit. */
  process(handle: number, from: number, count: number, to: number, capacity: number): number;
}

/** 4 of 0-10: images and aliases below -70 dB, flat within 1 dB up to 90 % of the lower half rate. */
const QUALITY = 4;
/** Samples of one call: more are taken in turns. */
const MAX_BLOCK = 2048;
/** From 8000 to 48000 is the steepest there is. */
const MAX_GROWTH = 6;
const MAX_MADE = (MAX_BLOCK + 1) * MAX_GROWTH;

export const RESAMPLER: CodecModule<ResamplerExports> = {
  file: "resampler",
  name: "resampler",
  inputOctets: 2 * MAX_BLOCK,
  outputOctets: 2 * MAX_MADE,
};

/** One direction of mono audio from one rate to another. */
export class Resampler extends WasmCodec<ResamplerExports> {
  readonly fromRate: number;
  readonly toRate: number;
  readonly latency: number;

  /** Opens a resampler between two rates of 8000 to 48000. */
  constructor(library: CodecLibrary<ResamplerExports>, fromRate: number, toRate: number, quality = QUALITY) {
    if (toRate > fromRate * MAX_GROWTH) throw new Error(`${fromRate} to ${toRate} is too steep`);
    super(library, {
      open: (instance) => instance.exports.open(fromRate, toRate, quality),
      close: (exports, handle) => exports.close(handle),
    });
    this.fromRate = fromRate;
    this.toRate = toRate;
    this.latency = this.core.instance.exports.latency(this.core.handle);
  }

  /** The most samples that one call takes. */
  static readonly maxBlock: number = MAX_BLOCK;

  /** Resamples `count` samples of `samples` from `start`, at most {@link Resampler.maxBlock}; borrowed. */
  process(samples: Int16Array, start: number, count: number): Int16Array {
    const { handle, instance } = this.core;
    const { exports, input, output } = instance;
    const into = input.samples;
    for (let i = 0; i < count; i++) into[i] = samples[start + i]!;
    const made = exports.process(handle, input.address, count, output.address, MAX_MADE);
    if (made < 0) throw new Error(`The resampler did not take ${count} samples`);
    return output.firstSamples(made);
  }
}
