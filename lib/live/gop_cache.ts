// The tags of a stream since its last key frame, so that a late joiner sees a picture at once. All bodies are in
// one buffer that is filled again from its start at each key frame: nothing is allocated per tag.
// Bounded in bytes, tags and time: when a group of pictures is longer, nothing of it is kept.
// Role: machine

const FIRST_BYTES = 64 * 1024;
const MAX_TAGS = 8192;
/** A longer group of pictures, or one whose times jump by more, is not kept: who joins does not begin so far in the past. */
const MAX_GROUP_MS = 30_000;
/** Pictures that have stopped for so long are not kept either, whatever goes on beside them. */
const PICTURES_STOP_MS = 3_000;
const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0);

export class GopCache implements Disposable {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #bytes: Uint8Array<ArrayBuffer> = NO_BYTES;
  readonly #types: (8 | 9 | 18)[] = [];
  readonly #timesMs: number[] = [];
  readonly #arrivalsMs: number[] = [];
  #picture = 0;
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
   * @param nowMs when it came, on a clock that never jumps
   */
  add(type: 8 | 9 | 18, timeMs: number, body: Uint8Array, nowMs = 0): boolean {
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
    this.#arrivalsMs.push(nowMs);
    if (type === 9) this.#picture = this.size - 1;
    this.#ends.push(end);
    return true;
  }

  /** True when what is here is too old to begin with: the group is too long, or its pictures have stopped. */
  isStale(timeMs: number, nowMs: number): boolean {
    if (this.size === 0) return false;
    return this.#apartMs(0, timeMs, nowMs) > MAX_GROUP_MS ||
      this.#apartMs(this.#picture, timeMs, nowMs) > PICTURES_STOP_MS;
  }

  /** When tag `at` came. */
  arrivedMsAt(at: number): number {
    return this.#arrivalsMs[at]!;
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

  [Symbol.dispose](): void {
    this.close();
  }

  /** By the publisher's clock or by ours: either may stand still while the other goes on, the publisher's may jump. */
  #apartMs(at: number, timeMs: number, nowMs: number): number {
    return Math.max(Math.abs(timeMs - this.#timesMs[at]!), nowMs - this.#arrivalsMs[at]!);
  }

  #forget(): void {
    this.#open = false;
    this.#types.length = 0;
    this.#timesMs.length = 0;
    this.#arrivalsMs.length = 0;
    this.#picture = 0;
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

/** Bytes to be shared. */
export class ByteBudget {
  readonly #total: number;
  #used = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Bytes taken and not given back. */
  get used(): number {
    return this.#used;
  }

  /** Takes bytes; false, and nothing is taken, when so many are not left. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#total) return false;
    this.#used += bytes;
    return true;
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#used -= bytes;
  }
}
