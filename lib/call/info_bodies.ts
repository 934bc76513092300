// Bodies of SIP INFO that matter in a call: touch tones (application/dtmf-relay, application/dtmf) and the request
// for a key frame (application/media_control+xml, RFC 5168).
// Role: wire
// Answers to: sendPictureFastUpdate of siprtmp.py and the DTMF-by-INFO patch of its FAQ.

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { SipBody } from "../sip/body.ts";

/** One touch tone in an INFO. */
export interface InfoDigit {
  /** 0-9 * # A-D. */
  readonly digit: string;
  /** How long, ms. */
  readonly durationMs: number;
}

/** What an INFO says, as far as we know it. */
export type InfoMeaning =
  | { type: "digit"; digit: InfoDigit }
  | { type: "key frame" }
  /** A body of a kind we know that makes no sense. */
  | { type: "broken" }
  /** Something that is not for us. */
  | { type: "unknown" };

/** Longest body looked at; real ones are under 200 octets. */
const MAX_INFO_OCTETS = 4096;
const DEFAULT_DURATION_MS = 160;
const MAX_DURATION_MS = 10_000;

const KNOWN_TYPES: ReadonlySet<string> = new Set([
  "application/dtmf-relay",
  "application/dtmf",
  "application/media_control+xml",
]);

/** Reads the body of an INFO; whatever it holds, the call goes on. */
export function parseInfo(body: SipBody): InfoMeaning {
  const type = body.type.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!KNOWN_TYPES.has(type)) return { type: "unknown" };
  if (body.bytes.length > MAX_INFO_OCTETS) return { type: "broken" };
  const text = decodeUtf8(body.bytes);
  switch (type) {
    case "application/dtmf-relay":
      return digitMeaning(
        fieldOf(text, "signal")?.split(/\s/, 1)[0],
        /^\d{1,6}/.exec(fieldOf(text, "duration") ?? "")?.[0],
      );
    case "application/dtmf":
      return digitMeaning(text.trim(), undefined);
    default:
      return mediaControl(text);
  }
}

/** Body of an INFO with one touch tone, as most PBXs read it. */
export function formatDtmfRelay(digit: InfoDigit): SipBody {
  const text = `Signal=${digit.digit}\r\nDuration=${Math.round(digit.durationMs)}\r\n`;
  return { type: "application/dtmf-relay", bytes: encodeUtf8(text) };
}

/** Body of an INFO with nothing but a touch tone, for far ends that know no other. */
export function formatDtmf(digit: string): SipBody {
  return { type: "application/dtmf", bytes: encodeUtf8(digit) };
}

/** Body of an INFO that asks for a key frame. */
export function formatPictureFastUpdate(): SipBody {
  const text = '<?xml version="1.0" encoding="utf-8"?>\r\n' +
    "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";
  return { type: "application/media_control+xml", bytes: encodeUtf8(text) };
}

/** What the first line "name=value" says that says something. */
function fieldOf(text: string, name: string): string | undefined {
  for (const line of text.split(/[\r\n]+/)) {
    const equals = line.indexOf("=");
    const value = line.slice(equals + 1).trim();
    if (equals >= 0 && value !== "" && line.slice(0, equals).trim().toLowerCase() === name) return value;
  }
  return undefined;
}

/** Other requests of RFC 5168 there are none; its errors (general_error) are not for us. */
function mediaControl(text: string): InfoMeaning {
  if (/<\s*picture_fast_update\b/.test(text)) return { type: "key frame" };
  return /<\s*media_control\b/.test(text) ? { type: "unknown" } : { type: "broken" };
}

/** Some write event numbers (10 is *, 11 is #, 12 to 15 are A to D) instead of the keys. */
function digitMeaning(signal: string | undefined, duration: string | undefined): InfoMeaning {
  const key = signal === undefined
    ? undefined
    : /^1[0-5]$/.test(signal)
    ? "*#ABCD"[Number(signal) - 10]
    : signal.toUpperCase();
  if (key === "16") return { type: "unknown" }; // the flash hook is no key
  if (key === undefined || !/^[0-9*#A-D]$/.test(key)) return { type: "broken" };
  const durationMs = duration === undefined
    ? DEFAULT_DURATION_MS
    : Math.min(Number(duration), MAX_DURATION_MS);
  return { type: "digit", digit: { digit: key, durationMs } };
}
