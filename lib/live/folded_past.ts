// The times of pictures that a late joiner needs although they are past: folded into the second before its sound, so that
// the player does not begin in the past, nor sit there without sound. Their order stays, that of B frames too.
// Role: machine

import type { Tag } from "../media/tag.ts";

const COMPOSITION_OCTETS = 3;

/** Folds what is between two times into the end of it; before it is used nothing is folded. */
export class FoldedPast {
  #fromMs = 0;
  #toMs = 0;
  #scale = 1;
  #copy = new Uint8Array(0);

  /** From now on times from `fromMs` to `toMs` are folded into `lengthMs` before `toMs`, when they are longer. */
  begin(fromMs: number, toMs: number, lengthMs: number): void {
    this.#fromMs = fromMs;
    this.#toMs = toMs;
    this.#scale = toMs - fromMs > lengthMs ? lengthMs / (toMs - fromMs) : 1;
  }

  /** From now on nothing is. */
  end(): void {
    this.#scale = 1;
  }

  /** Where a time goes; never back behind an earlier one. */
  timeMs(timeMs: number): number {
    if (this.#scale === 1 || timeMs >= this.#toMs || timeMs < this.#fromMs) return timeMs;
    return Math.round(this.#toMs - (this.#toMs - timeMs) * this.#scale);
  }

  /** A picture's tag body with its composition time folded: itself, or a copy that is valid until the next call. */
  body({ compositionMs, start }: Tag, timeMs: number, body: Uint8Array): Uint8Array {
    if (compositionMs === 0 || this.timeMs(timeMs) === timeMs) return body;
    const folded = this.timeMs(Math.max(this.#fromMs, timeMs + compositionMs)) - this.timeMs(timeMs);
    if (this.#copy.length < body.length) this.#copy = new Uint8Array(body.length);
    const copy = this.#copy.subarray(0, body.length);
    copy.set(body);
    const at = start - COMPOSITION_OCTETS;
    for (let i = 0; i < COMPOSITION_OCTETS; i++) copy[at + i] = folded >> 8 * (COMPOSITION_OCTETS - 1 - i);
    return copy;
  }
}
