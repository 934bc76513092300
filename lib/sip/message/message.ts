// SIP requests and responses as values, and their bytes (RFC 3261 7).
// Role: wire

import { concatBytes, decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";
import { formatParams, trimEmptyParams } from "./grammar.ts";
import { headerKey, headerKind, SipHeaders } from "./header.ts";
import { headerParamsOf } from "./name_addr.ts";
import { formatSipUri, type SipUri } from "./uri.ts";

export interface SipRequest {
  readonly kind: "request";
  method: string;
  uri: SipUri;
  /** Headers; Content-Length is set when encoding. */
  headers: SipHeaders;
  /** Body, empty without one. */
  body: Uint8Array;
}

export interface SipResponse {
  readonly kind: "response";
  /** Status code, 100 to 699. */
  status: number;
  /** Reason phrase, may be empty. */
  reason: string;
  /** Headers; Content-Length is set when encoding. */
  headers: SipHeaders;
  /** Body, empty without one. */
  body: Uint8Array;
}

export type SipMessage = SipRequest | SipResponse;

/** The body of a message without one. */
export const NO_BODY: Uint8Array = new Uint8Array(0);

/**
 * The bytes of a message; Content-Length is set to the length of the body.
 *
 *   METHOD SP uri SP SIP/2.0 CRLF | SIP/2.0 SP status SP reason CRLF
 *   *( Header: value CRLF ) CRLF body
 */
export function encodeSipMessage(message: SipMessage): Uint8Array {
  const lines = startLine(message) + headerLines(message.headers);
  const head = encodeUtf8(`${lines}Content-Length: ${message.body.length}\r\n\r\n`);
  return message.body.length === 0 ? head : concatBytes([head, message.body]);
}

/** Token lists (Allow, Supported) share one line: some devices read the first line only, and it is shorter. */
function headerLines(headers: SipHeaders): string {
  let text = "";
  let last = "";
  for (const [name, value] of headers.entries()) {
    if (name === "Content-Length") continue;
    const joins = name === last && headerKind(headerKey(name)) === "tokens";
    // Only ever longer: taking the end of a growing text off again costs as much as all of it.
    text += joins ? `, ${value}` : `${last === "" ? "" : "\r\n"}${name}: ${value}`;
    last = name;
  }
  return last === "" ? "" : `${text}\r\n`;
}

/** The first line with its CRLF. */
export function startLine(message: SipMessage): string {
  if (message.kind === "request") return `${message.method} ${formatSipUri(message.uri)} SIP/2.0\r\n`;
  return `SIP/2.0 ${message.status} ${message.reason.replace(/[\r\n]+/g, " ")}\r\n`;
}

/**
 * A response to a request (8.2.6): Via values, From, To, Call-ID and CSeq copied; Timestamp into a 100.
 * Record-Route belongs to dialogs and is not copied here.
 * @param toTag put into To when the request has none and the status is not 100
 */
export function createResponse(
  request: SipRequest,
  status: number,
  reason?: string,
  toTag?: string,
): SipResponse {
  const headers = new SipHeaders();
  for (const via of request.headers.all("Via")) headers.add("Via", via);
  for (const name of ["From", "To", "Call-ID", "CSeq"]) {
    const value = request.headers.get(name);
    if (value !== null) headers.add(name, value);
  }
  const timestamp = request.headers.get("Timestamp");
  if (status === 100 && timestamp !== null) headers.add("Timestamp", timestamp);
  const to = request.headers.get("To");
  if (toTag !== undefined && status > 100 && to !== null) headers.set("To", withTag(to, toTag));
  return { kind: "response", status, reason: reason ?? reasonPhrase(status), headers, body: NO_BODY };
}

/** A From or To value with a tag added when it has none, instead of empty parameters at its end. */
export function withTag(address: string, tag: string): string {
  if (tagOf(address) !== null) return address;
  return trimEmptyParams(address) + formatParams(new Map([["tag", tag]]));
}

/** The tag of a From or To value, also of one whose URI cannot be read; null when there is none. */
export function tagOf(address: string | null): string | null {
  return address === null ? null : headerParamsOf(address).get("tag") ?? null;
}

/** An independent copy of a message; the body is shared. */
export function cloneMessage<T extends SipMessage>(message: T): T {
  return { ...message, headers: message.headers.clone() };
}

/** Longest method and Call-ID that are shown. */
const MAX_SHOWN = 200;

/** "INVITE, Call-ID abc" or "200 INVITE, Call-ID abc": what lines about a message begin with, so that they can be found. */
export function messageTitle(message: SipMessage): string {
  const method = message.kind === "request"
    ? message.method
    : message.headers.get("CSeq")?.split(" ")[1] ?? "";
  const what = message.kind === "request" ? method : `${message.status} ${method}`.trimEnd();
  return `${what.slice(0, MAX_SHOWN)}, Call-ID ${
    (message.headers.get("Call-ID") ?? "none").slice(0, MAX_SHOWN)
  }`;
}

export function messageText(message: SipMessage): string {
  return decodeUtf8(encodeSipMessage(message)).replaceAll("\r\n", "\n").trimEnd();
}

const PHRASES: ReadonlyMap<number, string> = new Map([
  [100, "Trying"],
  [180, "Ringing"],
  [181, "Call Is Being Forwarded"],
  [182, "Queued"],
  [183, "Session Progress"],
  [199, "Early Dialog Terminated"],
  [200, "OK"],
  [202, "Accepted"],
  [204, "No Notification"],
  [300, "Multiple Choices"],
  [301, "Moved Permanently"],
  [302, "Moved Temporarily"],
  [305, "Use Proxy"],
  [380, "Alternative Service"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [402, "Payment Required"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [406, "Not Acceptable"],
  [407, "Proxy Authentication Required"],
  [408, "Request Timeout"],
  [410, "Gone"],
  [412, "Conditional Request Failed"],
  [413, "Request Entity Too Large"],
  [414, "Request-URI Too Long"],
  [415, "Unsupported Media Type"],
  [416, "Unsupported URI Scheme"],
  [420, "Bad Extension"],
  [421, "Extension Required"],
  [422, "Session Interval Too Small"],
  [423, "Interval Too Brief"],
  [430, "Flow Failed"],
  [439, "First Hop Lacks Outbound Support"],
  [469, "Bad Info Package"],
  [480, "Temporarily Unavailable"],
  [481, "Call/Transaction Does Not Exist"],
  [482, "Loop Detected"],
  [483, "Too Many Hops"],
  [484, "Address Incomplete"],
  [485, "Ambiguous"],
  [486, "Busy Here"],
  [487, "Request Terminated"],
  [488, "Not Acceptable Here"],
  [489, "Bad Event"],
  [491, "Request Pending"],
  [493, "Undecipherable"],
  [494, "Security Agreement Required"],
  [500, "Server Internal Error"],
  [501, "Not Implemented"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Server Time-out"],
  [505, "Version Not Supported"],
  [513, "Message Too Large"],
  [580, "Precondition Failure"],
  [600, "Busy Everywhere"],
  [603, "Decline"],
  [604, "Does Not Exist Anywhere"],
  [606, "Not Acceptable"],
  [607, "Unwanted"],
  [608, "Rejected"],
]);

const CLASSES = [
  "Trying",
  "OK",
  "Multiple Choices",
  "Bad Request",
  "Server Internal Error",
  "Busy Everywhere",
];

/** The usual phrase of a status; of an unknown one the phrase of its class (8.1.3.2 treats it like x00). */
export function reasonPhrase(status: number): string {
  return PHRASES.get(status) ?? CLASSES[Math.floor(status / 100) - 1] ?? "Unknown";
}
