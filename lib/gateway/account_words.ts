// What the log says about the registration of an account, or of a client, in words for people who run the gateway.
// Role: wire

import { type Identity, registrarUri } from "../sip/ua/identity.ts";
import type { RegistrationChange } from "../sip/ua/registration_keeper.ts";
import { needsHuman } from "../sip/ua/registration.ts";
import { formatSipUri } from "../sip/message/uri.ts";

/** A line about a change. @param before whether the account was registered until now */
export function registrationText(identity: Identity, change: RegistrationChange, before: boolean): string {
  if (change.type === "registered") {
    return `registered at ${formatSipUri(registrarUri(identity))} for ${change.expiresSeconds} s`;
  }
  const { status, reason, retryMs } = change;
  const again = retryMs === undefined ? "" : `; retrying in ${durationText(retryMs)} (backoff)`;
  const hint = needsHuman(status) ? "; SIGHUP tries at once" : "";
  return `${before ? "no longer" : "not"} registered: ${
    refusalText(identity, status, reason)
  }${again}${hint}`;
}

/** What a registrar has against a user: "sip:example.com does not know the user (404 Not Found)". */
export function refusalText(identity: Identity, status: number, reason: string): string {
  const registrar = formatSipUri(registrarUri(identity));
  return `${registrar} ${failure(identity, status)} (${status} ${reason})`;
}

/** A line about an account that is not to be registered. */
export function unregisteredText({ password, registrar }: Identity): string {
  const why = password === null && registrar === undefined
    ? "it has no password and no registrar"
    : "it has register = false";
  return `not registered: ${why}`;
}

function failure(identity: Identity, status: number): string {
  switch (status) {
    case 401:
    case 407:
      return identity.password === null
        ? "asks for a password, and the account has none"
        : "refuses the user name or password";
    case 403:
      return "refuses the user, or its name or password";
    case 404:
    case 410:
    case 604:
      return "does not know the user";
    case 408:
      return "does not answer";
    case 503:
      return "cannot be reached or has no room";
    default:
      return "does not register the user";
  }
}

/** "45 s", "12 min". */
export function durationText(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
