// The tags of a stream since its last key frame, so that a late joiner sees a picture at once. All bodies are in
// one buffer that is filled again from its start at each key frame: nothing is allocated per tag.
// Bounded: when a group of pictures is longer than the buffer may be, nothing of it is kept.
// Role: machine
// Answers to: the wirecast application of rtmp.py, which let a late joiner wait for the next intra frame.

import type { ByteBudget } from "./byte_budget.ts";

const FIRST_BYTES = 64 * 1024;
const MAX_TAGS = 8192;
const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** Tags from a key frame on. */
export class GopCache implements Disposable {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #bytes: Uint8Array<ArrayBuffer> = NO_BYTES;
  readonly #types: (8 | 9 | 18)[] = [];
  readonly #timesMs: number[] = [];
  /** Where each body ends; it begins where the one before ends. */
  readonly #ends: number[] = [];
  #open = false;

  /** Empty and closed. @param maxBytes bodies of one group that are kept at most */
  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** True when all tags since a key frame are here. */
  get open(): boolean {
    return this.#open;
  }

  /** How many tags are here. */
  get size(): number {
    return this.#types.length;
  }

  /** A key frame comes: what was before it is forgotten. */
  begin(): void {
    this.#forget();
    this.#open = true;
  }

  /**
   * Keeps a copy of a tag; false when the cache is not open. When the tag does not fit it is open no more; what
   * is in it stays until close() or begin().
   */
  add(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    if (!this.#open) return false;
    const start = this.#ends.at(-1) ?? 0;
    const end = start + body.length;
    if (this.size >= MAX_TAGS || !this.#makeRoom(start, end)) {
      this.#open = false;
      return false;
    }
    this.#bytes.set(body, start);
    this.#types.push(type);
    this.#timesMs.push(timeMs);
    this.#ends.push(end);
    return true;
  }

  /** Type of tag `at`. */
  typeAt(at: number): 8 | 9 | 18 {
    return this.#types[at]!;
  }

  /** Time of tag `at`. */
  timeMsAt(at: number): number {
    return this.#timesMs[at]!;
  }

  /** Body of tag `at`: a view, valid until the next call that changes the cache. */
  bodyAt(at: number): Uint8Array {
    return this.#bytes.subarray(at === 0 ? 0 : this.#ends[at - 1]!, this.#ends[at]!);
  }

  /** Forgets everything, memory included, until begin(). */
  close(): void {
    this.#forget();
    this.#budget.give(this.#bytes.length);
    this.#bytes = NO_BYTES;
  }

  /** As {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #forget(): void {
    this.#open = false;
    this.#types.length = 0;
    this.#timesMs.length = 0;
    this.#ends.length = 0;
  }

  #makeRoom(used: number, needed: number): boolean {
    const have = this.#bytes.length;
    if (needed <= have) return true;
    if (needed > this.#maxBytes) return false;
    const length = Math.min(this.#maxBytes, Math.max(needed, 2 * have, FIRST_BYTES));
    if (!this.#budget.take(length - have)) return false;
    const larger = new Uint8Array(length);
    larger.set(this.#bytes.subarray(0, used));
    this.#bytes = larger;
    return true;
  }
}
