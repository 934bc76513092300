// FLV tags of every form, and what each of them is: the table behind the tests of all who ask lib/media/tag.ts.

import type { CodecName, TagType } from "../../lib/media/frame.ts";
import type { TagContent } from "../../lib/media/tag.ts";

/** One tag and what it is. */
export interface TagRow {
  readonly what: string;
  readonly type: TagType;
  /** The body in hex. */
  readonly body: string;
  readonly content: TagContent;
  readonly codec: CodecName;
  /** The coded data in hex; absent: not looked at. */
  readonly data?: string;
  readonly multitrack?: "one" | "many";
  readonly track?: number;
  readonly cut?: boolean;
  readonly compositionMs?: number;
  readonly nanoOffset?: number;
}

type More = Partial<Pick<TagRow, "data" | "multitrack" | "track" | "cut" | "compositionMs" | "nanoOffset">>;

const rowOf =
  (type: TagType) =>
  (what: string, body: string, content: TagContent, codec: CodecName, more: More = {}): TagRow => ({
    what,
    type,
    body: body.replaceAll(" ", ""),
    content,
    codec,
    ...more,
  });

const audio = rowOf(8);
const video = rowOf(9);
const data = rowOf(18);

const ONE = { multitrack: "one" } as const;
const MANY = { multitrack: "many" } as const;
const CUT = { cut: true } as const;

