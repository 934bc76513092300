// Where playing can start in a file: times and positions in order, in bounded memory. When it is full every
// second entry goes, and from then on only every second one comes in: a longer file has a coarser index.
// Role: machine

export interface KeyFrame {
  readonly timeMs: number;
  /** Its first byte in the file. */
  readonly position: number;
}

/** As many as an hour of one key frame in two seconds, and some. */
export const MAX_KEY_FRAMES = 2048;

/** A list of places, sorted by time and position. */
export class KeyFrameIndex {
  readonly #timesMs: number[] = [];
  readonly #positions: number[] = [];
  readonly #capacity: number;
  #stride = 1;
  #passed = 0;

  /** Empty. @param capacity how many places it remembers, 2 or more */
  constructor(capacity: number = MAX_KEY_FRAMES) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#timesMs.length;
  }

  /** Adds a place behind the last one; anything else is ignored. */
  add(timeMs: number, position: number): void {
    const last = this.size - 1;
    const inOrder = last < 0 || timeMs >= this.#timesMs[last]! && position > this.#positions[last]!;
    if (!inOrder || ++this.#passed < this.#stride) return;
    this.#passed = 0;
    if (this.size >= this.#capacity) this.#thin();
    this.#timesMs.push(timeMs);
    this.#positions.push(position);
  }

  /** The last place at or before `timeMs`; null when there is none. */
  before(timeMs: number): KeyFrame | null {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = low + high >> 1;
      if (this.#timesMs[middle]! <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : this.#at(low - 1);
  }

  entries(): KeyFrame[] {
    return this.#timesMs.map((_time, at) => this.#at(at));
  }

  clear(): void {
    this.#timesMs.length = 0;
    this.#positions.length = 0;
    this.#stride = 1;
    this.#passed = 0;
  }

  #at(index: number): KeyFrame {
    return { timeMs: this.#timesMs[index]!, position: this.#positions[index]! };
  }

  #thin(): void {
    const kept = this.size + 1 >> 1;
    for (let i = 0; i < kept; i++) {
      this.#timesMs[i] = this.#timesMs[2 * i]!;
      this.#positions[i] = this.#positions[2 * i]!;
    }
    this.#timesMs.length = kept;
    this.#positions.length = kept;
    this.#stride *= 2;
  }
}
