// Whether the peer's media still come: told when there is no audio for some seconds, and when there has been nothing, not even
// RTCP, for so long that the call is dead. What is not to be expected (hold, a peer that only listens) is not missed.
// Role: machine

/** Silence after which a call is dead, in milliseconds; 0: never. */
export interface MediaTimeouts {
  /** After the answer, as long as nothing has come. */
  readonly initialMs: number;
  readonly silenceMs: number;
}

export interface MediaLife {
  readonly expected: boolean;
  /** When anything of it was heard last, RTCP too; -Infinity before. */
  readonly heardMs: number;
  readonly audioExpected: boolean;
  /** When audio was heard last; -Infinity before. */
  readonly audioMs: number;
}

/** Where news go; each is told once. */
interface MediaWatchOutlets {
  /** No audio for {@link QUIET_MS}, although some is expected. */
  quiet(): void;
  /** Nothing for so long that the call is over. @param seconds how long */
  dead(seconds: number): void;
}

export const QUIET_MS = 5_000;

//   answered -> quiet for 5 s: told once -> nothing for initialMs, or silenceMs once something was heard: dead

export class MediaWatch {
  readonly #timeouts: MediaTimeouts;
  readonly #outlets: MediaWatchOutlets;
  readonly #answeredMs: number;
  /** Since when something is expected, and audio. */
  #sinceMs: number;
  #audioSinceMs: number;
  #told = false;
  #dead = false;

  constructor(timeouts: MediaTimeouts, outlets: MediaWatchOutlets, nowMs: number) {
    this.#timeouts = timeouts;
    this.#outlets = outlets;
    this.#answeredMs = this.#sinceMs = this.#audioSinceMs = nowMs;
  }

  /** To be called about once a second. */
  look(nowMs: number, life: MediaLife): void {
    if (!life.expected) this.#sinceMs = nowMs;
    if (!life.audioExpected) this.#audioSinceMs = nowMs;
    if (this.#dead) return;
    const audioQuietMs = nowMs - Math.max(this.#audioSinceMs, life.audioMs);
    if (!this.#told && audioQuietMs >= QUIET_MS) {
      this.#told = true;
      this.#outlets.quiet();
    }
    const { initialMs, silenceMs } = this.#timeouts;
    const limitMs = life.heardMs > this.#answeredMs ? silenceMs : initialMs;
    const silentMs = nowMs - Math.max(this.#sinceMs, life.heardMs);
    if (limitMs === 0 || silentMs < limitMs) return;
    this.#dead = true;
    this.#outlets.dead(Math.round(limitMs / 1000));
  }
}
