// Connections that could not be accepted. When the process has no file descriptors left the next attempt fails like the
// last: there is a pause before it, longer each time, and a line in the log once a minute.
// Role: machine

import { TransportError } from "../base/errors.ts";

/** The first pause in milliseconds; each further one in a row is twice as long. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

const TOLD_EVERY_MS = 60_000;

/** What the operating system says when it is out of file descriptors or memory for sockets, and what to do. */
const SHORTAGES: readonly (readonly [reason: string, remedy: string])[] = [
  ["Too many open files in ", "raise the limit of the machine (fs.file-max)"],
  ["Too many open files", "raise the limit of the process (ulimit -n, LimitNOFILE)"],
  ["No buffer space available", "the machine is short of memory for sockets"],
  ["Cannot allocate memory", "the machine is short of memory"],
];

export class AcceptFailures {
  readonly #now: () => number;
  readonly #tell: ((error: TransportError) => void) | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #untold = 0;

  /** None yet. @param now milliseconds that only go on @param tell where the lines go */
  constructor(now: () => number, tell: ((error: TransportError) => void) | undefined) {
    this.#now = now;
    this.#tell = tell;
  }

  /** Another one: the milliseconds to wait before the next attempt. */
  failed(error: TransportError): number {
    const nowMs = this.#now();
    if (nowMs - this.#toldAtMs >= TOLD_EVERY_MS) {
      this.#tell?.(this.#line(error));
      this.#toldAtMs = nowMs;
      this.#untold = 0;
    } else this.#untold++;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    return pauseMs;
  }

  succeeded(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  #line(error: TransportError): TransportError {
    const remedy = SHORTAGES.find(([reason]) => error.message.includes(reason))?.[1];
    const advice = remedy === undefined ? "" : `; accepting pauses: ${remedy}`;
    const before = this.#untold === 0 ? "" : ` (and ${this.#untold} times before)`;
    return new TransportError(`${error.message}${before}${advice}`, error.code, { cause: error });
  }
}
