// Counts of durations in bins whose width grows with the value: 32 bins per doubling, so a percentile is right to
// about 2 %. Recording is an array increment; two histograms add up; a histogram travels as a short list.
// Role: machine

/** Bins of each doubling: 2 to the power of this. */
const FINE_BITS = 5;
const FINE = 1 << FINE_BITS;
/** Values up to 2^31 microseconds: 35 minutes. */
const BINS = (32 - FINE_BITS) * FINE;

/** A histogram as JSON: pairs of bin and count, the exact largest value, the exact sum. */
export interface HistogramData {
  /** Bin number and count, in turn. */
  readonly bins: readonly number[];
  /** Largest value, in microseconds. */
  readonly maxUs: number;
  /** Sum of all values, in microseconds. */
  readonly sumUs: number;
}

/** What is told of a histogram, in ms. */
export interface Percentiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Durations in microseconds. */
export class Histogram {
  readonly #counts = new Float64Array(BINS);
  #count = 0;
  #maxUs = 0;
  #sumUs = 0;

  /** Adds up what others have recorded. */
  static sum(parts: Iterable<HistogramData>): Histogram {
    const total = new Histogram();
    for (const part of parts) total.#add(part);
    return total;
  }

  /** How many values there are. */
  get count(): number {
    return this.#count;
  }

  /** Largest value, exact. */
  get maxUs(): number {
    return this.#maxUs;
  }

  /** Mean, exact; 0 without values. */
  get meanUs(): number {
    return this.#count === 0 ? 0 : this.#sumUs / this.#count;
  }

  /** Adds a value; negative ones count as 0. */
  record(us: number): void {
    const value = us > 0 ? us : 0;
    this.#counts[binOf(value)]!++;
    this.#count++;
    this.#sumUs += value;
    if (value > this.#maxUs) this.#maxUs = value;
  }

  /** The value that `share` (0..1) of all values do not exceed, to the width of a bin; 0 without values. */
  percentileUs(share: number): number {
    if (this.#count === 0) return 0;
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (let bin = 0; bin < BINS; bin++) {
      seen += this.#counts[bin]!;
      if (seen >= rank) return Math.min(topOf(bin), this.#maxUs);
    }
    return this.#maxUs;
  }

  /** What is told of it. */
  percentiles(): Percentiles {
    return {
      count: this.#count,
      p50Ms: this.percentileUs(0.5) / 1000,
      p99Ms: this.percentileUs(0.99) / 1000,
      maxMs: this.#maxUs / 1000,
    };
  }

  /** Forgets everything. */
  clear(): void {
    this.#counts.fill(0);
    this.#count = this.#maxUs = this.#sumUs = 0;
  }

  /** As JSON. */
  toJSON(): HistogramData {
    const bins: number[] = [];
    this.#counts.forEach((count, bin) => count > 0 && bins.push(bin, count));
    return { bins, maxUs: this.#maxUs, sumUs: this.#sumUs };
  }

  #add(part: HistogramData): void {
    for (let i = 0; i + 1 < part.bins.length; i += 2) {
      const [bin, count] = [part.bins[i]!, part.bins[i + 1]!];
      this.#counts[bin]! += count;
      this.#count += count;
    }
    this.#sumUs += part.sumUs;
    this.#maxUs = Math.max(this.#maxUs, part.maxUs);
  }
}

function binOf(us: number): number {
  const value = Math.min(us, 0x7fffffff) | 0;
  if (value < FINE) return value;
  const doubling = 31 - Math.clz32(value) - FINE_BITS;
  return (doubling + 1) * FINE + (value >> doubling) - FINE;
}

/** Largest value of a bin. */
function topOf(bin: number): number {
  if (bin < FINE) return bin;
  const doubling = Math.floor(bin / FINE) - 1;
  return ((bin % FINE + FINE + 1) * 2 ** doubling) - 1;
}
