// Bodies of SIP INFO that matter in a call: DTMF in the forms that phones send, and the request for a key frame
// (application/media_control+xml, RFC 5168).
// Role: wire

import { decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";
import { mediaType, type SipBody } from "./body.ts";
import { characterSet, isMadeOf, parseDecimal, trimBlanks } from "./grammar.ts";

interface InfoDigit {
  /** 0-9 * # A-D. */
  readonly digit: string;
  /** How long, ms. */
  readonly durationMs: number;
}

type InfoMeaning =
  /** Keys, 0-9 * # A-D, in order; how long each, ms. */
  | { readonly type: "digits"; readonly digits: string; readonly durationMs: number }
  | { readonly type: "key frame" }
  /** It is understood, and nothing is to be done: the flash hook, errors of RFC 5168. */
  | { readonly type: "nothing" }
  /** It is not understood: another type, or a body that makes no sense. */
  | { readonly type: "unknown" };

/** Longest body looked at; real ones are under 200 octets. */
const MAX_INFO_OCTETS = 4096;
/** Most keys of one INFO. */
const MAX_DIGITS = 32;
const DEFAULT_DURATION_MS = 160;
const MAX_DURATION_MS = 10_000;

const MEDIA_CONTROL = "application/media_control+xml";
const EVENT_TYPE = "audio/telephone-event";
const DTMF_TYPES: readonly string[] = [
  "application/dtmf-relay",
  "application/dtmf",
  EVENT_TYPE,
  "application/telephone-event",
  "application/vnd.nortelnetworks.digits",
];
export const INFO_TYPES: readonly string[] = [...DTMF_TYPES, MEDIA_CONTROL];

const KEYS = "0123456789*#ABCD";
const KEY_CHARACTERS = characterSet(KEYS);
/** How the flash hook is written; 16 is its event number (RFC 4733 3.2). */
const FLASH: ReadonlySet<string> = new Set(["16", "HF", "FLASH", "!"]);
const NOTHING: InfoMeaning = { type: "nothing" };
const UNKNOWN: InfoMeaning = { type: "unknown" };

/**
 * Reads the body of an INFO; whatever it holds, the call goes on.
 *
 *   Signal=5 CRLF Duration=160     Signal: *     d=5     5     123     the four octets of RFC 4733
 */
export function parseInfo(body: SipBody): InfoMeaning {
  const type = mediaType(body.type);
  const { bytes } = body;
  if (bytes.length > MAX_INFO_OCTETS || !INFO_TYPES.includes(type)) return UNKNOWN;
  if (type === EVENT_TYPE && bytes.length === 4 && bytes[0]! <= 16) {
    return digitsMeaning(String(bytes[0]), undefined);
  }
  const text = decodeUtf8(bytes);
  if (type === MEDIA_CONTROL) return mediaControl(text);
  const signal = fieldOf(text, SIGNAL_NAMES);
  if (signal !== undefined) return digitsMeaning(signal, fieldOf(text, ["duration"]));
  return text.includes("=") ? UNKNOWN : bareDigits(text);
}

/** Body of an INFO with one DTMF key, as most PBXs read it. */
export function formatDtmfRelay(digit: InfoDigit): SipBody {
  const text = `Signal=${digit.digit}\r\nDuration=${Math.round(digit.durationMs)}\r\n`;
  return { type: "application/dtmf-relay", bytes: encodeUtf8(text) };
}

/** Body of an INFO with nothing but a DTMF key, for peers that know no other. */
export function formatDtmf(digit: string): SipBody {
  return { type: "application/dtmf", bytes: encodeUtf8(digit) };
}

export function formatPictureFastUpdate(): SipBody {
  const text = '<?xml version="1.0" encoding="utf-8"?>\r\n' +
    "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";
  return { type: "application/media_control+xml", bytes: encodeUtf8(text) };
}

/** Names of the field that holds the key; `d` is Nortel's. */
const SIGNAL_NAMES: readonly string[] = ["signal", "d", "digit"];

/** What the first line "name=value" or "name: value" says that says something. */
function fieldOf(text: string, names: readonly string[]): string | undefined {
  for (const line of text.split(/[\r\n]+/)) {
    const separator = line.search(/[=:]/);
    const value = trimBlanks(line.slice(separator + 1));
    const name = trimBlanks(line.slice(0, Math.max(separator, 0))).toLowerCase();
    if (value !== "" && names.includes(name)) return value;
  }
  return undefined;
}

/** Other requests of RFC 5168 there are none; its errors (general_error) are not for us. */
function mediaControl(text: string): InfoMeaning {
  if (/<\s*picture_fast_update\b/.test(text)) return { type: "key frame" };
  return /<\s*media_control\b/.test(text) ? NOTHING : UNKNOWN;
}

/** Some write event numbers (10 is *, 11 is #, 12 to 15 are A to D) instead of the keys, some several keys. */
function digitsMeaning(signal: string, duration: string | undefined): InfoMeaning {
  const word = signal.split(/[\s;]/, 1)[0]!.replaceAll('"', "").toUpperCase();
  if (FLASH.has(word)) return NOTHING;
  const event = parseDecimal(word, 15);
  const digits = word.length === 2 && event !== null && event >= 10 ? KEYS[event]! : word;
  if (digits.length > MAX_DIGITS || !isMadeOf(digits, KEY_CHARACTERS)) return UNKNOWN;
  const ms = Number(/^\d{1,6}/.exec(duration ?? "")?.[0] ?? 0);
  return {
    type: "digits",
    digits,
    durationMs: ms === 0 ? DEFAULT_DURATION_MS : Math.min(ms, MAX_DURATION_MS),
  };
}

/** Keys and nothing else, blanks and commas between them. */
function bareDigits(text: string): InfoMeaning {
  const word = text.replace(/[\s,]+/g, "").toUpperCase();
  if (word === "HF" || word === "FLASH" || word === "!") return NOTHING;
  if (word.length > MAX_DIGITS || !isMadeOf(word, KEY_CHARACTERS)) return UNKNOWN;
  return { type: "digits", digits: word, durationMs: DEFAULT_DURATION_MS };
}
