// The few lexical rules every SIP header shares: tokens, quoted strings, lists and `;name=value` parameters
// (RFC 3261 25.1). Everything is linear in the length of the text.
// Role: wire
// Answers to: the split(',') and split(';') calls of siprtmp's rfc3261 code, which broke on quoted commas.

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

/** The protocol name that SIP errors carry. */
export const SIP = "SIP";

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
/** A parameter value that needs no quotes: token, host or IPv6 reference. */
const PLAIN_VALUE = /^[A-Za-z0-9\-.!%*_+`'~:[\]]+$/;
// deno-lint-ignore no-control-regex
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]+/g;

/** Parameters of a header value or URI: lower-case name -> value, null when there is no `=value`. */
export type Params = ReadonlyMap<string, string | null>;

/** Of what has no parameters, which is most: one for all. */
export const NO_PARAMS: Params = new Map();

/** Whether `text` is a token (RFC 3261 25.1), as methods, header and parameter names must be. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Index of the quote that ends the quoted string which starts at `start`. WireError when it never ends. */
export function endOfQuoted(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at;
  }
  throw new WireError(SIP, "a quoted string has no end", start);
}

/**
 * Cuts at every `separator` that is neither inside quotes nor, for addresses, inside `<...>`; parts are trimmed.
 * @param angles whether `<...>` hides separators too
 */
export function splitOutside(text: string, separator: "," | ";", angles: boolean): string[] {
  const parts: string[] = [];
  let start = 0;
  let inAngles = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"' && !inAngles) at = endOfQuoted(text, at);
    else if (angles && character === "<") inAngles = true;
    else if (angles && character === ">") inAngles = false;
    else if (character === separator && !inAngles) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  parts.push(text.slice(start).trim());
  return parts;
}

/** The text inside a quoted string that starts and ends with quotes, backslash escapes undone. */
export function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\([\s\S])/g, "$1");
}

/** A quoted string; control characters, which it must not hold, become spaces. */
export function quote(text: string): string {
  return `"${text.replace(CONTROL_CHARACTERS, " ").replace(/["\\]/g, "\\$&")}"`;
}

/**
 * Parses what follows a value, `;name=value;name`. An empty value counts as none, of repeated names the first wins.
 * @param text empty, or starting with `;`
 */
export function parseParams(text: string): Map<string, string | null> {
  const params = new Map<string, string | null>();
  if (text.trim() === "") return params;
  const [before, ...parts] = splitOutside(text, ";", false);
  if (before !== "") throw new WireError(SIP, `unexpected text before the parameters: ${clip(text)}`);
  for (const part of parts) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (!isToken(name)) throw new WireError(SIP, `bad parameter name in ${clip(text)}`);
    if (!params.has(name)) {
      params.set(name, equals < 0 ? null : parseParamValue(part.slice(equals + 1).trim()));
    }
  }
  return params;
}

function parseParamValue(text: string): string | null {
  if (text === "") return null;
  if (!text.startsWith('"')) {
    if (/[\s"<>,]/.test(text)) throw new WireError(SIP, `bad parameter value ${clip(text)}`);
    return text;
  }
  if (endOfQuoted(text, 0) !== text.length - 1) {
    throw new WireError(SIP, "text after a quoted parameter value");
  }
  return unquote(text);
}

/** Formats as `;name=value;name`, with quotes where the value needs them. */
export function formatParams(params: Params): string {
  let text = "";
  for (const [name, value] of params) {
    text += `;${name}`;
    if (value !== null) text += `=${PLAIN_VALUE.test(value) ? value : quote(value)}`;
  }
  return text;
}

/** A decimal number of at most `max`; null when `text` is anything else. */
export function parseDecimal(text: string, max: number): number | null {
  if (!/^[0-9]{1,20}$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

/** The start of a peer's text, short enough for an error line. */
export function clip(text: string): string {
  const line = text.replace(CONTROL_CHARACTERS, " ");
  return line.length > 60 ? `${line.slice(0, 60)}...` : line;
}

/** The same text as a copy of its own: a piece of a message keeps the whole message in memory. */
export function ownText(text: string): string {
  return decodeUtf8(encodeUtf8(text));
}
