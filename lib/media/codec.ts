// The codec tokens a siprtmp client may name in invite() and accept(), and what each means on both sides. The table is
// behaviour.md 1.6; names and payload types are law. H.264 is offered as constrained baseline of level 3.1 (720p30):
// siprtmp's 420014 was level 2.0, less than any encoder sends.
// Role: wire

import type { CodecName } from "./frame.ts";

/** A codec token, in the client's words. */
export type CodecToken =
  | "wideband"
  | "narrowband"
  | "pcmu"
  | "pcma"
  | "ulaw"
  | "alaw"
  | "opus"
  | "aac"
  | "dtmf"
  | "h264"
  | "flv";

/** What a token stands for. */
export interface CodecEntry {
  /** The token itself. */
  readonly token: CodecToken;
  /** Which m-line it belongs to. */
  readonly kind: "audio" | "video";
  /** Codec of the RTMP frames; null for touch tones, which have none. */
  readonly rtmpCodec: CodecName | null;
  /** Codec of the RTP payloads; null for touch tones. */
  readonly rtpCodec: CodecName | null;
  /** Encoding name in SDP, lower case. */
  readonly encodingName: string;
  /** RTP clock rate in Hz. */
  readonly clockRate: number;
  /** The payload type offered. */
  readonly payloadType: number;
  /** The fmtp offered, or null. */
  readonly fmtp: string | null;
  /** What `accepted` reports to the client; null when the token alone carries no media. */
  readonly reportedAs: "speex" | "pcmu" | "pcma" | "opus" | "aac" | "h264" | "default" | null;
  /** True when the RTMP side and the RTP side differ in more than the wideband layer. */
  readonly transcoded: boolean;
}

const entry = (
  token: CodecToken,
  kind: "audio" | "video",
  codecs: readonly [rtmp: CodecName | null, rtp: CodecName | null],
  sdp: readonly [encodingName: string, clockRate: number, payloadType: number, fmtp?: string],
  reportedAs: CodecEntry["reportedAs"],
): CodecEntry => ({
  token,
  kind,
  rtmpCodec: codecs[0],
  rtpCodec: codecs[1],
  encodingName: sdp[0],
  clockRate: sdp[1],
  payloadType: sdp[2],
  fmtp: sdp[3] ?? null,
  reportedAs,
  transcoded: codecs[0] !== codecs[1],
});

/** All tokens, in the order siprtmp documents them; ours behind its audio. */
export const CODEC_ENTRIES: readonly CodecEntry[] = [
  entry("wideband", "audio", ["speex", "speex"], ["speex", 16000, 96], "speex"),
  entry("narrowband", "audio", ["speex", "speex"], ["speex", 8000, 98], "speex"),
  entry("pcmu", "audio", ["pcmu", "pcmu"], ["pcmu", 8000, 0], "pcmu"),
  entry("pcma", "audio", ["pcma", "pcma"], ["pcma", 8000, 8], "pcma"),
  entry("ulaw", "audio", ["speex", "pcmu"], ["pcmu", 8000, 0], "speex"),
  entry("alaw", "audio", ["speex", "pcma"], ["pcma", 8000, 8], "speex"),
  entry("opus", "audio", ["opus", "opus"], ["opus", 48000, 107], "opus"),
  entry("aac", "audio", ["aac", "opus"], ["opus", 48000, 107, "useinbandfec=1"], "aac"),
  entry("dtmf", "audio", [null, null], ["telephone-event", 8000, 101], null),
  entry(
    "h264",
    "video",
    ["h264", "h264"],
    ["h264", 90000, 99, "profile-level-id=42e01f;packetization-mode=1"],
    "h264",
  ),
  entry("flv", "video", ["x-flv", "x-flv"], ["x-flv", 90000, 97], "default"),
];

/**
 * Reads a client's token: any case; anything that starts with `h264` is h264. Null when it is none.
 *
 * `opus` and `aac` are ours: clients that send them over (Enhanced) RTMP, such as encoders that dial by URL.
 */
export function parseCodecToken(text: string): CodecToken | null {
  const token = text.trim().toLowerCase();
  if (token.startsWith("h264")) return "h264";
  return CODEC_ENTRIES.find((candidate) => candidate.token === token)?.token ?? null;
}

/** The table row of a token. */
export function codecEntry(token: CodecToken): CodecEntry {
  const found = CODEC_ENTRIES.find((candidate) => candidate.token === token);
  if (found === undefined) throw new Error(`No codec entry for ${token}`);
  return found;
}

/**
 * What a client without a codec list gets: Speex at its rate, touch tones, x-flv, and, when this gateway can
 * transcode, narrowband Speex and G.711 fed from the client's Speex.
 */
export function defaultCodecTokens(
  rate: "wideband" | "narrowband",
  transcoding: boolean,
): readonly CodecToken[] {
  if (!transcoding) return [rate, "dtmf", "flv"];
  return rate === "wideband"
    ? ["wideband", "narrowband", "ulaw", "alaw", "dtmf", "flv"]
    : ["narrowband", "ulaw", "alaw", "dtmf", "flv"];
}

/** The codec behind an encoding name of SDP (any case); null when this project does not know it. */
export function codecOfEncodingName(encodingName: string): CodecName | null {
  switch (encodingName.toLowerCase()) {
    case "speex":
      return "speex";
    case "pcmu":
      return "pcmu";
    case "pcma":
      return "pcma";
    case "g722":
      return "g722";
    case "opus":
      return "opus";
    case "h264":
      return "h264";
    case "x-flv":
      return "x-flv";
    default:
      return null;
  }
}
