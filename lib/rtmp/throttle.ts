// Makes one peer wait when it sends too much, and stops waiting when the connection ends. A timer runs only while
// somebody is waiting.
// Role: edge

import type { Clock } from "../base/clock.ts";

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

/** Most of each a second; 0: as much as comes. */
export interface PaceLimits {
  /** Bytes. */
  readonly readBytesPerSecond: number;
  readonly commandsPerSecond: number;
}

/** What may come at once: a key frame, the commands at the start of a call. */
const BURST_BYTES_MS = 250;
const BURST_COMMANDS_MS = 2_000;

export class ReadPace {
  readonly #msPerByte: number;
  readonly #msPerCommand: number;
  #bytesDueMs = -Infinity;
  #commandsDueMs = -Infinity;

  /** Nothing has come yet. */
  constructor({ readBytesPerSecond, commandsPerSecond }: PaceLimits) {
    this.#msPerByte = readBytesPerSecond === 0 ? 0 : 1000 / readBytesPerSecond;
    this.#msPerCommand = commandsPerSecond === 0 ? 0 : 1000 / commandsPerSecond;
  }

  /** So much more has come; gives how long to wait before reading on, 0: not at all. */
  waitMs(bytes: number, commands: number, nowMs: number): number {
    this.#bytesDueMs = Math.max(this.#bytesDueMs, nowMs - BURST_BYTES_MS) + bytes * this.#msPerByte;
    if (commands > 0) {
      const from = Math.max(this.#commandsDueMs, nowMs - BURST_COMMANDS_MS);
      this.#commandsDueMs = from + commands * this.#msPerCommand;
    }
    return Math.max(0, Math.max(this.#bytesDueMs, this.#commandsDueMs) - nowMs);
  }
}
