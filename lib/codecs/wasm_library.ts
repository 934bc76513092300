// One codec library compiled to WebAssembly: its instances, handles inside them, and places in their memory.
// Codecs of one library share an instance; one that traps (a broken stream found a bug) loses its instance, and
// everything opened later gets a fresh one. A library can also be asked for an instance per codec.
// Role: machine

import { WireError } from "../base/errors.ts";

/** What every module of scripts/codecs exports. */
export interface ModuleExports {
  /** The module's memory; it grows, and views of it then end. */
  readonly memory: WebAssembly.Memory;
  /** Gives the address of so many zeroed octets; 0 when there are none left. */
  allocate(octets: number): number;
  release(address: number): void;
}

/** One module of WebAssembly: where it is, and how its instances are made. */
export interface CodecModule<E extends ModuleExports = ModuleExports> {
  /** Of its file, without `.wasm`. */
  readonly file: string;
  readonly name: string;
  /** Octets of the place that packets or samples are put into. */
  readonly inputOctets: number;
  /** Octets of the place that results come from. */
  readonly outputOctets: number;
  /** True: every codec gets an instance of its own, so that a hostile stream reaches nobody else's memory. */
  readonly isolated?: boolean;
  /** Never there: ties the module to what it exports. */
  readonly exports?: E;
}

export class CodecLibrary<E extends ModuleExports> {
  readonly options: CodecModule<E>;
  readonly #module: WebAssembly.Module;
  #shared: CodecInstance<E> | null = null;

  /** Makes no instance yet. @param module compiled from the bytes that scripts/codecs builds */
  constructor(module: WebAssembly.Module, options: CodecModule<E>) {
    this.#module = module;
    this.options = options;
  }

  instance(): CodecInstance<E> {
    if (this.options.isolated === true) return new CodecInstance(this.#module, this.options);
    return this.#shared ??= new CodecInstance(this.#module, this.options);
  }

  /** Opens nothing more in an instance that cannot be trusted or is full. */
  abandon(instance: CodecInstance<E>): void {
    if (this.#shared === instance) this.#shared = null;
  }
}

/** One running module with a place for input and one for output, shared by its codecs. */
export class CodecInstance<E extends ModuleExports> {
  readonly exports: E;
  /** Where packets to decode and samples to encode go. */
  readonly input: Place;
  readonly output: Place;

  constructor(module: WebAssembly.Module, options: CodecModule<E>) {
    this.exports = new WebAssembly.Instance(module).exports as unknown as E;
    this.input = new Place(this.exports, options.inputOctets);
    this.output = new Place(this.exports, options.outputOctets);
  }
}

/** Octets inside a module's memory. Views are made again when the memory has grown. */
class Place {
  readonly address: number;
  readonly #memory: WebAssembly.Memory;
  readonly #size: number;
  #octets: Uint8Array = new Uint8Array(0);
  #samples: Int16Array = new Int16Array(0);
  #someOctets: Uint8Array = new Uint8Array(0);
  #someSamples: Int16Array = new Int16Array(0);

  /** Takes `size` octets from the module. */
  constructor(exports: ModuleExports, size: number) {
    this.#memory = exports.memory;
    this.#size = size;
    this.address = exports.allocate(size);
    if (this.address === 0) throw new Error("A codec module has no memory left");
  }

  /** All of it as octets. */
  get octets(): Uint8Array {
    if (this.#octets.length === 0) {
      this.#octets = new Uint8Array(this.#memory.buffer, this.address, this.#size);
    }
    return this.#octets;
  }

  /** All of it as 16-bit samples. */
  get samples(): Int16Array {
    if (this.#samples.length === 0) {
      this.#samples = new Int16Array(this.#memory.buffer, this.address, this.#size >> 1);
    }
    return this.#samples;
  }

  /** The first octets; the same object as long as the number stays the same. */
  firstOctets(count: number): Uint8Array {
    if (this.#someOctets.length !== count) this.#someOctets = this.octets.subarray(0, count);
    return this.#someOctets;
  }

  /** The first samples; the same object as long as the number stays the same. */
  firstSamples(count: number): Int16Array {
    if (this.#someSamples.length !== count) this.#someSamples = this.samples.subarray(0, count);
    return this.#someSamples;
  }
}

interface HandleFunctions<E extends ModuleExports> {
  /** Gives the handle, or 0 when the module cannot. */
  readonly open: (instance: CodecInstance<E>) => number;
  readonly close: (exports: E, handle: number) => void;
}

/** One encoder or decoder inside an instance; it survives a trap by starting over in a fresh instance. */
export class CodecHandle<E extends ModuleExports> implements Disposable {
  /** Where it lives now. */
  instance: CodecInstance<E>;
  handle: number;
  readonly #library: CodecLibrary<E>;
  readonly #functions: HandleFunctions<E>;
  #closed = false;

  /** Opens the codec. @throws Error when the module refuses twice: its options are wrong */
  constructor(library: CodecLibrary<E>, functions: HandleFunctions<E>) {
    this.#library = library;
    this.#functions = functions;
    this.instance = library.instance();
    this.handle = functions.open(this.instance);
    if (this.handle === 0) this.#startOver();
  }

  /** Copies a packet to the input place. @throws WireError when it is larger than any packet may be */
  putPacket(packet: Uint8Array): void {
    const { name, inputOctets } = this.#library.options;
    if (packet.length > inputOctets) {
      throw new WireError(`${name} packet`, `${packet.length} octets are too many`);
    }
    this.instance.input.octets.set(packet);
  }

  /** What to throw after `error` came out of the module: a trap costs this codec its state and nothing else. */
  failed(error: unknown): unknown {
    if (!(error instanceof WebAssembly.RuntimeError)) return error;
    this.#startOver();
    return new WireError(`${this.#library.options.name} packet`, `the codec stopped: ${error.message}`);
  }

  /** Gives the codec back to its instance. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#functions.close(this.instance.exports, this.handle);
  }

  #startOver(): void {
    this.#library.abandon(this.instance);
    this.instance = this.#library.instance();
    this.handle = this.#functions.open(this.instance);
    if (this.handle === 0) {
      throw new Error(`${this.#library.options.name} cannot be opened with these options`);
    }
  }
}

/** What encoders and decoders share: their handle, from their making to their disposal. */
export abstract class WasmCodec<E extends ModuleExports> implements Disposable {
  protected readonly core: CodecHandle<E>;

  constructor(library: CodecLibrary<E>, functions: HandleFunctions<E>) {
    this.core = new CodecHandle(library, functions);
  }

  [Symbol.dispose](): void {
    this.core[Symbol.dispose]();
  }
}

export abstract class WasmEncoder<E extends ModuleExports> extends WasmCodec<E> {
  /** One packet, borrowed until the next one of the same module. */
  encode(samples: Int16Array): Uint8Array {
    const { handle, instance } = this.core;
    instance.input.samples.set(samples);
    try {
      return instance.output.firstOctets(this.encodeInput(instance, handle));
    } catch (error) {
      throw this.core.failed(error);
    }
  }

  /** Encodes what is in the input place; gives the octets that are then in the output place. */
  protected abstract encodeInput(instance: CodecInstance<E>, handle: number): number;
}
