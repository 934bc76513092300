// When to register again: granted expiry, refresh moment, and the waits after a failure.
// RFC 3261 section 10.2 (Contact expires before Expires), RFC 5626 section 4.5 (growing, jittered waits).
// Role: wire
// siprtmp looked at the Expires header only and gave up silently after one failed refresh.

import { WireError } from "../base/errors.ts";
import { parseDeltaSeconds } from "./header_values.ts";
import type { SipResponse } from "./message.ts";
import { type NameAddr, parseNameAddr } from "./name_addr.ts";

/** First wait after a loss, in milliseconds. */
export const FIRST_RETRY_MS = 2_000;
/** Longest wait after losses that may heal by themselves, in milliseconds. */
export const MAX_RETRY_MS = 120_000;
/** First wait after a refusal that needs a human (wrong password, unknown user), in milliseconds. */
export const FIRST_REFUSED_RETRY_MS = 60_000;
/** Longest wait after refusals, in milliseconds. */
export const MAX_REFUSED_RETRY_MS = 3_600_000;
/** Longest Retry-After that is obeyed, in seconds. */
export const MAX_RETRY_AFTER_SECONDS = 3_600;
/** Longest Min-Expires that is obeyed, in seconds. */
export const MAX_EXPIRES_SECONDS = 7 * 24 * 3600;

/**
 * Seconds a registrar granted to the contact whose `line` parameter is given: `expires` of our Contact,
 * else Expires, else what was asked for. 0 = the registrar did not keep us.
 */
export function grantedExpires(response: SipResponse, line: string, requestedSeconds: number): number {
  const ours = response.headers.all("Contact").map(contactOf).find((contact) =>
    contact?.uri.params.get("line") === line
  );
  const own = parseDeltaSeconds(ours?.params.get("expires") ?? null);
  const granted = own ?? parseDeltaSeconds(response.headers.get("Expires")) ?? requestedSeconds;
  return Math.min(granted, MAX_EXPIRES_SECONDS);
}

/** Contacts of other devices may be anything; what we cannot read is not ours. */
function contactOf(text: string): NameAddr | null {
  try {
    return parseNameAddr(text);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/** Milliseconds from a successful REGISTER to its refresh: early enough to retry once before the expiry. */
export function refreshDelayMs(expiresSeconds: number): number {
  const marginSeconds = Math.min(35, Math.max(1, expiresSeconds * 0.1), expiresSeconds / 2);
  return Math.max(500, Math.round((expiresSeconds - marginSeconds) * 1000));
}

/** True for refusals that will not heal without a human: retried seldom, so nobody is hammered. */
export function needsHuman(status: number): boolean {
  return [400, 401, 402, 403, 404, 405, 407, 410, 420, 501, 603, 604, 606].includes(status);
}

/**
 * Milliseconds to wait before attempt `failures + 1`.
 * Doubles from the first wait up to a ceiling; `jitter` in [0, 1) spreads it over 50-100 %; Retry-After is a lower bound.
 */
export function retryDelayMs(
  options: { failures: number; status: number; retryAfterSeconds: number | null; jitter: number },
): number {
  const human = needsHuman(options.status);
  const first = human ? FIRST_REFUSED_RETRY_MS : FIRST_RETRY_MS;
  const ceiling = human ? MAX_REFUSED_RETRY_MS : MAX_RETRY_MS;
  const doubled = Math.min(ceiling, first * 2 ** Math.min(20, Math.max(0, options.failures - 1)));
  const waitMs = doubled * (0.5 + options.jitter / 2);
  const asked = Math.min(options.retryAfterSeconds ?? 0, MAX_RETRY_AFTER_SECONDS) * 1000;
  return Math.round(Math.max(waitMs, asked));
}
