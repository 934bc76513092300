// When a call that failed is tried again, and when not: what may be different in a moment (busy, nobody there, an
// overloaded or unreachable server) is; what will be the same for ever (a wrong password or number, a codec, a person
// who declines) is not.
// RFC 3261 section 21.
// Role: machine

import type { Random } from "../base/random.ts";
import type { RedialPolicy } from "../config/sip_account.ts";

/** Said when the far end rings for too long. */
export const NO_ANSWER = "no answer";

/** Delays grow no further. */
const LONGEST_DELAY_MS = 5 * 60_000;
/** A delay is so much shorter or longer, by chance: those who failed together do not come back together. */
const JITTER = 0.2;

/** Responses below 500 that may be others in a moment. 408 also says that nobody answered our INVITE at all. */
const PASSING: readonly number[] = [408, 480, 486, 600];
/** Of 5xx: what the server cannot do now, it cannot do later. */
const LASTING: readonly number[] = [501, 505, 513, 580];

/** Whether it makes sense to try again. @param reason what the caller was told: "486 Busy Here", or in words */
export function isWorthRedialling(reason: string): boolean {
  if (reason === NO_ANSWER) return true;
  const status = Number(/^(\d{3})\b/.exec(reason)?.[1] ?? 0);
  return PASSING.includes(status) || status >= 500 && status < 600 && !LASTING.includes(status);
}

/** How long to wait before attempt number `redials` + 1 of the further ones. @param redials further attempts so far */
export function redialDelayMs(policy: RedialPolicy, redials: number, random: Random): number {
  const plainMs = Math.min(LONGEST_DELAY_MS, policy.firstDelaySeconds * 1000 * 2 ** redials);
  return Math.min(LONGEST_DELAY_MS, Math.round(plainMs * (1 - JITTER + 2 * JITTER * random.float())));
}
