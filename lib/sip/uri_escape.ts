// Percent escapes of URIs (RFC 3261 25.1 "escaped", RFC 3986 2.1).
// Escaped bytes that are no UTF-8 become lone low surrogates U+DC80..U+DCFF, which no decoded text contains,
// so that a URI leaves with the bytes it came with.
// Role: wire
// Answers to: siprtmp, which compared users in their escaped form.

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { clip, SIP } from "./grammar.ts";

/** Characters a user part may hold unescaped. */
export const USER_SAFE = /[A-Za-z0-9\-_.!~*'()&=+$,;?/]/;
/** Characters a password may hold unescaped. */
export const PASSWORD_SAFE = /[A-Za-z0-9\-_.!~*'()&=+$,]/;
/** Characters a URI parameter may hold unescaped. */
export const PARAM_SAFE = /[A-Za-z0-9\-_.!~*'()[\]/:&+$]/;

/** Undoes %XX. WireError when a % is not followed by two hex digits. */
export function unescapeUri(text: string): string {
  if (!text.includes("%")) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw new WireError(SIP, `bad % escape in ${clip(text)}`);
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    const bytes = new Uint8Array(run.length / 3);
    for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(run.slice(i * 3 + 1, i * 3 + 3), 16);
    return textOf(bytes);
  });
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

/** Length of the valid UTF-8 sequence at `at`; 0 when there is none. */
function utf8LengthAt(bytes: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    const text = decodeUtf8(bytes.subarray(at, at + length));
    if ([...text].length === 1 && encodeUtf8(text).length === length && isSame(text, bytes, at)) {
      return length;
    }
  }
  return 0;
}

function isSame(text: string, bytes: Uint8Array, at: number): boolean {
  return encodeUtf8(text).every((byte, i) => byte === bytes[at + i]);
}

/** Escapes every character that `safe`, a one-character class, does not match. */
export function escapeUri(text: string, safe: RegExp): string {
  let result = "";
  for (const character of text) result += safe.test(character) ? character : escapeCharacter(character);
  return result;
}

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  if (character.length === 1 && code >= 0xdc80 && code <= 0xdcff) return percent(code - 0xdc00);
  let result = "";
  for (const byte of encodeUtf8(character)) result += percent(byte);
  return result;
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
