// The few lexical rules every SIP header shares: tokens, quoted strings, lists and `;name=value` parameters
// (RFC 3261 25.1). Everything is linear in the length of the text.
// Role: wire

import { decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";

export const SIP = "SIP";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS_TEXT = "0123456789";
export const ALPHANUMERIC: string = LETTERS + DIGITS_TEXT;

/** A set of ASCII characters: 1 at the code of each. */
export type CharacterSet = Uint8Array;

export function characterSet(characters: string): CharacterSet {
  const set = new Uint8Array(128);
  for (let at = 0; at < characters.length; at++) set[characters.charCodeAt(at)] = 1;
  return set;
}

/** Whether every character of `text` is in the set; false for empty text. */
export function isMadeOf(text: string, set: CharacterSet): boolean {
  for (let at = 0; at < text.length; at++) if (set[text.charCodeAt(at)] !== 1) return false;
  return text !== "";
}

const DIGITS = characterSet(DIGITS_TEXT);
const TOKEN = characterSet(`${ALPHANUMERIC}-.!%*_+\`'~`);
/** A parameter value that needs no quotes: token, host or IPv6 reference. */
const PLAIN_VALUE = characterSet(`${ALPHANUMERIC}-.!%*_+\`'~:[]`);
const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
// deno-lint-ignore no-control-regex
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]+/g;

/** Parameters of a header value or URI: lower-case name -> value, null when there is no `=value`. */
export type Params = ReadonlyMap<string, string | null>;

/** Of what has no parameters, which is most: one for all. */
export const NO_PARAMS: Params = new Map();

/** Whether `text` is a token (RFC 3261 25.1), as methods, header and parameter names must be. */
export function isToken(text: string): boolean {
  return isMadeOf(text, TOKEN);
}

/** Whether this is the code of a blank, a tab or a line end; U+2028 and the like are text as any other. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === TAB || code === CR || code === LF;
}

/** The text without blanks at its ends. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** The text without empty parameters at its end. */
export function trimEmptyParams(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === ";" || isBlank(text.charCodeAt(end - 1)))) end--;
  return text.slice(0, end);
}

/** The index of the first blank at or after `from`; the length of the text when there is none. */
export function blankAt(text: string, from = 0): number {
  let at = from;
  while (at < text.length && !isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** Index of the quote that ends the quoted string which starts at `start`; -1 when it never ends. */
export function endOfQuoted(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === '"') return at;
  }
  return -1;
}

/**
 * Index of the `>` that closes the `<` at `open`; -1 when there is none. A `>` may stand in a quoted URI parameter,
 * `<sip:h;x="a>b">`: quotes which hold nothing that is quoted (`<sip:h?x=">`) are text.
 */
export function endOfBrackets(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    const character = text[at];
    if (character === ">") return at;
    if (character !== '"' || text[at - 1] !== "=") continue;
    const end = endOfQuoted(text, at);
    if (end > 0 && ";>?&".includes(text[end + 1] ?? "none")) at = end;
  }
  return -1;
}

/**
 * Cuts at every `separator` that is neither inside quotes nor, for addresses, inside `<...>`; parts are trimmed.
 * A quote or bracket that is never closed hides nothing.
 * @param angles whether `<...>` hides separators too
 */
export function splitOutside(text: string, separator: "," | ";", angles: boolean): string[] {
  const parts: string[] = [];
  let start = 0;
  let quotes = true;
  let brackets = angles;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === separator) {
      parts.push(trimBlanks(text.slice(start, at)));
      start = at + 1;
    } else if (quotes && character === '"') {
      const end = endOfQuoted(text, at);
      if (end < 0) quotes = false;
      else at = end;
    } else if (brackets && character === "<") {
      const end = endOfBrackets(text, at);
      if (end < 0) brackets = false;
      else at = end;
    }
  }
  parts.push(trimBlanks(text.slice(start)));
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
 * Parses what follows a value, `;name=value;name`, and never fails: what is empty, or has no name that is a token, is
 * left out; a quote that is never closed ends with the text. An empty value counts as none, of repeated names the
 * first wins.
 * @param text empty, or starting with `;`; what stands before the first `;` does not count
 */
export function parseParams(text: string): Map<string, string | null> {
  const params = new Map<string, string | null>();
  const semicolon = text.indexOf(";");
  if (semicolon < 0) return params;
  for (const part of splitOutside(text.slice(semicolon + 1), ";", false)) {
    const equals = part.indexOf("=");
    const name = trimBlanks(equals < 0 ? part : part.slice(0, equals)).toLowerCase();
    if (isToken(name) && !params.has(name)) {
      params.set(name, equals < 0 ? null : paramValue(trimBlanks(part.slice(equals + 1))));
    }
  }
  return params;
}

/** Quotes are taken off, with what stands behind them; null for nothing. */
export function paramValue(text: string): string | null {
  if (text === "") return null;
  if (!text.startsWith('"')) return text;
  const end = endOfQuoted(text, 0);
  return end < 0 ? text.slice(1) : unquote(text.slice(0, end + 1));
}

/** Formats as `;name=value;name`, with quotes where the value needs them. */
export function formatParams(params: Params): string {
  let text = "";
  for (const [name, value] of params) {
    text += `;${name}`;
    if (value !== null) text += `=${isMadeOf(value, PLAIN_VALUE) ? value : quote(value)}`;
  }
  return text;
}

/** A decimal number of at most `max`; null when `text` is anything else. */
export function parseDecimal(text: string, max: number): number | null {
  if (text.length > 20 || !isMadeOf(text, DIGITS)) return null;
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
