// When to register again: granted expiry, refresh moment, and the waits after a failure.
// RFC 3261 section 10.2 (Contact expires before Expires), RFC 5626 section 4.5 (growing, jittered waits).
// Role: wire

import { WireError } from "../../base/errors.ts";
import { parseDeltaSeconds } from "../message/header_values.ts";
import type { SipResponse } from "../message/message.ts";
import { parseNameAddr } from "../message/name_addr.ts";
import type { SipUri } from "../message/uri.ts";

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
/** Refreshes are at least this far apart, whatever a registrar grants, in milliseconds. */
export const MIN_REFRESH_MS = 1_000;
/** So many bindings of an address are looked at; each that cannot be read costs some microseconds. */
const MAX_BINDINGS = 200;
/** So much of a Contact that cannot be read is looked at. */
const MAX_CONTACT_LENGTH = 1024;
/** Longest expiry that is believed and asked for, in seconds. */
export const MAX_EXPIRES_SECONDS = 7 * 24 * 3600;

/** A binding as the registrar lists it. */
interface Binding {
  /** Null: its Contact cannot be read. */
  readonly uri: SipUri | null;
  /** Null: it says nothing of its own. */
  readonly seconds: number | null;
}

/**
 * Seconds for which our Contact is kept; 0: it is not. A registrar, or what stands before it, may list our Contact as it
 * sees it, without our `line` and at another address: then the binding that ends first counts.
 */
export function grantedExpires(
  response: SipResponse,
  contact: SipUri | null,
  requestedSeconds: number,
): number {
  const bindings = response.headers.all("Contact").slice(0, MAX_BINDINGS).map(bindingOf);
  const usual = plausible(parseDeltaSeconds(response.headers.get("Expires"))) ?? requestedSeconds;
  const seconds = ourBindings(bindings, contact).map((binding) => plausible(binding.seconds) ?? usual);
  if (seconds.length === 0) return usual;
  const kept = seconds.filter((granted) => granted > 0);
  return kept.length === 0 ? 0 : Math.min(...kept);
}

/** What nobody can have meant counts as not said. */
function plausible(seconds: number | null): number | null {
  return seconds === null || seconds > MAX_EXPIRES_SECONDS ? null : seconds;
}

/** The surest sign of ours decides; without any all may be ours. */
function ourBindings(bindings: readonly Binding[], contact: SipUri | null): readonly Binding[] {
  if (contact === null) return bindings;
  const signs: ((uri: SipUri) => boolean)[] = [
    (uri) => uri.params.get("line") === contact.params.get("line"),
    (uri) => uri.user === contact.user && uri.host === contact.host && uri.port === contact.port,
    (uri) => uri.user === contact.user,
  ];
  for (const isOurs of signs) {
    const ours = bindings.filter(({ uri }) => uri !== null && isOurs(uri));
    if (ours.length > 0) return ours;
  }
  return bindings;
}

/** Of a Contact that cannot be read, its expiry often can. */
function bindingOf(text: string): Binding {
  try {
    const { uri, params } = parseNameAddr(text);
    return { uri, seconds: parseDeltaSeconds(params.get("expires") ?? null) };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const written = /;[ \t]*expires[ \t]*=[ \t]*"?([0-9]{1,10})/i.exec(text.slice(0, MAX_CONTACT_LENGTH))
      ?.[1];
    return { uri: null, seconds: parseDeltaSeconds(written ?? null) };
  }
}

/** Milliseconds from a successful REGISTER to its refresh: early enough to retry once before the expiry. */
export function refreshDelayMs(expiresSeconds: number): number {
  const marginSeconds = Math.min(35, Math.max(1, expiresSeconds * 0.1), expiresSeconds / 2);
  return Math.max(MIN_REFRESH_MS, Math.round((expiresSeconds - marginSeconds) * 1000));
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
