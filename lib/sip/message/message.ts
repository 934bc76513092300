// SIP requests and responses as values, and their bytes (RFC 3261 7).
//
//   METHOD SP uri SP SIP/2.0 CRLF | SIP/2.0 SP status SP reason CRLF
//   *( Header: value CRLF ) CRLF body
//
// Role: wire

import { concatBytes, encodeUtf8 } from "../../base/bytes.ts";
import { formatParams, trimEmptyParams } from "./grammar.ts";
import { SipHeaders } from "./header.ts";
import { headerKey, headerKind } from "./header_names.ts";
import { headerParamsOf } from "./name_addr.ts";
import { reasonPhrase } from "./reason_phrase.ts";
import { formatSipUri, type SipUri } from "./uri.ts";

export { reasonPhrase } from "./reason_phrase.ts";

export interface SipRequest {
  readonly kind: "request";
  /** Method, case-sensitive. */
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

/** The bytes of a message; Content-Length is set to the length of the body. */
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
