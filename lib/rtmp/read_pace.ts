// How fast one peer may send: what it sends beyond is left in the socket for a moment, so TCP slows it down. Bytes and
// commands are counted apart, because a command of 30 bytes costs more than a picture of 30 KiB.
//
//   due = max(due, now - burst) + amount / rate        wait until due
//
// Role: machine

/** Most of each a second; 0: as much as comes. */
export interface PaceLimits {
  /** Bytes. */
  readonly readBytesPerSecond: number;
  readonly commandsPerSecond: number;
}

/** What may come at once: a key frame, the commands at the start of a call. */
const BURST_BYTES_MS = 250;
const BURST_COMMANDS_MS = 2_000;

/** Paces the reading of one connection. */
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
