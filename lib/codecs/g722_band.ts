// One sub-band of G.722: the adaptive predictor (two poles, six zeros) and the adaptive quantiser scale that
// encoder and decoder run alike. ITU-T G.722 (1988) 3.6; arithmetic is 16-bit with the standard's shifts.
// Role: machine

const ZEROS = 6;

/** Multipliers of the scale's logarithm for the lower band, by the four upper bits of the code (W_L, table 13). */
const LOWER_STEPS = new Int16Array([
  -60,
  3042,
  1198,
  538,
  334,
  172,
  58,
  -30,
  3042,
  1198,
  538,
  334,
  172,
  58,
  -30,
  -60,
]);
/** The same for the higher band, by code (W_H, table 14). */
const HIGHER_STEPS = new Int16Array([798, -214, 798, -214]);
/** 2048 * 2^(i/32): the scale from the fraction of its logarithm (table 15). */
const INVERSE_LOG = Int16Array.from({ length: 32 }, (_, i) => Math.round(2048 * 2 ** (i / 32)));

const LOWER_LIMIT = 18432;
const HIGHER_LIMIT = 22528;

/** The state of one sub-band. */
export class G722Band {
  prediction = 0;
  /** The quantiser's scale. */
  scale: number;
  readonly #higher: boolean;
  #logScale = 0;
  #zeroPart = 0;
  #pole1 = 0;
  #pole2 = 0;
  #rebuilt1 = 0;
  #rebuilt2 = 0;
  #partial1 = 0;
  #partial2 = 0;
  readonly #zeros = new Int16Array(ZEROS);
  readonly #differences = new Int16Array(ZEROS);

  /** Starts as the standard says after a reset. */
  constructor(higher: boolean) {
    this.#higher = higher;
    this.scale = higher ? 8 : 32;
  }

  /** Adapts the scale to a code: the four upper bits of a lower band code, or a higher band code. */
  adaptScale(code: number): void {
    const step = this.#higher ? HIGHER_STEPS[code]! : LOWER_STEPS[code]!;
    const limit = this.#higher ? HIGHER_LIMIT : LOWER_LIMIT;
    const log = Math.min(limit, Math.max(0, (this.#logScale * 127 >> 7) + step));
    this.#logScale = log;
    const shift = (this.#higher ? 10 : 8) - (log >> 11);
    const fraction = INVERSE_LOG[log >> 6 & 31]!;
    this.scale = (shift < 0 ? fraction << -shift : fraction >> shift) << 2;
  }

  /** Takes the quantised difference and predicts the next sample. */
  adaptPredictor(difference: number): void {
    const rebuilt = clip(this.prediction + difference);
    const partial = clip(this.#zeroPart + difference);
    this.#adaptPoles(partial);
    this.#adaptZeros(difference);
    this.#rebuilt2 = this.#rebuilt1;
    this.#rebuilt1 = rebuilt;
    const polePart = clip(
      (this.#pole1 * clip(rebuilt << 1) >> 15) + (this.#pole2 * clip(this.#rebuilt2 << 1) >> 15),
    );
    this.prediction = clip(polePart + this.#zeroPart);
  }

  /** 3.6.4: UPPOL2, UPPOL1. */
  #adaptPoles(partial: number): void {
    const same1 = (partial ^ this.#partial1) >= 0;
    const same2 = (partial ^ this.#partial2) >= 0;
    const push = clip(this.#pole1 << 2);
    let pole2 = (same2 ? 128 : -128) + ((same1 ? clip(-push) : push) >> 7) + (this.#pole2 * 32512 >> 15);
    pole2 = Math.min(12288, Math.max(-12288, pole2));
    const limit = 15360 - pole2;
    const pole1 = (same1 ? 192 : -192) + (this.#pole1 * 32640 >> 15);
    this.#pole1 = Math.min(limit, Math.max(-limit, pole1));
    this.#pole2 = pole2;
    this.#partial2 = this.#partial1;
    this.#partial1 = partial;
  }

  /** 3.6.3: UPZERO, FILTEZ. */
  #adaptZeros(difference: number): void {
    const zeros = this.#zeros;
    const past = this.#differences;
    const step = difference === 0 ? 0 : 128;
    let sum = 0;
    for (let i = ZEROS - 1; i >= 0; i--) {
      const same = (difference ^ past[i]!) >= 0;
      zeros[i] = clip((same ? step : -step) + (zeros[i]! * 32640 >> 15));
      past[i] = i > 0 ? past[i - 1]! : difference;
      sum += zeros[i]! * clip(past[i]! << 1) >> 15;
    }
    this.#zeroPart = clip(sum);
  }
}

/** Into 16 bits. */
export function clip(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}