/** Every form there is, the ones on which former readers disagreed among them. */
export const TAG_TABLE: readonly TagRow[] = [
  audio("silence of Flash", "", "frame", "unknown", { data: "" }),
  audio("Speex", "b2 aa", "frame", "speex", { data: "aa" }),
  audio("PCMU", "82 ff", "frame", "pcmu", { data: "ff" }),
  audio("PCMA stereo", "73 d5", "frame", "pcma", { data: "d5" }),
  audio("MP3", "2f fffb", "frame", "mp3", { data: "fffb" }),
  audio("MP3 of 8 kHz", "ef fffb", "frame", "mp3"),
  audio("Nellymoser", "62 11", "frame", "nellymoser"),
  audio("ADPCM", "12 aa", "frame", "adpcm"),
  audio("linear PCM", "3e 0102", "frame", "linear16"),
  audio("a reserved format", "d2 01", "frame", "unknown", { data: "d201" }),
  audio("AAC configuration", "af 00 1210", "config", "aac", { data: "1210" }),
  audio("AAC configuration, mono flag", "a2 00 1210", "config", "aac", { data: "1210" }),
  audio("AAC", "af 01 21aa", "frame", "aac", { data: "21aa" }),
  audio("AAC cut off", "af", "frame", "aac", CUT),
  audio("Opus configuration", "90 4f707573 01", "config", "opus", { data: "01" }),
  audio("Opus", "91 4f707573 fc", "frame", "opus", { data: "fc" }),
  audio("Opus end", "92 4f707573", "end", "opus", { data: "" }),
  audio("Opus multichannel configuration", "94 4f707573 01 02 00000003", "info", "opus"),
  audio("AAC with FourCC, configuration", "90 6d703461 1210", "config", "aac", { data: "1210" }),
  audio("MP3 with FourCC", "91 2e6d7033 fffb", "frame", "mp3", { data: "fffb" }),
  audio("FLAC configuration", "90 664c6143 22", "config", "flac"),
  audio("AC-3", "91 61632d33 0b77", "frame", "ac3"),
  audio("E-AC-3", "91 65632d33 0b77", "frame", "eac3"),
  audio("a FourCC nobody knows", "91 78787878 01", "frame", "unknown"),
  audio("an audio packet type nobody knows", "93 4f707573 01", "other", "unknown"),
  audio("Opus, cut in its FourCC", "91 4f70", "frame", "unknown", CUT),
  audio("multitrack, the default track", "95 01 4f707573 00 fc", "frame", "opus", { ...ONE, data: "fc" }),
  audio("multitrack, another track", "95 01 4f707573 02 fc", "frame", "opus", { ...ONE, track: 2 }),
  audio("multitrack, configuration of track 1", "95 00 6d703461 01 1210", "config", "aac", {
    ...ONE,
    track: 1,
  }),
  audio("multitrack, two tracks", "95 11 4f707573 01 000001 aa 00 000002 bbcc", "frame", "opus", {
    ...MANY,
    data: "bbcc",
  }),
  audio("multitrack, two codecs", "95 21 6d703461 00 000001 aa 4f707573 01 000001 bb", "frame", "aac", {
    ...MANY,
    data: "aa",
  }),
  audio("multitrack within multitrack", "95 05 4f707573 00", "other", "unknown"),
  audio("multitrack, cut off", "95 01 4f70", "other", "unknown", { ...ONE, ...CUT }),
  audio("ModEx with nanoseconds", "97 02 00abcd 01 4f707573 fc", "frame", "opus", {
    data: "fc",
    nanoOffset: 0xabcd,
  }),
  audio("ModEx before multitrack", "97 00 aa 15 01 4f707573 03 fc", "frame", "opus", { ...ONE, track: 3 }),
  video("nothing", "", "frame", "unknown"),
  video("AVC configuration", "17 00 000000 0142", "config", "h264", { data: "0142" }),
  video("AVC configuration flagged as inter picture", "27 00 000000 0142", "config", "h264"),
  video("AVC key picture", "17 01 000000 aa", "key", "h264", { data: "aa" }),
  video("AVC picture, composition 80", "27 01 000050 aa", "frame", "h264", { data: "aa", compositionMs: 80 }),
  video("AVC picture, composition -40", "27 01 ffffd8 aa", "frame", "h264", { compositionMs: -40 }),
  video("disposable AVC picture", "37 01 000000 aa", "frame", "h264"),
  video("generated AVC key picture", "47 01 000000 aa", "key", "h264", { data: "aa" }),
  video("AVC end of sequence", "17 02 000000", "end", "h264", { data: "" }),
  video("an AVC packet type nobody knows", "17 03 000000", "other", "h264"),
  video("AVC cut off", "17", "frame", "h264", CUT),
  video("AVC cut in its composition time", "17 01 0000", "key", "h264", CUT),
  video("HEVC by number, configuration", "1c 00 000000 01", "config", "hevc"),
  video("HEVC by number, key picture", "1c 01 000000 aa", "key", "hevc", { data: "aa" }),
  video("AV1 by number", "2d 01 000000 aa", "frame", "av1"),
  video("Sorenson key picture", "12 aa", "key", "h263", { data: "aa" }),
  video("Sorenson picture", "22 aa", "frame", "h263", { data: "aa" }),
  video("VP6 key picture", "14 aa", "key", "vp6"),
  video("screen video", "23 aa", "frame", "screen"),
  video("command to the player", "57 00", "command", "unknown"),
  video("command with FourCC form", "d1 00", "command", "unknown"),
  video("colours, in a command frame", "d4 68766331 02", "info", "hevc"),
  video("AVC with FourCC, configuration", "90 61766331 0142", "config", "h264", { data: "0142" }),
  video("AVC with FourCC", "a1 61766331 000005 aa", "frame", "h264", { data: "aa", compositionMs: 5 }),
  video("AVC with FourCC, no composition", "93 61766331 aa", "key", "h264", { data: "aa", compositionMs: 0 }),
  video("AVC with FourCC, cut", "91 61766331 00", "key", "h264", CUT),
  video("AVC with FourCC, end", "92 61766331", "end", "h264", { data: "" }),
  video("AVC with FourCC, colours", "94 61766331 02", "info", "h264"),
  video("HEVC configuration", "90 68766331 01", "config", "hevc", { data: "01" }),
  video("HEVC configuration of MPEG-2 TS", "95 68766331 01", "config", "hevc"),
  video("HEVC key picture", "91 68766331 000000 aa", "key", "hevc", { data: "aa" }),
  video("HEVC key picture without composition", "93 68766331 aa", "key", "hevc", { data: "aa" }),
  video("AV1 configuration", "90 61763031 81", "config", "av1"),
  video("AV1 key picture", "91 61763031 0a0b", "key", "av1", { data: "0a0b" }),
  video("VP9 picture", "a1 76703039 aa", "frame", "vp9", { data: "aa" }),
  video("VP8 key picture", "91 76703038 aa", "key", "vp8", { data: "aa" }),
  video("VVC key picture", "91 76766331 000000 aa", "key", "vvc", { data: "aa" }),
  video("a video packet type nobody knows", "98 61766331 aa", "other", "unknown"),
  video("one track, key picture", "96 01 61766331 01 000000 aa", "key", "h264", {
    ...ONE,
    track: 1,
    data: "aa",
  }),
  video("one track, configuration", "96 00 61766331 02 0142", "config", "h264", { ...ONE, track: 2 }),
  video(
    "many tracks, the default one last",
    "a6 11 68766331 01 000004 000000aa 00 000005 000007bbcc",
    "frame",
    "hevc",
    {
      ...MANY,
      data: "bbcc",
      compositionMs: 7,
    },
  ),
  video("many tracks without the default one", "96 13 61766331 02 000001 aa 01 000001 bb", "key", "h264", {
    ...MANY,
    track: 2,
    data: "aa",
  }),
  video("many tracks, many codecs", "96 20 61763031 01 000001 aa 61766331 00 000002 0142", "config", "h264", {
    ...MANY,
    data: "0142",
  }),
  video("many tracks, the last one cut", "96 11 61766331 00 000009 000000aa", "key", "h264", {
    ...MANY,
    ...CUT,
  }),
  video("a kind of multitrack nobody knows", "96 31 61766331 00", "other", "unknown"),
  video("ModEx twice, then a key picture", "97 02 0f423f 07 00 ee f1 61766331 000000 aa", "key", "h264", {
    data: "aa",
    nanoOffset: 999_999,
  }),
  video("ModEx with a long size", `97 ff 0100 ${"ee".repeat(257)} f0 61766331 0142`, "config", "h264", {
    data: "0142",
  }),
  video("ModEx cut off", "97 05 0102", "other", "unknown", CUT),
  data("metadata", "02000a6f6e4d65746144617461 03000009", "metadata", "unknown"),
  data("a cue point", "02000a6f6e437565506f696e74", "data", "unknown"),
  data("no data", "", "data", "unknown"),
];
