// Hides lost audio: repeats the last pitch period of what was heard, fading out, and glides into what comes next.
// The method is that of ITU-T G.711 Appendix I with its times (history 48 ms, pitch 5-15 ms, silent after
// 60 ms), without the appendix's delay: the seam at the start is hidden by letting the step decay instead.
// Role: machine

const HISTORY_MS = 48;
const MIN_PITCH_MS = 5;
const MAX_PITCH_MS = 15;
const MATCH_MS = 20;
/** The step between what was heard and what is repeated decays in this time. */
const SEAM_MS = 2;
/** Full level for so long, then a straight line down to silence. */
const HOLD_MS = 10;
const SILENT_MS = 60;
/** How long the repetition glides into the real audio. */
const GLIDE_MS = 5;

/** What was heard last, and what to play when nothing comes. One for each direction of a call. */
export class LossConcealer {
  readonly #history: Int16Array;
  readonly #perMs: number;
  /** The period that is repeated; its seam is smoothed. */
  readonly #period: Int16Array;
  #periodSamples = 0;
  /** Samples concealed since real audio ended; 0 while it flows. */
  #concealed = 0;
  #phase = 0;
  #step = 0;
  #glideLeft = 0;

  /** Has heard nothing yet. @param sampleRate 8000 to 48000 */
  constructor(sampleRate: number) {
    this.#perMs = sampleRate / 1000;
    this.#history = new Int16Array(Math.ceil(HISTORY_MS * this.#perMs));
    this.#period = new Int16Array(Math.ceil(MAX_PITCH_MS * this.#perMs) + 1);
  }

  /** True once a gap has lasted so long that only silence is left of the repetition. */
  get faded(): boolean {
    return this.#concealed >= SILENT_MS * this.#perMs;
  }

  /** Real audio: its start is blended with the repetition when there was a gap before it; then remembered. */
  heard(samples: Int16Array, from: number, to: number): void {
    if (this.#concealed > 0) this.#startGlide();
    for (let i = from; i < to && this.#glideLeft > 0; i++, this.#glideLeft--) {
      const weight = this.#glideLeft / (GLIDE_MS * this.#perMs);
      samples[i] = samples[i]! * (1 - weight) + this.#next() * weight;
    }
    if (this.#glideLeft === 0) this.#concealed = 0;
    this.#remember(samples, from, to);
  }

  /** Fills `samples` with what the missing audio may have been. */
  conceal(samples: Int16Array, from: number, to: number): void {
    if (this.#concealed === 0) this.#findPeriod();
    this.#glideLeft = 0;
    for (let i = from; i < to; i++) samples[i] = this.#next();
    this.#remember(samples, from, to);
  }

  #startGlide(): void {
    if (this.#glideLeft === 0) this.#glideLeft = Math.floor(GLIDE_MS * this.#perMs);
  }

  /** The next repeated sample. */
  #next(): number {
    const at = this.#concealed++;
    const fade = 1 - (at / this.#perMs - HOLD_MS) / (SILENT_MS - HOLD_MS);
    if (fade <= 0) return 0;
    const sample = this.#period[this.#phase]!;
    if (++this.#phase === this.#periodSamples) this.#phase = 0;
    const seam = 1 - at / (SEAM_MS * this.#perMs);
    const whole = sample + (seam > 0 ? this.#step * seam : 0);
    const limited = whole > 32767 ? 32767 : whole < -32768 ? -32768 : whole;
    return Math.trunc(fade >= 1 ? limited : limited * fade);
  }

  #remember(samples: Int16Array, from: number, to: number): void {
    const history = this.#history;
    const count = Math.min(to - from, history.length);
    history.copyWithin(0, count);
    for (let i = 0; i < count; i++) history[history.length - count + i] = samples[to - count + i]!;
  }

  /** Takes the period that fits the last 20 ms best, and blends its end into what came before its start. */
  #findPeriod(): void {
    const lag = this.#bestLag();
    const history = this.#history;
    const start = history.length - lag;
    const blend = lag >> 2;
    for (let i = 0; i < lag; i++) {
      const weight = i < lag - blend ? 0 : (i - (lag - blend) + 1) / (blend + 1);
      const before = weight === 0 ? 0 : history[start - lag + i]!;
      this.#period[i] = history[start + i]! * (1 - weight) + before * weight;
    }
    this.#periodSamples = lag;
    this.#phase = 0;
    const expected = history[start]! - history[start - 1]!;
    this.#step = history[history.length - 1]! + expected - this.#period[0]!;
  }

  /** The lag of 5 to 15 ms with the greatest normalised correlation; coarsely, then exactly. */
  #bestLag(): number {
    const stride = Math.max(1, Math.floor(this.#perMs / 4));
    const from = Math.floor(MIN_PITCH_MS * this.#perMs);
    const to = Math.ceil(MAX_PITCH_MS * this.#perMs);
    const coarse = this.#searchLag(from, to, stride, stride);
    return this.#searchLag(Math.max(from, coarse - stride), Math.min(to, coarse + stride), 1, stride);
  }

  #searchLag(from: number, to: number, step: number, stride: number): number {
    let best = from;
    let bestScore = -Infinity;
    for (let lag = from; lag <= to; lag += step) {
      const score = this.#score(lag, stride);
      if (score <= bestScore) continue;
      bestScore = score;
      best = lag;
    }
    return best;
  }

  #score(lag: number, stride: number): number {
    const history = this.#history;
    const start = history.length - Math.floor(MATCH_MS * this.#perMs);
    let product = 0;
    let energy = 1;
    for (let i = start; i < history.length; i += stride) {
      const past = history[i - lag]!;
      product += history[i]! * past;
      energy += past * past;
    }
    return product * Math.abs(product) / energy;
  }
}
