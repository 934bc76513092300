// RTP payloads of H.264 to NAL units: single ones, STAP-A and FU-A (RFC 6184 5.6, 5.7.1, 5.8).
// Role: machine

import { ByteWriter } from "../../base/bytes.ts";
import { FU_END, FU_START, NAL, nalType } from "./slice.ts";

type UnpackResult =
  | "taken"
  /** It, or the fragments before it, made none: a NAL unit is missing. */
  | "broken"
  /** It is of a kind that neither mode 0 nor mode 1 has. */
  | "unsupported";

export class NalUnits {
  readonly #fragments = new ByteWriter(65536);
  readonly #take: (nal: Uint8Array) => void;
  readonly #maxOctets: number;

  /**
   * Starts without fragments.
   * @param take given each NAL unit, borrowed
   * @param maxOctets fragments are put together up to here
   */
  constructor(take: (nal: Uint8Array) => void, maxOctets: number) {
    this.#take = take;
    this.#maxOctets = maxOctets;
  }

  /** True while a NAL unit lacks its last fragment. */
  get incomplete(): boolean {
    return this.#fragments.length > 0;
  }

  reset(): void {
    this.#fragments.reset();
  }

  push(payload: Uint8Array): UnpackResult {
    const type = nalType(payload[0] ?? 0);
    if (type === NAL.fuA) return this.#takeFragment(payload) ? "taken" : "broken";
    const unfinished = this.incomplete;
    this.#fragments.reset();
    if (type === NAL.stapA) return this.#takeJoined(payload) && !unfinished ? "taken" : "broken";
    if (type === 0 || type > NAL.stapA) return "unsupported";
    this.#take(payload);
    return unfinished ? "broken" : "taken";
  }

  #takeJoined(payload: Uint8Array): boolean {
    let at = 1;
    while (at + 2 < payload.length) {
      const end = at + 2 + (payload[at]! << 8 | payload[at + 1]!);
      if (end > payload.length) break;
      if (end > at + 2) this.#take(payload.subarray(at + 2, end));
      at = end;
    }
    return at >= payload.length;
  }

  #takeFragment(payload: Uint8Array): boolean {
    const flags = payload[1] ?? 0;
    const fragments = this.#fragments;
    const begins = (flags & FU_START) !== 0;
    const unfinished = begins && this.incomplete;
    if (unfinished) fragments.reset();
    if (begins) fragments.u8(payload[0]! & 0xe0 | flags & 31);
    const fits = this.incomplete && fragments.length + payload.length < this.#maxOctets;
    if (!fits || payload.length < 3) {
      fragments.reset();
      return false;
    }
    fragments.bytes(payload.subarray(2));
    if ((flags & FU_END) === 0) return !unfinished;
    this.#take(fragments.view());
    fragments.reset();
    return !unfinished;
  }
}

/** Pictures of more than one slice that a stream must end rightly after a marker that was wrong. */
const PROOF_AFTER_WRONG = 100;
/** So many pictures in a row with equally many slices make that number the usual one. */
const STEADY = 3;
/** At first each number is. */
const LEARNING_PICTURES = 6;

export class MarkerTrust {
  wrongOnes = 0;
  /** Pictures that have yet to show that markers are right. */
  #owed = 1;
  #wasWrong = false;
  #usualSlices = 0;
  #inARow = 0;
  #seen = 0;

  /** Whether a marker behind so many slices ends the picture for sure; else it waits for what comes next. */
  endsAt(slices: number): boolean {
    if (this.#owed > 0) return false;
    return slices >= this.#usualSlices || this.#inARow < STEADY && this.#seen >= LEARNING_PICTURES;
  }

  /** Whether a marker behind so many slices ends the picture most likely, when what follows it is lost. */
  likelyEndsAt(slices: number): boolean {
    if (this.#seen === 0 && !this.#wasWrong) return true;
    return this.#inARow >= STEADY && slices >= this.#usualSlices;
  }

  /** A picture was whole with so many slices, and its last marker right. */
  right(slices: number): void {
    if (this.#seen < LEARNING_PICTURES) this.#seen++;
    this.#inARow = slices === this.#usualSlices ? this.#inARow + 1 : 1;
    this.#usualSlices = slices;
    // One slice with one marker says nothing about a sender that marks every slice.
    if (this.#owed > 0 && (!this.#wasWrong || slices > 1)) this.#owed--;
  }

  wrong(): void {
    this.wrongOnes++;
    this.#wasWrong = true;
    this.#owed = PROOF_AFTER_WRONG;
  }

  restart(): void {
    this.#owed = 1;
    this.#wasWrong = false;
    this.#inARow = 0;
    this.#seen = 0;
    this.#usualSlices = 0;
  }
}
