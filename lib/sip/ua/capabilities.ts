// What this user agent can do, and what a request wants that it cannot.
// RFC 3261 sections 8.2.1-8.2.3 (405, 416, 420, 415), 11 (OPTIONS), 20.5 Allow, 20.37 Supported.
// siprtmp sent none of these headers and answered 420 to every Require.
// Role: wire

import { bodyOf, isOptional, isText } from "../message/body.ts";
import type { SipHeaders } from "../message/header.ts";
import { INFO_TYPES, parseInfo } from "../message/info_bodies.ts";
import { createResponse, type SipMessage, type SipRequest, type SipResponse } from "../message/message.ts";

export const ALLOWED_METHODS: readonly string[] = [
  "INVITE",
  "ACK",
  "CANCEL",
  "BYE",
  "OPTIONS",
  "PRACK",
  "UPDATE",
  "INFO",
  "MESSAGE",
];
/** Methods we know by name and do not serve (405); anything else is 501. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(["REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH"]);
const SUPPORTED_OPTIONS: readonly string[] = ["timer", "100rel"];
const ACCEPTED_TYPES: readonly string[] = ["application/sdp", "multipart/mixed"];

/** Adds Allow, Supported and User-Agent to a request. `withReliable`: say that we take reliable 1xx. */
export function addRequestCapabilities(headers: SipHeaders, userAgent: string, withReliable = true): void {
  headers.set("Allow", ALLOWED_METHODS.join(", "));
  const options = SUPPORTED_OPTIONS.filter((option) => withReliable || option !== "100rel");
  headers.set("Supported", options.join(", "));
  headers.set("User-Agent", userAgent);
}

/** Adds Allow, Supported, Accept and Server-side User-Agent to a response (200 to OPTIONS and INVITE). */
export function addResponseCapabilities(headers: SipHeaders): void {
  headers.set("Allow", ALLOWED_METHODS.join(", "));
  headers.set("Supported", SUPPORTED_OPTIONS.join(", "));
  headers.set("Accept", ACCEPTED_TYPES.join(", "));
}

/** True when the sender of a message supports (or requires) an option tag. */
export function peerSupports(message: SipMessage, option: string): boolean {
  return message.headers.includes("Supported", option) || peerRequires(message, option);
}

/** True when the sender of a message requires an option tag. */
export function peerRequires(message: SipMessage, option: string): boolean {
  return message.headers.includes("Require", option);
}

/** True when the sender of a message listed a method in Allow. */
export function peerAllows(message: SipMessage, method: string): boolean {
  return message.headers.all("Allow").includes(method);
}

/** Required option tags we do not know, as the peer wrote them. */
export function unsupportedOptions(message: SipMessage): string[] {
  return message.headers.all("Require")
    .filter((tag) => !SUPPORTED_OPTIONS.includes(tag.toLowerCase()));
}

/**
 * The refusal a request deserves before anything looks at its meaning, or null (RFC 3261 section 8.2):
 * 405/501 for the method, 416 for the scheme, 420 for required options. ACK is never refused.
 */
export function refusalOf(request: SipRequest): SipResponse | null {
  if (request.method === "ACK") return null;
  if (!ALLOWED_METHODS.includes(request.method)) return methodRefusal(request);
  if (request.uri.scheme !== "sip") return createResponse(request, 416);
  const unsupported = request.method === "CANCEL" ? [] : unsupportedOptions(request);
  if (unsupported.length === 0) return null;
  const response = createResponse(request, 420);
  response.headers.set("Unsupported", unsupported.join(", "));
  return response;
}

function methodRefusal(request: SipRequest): SipResponse {
  const response = createResponse(request, KNOWN_METHODS.has(request.method) ? 405 : 501);
  response.headers.set("Allow", ALLOWED_METHODS.join(", "));
  return response;
}

/**
 * 415 for a MESSAGE that is no text for people ("is typing" notices, files), so that its sender knows; null when it is
 * one, or is empty (RFC 3428 section 7).
 */
export function messageRefusal(request: SipRequest): SipResponse | null {
  const body = bodyOf(request);
  if (body === null || isText(body)) return null;
  return unacceptableBody(request, ["text/plain"]);
}

/** 415 for an INFO whose body is not understood, unless it may be ignored; null when it is, or there is none. */
export function infoRefusal(request: SipRequest): SipResponse | null {
  const body = bodyOf(request);
  if (body === null || parseInfo(body).type !== "unknown") return null;
  if (isOptional(request.headers.get("Content-Disposition"))) return null;
  return unacceptableBody(request, INFO_TYPES);
}

/** 415 with the types we take (RFC 3261 section 8.2.3). */
export function unacceptableBody(request: SipRequest, taken = ACCEPTED_TYPES): SipResponse {
  const response = createResponse(request, 415);
  response.headers.set("Accept", taken.join(", "));
  response.headers.set("Accept-Encoding", "identity");
  return response;
}
