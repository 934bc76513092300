// Makes one peer wait when it sends too much, and stops waiting when the connection ends. A timer runs only while
// somebody is waiting.
// Role: edge

import type { Clock } from "../base/clock.ts";
import { type PaceLimits, ReadPace } from "./read_pace.ts";

/** A pause is not longer, so that a peer that waits counts as heard. */
const LONGEST_PAUSE_MS = 1_000;

export class Throttle {
  readonly #pace: ReadPace;
  readonly #clock: Clock;
  /** Fewer bytes since it was last looked at are not worth a look: 8 ms of what may come. */
  readonly #unpaced: number;
  #bytes = 0;
  #commands = 0;
  #owing = false;
  #wake: (() => void) | null = null;
  #open = true;

  constructor(limits: PaceLimits, clock: Clock) {
    this.#pace = new ReadPace(limits);
    this.#clock = clock;
    this.#unpaced = Math.floor(limits.readBytesPerSecond / 128);
  }

  /** How long to wait, when so much has come in all until now; 0: not at all. */
  waitMs(bytesIn: number, commandsIn: number, nowMs: number): number {
    const few = bytesIn - this.#bytes < this.#unpaced && commandsIn === this.#commands;
    if (few && !this.#owing) return 0;
    const waitMs = this.#pace.waitMs(bytesIn - this.#bytes, commandsIn - this.#commands, nowMs);
    this.#bytes = bytesIn;
    this.#commands = commandsIn;
    this.#owing = waitMs > 0;
    return this.#open ? waitMs : 0;
  }

  /** Waits until what came is paid for. @param onPause called after each second at most, with the time */
  async wait(waitMs: number, onPause: (nowMs: number) => void): Promise<void> {
    for (let leftMs = waitMs; leftMs > 0 && this.#open;) {
      await this.#pause(Math.min(leftMs, LONGEST_PAUSE_MS));
      const nowMs = this.#clock.now();
      onPause(nowMs);
      leftMs = this.#pace.waitMs(0, 0, nowMs);
    }
  }

  /** Nothing waits any more. */
  release(): void {
    this.#open = false;
    this.#wake?.();
  }

  async #pause(ms: number): Promise<void> {
    const pause = Promise.withResolvers<void>();
    using _timer = this.#clock.after(ms, pause.resolve);
    this.#wake = pause.resolve;
    await pause.promise;
    this.#wake = null;
  }
}
