// How much of each of eight frequencies is in a sliding window of sound: the Goertzel filter, block by block. A window
// is several blocks; each block is filtered once, and the windows that share it add up its results, each turned by the
// phase that lies between.
// Role: machine

const TONES = 8;

/** The coefficient of the Goertzel filter for a frequency: 2 cos w. */
export function goertzelCoefficient(hz: number, sampleRate: number): number {
  return 2 * Math.cos(2 * Math.PI * hz / sampleRate);
}

/** Numbers of one frequency, one after the other in a table. */
const COEFFICIENT = 0;
const COS = 1;
const SIN = 2;
const TURN_COS = 3;
const TURN_SIN = 4;
const NUMBERS = 5;

interface ToneBank {
  readonly block: number;
  readonly blocks: number;
  /** The numbers of each frequency. */
  readonly table: Float64Array;
}

/**
 * Prepares filters.
 * @param frequencies eight, in Hz
 * @param block samples from one window to the next
 * @param blocks blocks of a window
 */
export function createToneBank(
  frequencies: readonly number[],
  sampleRate: number,
  block: number,
  blocks: number,
): ToneBank {
  if (frequencies.length !== TONES) throw new Error(`${TONES} frequencies are measured together`);
  const numbers = frequencies.flatMap((hz) => {
    const radians = 2 * Math.PI * hz / sampleRate;
    const turn = radians * block;
    return [2 * Math.cos(radians), Math.cos(radians), Math.sin(radians), Math.cos(turn), Math.sin(turn)];
  });
  return { block, blocks, table: Float64Array.from(numbers) };
}

/**
 * Measures eight frequencies in windows that overlap.
 *
 * That is the same sum as filtering every window whole, at a fraction of the work. Level and slope of the sound come
 * cheaper still, without any filter: who needs no more than those to say no, asks for nothing else, and the blocks
 * are not filtered at all.
 */
export class ToneFilter {
  readonly #table: Float64Array;
  readonly #block: number;
  readonly #blocks: number;
  /** The samples of the window, block by block, the oldest where the next will be written. */
  readonly #samples: Int16Array;
  readonly #energies: Float64Array;
  /** Energy of the differences from sample to sample, per block. */
  readonly #slopes: Float64Array;
  /** 1 for blocks whose lower (and, behind those, upper) four tones were filtered. */
  readonly #known: Uint8Array;
  /** Real and imaginary part of each tone in each block. */
  readonly #sums: Float64Array;
  readonly #powers = new Float64Array(TONES);
  #filled = 0;
  #slot = 0;
  #complete = 0;
  #last = 0;

  /** Empty. */
  constructor({ block, blocks, table }: ToneBank) {
    this.#table = table;
    this.#block = block;
    this.#blocks = blocks;
    this.#samples = new Int16Array(block * blocks);
    this.#energies = new Float64Array(blocks);
    this.#slopes = new Float64Array(blocks);
    this.#known = new Uint8Array(2 * blocks);
    this.#sums = new Float64Array(blocks * 2 * TONES);
  }

  /** True when the last fill() has completed a window. */
  get ready(): boolean {
    return this.#filled === 0 && this.#complete >= this.#blocks;
  }

