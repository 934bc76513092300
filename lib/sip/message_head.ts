// Start line and headers of one message, from text (RFC 3261 7.1-7.3, 25.1).
// Headers are read before the start line is judged, so that a request with a broken start line can still be
// answered. Folded lines and bare LF line ends are accepted.
// Role: wire
// Answers to: Message._parse of siprtmp.

import { messageOf, WireError } from "../base/errors.ts";
import { isToken } from "./grammar.ts";
import { SipHeaders } from "./header.ts";
import { parseVia } from "./header_via.ts";
import { type ParseStatus, SipParseError } from "./parse_error.ts";
import { NO_BODY, type SipMessage, type SipRequest, type SipResponse } from "./message.ts";
import { contentLengthOf, requestProblem, responseProblem } from "./message_rules.ts";
import { MAX_URI_LENGTH, parseSipUri, schemeOf, type SipUri, sipUri } from "./uri.ts";

/** Most header lines accepted in one message. */
export const MAX_HEADER_LINES = 256;

/** A head that was read: the message without its body, or why there is none; and how long the body is. */
export type MessageHead =
  & {
    /** Length of the body; null when Content-Length is missing or unusable. */
    readonly contentLength: number | null;
  }
  & ({ readonly type: "message"; readonly message: SipMessage } | {
    readonly type: "malformed";
    readonly error: SipParseError;
  });

interface Problem {
  readonly status: ParseStatus;
  readonly text: string;
}

type StartLine =
  | {
    readonly kind: "request";
    readonly method: string;
    readonly uri: SipUri;
    readonly problem: Problem | null;
  }
  | {
    readonly kind: "response";
    readonly status: number;
    readonly reason: string;
    readonly problem: Problem | null;
  };

const METHODS: ReadonlySet<string> = new Set([
  "ACK",
  "BYE",
  "CANCEL",
  "INFO",
  "INVITE",
  "MESSAGE",
  "NOTIFY",
  "OPTIONS",
  "PRACK",
  "PUBLISH",
  "REFER",
  "REGISTER",
  "SUBSCRIBE",
  "UPDATE",
]);

/** Stands in for a Request-URI that could not be read. */
const UNREADABLE_URI = sipUri("invalid.invalid");

/** Parses the text before the empty line. Never throws: what is wrong is in the result. */
export function parseMessageHead(text: string): MessageHead {
  const [first, ...lines] = text.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/);
  const start = parseStartLine(first!);
  const { headers, problem: headerProblem } = parseHeaderLines(lines);
  const length = contentLengthOf(headers);
  const contentLength = length === "bad" ? null : length;
  const problem = start.problem ?? headerProblem ?? badLength(length) ?? ruleProblem(start, headers);
  if (problem !== null) {
    const { status, text: fault } = problem;
    const error = new SipParseError(status, fault, partialOf(start, headers), responseOf(start, headers));
    return { type: "malformed", contentLength, error };
  }
  const message: SipMessage = start.kind === "request"
    ? { kind: "request", method: start.method, uri: start.uri, headers, body: NO_BODY }
    : { kind: "response", status: start.status, reason: start.reason, headers, body: NO_BODY };
  return { type: "message", contentLength, message };
}

function bad(text: string): Problem {
  return { status: 400, text };
}

function badLength(length: number | null | "bad"): Problem | null {
  return length === "bad" ? bad("Bad Content-Length header") : null;
}

function ruleProblem(start: StartLine, headers: SipHeaders): Problem | null {
  const text = start.kind === "request"
    ? requestProblem(start.method, headers)
    : responseProblem(start.status, headers);
  return text === null ? null : bad(text);
}

function parseStartLine(line: string): StartLine {
  if (/^SIP\//i.test(line)) return parseStatusLine(line);
  const parts = line.split(" ");
  const [method = "", uriText = "", version = ""] = parts;
  const request = { kind: "request", method, uri: UNREADABLE_URI } as const;
  if (parts.length !== 3 || !isToken(method)) return { ...request, problem: bad("Bad request line") };
  if (!/^SIP\/[0-9]+\.[0-9]+$/i.test(version)) return { ...request, problem: bad("Bad request line") };
  if (version.slice(4) !== "2.0") {
    return { ...request, problem: { status: 505, text: "Version Not Supported" } };
  }
  if (!METHODS.has(method) && METHODS.has(method.toUpperCase())) {
    return { ...request, problem: bad("Methods are written in capitals") };
  }
  return { ...request, ...parseRequestUri(uriText) };
}

function parseRequestUri(text: string): { uri: SipUri; problem: Problem | null } {
  const unread = (problem: Problem) => ({ uri: UNREADABLE_URI, problem });
  if (text.length > MAX_URI_LENGTH) return unread({ status: 414, text: "Request-URI Too Long" });
  const scheme = schemeOf(text);
  if (scheme !== null && scheme !== "sip" && scheme !== "sips" && scheme !== "tel") {
    return unread({ status: 416, text: "Unsupported URI Scheme" });
  }
  try {
    const uri = parseSipUri(text);
    return { uri, problem: uri.headers === null ? null : bad("Headers in the Request-URI") };
  } catch (error) {
    if (error instanceof WireError) return unread(bad("Bad Request-URI"));
    throw error;
  }
}

function parseStatusLine(line: string): StartLine {
  const match = /^SIP\/2\.0 ([0-9]{3})(?: (.*))?$/i.exec(line);
  const status = match ? Number(match[1]) : 0;
  const problem = status < 100 || status > 699 ? bad("Bad status line") : null;
  return { kind: "response", status, reason: match?.[2] ?? "", problem };
}

function parseHeaderLines(lines: readonly string[]): { headers: SipHeaders; problem: Problem | null } {
  const headers = new SipHeaders();
  let problem = lines.length > MAX_HEADER_LINES ? bad("Too many header lines") : null;
  for (const line of lines.slice(0, MAX_HEADER_LINES)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).trimEnd();
    if (!isToken(name)) problem ??= bad("Bad header line");
    else problem = addHeader(headers, name, line.slice(colon + 1)) ?? problem;
  }
  return { headers, problem };
}

function addHeader(headers: SipHeaders, name: string, value: string): Problem | null {
  try {
    headers.add(name, value);
    return null;
  } catch (error) {
    if (error instanceof WireError) return bad(`Bad ${name} header`);
    throw error;
  }
}

/** What is needed to answer: a request, not ACK, with a Via that says where to. */
function partialOf(start: StartLine, headers: SipHeaders): SipRequest | null {
  if (start.kind !== "request" || start.method === "ACK" || !isToken(start.method)) return null;
  const via = headers.get("Via");
  if (via === null || viaFault(via) !== null) return null;
  return { kind: "request", method: start.method, uri: start.uri, headers, body: NO_BODY };
}

/** What is needed to end what it answers: the status, and a Via and a CSeq that say what that is. */
function responseOf(start: StartLine, headers: SipHeaders): SipResponse | null {
  if (start.kind !== "response" || start.problem !== null) return null;
  const via = headers.get("Via");
  if (via === null || viaFault(via) !== null || !headers.has("CSeq")) return null;
  return { kind: "response", status: start.status, reason: start.reason, headers, body: NO_BODY };
}

function viaFault(via: string): string | null {
  try {
    parseVia(via);
    return null;
  } catch (error) {
    if (error instanceof WireError) return messageOf(error);
    throw error;
  }
}
