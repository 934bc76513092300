// Messages out of datagrams (RFC 3261 7, 18.3); out of streams: stream_parser.ts.
//
//   [CRLF...] start line CRLF headers CRLF CRLF body, cut where Content-Length or the datagram ends first
//
// A Content-Length that does not fit its datagram is a warning, not an error: Asterisk 1.6 and others send such.
// Role: wire

import { decodeUtf8 } from "../../base/bytes.ts";
import { findHeadEnd, isFiller } from "./framing.ts";
import type { SipMessage } from "./message.ts";
import { parseMessageHead } from "./message_head.ts";
import { SipParseError } from "./parse_error.ts";

export { isKeepAlive } from "./framing.ts";
export { type ParseStatus, SipParseError } from "./parse_error.ts";
export { SipStreamParser } from "./stream_parser.ts";

/** A message and what was odd about it. */
export interface DecodedMessage {
  /** The message; its body is an own copy. */
  readonly message: SipMessage;
  /** What was forgiven, one plain line each. */
  readonly warnings: string[];
}

/** Decodes the one message of a datagram. SipParseError when it is malformed. */
export function decodeSipDatagram(bytes: Uint8Array): DecodedMessage {
  const start = skipFiller(bytes);
  const end = findHeadEnd(bytes, start);
  const text = decodeUtf8(bytes.subarray(start, end === null ? undefined : end.head));
  const head = parseMessageHead(end === null && text.endsWith("\n") ? text.slice(0, -1) : text);
  if (head.type === "malformed") throw head.error;
  const { message } = head;
  if (end === null) {
    const fault = "No empty line after the headers";
    if (message.kind === "response") throw new SipParseError(400, fault, null, message);
    throw new SipParseError(400, fault, message.method === "ACK" ? null : message);
  }
  const warnings: string[] = [];
  const available = bytes.length - end.body;
  const length = head.contentLength ?? available;
  if (length !== available) warnings.push(`Content-Length is ${length} but the body has ${available} bytes`);
  message.body = bytes.slice(end.body, end.body + Math.min(length, available));
  return { message, warnings };
}

function skipFiller(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length && isFiller(bytes[at]!)) at++;
  return at;
}
