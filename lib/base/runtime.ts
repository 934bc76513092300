// What nearly everything here is given: the time, the log, chance. Handed on whole, never field by field.
// Role: wire

import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";
import type { Random } from "./random.ts";

/** Tests give a FakeClock, a silent log and numbers of their own. */
export interface Runtime {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
}
