// Percent escapes of URIs (RFC 3261 25.1 "escaped", RFC 3986 2.1).
// Escaped bytes that are no UTF-8 become lone low surrogates U+DC80..U+DCFF, which no decoded text contains,
// so that a URI leaves with the bytes it came with.
// Role: wire

import { decodeUtf8 } from "../../base/bytes.ts";
import { ALPHANUMERIC, type CharacterSet, characterSet, isMadeOf } from "./grammar.ts";

/** Characters a user part may hold unescaped. */
export const USER_SAFE: CharacterSet = characterSet(`${ALPHANUMERIC}-_.!~*'()&=+$,;?/`);
/** Characters a password may hold unescaped. */
export const PASSWORD_SAFE: CharacterSet = characterSet(`${ALPHANUMERIC}-_.!~*'()&=+$,`);
/** Characters a URI parameter may hold unescaped. */
export const PARAM_SAFE: CharacterSet = characterSet(`${ALPHANUMERIC}-_.!~*'()[]/:&+$`);

/** Undoes %XX; a % without two hex digits behind it is a %. */
export function unescapeUri(text: string): string {
  let at = text.indexOf("%");
  if (at < 0) return text;
  let result = text.slice(0, at);
  while (at < text.length) {
    const end = endOfEscapes(text, at);
    const next = text.indexOf("%", Math.max(end, at + 1));
    const stop = next < 0 ? text.length : next;
    result += (end === at ? "" : textOf(bytesOf(text, at, end))) + text.slice(end, stop);
    at = stop;
  }
  return result;
}

/** Where the run of %XX that starts at `from` ends. */
function endOfEscapes(text: string, from: number): number {
  let at = from;
  while (text[at] === "%" && hexDigit(text, at + 1) >= 0 && hexDigit(text, at + 2) >= 0) at += 3;
  return at;
}

function bytesOf(text: string, from: number, end: number): Uint8Array {
  const bytes = new Uint8Array((end - from) / 3);
  for (let i = 0; i < bytes.length; i++) {
    const at = from + 3 * i;
    bytes[i] = hexDigit(text, at + 1) * 16 + hexDigit(text, at + 2);
  }
  return bytes;
}

/** -1 when there is none. */
function hexDigit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function textOf(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (!text.includes("\ufffd")) return text;
  let result = "";
  for (let at = 0; at < bytes.length;) {
    const length = utf8LengthAt(bytes, at);
    result += length === 0
      ? String.fromCharCode(0xdc00 + bytes[at]!)
      : decodeUtf8(bytes.subarray(at, at + length));
    at += Math.max(length, 1);
  }
  return result;
}

/** Length of the valid UTF-8 sequence at `at` (RFC 3629 4); 0 when there is none. */
function utf8LengthAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  for (let i = 1; i < length; i++) {
    const lowest = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const highest = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    const byte = bytes[at + i] ?? 0;
    if (byte < lowest || byte > highest) return 0;
  }
  return length;
}

/** Escapes every character that is not in `safe`. */
export function escapeUri(text: string, safe: CharacterSet): string {
  if (isMadeOf(text, safe)) return text;
  let result = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (code < 128) result += safe[code] === 1 ? character : ESCAPES[code];
    else if (character.isWellFormed()) result += encodeURIComponent(character);
    else result += code >= 0xdc80 && code <= 0xdcff ? ESCAPES[code - 0xdc00] : "%EF%BF%BD";
  }
  return result;
}

/** %XX of each byte. */
const ESCAPES: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
);
