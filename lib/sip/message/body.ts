// Bodies of SIP messages: reading the one that matters out of a message, and setting one.
// RFC 3261 sections 7.4 and 20.11-20.15 (Content-* headers), RFC 2046 section 5.1 (multipart).
// Role: wire

import { decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";
import { nullIfMalformed } from "../../base/errors.ts";
import { isIpAddress, isUnspecified, unmapAddress } from "../../net/endpoint.ts";
import { parseParams, trimBlanks } from "./grammar.ts";
import { parseVia, type Via } from "./header_values.ts";
import { headLines } from "./message_head.ts";
import type { SipMessage } from "./message.ts";
import { parseNameAddr } from "./name_addr.ts";
import { findHeadEnd } from "./parser.ts";
import type { Target } from "./target.ts";

export interface SipBody {
  /** Content-Type value, e.g. `application/sdp`. */
  readonly type: string;
  /** The bytes of the body, owned by whoever holds this value. */
  readonly bytes: Uint8Array;
  /** Of a session description that was received: the IP addresses its message came from, the nearest first. */
  readonly from?: readonly string[];
}

export const SDP_TYPE = "application/sdp";
/** Most parts of a multipart body that are looked at. */
export const MAX_BODY_PARTS = 16;
/** Longest boundary (RFC 2046 section 5.1.1). */
const MAX_BOUNDARY_LENGTH = 70;
/** Bytes of a part's headers that are looked at. */
const MAX_PART_HEAD = 4096;
const DEFAULT_PART_TYPE = "text/plain";
const LF = 10;
const CR = 13;

/** Media type in lower case, without parameters, and without the blanks that may stand around its slash. */
export function mediaType(contentType: string): string {
  return contentType.split(";", 1)[0]!.replace(/[ \t]+/g, "").toLowerCase();
}

/** True for text that people read: not for "is typing" notices and files, which are sent by MESSAGE as well. */
export function isText(body: SipBody): boolean {
  return mediaType(body.type).startsWith("text/");
}

/** The body of a message as it is, or null when it has none; a body without Content-Type counts as bytes. */
export function bodyOf(message: SipMessage): SipBody | null {
  if (message.body.length === 0) return null;
  return { type: message.headers.get("Content-Type") ?? "application/octet-stream", bytes: message.body };
}

/** Puts a body into a message, or takes it out (null). */
export function setBody(message: SipMessage, body: SipBody | null): void {
  if (body === null) message.headers.delete("Content-Type");
  else message.headers.set("Content-Type", body.type);
  message.body = body?.bytes ?? new Uint8Array(0);
}

/** What a message says about the session: nothing, a description, or a body we cannot use (415). */
type SessionBody =
  | { readonly type: "none" }
  | { readonly type: "session"; readonly body: SipBody }
  | { readonly type: "unacceptable"; readonly reason: string };

/**
 * Finds the SDP of a message: the body itself, or the first SDP part of a multipart body.
 * @param answered whom the request went to, for responses
 */
export function sessionBodyOf(message: SipMessage, answered: Target | null = null): SessionBody {
  const body = bodyOf(message);
  if (body === null) return { type: "none" };
  const encoding = trimBlanks(message.headers.get("Content-Encoding") ?? "identity").toLowerCase();
  if (encoding !== "identity") return { type: "unacceptable", reason: `content encoding ${encoding}` };
  const type = mediaType(body.type);
  // A peer that forgets Content-Type in an INVITE, or writes none, means SDP (seen with small devices).
  if (type === SDP_TYPE || !type.includes("/") || !message.headers.has("Content-Type")) {
    return sessionOf(message, body.bytes, answered);
  }
  if (type.startsWith("multipart/")) {
    const part = multipartParts(body).find((candidate) => mediaType(candidate.type) === SDP_TYPE);
    if (part !== undefined) return sessionOf(message, part.bytes, answered);
  }
  if (isOptional(message.headers.get("Content-Disposition"))) return { type: "none" };
  return { type: "unacceptable", reason: `body of type ${type}` };
}

function sessionOf(message: SipMessage, bytes: Uint8Array, answered: Target | null): SessionBody {
  const from = signallingHosts(message, answered?.endpoint.hostname ?? null);
  return { type: "session", body: { type: SDP_TYPE, bytes, from } };
}

/** Whether a body of this Content-Disposition may be ignored (20.11). */
export function isOptional(disposition: string | null): boolean {
  return parseParams(disposition ?? "").get("handling")?.toLowerCase() === "optional";
}

/** Splits a multipart body (RFC 2046 section 5.1.1); empty when it is not one. Parts are views. */
export function multipartParts(body: SipBody): SipBody[] {
  const boundary = parseParams(body.type).get("boundary") ?? null;
  if (boundary === null || boundary === "" || boundary.length > MAX_BOUNDARY_LENGTH) return [];
  // latin1 keeps one character per byte, so indexes into the text are indexes into the bytes.
  const text = new TextDecoder("latin1").decode(body.bytes);
  const marker = `--${boundary}`;
  const parts: SipBody[] = [];
  let at = text.startsWith(marker) ? 0 : text.indexOf(`\n${marker}`) + 1;
  while (parts.length < MAX_BODY_PARTS && text.startsWith(marker, at)) {
    const lineEnd = text.indexOf("\n", at);
    const next = lineEnd < 0 ? -1 : text.indexOf(`\n${marker}`, lineEnd);
    if (next < 0 || text.startsWith(`${marker}--`, at)) break;
    parts.push(readPart(body.bytes, lineEnd + 1, text[next - 1] === "\r" ? next - 1 : next));
    at = next + 1;
  }
  return parts;
}

/** Headers, an empty line, and the body; either may be missing. */
function readPart(bytes: Uint8Array, from: number, to: number): SipBody {
  const part = bytes.subarray(from, Math.max(from, to));
  const start = part[0] === CR ? 1 : 0;
  if (part[start] === LF) return { type: DEFAULT_PART_TYPE, bytes: part.subarray(start + 1) };
  const end = findHeadEnd(part, 0);
  if (end === null) return { type: DEFAULT_PART_TYPE, bytes: part };
  const lines = headLines(decodeUtf8(part.subarray(0, Math.min(end.head, MAX_PART_HEAD))));
  const line = lines.find((one) =>
    trimBlanks(one.slice(0, one.indexOf(":") + 1)).toLowerCase() === "content-type:"
  );
  const type = line === undefined ? DEFAULT_PART_TYPE : trimBlanks(line.slice(line.indexOf(":") + 1));
  return { type, bytes: part.subarray(end.body) };
}

/** A text body, UTF-8. */
export function textBody(text: string): SipBody {
  return { type: "text/plain;charset=UTF-8", bytes: encodeUtf8(text) };
}

/** The text of a body; never throws. */
export function bodyText(body: SipBody): string {
  return decodeUtf8(body.bytes);
}

/** Hops that are looked at: a call has few. */
const MAX_HOPS = 8;

/**
 * IP addresses, each once, the nearest first.
 * @param answered whom the request went to, for responses: their Vias are ours and tell nothing
 */
export function signallingHosts(message: SipMessage, answered: string | null): string[] {
  const found: string[] = answered === null ? [] : [answered];
  if (message.kind === "request") found.push(...message.headers.all("Via").slice(0, MAX_HOPS).map(hostOfVia));
  found.push(hostOfContact(message.headers.get("Contact")));
  const hosts = found.map((host) => unmapAddress(unbracketed(host)));
  return [...new Set(hosts.filter((host) => isIpAddress(host) && !isUnspecified(host)))];
}

function hostOfVia(text: string): string {
  const via = nullIfMalformed<Via>(() => parseVia(text));
  return via === null ? "" : via.params.get("received") ?? via.host;
}

function hostOfContact(text: string | null): string {
  if (text === null || text === "*") return "";
  return nullIfMalformed(() => parseNameAddr(text))?.uri.host ?? "";
}

function unbracketed(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
