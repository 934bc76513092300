// Time as an argument: machines take a Clock, so that tests turn it by hand.
// systemClock is the only place of the project that sets timers or asks for the time.
// Role: edge
// Answers to: multitask.sleep and the Timer class that siprtmp gave to its SIP stack.

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

const NEXT_TURN: Promise<void> = Promise.resolve();

/**
 * The time, asked for once per turn: a packet on its way through the gateway needs it nine times, and asking is a
 * call into the runtime. A microtask forgets it, so it is never older than what was ready to run beside it.
 */
class TurnTime {
  #nowMs = 0;
  #known = false;
  readonly #forget = (): void => void (this.#known = false);

  now(): number {
    if (this.#known) return this.#nowMs;
    this.#known = true;
    void NEXT_TURN.then(this.#forget);
    return this.#nowMs = performance.now();
  }
}

const turnTime = new TurnTime();

/** The clock of this machine. Within one turn (what runs without an await) now() stands still. */
export const systemClock: Clock = {
  now: () => turnTime.now(),
  wallMs: () => Date.now(),
  after: (ms, run) => new SystemTimer(ms, run),
};

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
