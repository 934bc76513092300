// A clock whose timers cannot take the process down: what a timer throws is our bug, logged, and nothing else falls.
// RFC 3261 says nothing about it; architecture 3.9 does (our own bugs are caught at the boundary of their task).
// Role: machine
// Answers to: the except clauses around siprtmp's Timer callbacks.

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";

/** The same clock, with every timer's failure logged instead of thrown. */
export function guardedClock(clock: Clock, log: Logger): Clock {
  return {
    now: () => clock.now(),
    wallMs: () => clock.wallMs(),
    after: (ms, run) =>
      clock.after(ms, () => {
        try {
          run();
        } catch (error) {
          log.error("A SIP timer failed", error);
        }
      }),
  };
}
