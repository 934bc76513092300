// Where packets lie between send() and its settling: the runtime does not copy, so a packet must not change until it
// has left. Packets of all sockets are carved off one slab after the other; a slab that is used up rests until every
// packet in it has left and is then used again, so that a steady stream makes no garbage of buffers.
// Role: machine
// Answers to: nothing in siprtmp, where the system copied.

/** One slab; about 350 packets of 20 ms G.711. */
const SLAB_BYTES = 64 * 1024;

/** Slabs that wait for their packets; when there are more, the oldest is left to the collector. */
const MAX_RESTING = 8;

/** One slab. A packet that fails to leave keeps its slab from being used again: nobody knows when it is free. */
export class SendSlab {
  readonly #bytes = new Uint8Array(SLAB_BYTES);
  #used = 0;
  #pending = 0;
  /** To be called when a packet has left. */
  readonly left = (): void => void this.#pending--;

  /** Whether so many bytes fit. */
  fits(length: number): boolean {
    return this.#used + length <= SLAB_BYTES;
  }

  /** True when every packet has left. */
  get idle(): boolean {
    return this.#pending === 0;
  }

  /** A place for a packet; {@link SendSlab.left} is to be called once when it has left. */
  carve(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#used;
    this.#used = at + length;
    this.#pending++;
    return this.#bytes.subarray(at, at + length);
  }

  /** All of it may be carved again. */
  reuse(): void {
    this.#used = 0;
  }
}

/** The slabs of many sockets. */
export class SendSlabs {
  /** Slabs made so far. */
  made = 0;
  #current: SendSlab | null = null;
  readonly #resting: SendSlab[] = [];

  /** A slab with room for so many bytes, at most 65536. */
  withRoom(length: number): SendSlab {
    const current = this.#current;
    if (current !== null && current.fits(length)) return current;
    if (current !== null) this.#resting.push(current);
    return this.#current = this.#takeRested() ?? this.#make();
  }

  #takeRested(): SendSlab | null {
    const [oldest] = this.#resting;
    if (oldest === undefined) return null;
    if (!oldest.idle) {
      if (this.#resting.length > MAX_RESTING) this.#resting.shift();
      return null;
    }
    this.#resting.shift();
    oldest.reuse();
    return oldest;
  }

  #make(): SendSlab {
    this.made++;
    return new SendSlab();
  }
}
