// Start line and headers of one message, from text (RFC 3261 7.1-7.3, 25.1).
// Headers are read before the start line is judged, so that a request with a broken start line can still be
// answered. Folded lines and bare LF line ends are accepted.
// Role: wire

import { WireError } from "../../base/errors.ts";
import { isToken, parseDecimal, SIP, trimBlanks } from "./grammar.ts";
import { parseCSeq, parseVia } from "./header_values.ts";
import { SipHeaders } from "./header.ts";
import { NO_BODY, type SipMessage, type SipRequest, type SipResponse, tagOf } from "./message.ts";
import { parseNameAddr } from "./name_addr.ts";
import { MAX_URI_LENGTH, parseSipUri, schemeOf, type SipUri, sipUri } from "./uri.ts";

/** Most header lines accepted in one message. */
export const MAX_HEADER_LINES = 256;
/** Most header values accepted in one message: elements of lists count one by one. */
const MAX_HEADER_VALUES = 4096;

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
  const [first, ...lines] = headLines(text);
  const start = parseStartLine(first!);
  const { headers, problem: headerProblem } = parseHeaderLines(lines);
  const length = contentLengthOf(headers);
  const contentLength = length === "bad" ? null : length;
  const problem = start.problem ?? headerProblem ?? ruleProblem(start, headers);
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

/** The lines of a head, those that were folded (7.3.1) put together again; each ends with CRLF or LF. */
export function headLines(text: string): string[] {
  const lines: string[] = [];
  for (let start = 0; start <= text.length;) {
    const lf = text.indexOf("\n", start);
    const end = lf < 0 ? text.length : lf;
    const line = text.slice(start, lf > start && text[lf - 1] === "\r" ? lf - 1 : end);
    if (lines.length > 0 && (line.startsWith(" ") || line.startsWith("\t"))) {
      lines[lines.length - 1] += ` ${trimBlanks(line)}`;
    } else lines.push(line);
    start = end + 1;
  }
  return lines;
}

function bad(text: string): Problem {
  return { status: 400, text };
}

function ruleProblem(start: StartLine, headers: SipHeaders): Problem | null {
  const text = start.kind === "request" ? requestProblem(start.method, headers) : responseProblem(headers);
  return text === null ? null : bad(text);
}

function startsWithVersion(text: string): boolean {
  return text.slice(0, 4).toUpperCase() === "SIP/";
}

