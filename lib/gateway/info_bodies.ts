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
export type InfoMeaning = { type: "digit"; digit: InfoDigit } | { type: "key frame" } | { type: "unknown" };

/** Longest body looked at; real ones are under 200 octets. */
const MAX_INFO_OCTETS = 4096;
const DEFAULT_DURATION_MS = 160;
const MAX_DURATION_MS = 10_000;

/** Reads the body of an INFO; whatever it holds, the call goes on. */
export function parseInfo(body: SipBody): InfoMeaning {
  if (body.bytes.length > MAX_INFO_OCTETS) return { type: "unknown" };
  const text = decodeUtf8(body.bytes);
  switch (body.type.split(";")[0]?.trim().toLowerCase()) {
    case "application/dtmf-relay":
      return digitMeaning(
        /^\s*Signal\s*=\s*(\S+)/im.exec(text)?.[1],
        /^\s*Duration\s*=\s*(\d{1,6})/im.exec(text)?.[1],
      );
    case "application/dtmf":
      return digitMeaning(text.trim(), undefined);
    case "application/media_control+xml":
      return /<\s*picture_fast_update\b/.test(text) ? { type: "key frame" } : { type: "unknown" };
    default:
      return { type: "unknown" };
  }
}

/** Body of an INFO with one touch tone, as most PBXs read it. */
export function formatDtmfRelay(digit: InfoDigit): SipBody {
  const text = `Signal=${digit.digit}\r\nDuration=${Math.round(digit.durationMs)}\r\n`;
  return { type: "application/dtmf-relay", bytes: encodeUtf8(text) };
}

/** Body of an INFO that asks for a key frame. */
export function formatPictureFastUpdate(): SipBody {
  const text = '<?xml version="1.0" encoding="utf-8"?>\r\n' +
    "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";
  return { type: "application/media_control+xml", bytes: encodeUtf8(text) };
}

/** Some write event numbers (10 is *, 11 is #, 12 to 15 are A to D) instead of the keys. */
function digitMeaning(signal: string | undefined, duration: string | undefined): InfoMeaning {
  const key = signal === undefined
    ? undefined
    : /^1[0-5]$/.test(signal)
    ? "*#ABCD"[Number(signal) - 10]
    : signal.toUpperCase();
  if (key === undefined || !/^[0-9*#A-D]$/.test(key)) return { type: "unknown" };
  const durationMs = duration === undefined
    ? DEFAULT_DURATION_MS
    : Math.min(Number(duration), MAX_DURATION_MS);
  return { type: "digit", digit: { digit: key, durationMs } };
}
