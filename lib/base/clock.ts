// Time as an argument: machines take a Clock, so that tests turn it by hand.
// systemClock is the only place of the project that sets timers or asks for the time.
// Role: edge

/** Where a machine learns the time and sets its timers. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. */
  now(): number;
  /** Milliseconds since 1970 (UTC); may jump when the system's time is set. */
  wallMs(): number;
  /** Calls `run` once after `ms` milliseconds unless the result is disposed before. */
  after(ms: number, run: () => void): Disposable;
}

/** The longest delay a timer of the runtime can hold; above it would fire at once. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

class SystemTimer implements Disposable {
  #id: ReturnType<typeof setTimeout> | undefined;
  #leftMs: number;
  readonly #run: () => void;

  constructor(ms: number, run: () => void) {
    this.#leftMs = Math.max(0, ms);
    this.#run = run;
    this.#arm();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#id);
  }

  #arm(): void {
    const ms = Math.min(this.#leftMs, LONGEST_TIMER_MS);
    this.#leftMs -= ms;
    this.#id = setTimeout(() => this.#leftMs > 0 ? this.#arm() : this.#run(), ms);
  }
}

/**
 * The clock of this machine. A packet on its way through the gateway needs the time nine times, and asking is a call
 * into the runtime: who reads a packet from a socket holds the clock while it is on its way.
 */
export class SystemClock implements Clock {
  #nowMs = 0;
  #held = false;

  /** See {@link Clock}. */
  now(): number {
    return this.#held ? this.#nowMs : performance.now();
  }

  /** See {@link Clock}. */
  wallMs(): number {
    return Date.now();
  }

  /** See {@link Clock}. */
  after(ms: number, run: () => void): Disposable {
    return new SystemTimer(ms, run);
  }

  /** From here until release() now() stands still. Nothing may wait in between. */
  hold(): void {
    this.#nowMs = performance.now();
    this.#held = true;
  }

  /** The end of hold(); belongs into a `finally`. */
  release(): void {
    this.#held = false;
  }
}

/** The clock of this machine, the only one. */
export const systemClock: SystemClock = new SystemClock();

/** Waits `ms` milliseconds; false when `signal` ended the wait. Never rejects. */
export function delay(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = (): void => {
      timer[Symbol.dispose]();
      resolve(false);
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener("abort", onAbort);
      resolve(true);
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