function parseStartLine(line: string): StartLine {
  if (startsWithVersion(line)) return parseStatusLine(line);
  const [method = "", uriText = "", version = "", ...more] = line.split(" ", 5);
  const request = { kind: "request", method, uri: UNREADABLE_URI } as const;
  // A request of another version may have another start line, so the version is looked at first.
  const last = line.slice(line.lastIndexOf(" ") + 1);
  if (startsWithVersion(last) && last.slice(4) !== "2.0") {
    return { ...request, problem: { status: 505, text: "Version Not Supported" } };
  }
  if (more.length > 0 || !startsWithVersion(version) || !isToken(method)) {
    return { ...request, problem: bad("Bad request line") };
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

/** SIP/2.0, three digits, and a reason phrase in any characters, or none. */
function parseStatusLine(line: string): StartLine {
  const digits = line.slice(8, 11);
  const status = digits.length === 3 ? parseDecimal(digits, 699) ?? 0 : 0;
  const isVersion = line.slice(4, 8) === "2.0 ";
  const problem = !isVersion || status < 100 || (line[11] ?? " ") !== " " ? bad("Bad status line") : null;
  return { kind: "response", status, reason: line.slice(12), problem };
}

/** A line that is no header, or has a name that is none, is ignored (8.2): what it was to say is not needed. */
function parseHeaderLines(lines: readonly string[]): { headers: SipHeaders; problem: Problem | null } {
  const headers = new SipHeaders();
  for (const line of lines.slice(0, MAX_HEADER_LINES)) {
    const colon = line.indexOf(":");
    const name = trimBlanks(line.slice(0, Math.max(colon, 0)));
    if (isToken(name)) headers.add(name, line.slice(colon + 1));
    if (headers.size > MAX_HEADER_VALUES) return { headers, problem: bad("Too many header values") };
  }
  return { headers, problem: lines.length > MAX_HEADER_LINES ? bad("Too many header lines") : null };
}

/**
 * What is needed to answer: a request, not ACK, with a Via, which its sender recognises. One that cannot be read goes
 * back as it came, to the source.
 */
function partialOf(start: StartLine, headers: SipHeaders): SipRequest | null {
  if (start.kind !== "request" || start.method === "ACK" || !isToken(start.method)) return null;
  if (!headers.has("Via")) return null;
  return { kind: "request", method: start.method, uri: start.uri, headers, body: NO_BODY };
}

/** What is needed to end what it answers: the status, and a Via and a CSeq that say what that is. */
function responseOf(start: StartLine, headers: SipHeaders): SipResponse | null {
  if (start.kind !== "response" || start.problem !== null) return null;
  if (!headers.has("Via") || !headers.has("CSeq")) return null;
  return { kind: "response", status: start.status, reason: start.reason, headers, body: NO_BODY };
}

/** Most contacts looked at: one that can be used, where one is enough, is among the first. */
const MAX_CONTACTS = 100;
const IDENTITY: readonly string[] = ["From", "To", "Call-ID", "CSeq"];
/** Requests outside dialogs whose Contact is used as an address to send to. */
const CONTACT_METHODS: ReadonlySet<string> = new Set(["INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "REGISTER"]);
/** Requests that belong to another one, or end a call: they are read as far as it goes. */
const ENDING_METHODS: ReadonlySet<string> = new Set(["ACK", "BYE", "CANCEL"]);

/** What is wrong with the headers of a request, in a few words; null when nothing is that matters. */
export function requestProblem(method: string, headers: SipHeaders): string | null {
  const common = commonProblem(headers) ?? cseqProblem(headers, method);
  if (common !== null || !standsAlone(method, headers)) return common;
  if (contentLengthOf(headers) === "bad") return "Bad Content-Length header";
  return viaProblem(headers) ?? (CONTACT_METHODS.has(method) ? contactProblem(method, headers) : null);
}

/** What is wrong with the headers of a response; null when nothing is that matters. */
export function responseProblem(headers: SipHeaders): string | null {
  return commonProblem(headers) ?? cseqProblem(headers, null);
}

/** Whether a request is the beginning of something, so that refusing it costs nobody a call. */
function standsAlone(method: string, headers: SipHeaders): boolean {
  return !ENDING_METHODS.has(method) && tagOf(headers.get("To")) === null;
}

function commonProblem(headers: SipHeaders): string | null {
  if (!headers.get("Via")) return "No Via header";
  for (const name of IDENTITY) {
    const values = headers.all(name);
    if (!values[0]) return `No ${name} header`;
    // Twice the same has one meaning.
    if (values.some((value) => value !== values[0])) return `More than one ${name} header`;
  }
  return null;
}

/** @param method of the request; null: any */
function cseqProblem(headers: SipHeaders, method: string | null): string | null {
  return problemIn("CSeq", () => {
    const cseq = parseCSeq(headers.get("CSeq")!);
    if (method !== null && cseq.method !== method) throw new WireError("SIP", "other method in CSeq");
  });
}

/** The topmost Via must be one; below it nothing is read, but an element that is only separators is no Via. */
function viaProblem(headers: SipHeaders): string | null {
  if (headers.all("Via").some((value) => value.startsWith(";"))) return "Bad Via header";
  return problemIn("Via", () => void parseVia(headers.get("Via")!));
}

/** One Contact that can be used is enough; for a REGISTER all are used. */
function contactProblem(method: string, headers: SipHeaders): string | null {
  const values = headers.all("Contact");
  if (values.length === 0) return null;
  if (method !== "REGISTER") {
    return values.slice(0, MAX_CONTACTS).some(isAddress) ? null : "Bad Contact header";
  }
  if (values.includes("*")) return values.length === 1 ? null : "Contact * beside other contacts";
  return values.length <= MAX_CONTACTS && values.every(isAddress) ? null : "Bad Contact header";
}

function isAddress(text: string): boolean {
  return problemIn("", () => void parseNameAddr(text)) === null;
}

function problemIn(name: string, check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof WireError) return `Bad ${name} header`;
    throw error;
  }
}

/** Length of the body by Content-Length: null when the header is missing. "bad": no number, or two that differ. */
export function contentLengthOf(headers: SipHeaders): number | null | "bad" {
  let length: number | null = null;
  for (const value of headers.all("Content-Length")) {
    const text = trimBlanks(value.startsWith("+") ? value.slice(1) : value);
    const read = parseDecimal(text, Number.MAX_SAFE_INTEGER);
    if (read === null || length !== null && read !== length) return "bad";
    length = read;
  }
  return length;
}

/** Statuses that answer a message which cannot be processed as it is. */
export type ParseStatus = 400 | 414 | 416 | 505 | 513;

export class SipParseError extends WireError {
  readonly status: ParseStatus;
  readonly problem: string;
  /**
   * The request as far as it was understood, when enough was to send `status` back (a Via; never for ACK and
   * responses). Its URI may be a placeholder.
   */
  readonly partial: SipRequest | null;

  /** The response as far as it was understood, when enough was to say what it answers: that is not to wait on. */
  readonly response: SipResponse | null;

  /** Made by the parsers. @param problem what is wrong */
  constructor(
    status: ParseStatus,
    problem: string,
    partial: SipRequest | null,
    response: SipResponse | null = null,
  ) {
    super(SIP, problem);
    this.name = "SipParseError";
    this.status = status;
    this.problem = problem;
    this.partial = partial;
    this.response = response;
  }
}
