// How FLV tags name codecs: by four bits, or by four characters (Enhanced RTMP v2).
// Adobe FLV file format 10.1, annex E.4.2.1 and E.4.3.1.
// Role: wire

/** Audio by the upper four bits of the first octet. */
export const AUDIO_CODECS = [
  "linear16", // 0, byte order of the sender
  "adpcm",
  "mp3",
  "linear16", // 3, little-endian
  "nellymoser", // 4, 16 kHz
  "nellymoser", // 5, 8 kHz
  "nellymoser",
  "pcma",
  "pcmu",
  "unknown", // 9, FourCC form
  "aac",
  "speex",
  "unknown",
  "unknown",
  "mp3", // 14, 8 kHz
  "unknown",
] as const;

/** Video by the lower four bits of the first octet. */
export const VIDEO_CODECS = [
  "unknown",
  "unknown",
  "h263",
  "screen",
  "vp6",
  "vp6", // with an alpha channel
  "screen", // version 2
  "h264",
  "unknown",
  "unknown",
  "unknown",
  "unknown",
  "hevc", // 12 and 13 are in no specification, but in use
  "av1",
  "unknown",
  "unknown",
] as const;

/** Four characters as they stand in a tag: one number. */
export function fourCcOf(text: string): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value = value << 8 | text.charCodeAt(i);
  return value >>> 0;
}

/** As text again. */
export function fourCcText(fourCc: number): string {
  return String.fromCharCode(fourCc >>> 24, fourCc >>> 16 & 255, fourCc >>> 8 & 255, fourCc & 255);
}

function byFourCc(codecs: Readonly<Record<string, CodecName>>): ReadonlyMap<number, CodecName> {
  return new Map(Object.entries(codecs).map(([text, codec]) => [fourCcOf(text), codec]));
}

/** Audio of Enhanced RTMP. */
export const AUDIO_BY_FOURCC = {
  "Opus": "opus",
  "mp4a": "aac",
  ".mp3": "mp3",
  "fLaC": "flac",
  "ac-3": "ac3",
  "ec-3": "eac3",
} as const;

/** Video of Enhanced RTMP. */
export const VIDEO_BY_FOURCC = {
  "avc1": "h264",
  "hvc1": "hevc",
  "vvc1": "vvc",
  "av01": "av1",
  "vp09": "vp9",
  "vp08": "vp8",
} as const;

/** The codecs that tags name; a call carries few of them, and those that a registry adds under a FourCC of its own. */
export type CodecName =
  | typeof AUDIO_CODECS[number]
  | typeof VIDEO_CODECS[number]
  | typeof AUDIO_BY_FOURCC[keyof typeof AUDIO_BY_FOURCC]
  | typeof VIDEO_BY_FOURCC[keyof typeof VIDEO_BY_FOURCC];

/** Audio by its FourCC. */
export const AUDIO_FOURCCS: ReadonlyMap<number, CodecName> = byFourCc(AUDIO_BY_FOURCC);
/** Video by its FourCC. */
export const VIDEO_FOURCCS: ReadonlyMap<number, CodecName> = byFourCc(VIDEO_BY_FOURCC);

/** As users know them: those that no call carries. */
const LABELS: Partial<Record<CodecName, string>> = {
  linear16: "linear PCM",
  mp3: "MP3",
  nellymoser: "Nellymoser",
  adpcm: "ADPCM",
  flac: "FLAC",
  ac3: "AC-3",
  eac3: "E-AC-3",
  h263: "Sorenson H.263",
  screen: "screen video",
  vp6: "VP6",
  vp8: "VP8",
  vp9: "VP9",
  hevc: "HEVC (H.265)",
  vvc: "VVC (H.266)",
  av1: "AV1",
};

/** The name that users know; null: it is carried, or unknown. */
export function codecLabel(codec: CodecName): string | null {
  return LABELS[codec] ?? null;
}
