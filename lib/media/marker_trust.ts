// Whether the RTP marker of a stream ends its pictures (RFC 6184 5.1). Some senders set it on every slice, and
// relays set it inside a picture after a jump of time. Until a first marker was right, and from one that was wrong on,
// a picture waits for proof that it is whole: the next timestamp.
// Role: machine

/** Pictures of more than one slice that a stream must end rightly after a marker that was wrong. */
const PROOF_AFTER_WRONG = 100;
/** So many pictures in a row with equally many slices make that number the usual one. */
const STEADY = 3;
/** At first each number is. */
const LEARNING_PICTURES = 6;

/** What is known of one stream's markers. */
export class MarkerTrust {
  /** Markers behind which a picture went on. */
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

  /** The picture went on behind a marker. */
  wrong(): void {
    this.wrongOnes++;
    this.#wasWrong = true;
    this.#owed = PROOF_AFTER_WRONG;
  }

  /** Another source sends from now on. */
  restart(): void {
    this.#owed = 1;
    this.#wasWrong = false;
    this.#inARow = 0;
    this.#seen = 0;
    this.#usualSlices = 0;
  }
}
