// The headers of one message, in order, by case-insensitive name (RFC 3261 7.3.1). Values stay text; the typed forms
// of single headers are in header_values.ts.
// Role: wire

import { splitOutside, trimBlanks } from "./grammar.ts";

export { formatVia, parseVia, readVia, type Via } from "./header_values.ts";
export { type CSeq, formatCSeq, parseCSeq } from "./header_values.ts";

interface Entry {
  readonly key: string;
  readonly value: string;
}

/**
 * The headers of a message. Names are case-insensitive and may be compact.
 *
 * List headers (Via, Route, Contact, Allow, ...) are cut at their commas when they are added, so the topmost Via is
 * the same thing however a peer packed its lines.
 */
export class SipHeaders {
  #entries: Entry[] = [];

  /** Starts empty or with these values. @param initial pairs to add in order */
  constructor(initial: Iterable<readonly [name: string, value: string]> = []) {
    for (const [name, value] of initial) this.add(name, value);
  }

  /**
   * The value of a header, null when it is missing. Of headers that list addresses or the like (Via, Route,
   * Contact, Warning) the first element; of headers that list tokens (Allow, Supported) the whole list;
   * of repeated others (WWW-Authenticate) the first line.
   */
  get(name: string): string | null {
    const key = headerKey(name);
    if (headerKind(key) === "tokens") return this.has(key) ? this.all(key).join(", ") : null;
    for (const entry of this.#entries) if (entry.key === key) return entry.value;
    return null;
  }

  /** All values, topmost first, one per element where the header is a list. */
  all(name: string): string[] {
    const key = headerKey(name);
    const values: string[] = [];
    for (const entry of this.#entries) if (entry.key === key) values.push(entry.value);
    return values;
  }

  /** Whether a list header holds this token, case-insensitively: `includes("Supported", "100rel")`. */
  includes(name: string, token: string): boolean {
    return this.all(name).some((value) => value.toLowerCase() === token.toLowerCase());
  }

  has(name: string): boolean {
    const key = headerKey(name);
    return this.#entries.some((entry) => entry.key === key);
  }

  /** Replaces all values of a header; the place of the first one is kept. */
  set(name: string, value: string): void {
    const key = headerKey(name);
    const at = this.#entries.findIndex((entry) => entry.key === key);
    if (at < 0) return this.add(name, value);
    const before = this.#entries.slice(0, at);
    const after = this.#entries.slice(at).filter((entry) => entry.key !== key);
    this.#entries = [...before, ...entriesOf(name, value), ...after];
  }

  /** Adds below the values that are there. An empty list header ("Supported:") is kept as no element at all. */
  add(name: string, value: string): void {
    for (const entry of entriesOf(name, value)) this.#entries.push(entry);
  }

  /** Adds above the values that are there, at the top of the message: Via, Record-Route, Route. */
  prepend(name: string, value: string): void {
    this.#entries.unshift(...entriesOf(name, value));
  }

  /** Takes away the topmost value, also out of a comma list; returns it, null when there is none. */
  removeFirst(name: string): string | null {
    const key = headerKey(name);
    const at = this.#entries.findIndex((entry) => entry.key === key);
    return at < 0 ? null : this.#entries.splice(at, 1)[0]!.value;
  }

  /** Replaces the topmost value in its place (a Via that gets `received`); adds it when there is none. */
  setFirst(name: string, value: string): void {
    const key = headerKey(name);
    const at = this.#entries.findIndex((entry) => entry.key === key);
    if (at < 0) this.add(name, value);
    else this.#entries.splice(at, 1, ...entriesOf(name, value));
  }

  delete(name: string): void {
    const key = headerKey(name);
    this.#entries = this.#entries.filter((entry) => entry.key !== key);
  }

  /** Every value with the name as it is sent, in order. */
  *entries(): Generator<[name: string, value: string], void, void> {
    for (const entry of this.#entries) yield [headerName(entry.key), entry.value];
  }

  get size(): number {
    return this.#entries.length;
  }

  clone(): SipHeaders {
    const copy = new SipHeaders();
    copy.#entries = [...this.#entries];
    return copy;
  }
}

function entriesOf(name: string, value: string): Entry[] {
  const key = headerKey(name);
  const line = trimBlanks(onOneLine(value));
  const kind = headerKind(key);
  if (kind === "single") return [{ key, value: line }];
  return splitOutside(line, ",", kind === "elements").filter((element) => element !== "")
    .map((element) => ({ key, value: element }));
}

/** Line breaks become spaces: no value, whoever made it, can smuggle in another header. */
function onOneLine(value: string): string {
  return value.includes("\n") || value.includes("\r") ? value.replace(/[\r\n]+[ \t]*/g, " ") : value;
}

/** How a header may repeat: one value, addresses or the like one by one, tokens that read well as one line. */
type HeaderKind = "single" | "elements" | "tokens";

const COMPACT: ReadonlyMap<string, string> = new Map([
  ["a", "accept-contact"],
  ["b", "referred-by"],
  ["c", "content-type"],
  ["d", "request-disposition"],
  ["e", "content-encoding"],
  ["f", "from"],
  ["i", "call-id"],
  ["j", "reject-contact"],
  ["k", "supported"],
  ["l", "content-length"],
  ["m", "contact"],
  ["n", "identity-info"],
  ["o", "event"],
  ["r", "refer-to"],
  ["s", "subject"],
  ["t", "to"],
  ["u", "allow-events"],
  ["v", "via"],
  ["x", "session-expires"],
  ["y", "identity"],
]);

/** Names whose usual spelling is not "First-Letters-In-Capitals". */
const SPELLING: ReadonlyMap<string, string> = new Map([
  ["call-id", "Call-ID"],
  ["cseq", "CSeq"],
  ["mime-version", "MIME-Version"],
  ["min-se", "Min-SE"],
  ["rack", "RAck"],
  ["remote-party-id", "Remote-Party-ID"],
  ["rseq", "RSeq"],
  ["sip-etag", "SIP-ETag"],
  ["sip-if-match", "SIP-If-Match"],
  ["www-authenticate", "WWW-Authenticate"],
]);

const ELEMENT_LISTS: ReadonlySet<string> = new Set([
  "alert-info",
  "call-info",
  "contact",
  "diversion",
  "error-info",
  "history-info",
  "p-asserted-identity",
  "path",
  "reason",
  "record-route",
  "route",
  "service-route",
  "via",
  "warning",
]);

const TOKEN_LISTS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "allow",
  "allow-events",
  "content-encoding",
  "content-language",
  "in-reply-to",
  "proxy-require",
  "require",
  "supported",
  "unsupported",
]);

/** The full lower-case name of a header, whatever its case and also from its compact form. */
export function headerKey(name: string): string {
  const lower = name.toLowerCase();
  return COMPACT.get(lower) ?? lower;
}

/** The spelling in which a header is sent; compact forms become full ones. */
export function headerName(name: string): string {
  const key = headerKey(name);
  return SPELLING.get(key) ?? key.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** How a header repeats. Credentials and challenges hold commas of their own and are never split (7.3.1). */
export function headerKind(key: string): HeaderKind {
  if (ELEMENT_LISTS.has(key)) return "elements";
  return TOKEN_LISTS.has(key) ? "tokens" : "single";
}
