// What comes to the RTMP port by mistake: HTTP, SIP, RTSP, TLS. Each is told in its own words what the port is, so that
// whoever made the mistake reads a sentence and not a reset connection.
// Role: wire

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";

/** Another protocol, recognised. */
export interface OtherProtocol {
  /** For the log: "HTTP (GET / HTTP/1.1)". */
  readonly what: string;
  /** What it is answered with; null: nothing it would understand. */
  readonly reply: Uint8Array | null;
  /** More of it may be on its way: a connection that is closed then is reset, and the answer lost. */
  readonly more: boolean;
}

/** So much of a request is read before it is judged. */
export const MAX_REQUEST_BYTES = 4096;

/** Longest request line in the log. */
const MAX_SHOWN = 60;

const SENTENCE = "This is an RTMP port: connect to it with an rtmp:// address.";
const HTTP_METHODS = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) /;

/** RFC 8446 6.2: the fatal alert handshake_failure, in a record that all versions read. */
const TLS_ALERT = Uint8Array.of(0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28);

const REPLIES = { HTTP: httpReply, SIP: sipReply, RTSP: rtspReply };

/** What these first bytes are, whose first is not the RTMP version; null: more are needed. @param ended none will come */
export function recognise(bytes: Uint8Array, ended: boolean): OtherProtocol | null {
  const first = bytes[0] ?? 0;
  if (first === 6 || first === 8 || first === 9) {
    return unanswered(`version ${first}: RTMPE is not supported`);
  }
  if (first === 0x16) {
    return { what: "not RTMP but TLS, which this port does not speak", reply: TLS_ALERT, more: true };
  }
  if (!isLetter(first)) return unanswered(`version ${first}: not RTMP`);
  const text = decodeUtf8(bytes.subarray(0, MAX_REQUEST_BYTES));
  const head = headEnd(text);
  if (head < 0 && !ended && bytes.length < MAX_REQUEST_BYTES) return null;
  const more = head < 0 ||
    /^(?:(?:content-length|l)[ \t]*:[ \t]*[0-9]{0,10}[1-9]|transfer-encoding[ \t]*:)/im.test(text);
  const line = text.split("\n", 1)[0]!.trim();
  const protocol = protocolOf(line);
  const shown = line.slice(0, MAX_SHOWN);
  if (protocol === null) return unanswered(`not RTMP but text of another protocol (${shown})`);
  return {
    what: `not RTMP but ${protocol} (${shown}), answered with 400`,
    reply: REPLIES[protocol](text),
    more,
  };
}

/** By the version at the end of the request line; HTTP/0.9 had none. */
function protocolOf(line: string): "HTTP" | "SIP" | "RTSP" | null {
  const [, name] = / (HTTP|SIP|RTSP)\/[0-9.]{1,3}$/.exec(line) ?? [];
  if (name === "SIP" || name === "RTSP") return name;
  return name === "HTTP" || HTTP_METHODS.test(line) ? "HTTP" : null;
}

function unanswered(what: string): OtherProtocol {
  return { what, reply: null, more: false };
}

/** RFC 9112; a response to HEAD has no body. */
function httpReply(text: string): Uint8Array {
  const body = `${SENTENCE}\n`;
  const head = [
    "HTTP/1.1 400 Bad Request",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  return encodeUtf8(`${head.join("\r\n")}\r\n\r\n${text.startsWith("HEAD ") ? "" : body}`);
}

/** RFC 3261 8.2.6.2: the headers by which the client knows what is answered come back. */
function sipReply(text: string): Uint8Array {
  const head = headEnd(text);
  const kept = text.slice(0, head < 0 ? text.length : head).split("\n").map((line) => line.trimEnd())
    .filter((line) => /^(?:via|v|from|f|to|t|call-id|i|cseq)[ \t]*:/i.test(line));
  const lines = ["SIP/2.0 400 This is an RTMP port, SIP has another one", ...kept, "Content-Length: 0"];
  return encodeUtf8(`${lines.join("\r\n")}\r\n\r\n`);
}

/** RFC 2326 12.17 */
function rtspReply(text: string): Uint8Array {
  const sequence = /^cseq[ \t]*:[ \t]*([0-9]{1,9})/im.exec(text)?.[1] ?? "0";
  return encodeUtf8(`RTSP/1.0 400 Bad Request\r\nCSeq: ${sequence}\r\nConnection: close\r\n\r\n`);
}

function headEnd(text: string): number {
  const ends = [text.indexOf("\r\n\r\n"), text.indexOf("\n\n")].filter((at) => at >= 0);
  return ends.length === 0 ? -1 : Math.min(...ends);
}

function isLetter(code: number): boolean {
  return code >= 0x41 && code <= 0x5a || code >= 0x61 && code <= 0x7a;
}
