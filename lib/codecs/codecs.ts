// What decodes, encodes and resamples here: the codecs of a registry, with whichever of their modules were built. One for the
// whole process.
// Role: machine

import type { AudioDecoder, AudioEncoder, AudioFormat, Libraries, Transcode } from "./codec.ts";
import { builtInCodecs, type CodecRegistry } from "./registry.ts";
import { CodecLibrary, type CodecModule, type ModuleExports, WasmCodec } from "./wasm_library.ts";

export type CodecModules = ReadonlyMap<string, WebAssembly.Module>;

/** The modules that the codecs of a registry need, by the names of their files; `deno task codecs` builds ours. */
export function moduleNames(registry: CodecRegistry): string[] {
  const modules = registry.codecs.flatMap(({ transcode }) => [transcode?.decoding, transcode?.encoding]);
  return [...new Set([RESAMPLER, ...modules].flatMap((module) => module?.file ?? []))];
}

export class Codecs implements Libraries {
  readonly registry: CodecRegistry;
  /** Modules that are not there. */
  readonly missing: readonly string[];
  /** The codecs that can be turned into one another; none without the resampler. */
  readonly transcodable: ReadonlySet<string>;
  readonly #modules: CodecModules;
  readonly #libraries = new Map<string, unknown>();

  constructor(modules: CodecModules, registry: CodecRegistry = builtInCodecs) {
    this.registry = registry;
    this.#modules = modules;
    this.missing = moduleNames(registry).filter((name) => !modules.has(name));
    const names = registry.codecs.map(({ name }) => name);
    this.transcodable = new Set(
      this.#has(RESAMPLER) ? names.filter((codec) => this.canEncode(codec) && this.canDecode(codec)) : [],
    );
  }

  /** True when packets of this codec can be decoded here. */
  canDecode(codec: string): boolean {
    const transcode = this.#transcodeOf(codec);
    return transcode !== null && this.#has(transcode.decoding);
  }

  /** True when packets of this codec can be made here. */
  canEncode(codec: string): boolean {
    const transcode = this.#transcodeOf(codec);
    return transcode !== null && this.#has(transcode.encoding);
  }

  /** True when audio can go from one format to the other. */
  canTranscode(from: AudioFormat, to: AudioFormat): boolean {
    if (!this.canDecode(from.codec) || !this.canEncode(to.codec)) return false;
    return this.#has(RESAMPLER) || !this.needsConfig(from) && from.sampleRate === to.sampleRate;
  }

  /** True when a decoder is made from a configuration of the source: {@link Codecs.createConfigured}. */
  needsConfig({ codec }: AudioFormat): boolean {
    return this.#transcodeOf(codec)?.configured !== undefined;
  }

  /**
   * @param sampleRate what Opus shall give, one of its rates; the others give what their format says
   * @throws Error when {@link Codecs.canDecode} is false
   */
  createDecoder(format: AudioFormat, sampleRate: number): AudioDecoder {
    return needed(this.#transcodeOf(format.codec)).createDecoder(this, format, sampleRate);
  }

  /** @throws WireError when the config is of an unknown kind */
  createConfigured(format: AudioFormat, config: Uint8Array): AudioDecoder {
    return needed(this.#transcodeOf(format.codec)?.configured).createDecoder(this, config);
  }

  /**
   * @param sampleRate the least that Opus shall take; the others take what their format says
   * @throws Error when {@link Codecs.canEncode} is false
   */
  createEncoder(format: AudioFormat, sampleRate: number): AudioEncoder {
    return needed(this.#transcodeOf(format.codec)).createEncoder(this, format, sampleRate);
  }

  /** @throws Error when its module is missing */
  createResampler(fromRate: number, toRate: number): Resampler {
    return new Resampler(this.of(RESAMPLER), fromRate, toRate);
  }

  of<E extends ModuleExports>(module: CodecModule<E>): CodecLibrary<E> {
    const made = this.#libraries.get(module.file) as CodecLibrary<E> | undefined;
    if (made !== undefined) return made;
    const library = new CodecLibrary(needed(this.#modules.get(module.file)), module);
    this.#libraries.set(module.file, library);
    return library;
  }

  #transcodeOf(codec: string): Transcode | null {
    return this.registry.named(codec)?.transcode ?? null;
  }

  #has(module: CodecModule | undefined): boolean {
    return module === undefined || this.#modules.has(module.file);
  }
}

function needed<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) {
    throw new Error("a codec module is missing");
  }
  return value;
}

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
