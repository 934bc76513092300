// Samples on their way from a decoder to an encoder: a bounded ring. When it is full the oldest go, and the
// cut is blended so that it does not click.
// Role: machine

const BLEND_MS = 5;

/** A first-in first-out store of 16-bit samples. */
export class PcmRing {
  /** Samples that were cut because nobody took them in time. */
  dropped = 0;
  readonly #samples: Int16Array;
  readonly #blend: number;
  #start = 0;
  #length = 0;

  /** An empty ring. @param capacity the most samples it holds; @param sampleRate for the length of the blend */
  constructor(capacity: number, sampleRate: number) {
    this.#samples = new Int16Array(capacity);
    this.#blend = Math.min(capacity >> 1, Math.floor(BLEND_MS * sampleRate / 1000));
  }

  get length(): number {
    return this.#length;
  }

  /** The most it holds. */
  get capacity(): number {
    return this.#samples.length;
  }

  /** Appends samples[from..to); cuts the oldest when they do not fit. */
  write(samples: Int16Array, from: number, to: number): void {
    const ring = this.#samples;
    const first = Math.max(from, to - ring.length);
    this.dropped += first - from;
    const excess = this.#length + (to - first) - ring.length;
    if (excess > 0) this.#cut(excess);
    let at = this.#wrap(this.#start + this.#length);
    for (let i = first; i < to; i++) {
      ring[at] = samples[i]!;
      if (++at === ring.length) at = 0;
    }
    this.#length += to - first;
  }

  /** Takes the oldest samples into `into`; false, and nothing taken, when there are fewer. */
  read(into: Int16Array): boolean {
    if (this.#length < into.length) return false;
    const ring = this.#samples;
    let at = this.#start;
    for (let i = 0; i < into.length; i++) {
      into[i] = ring[at]!;
      if (++at === ring.length) at = 0;
    }
    this.#start = at;
    this.#length -= into.length;
    return true;
  }

  /** Drops the oldest `count` samples, blended; fewer when there are fewer. */
  skip(count: number): void {
    this.#cut(Math.min(count, this.#length));
  }

  clear(): void {
    this.#start = this.#length = 0;
  }

  /** The first samples that stay begin as those that go, and end as themselves. */
  #cut(count: number): void {
    const ring = this.#samples;
    const blend = Math.min(this.#blend, count, this.#length - count);
    for (let i = 0; i < blend; i++) {
      const weight = (i + 1) / (blend + 1);
      const stays = this.#wrap(this.#start + count + i);
      const goes = ring[this.#wrap(this.#start + i)]!;
      ring[stays] = ring[stays]! * weight + goes * (1 - weight);
    }
    this.#start = this.#wrap(this.#start + count);
    this.#length -= count;
    this.dropped += count;
  }

  #wrap(at: number): number {
    return at % this.#samples.length;
  }
}