  get meanSquare(): number {
    return sumOf(this.#energies) / this.#samples.length;
  }

  /**
   * Energy of the steps from sample to sample, as a share of the energy of the samples: 2 - 2 cos w for a sine, and
   * for several sines the mean of theirs, by power.
   */
  get slope(): number {
    return sumOf(this.#slopes) / sumOf(this.#energies);
  }

  /** Takes samples from `at` on, at most up to the end of the block; returns how many. */
  fill(samples: Int16Array, at: number): number {
    const window = this.#samples;
    const start = this.#slot * this.#block + this.#filled;
    const taken = Math.min(this.#block - this.#filled, samples.length - at);
    for (let i = 0; i < taken; i++) window[start + i] = samples[at + i]!;
    return this.#add(start, taken);
  }

  /** The same for octets that stand for a sample each, as in G.711. @param samples by octet */
  fillCoded(octets: Uint8Array, at: number, samples: Int16Array): number {
    const window = this.#samples;
    const start = this.#slot * this.#block + this.#filled;
    const taken = Math.min(this.#block - this.#filled, octets.length - at);
    for (let i = 0; i < taken; i++) window[start + i] = samples[octets[at + i]!]!;
    return this.#add(start, taken);
  }

  reset(): void {
    this.#filled = 0;
    this.#complete = 0;
    this.#last = 0;
  }

  /**
   * Mean square that four of the frequencies have in the window, at their places among all eight; the other places keep
   * what they had. Valid until the next call.
   */
  measure(half: "lower" | "upper"): Float64Array {
    const from = half === "lower" ? 0 : TONES / 2;
    const known = half === "lower" ? 0 : this.#blocks;
    for (let slot = 0; slot < this.#blocks; slot++) {
      if (this.#known[known + slot] === 1) continue;
      this.#known[known + slot] = 1;
      this.#filter(slot, from);
    }
    const scale = 2 / this.#samples.length ** 2;
    for (let tone = from; tone < from + TONES / 2; tone++) {
      const turnCos = this.#table[tone * NUMBERS + TURN_COS]!;
      const turnSin = this.#table[tone * NUMBERS + TURN_SIN]!;
      let re = 0;
      let im = 0;
      let at = 2 * (this.#slot * TONES + tone);
      for (let i = 0; i < this.#blocks; i++) {
        const turned = re * turnCos - im * turnSin + this.#sums[at]!;
        im = re * turnSin + im * turnCos + this.#sums[at + 1]!;
        re = turned;
        at += 2 * TONES;
        if (at >= this.#sums.length) at -= this.#sums.length;
      }
      this.#powers[tone] = (re * re + im * im) * scale;
    }
    return this.#powers;
  }

  /** Mean square that any frequency has in the window, by its coefficient; takes as long as all the others. */
  powerAt(coefficient: number): number {
    const { length } = this.#samples;
    let before = 0;
    let last = 0;
    let at = this.#slot * this.#block;
    for (let i = 0; i < length; i++) {
      const next = this.#samples[at]! + coefficient * last - before;
      before = last;
      last = next;
      if (++at === length) at = 0;
    }
    return 2 * (last * last + before * before - coefficient * last * before) / (length * length);
  }

  #add(start: number, count: number): number {
    const window = this.#samples;
    const slot = this.#slot;
    let energy = this.#filled === 0 ? 0 : this.#energies[slot]!;
    let slope = this.#filled === 0 ? 0 : this.#slopes[slot]!;
    let last = this.#last;
    for (let i = start; i < start + count; i++) {
      const sample = window[i]!;
      const step = sample - last;
      energy += sample * sample;
      slope += step * step;
      last = sample;
    }
    this.#energies[slot] = energy;
    this.#slopes[slot] = slope;
    this.#last = last;
    this.#filled += count;
    if (this.#filled === this.#block) this.#completeBlock();
    return count;
  }

  #completeBlock(): void {
    this.#known[this.#slot] = 0;
    this.#known[this.#blocks + this.#slot] = 0;
    this.#slot = (this.#slot + 1) % this.#blocks;
    this.#filled = 0;
    if (this.#complete < this.#blocks) this.#complete++;
  }

  /** Four filters side by side: none waits for its own last result alone. */
  #filter(slot: number, from: number): void {
    const ca = this.#table[from * NUMBERS + COEFFICIENT]!;
    const cb = this.#table[(from + 1) * NUMBERS + COEFFICIENT]!;
    const cc = this.#table[(from + 2) * NUMBERS + COEFFICIENT]!;
    const cd = this.#table[(from + 3) * NUMBERS + COEFFICIENT]!;
    let a1 = 0;
    let a2 = 0;
    let b1 = 0;
    let b2 = 0;
    let c1 = 0;
    let c2 = 0;
    let d1 = 0;
    let d2 = 0;
    const samples = this.#samples;
    const end = (slot + 1) * this.#block;
    for (let i = end - this.#block; i < end; i++) {
      const x = samples[i]!;
      const a0 = x + ca * a1 - a2;
      const b0 = x + cb * b1 - b2;
      const c0 = x + cc * c1 - c2;
      const d0 = x + cd * d1 - d2;
      a2 = a1;
      b2 = b1;
      c2 = c1;
      d2 = d1;
      a1 = a0;
      b1 = b0;
      c1 = c0;
      d1 = d0;
    }
    this.#keep(slot, from, a1, a2);
    this.#keep(slot, from + 1, b1, b2);
    this.#keep(slot, from + 2, c1, c2);
    this.#keep(slot, from + 3, d1, d2);
  }

  #keep(slot: number, tone: number, last: number, before: number): void {
    const cos = this.#table[tone * NUMBERS + COS]!;
    const sin = this.#table[tone * NUMBERS + SIN]!;
    const at = 2 * (slot * TONES + tone);
    this.#sums[at] = last - cos * before;
    this.#sums[at + 1] = sin * before;
  }
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum;
}
