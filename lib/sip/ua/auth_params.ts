// The comma lists of challenges and credentials (RFC 3261 25.1, RFC 7616 3.3-3.4), with commas and "=" inside
// quotes, blanks around "=", and unquoted values where quotes belong.
//
//   Digest realm="a, b", nonce="x=y", algorithm=MD5, qop="auth,auth-int"
//
// Role: wire

import { WireError } from "../../base/errors.ts";
import { blankAt, clip, endOfQuoted, isBlank, isToken, SIP, trimBlanks } from "../message/grammar.ts";

export interface AuthValue {
  /** Lower-case scheme, "digest". */
  readonly scheme: string;
  /** Lower-case name -> value without quotes; escapes inside quotes are kept as they came (RFC 7616 `unq`). */
  readonly params: ReadonlyMap<string, string>;
}

/** Parses one challenge or credentials value. WireError when it is malformed. */
export function parseAuthValue(text: string): AuthValue {
  const trimmed = trimBlanks(text);
  const end = blankAt(trimmed);
  const scheme = trimmed.slice(0, end).toLowerCase();
  if (!isToken(scheme)) throw new WireError(SIP, `bad authentication scheme ${clip(text)}`);
  // Parameters of other schemes need not look like ours; nobody here reads them.
  return { scheme, params: scheme === "digest" ? parseAuthParams(trimmed.slice(end)) : new Map() };
}

function parseAuthParams(text: string): Map<string, string> {
  const params = new Map<string, string>();
  for (let at = nextName(text, 0); at < text.length;) {
    const equals = text.indexOf("=", at);
    const name = trimBlanks(text.slice(at, equals < 0 ? undefined : equals)).toLowerCase();
    if (equals < 0 || !isToken(name)) throw new WireError(SIP, `bad authentication parameter ${clip(name)}`);
    const { value, end } = valueAt(text, equals + 1);
    if (!params.has(name)) params.set(name, value);
    at = nextName(text, end);
  }
  return params;
}

/** Where the next name starts: empty elements have no effect. */
function nextName(text: string, from: number): number {
  let at = from;
  while (at < text.length && (text[at] === "," || isBlank(text.charCodeAt(at)))) at++;
  return at;
}

/** The value that starts at `from`, and the place after the comma behind it. */
function valueAt(text: string, from: number): { value: string; end: number } {
  let start = from;
  while (text[start] === " " || text[start] === "\t") start++;
  const quoted = text[start] === '"';
  const close = quoted ? endOfQuoted(text, start) : start;
  if (close < 0) throw new WireError(SIP, "a quoted value has no end");
  const stop = quoted ? close + 1 : start;
  const comma = text.indexOf(",", stop);
  const end = comma < 0 ? text.length : comma;
  const rest = trimBlanks(text.slice(stop, end));
  if (!quoted) return { value: rest, end: end + 1 };
  if (rest !== "") throw new WireError(SIP, `text after a quoted value: ${clip(rest)}`);
  return { value: text.slice(start + 1, stop - 1), end: end + 1 };
}

/** Formats credentials or a challenge. @param quoted names whose values are quoted (already escaped) strings */
export function formatAuthValue(
  params: Iterable<readonly [name: string, value: string]>,
  quoted: ReadonlySet<string>,
): string {
  const parts: string[] = [];
  for (const [name, value] of params) {
    parts.push(quoted.has(name) ? `${name}="${value}"` : `${name}=${value}`);
  }
  return `Digest ${parts.join(", ")}`;
}
