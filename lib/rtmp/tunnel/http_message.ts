// The little of HTTP/1.1 (RFC 9112) that RTMPT needs: the head of a request with a body of known length, and
// the head of an answer.
// Role: wire

import { decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";
import { WireError } from "../../base/errors.ts";

/** Longest head of a request. */
export const MAX_HEAD_BYTES = 8 * 1024;

/** Longest body of a request: a key frame of a large picture still fits. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

const PROTOCOL = "HTTP request";

/** What stands before the body. */
export interface RequestHead {
  readonly method: string;
  /** From the first slash on, without scheme, host and query. */
  readonly path: string;
  /** Bytes of the body. */
  readonly contentLength: number;
  /** Whether the connection serves another request after this one. */
  readonly keepAlive: boolean;
  /** Whether the client waits for "100 Continue" before it sends the body. */
  readonly expectsContinue: boolean;
}

/**
 * Where the head ends: the index after the empty line, or -1 when it is not all there. Throws WireError.
 *
 *   POST /send/k3x9.../7 HTTP/1.1 CRLF  Content-Length: 1537 CRLF  Connection: Keep-Alive CRLF  CRLF  body
 */
export function findHttpHeadEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) {
    const next = bytes[at + 1] === CARRIAGE_RETURN ? at + 2 : at + 1;
    if (bytes[next] === LINE_FEED) return bounded(next + 1);
  }
  bounded(bytes.length);
  return -1;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

function bounded(headBytes: number): number {
  if (headBytes > MAX_HEAD_BYTES) throw new WireError(PROTOCOL, `its head exceeds ${MAX_HEAD_BYTES} bytes`);
  return headBytes;
}

/** Reads a whole head. Throws WireError. */
export function parseRequestHead(bytes: Uint8Array): RequestHead {
  const [first = "", ...lines] = decodeUtf8(bytes).trim().split(/\r?\n/);
  const match = /^([A-Z]{1,16}) (\S+) HTTP\/1\.(\d)$/.exec(first);
  if (match === null) throw new WireError(PROTOCOL, "its first line is not HTTP/1.1");
  const [, method, target, minor] = match as unknown as [string, string, string, string];
  const fields = parseFields(lines);
  if (fields.has("transfer-encoding")) throw new WireError(PROTOCOL, "a body without Content-Length");
  const connection = (fields.get("connection") ?? "").toLowerCase();
  return {
    method,
    path: pathOf(target),
    contentLength: parseLength(fields.get("content-length") ?? "0"),
    keepAlive: minor === "0" ? connection.includes("keep-alive") : !connection.includes("close"),
    expectsContinue: fields.get("expect")?.toLowerCase() === "100-continue",
  };
}

function parseFields(lines: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (colon < 1 || /\s/.test(name)) throw new WireError(PROTOCOL, "a header without a name");
    const value = line.slice(colon + 1).trim();
    // Two different lengths are how requests are smuggled past proxies (RFC 9112 6.3).
    if (name === "content-length" && (fields.get(name) ?? value) !== value) {
      throw new WireError(PROTOCOL, "two Content-Length");
    }
    fields.set(name, value);
  }
  return fields;
}

function parseLength(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new WireError(PROTOCOL, "Content-Length is not a number");
  const length = Number(text);
  if (length > MAX_BODY_BYTES) throw new WireError(PROTOCOL, `a body of ${length} bytes`);
  return length;
}

/** A proxy is asked with the whole URL (RFC 9112 3.2.2). */
function pathOf(target: string): string {
  return target.replace(/^http:\/\/[^/]*/i, "").split(/[?#]/, 1)[0]!;
}

export type HttpStatus = 100 | 200 | 400 | 404 | 405 | 503;

const REASONS: Readonly<Record<HttpStatus, string>> = {
  100: "Continue",
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  503: "Service Unavailable",
};

export function encodeResponseHead(status: HttpStatus, bodyBytes: number, keepAlive: boolean): Uint8Array {
  if (status === 100) return encodeUtf8(`HTTP/1.1 100 ${REASONS[100]}\r\n\r\n`);
  const allow = status === 405 ? "Allow: POST\r\n" : "";
  return encodeUtf8(
    `HTTP/1.1 ${status} ${REASONS[status]}\r\nContent-Type: application/x-fcs\r\n` +
      `Content-Length: ${bodyBytes}\r\nCache-Control: no-cache\r\n${allow}` +
      `Connection: ${keepAlive ? "Keep-Alive" : "close"}\r\n\r\n`,
  );
}

export type TunnelRequest =
  | { type: "open" }
  | { type: "send" | "idle" | "close"; session: string; sequence: number }
  | { type: "unknown" };

const UNKNOWN: TunnelRequest = { type: "unknown" };

/** Never throws: what cannot be read is unknown. */
export function parseTunnelPath(path: string): TunnelRequest {
  if (/^\/open(\/\d{0,10})?$/.test(path)) return { type: "open" };
  const match = /^\/(send|idle|close)\/([A-Za-z0-9]{1,64})\/(\d{1,10})$/.exec(path);
  if (match === null) return UNKNOWN;
  return { type: match[1] as "send" | "idle" | "close", session: match[2]!, sequence: Number(match[3]) };
}
