// The header of an FLV tag body, which is an RTMP audio, video or data message: what the tag is, and where its coded
// data lies. The only reader of tag bytes: streams, files, calls, the drop policy and the tools ask here.
// Adobe FLV file format 10.1, annex E.4; Enhanced RTMP v2 (FourCC, ModEx, multitrack).
// Role: wire

import { AUDIO_CODECS, AUDIO_FOURCCS, VIDEO_CODECS, VIDEO_FOURCCS } from "./codec_ids.ts";
import type { CodecName, FrameKind, TagType } from "./frame.ts";

/** What a tag holds. */
export type TagContent =
  /** Sequence header: decoder configuration, without which nothing that follows can be decoded. */
  | "config"
  /** A picture to start at. */
  | "key"
  /** Sound, or any other picture. */
  | "frame"
  /** End of sequence. */
  | "end"
  /** What describes the stream to a decoder without being needed: colours (HDR), where channels are. */
  | "info"
  /** A command to the player. */
  | "command"
  /** A packet type that is unknown here, or a header that is cut off before it says one. */
  | "other"
  /** A data tag called onMetaData. */
  | "metadata"
  /** Any other data tag. */
  | "data";

/** A header that was read; filled again and again. */
export interface Tag {
  /** Audio, video or data. */
  kind: FrameKind;
  /** What it holds. */
  content: TagContent;
  /** How `track` is coded; unknown for commands and data as well. */
  codec: CodecName;
  /** Its number in the header, four bits or a FourCC, also when it is unknown; -1 where the header has none. */
  codecId: number;
  /** One: of a track that is named. Many: of several, of which `track` is the default one, or else the first. */
  multitrack: "none" | "one" | "many";
  /** The track that `codec`, `start` and `end` are of; 0 is the default track, and the only one without multitrack. */
  track: number;
  /** True when the frame type says key picture, also that of a configuration. */
  flaggedKey: boolean;
  /** Presentation time minus decoding time in milliseconds. */
  compositionMs: number;
  /** Nanoseconds that the time of the message leaves out (ModEx), 0 to 999999. */
  nanoOffset: number;
  /** Where the coded data begins in the body. */
  start: number;
  /** Where it ends. */
  end: number;
  /** True when the body ends before its data begins, or before the data of a track ends. */
  cut: boolean;
}

/** A tag to read into. */
export function createTag(): Tag {
  return {
    kind: "data",
    content: "data",
    codec: "unknown",
    codecId: -1,
    multitrack: "none",
    track: 0,
    flaggedKey: false,
    compositionMs: 0,
    nanoOffset: 0,
    start: 0,
    end: 0,
    cut: false,
  };
}

const FORMAT_ENHANCED = 9;
const FRAME_TYPE_COMMAND = 5;
const PACKET_MODEX = 7;
const AUDIO_MULTITRACK = 5;
const VIDEO_MULTITRACK = 6;
const VIDEO_METADATA = 4;
const AVC_HEADER_OCTETS = 5;

/** AMF0: a string of ten characters, onMetaData. */
const ON_METADATA = [2, 0, 10, 0x6f, 0x6e, 0x4d, 0x65, 0x74, 0x61, 0x44, 0x61, 0x74, 0x61] as const;

/**
 * Reads the header of a tag body into `into`, and gives it back. Never throws, whatever the body; an empty body (Flash
 * sends those when a microphone falls silent) is a frame without data.
 */
export function readTag(type: TagType, body: Uint8Array, into: Tag): Tag {
  into.kind = type === 8 ? "audio" : type === 9 ? "video" : "data";
  into.content = "frame";
  into.codec = "unknown";
  into.codecId = -1;
  into.multitrack = "none";
  into.track =
    into.compositionMs =
    into.nanoOffset =
    into.start =
      0;
  into.flaggedKey = into.cut = false;
  into.end = body.length;
  if (type === 18) into.content = isMetaData(body) ? "metadata" : "data";
  else if (body.length === 0) return into;
  else if (type === 8) readAudio(body, into);
  else readVideo(body, into);
  return into;
}

/** True for what who joins late must have before anything else. */
export function isHeader({ content }: Tag): boolean {
  return content === "config" || content === "info";
}

/** True for sound and pictures: what a slow player may lose. */
export function isFrame({ content }: Tag): boolean {
  return content === "frame" || content === "key" || content === "other";
}

/** Equal for two headers of which the later one takes the place of the earlier one. */
export function headerSlot({ kind, content, multitrack, track }: Tag): number {
  const which = (kind === "video" ? 2 : 0) + (content === "config" ? 1 : 0);
  return (multitrack === "many" ? 1024 : 0) + which * 256 + track;
}

/**
 * Finds where pictures can be started at: key pictures of the first track, whatever other tracks do beside it.
 *
 *   audio     format:4 rate:2 size:1 stereo:1 | AAC: packet type:8 | data
 *   video     0:1 frame type:3 codec:4 | AVC, HEVC, AV1: packet type:8 composition time:s24 | data
 *   enhanced  9:4 or 1:1 frame type:3 | packet type:4 | ModEx* | multitrack? | FourCC:32 | data
 *   ModEx     size - 1:8 [255: size - 1:16] data | kind:4 packet type:4      as long as that says ModEx again
 *   multitrack  kind:4 packet type:4 [FourCC:32] ( [FourCC:32] track:8 [size:24] data )*
 */
export class FirstTrack {
  #track = 256;

  /** True when playing can start with this tag. */
  startsAt({ kind, content, track }: Tag): boolean {
    if (kind !== "video") return false;
    if (track < this.#track && content !== "command") this.#track = track;
    return content === "key" && track === this.#track;
  }
}

function readAudio(body: Uint8Array, into: Tag): void {
  const format = body[0]! >> 4;
  if (format === FORMAT_ENHANCED) return readEnhanced(body, into);
  const codec = AUDIO_CODECS[format]!;
  into.codec = codec;
  into.codecId = format;
  if (codec === "unknown") return;
  into.start = 1;
  if (codec !== "aac") return;
  into.cut = body.length < 2;
  into.start = Math.min(2, body.length);
  if (body[1] === 0) into.content = "config";
}

function readVideo(body: Uint8Array, into: Tag): void {
  const first = body[0]!;
  const frameType = first >> 4 & 7;
  into.flaggedKey = frameType === 1 || frameType === 4;
  if (first >= 0x80) return readEnhanced(body, into);
  if (frameType === FRAME_TYPE_COMMAND) {
    into.content = "command";
    return;
  }
  const codec = VIDEO_CODECS[first & 15]!;
  into.codec = codec;
  into.codecId = first & 15;
  if (codec === "h264" || codec === "hevc" || codec === "av1") return readPacketType(body, into);
  if (into.flaggedKey) into.content = "key";
  if (codec !== "unknown") into.start = 1;
}

function readPacketType(body: Uint8Array, into: Tag): void {
  into.cut = body.length < AVC_HEADER_OCTETS;
  into.start = Math.min(AVC_HEADER_OCTETS, body.length);
  const packetType = body[1];
  if (packetType === undefined) return;
  into.content = packetType > 2 ? "other" : contentOf(into, packetType);
  into.compositionMs = into.cut ? 0 : s24At(body, 2);
}

function readEnhanced(body: Uint8Array, into: Tag): void {
  const first = body[0]!;
  let packetType = first & 15;
  let at = 1;
  while (packetType === PACKET_MODEX) {
    let size = (body[at++] ?? 0) + 1;
    if (size === 256) {
      size = u16At(body, at) + 1;
      at += 2;
    }
    const data = at;
    at += size;
    if (at >= body.length) return cutOff(body, into);
    const next = body[at++]!;
    if (next >> 4 === 0 && size >= 3) into.nanoOffset = u24At(body, data);
    packetType = next & 15;
  }
  const audio = into.kind === "audio";
  if (!audio && (first >> 4 & 7) === FRAME_TYPE_COMMAND && packetType !== VIDEO_METADATA) {
    into.content = "command";
  } else if (packetType === (audio ? AUDIO_MULTITRACK : VIDEO_MULTITRACK)) readTracks(body, at, into);
  else {
    into.content = contentOf(into, packetType);
    if (into.content !== "other") readCoded(body, at, body.length, packetType, into);
  }
}

/** The kinds of multitrack: one track; many of one codec; many, each with its codec. */
function readTracks(body: Uint8Array, from: number, into: Tag): void {
  if (from >= body.length) return cutOff(body, into);
  const kind = body[from]! >> 4;
  const packetType = body[from]! & 15;
  into.content = kind > 2 ? "other" : contentOf(into, packetType);
  if (into.content === "other") return;
  into.multitrack = kind === 0 ? "one" : "many";
  const shared = kind === 2 ? 0 : 4;
  const perTrack = kind === 0 ? 1 : kind === 1 ? 4 : 8;
  let at = from + 1 + shared;
  if (at + perTrack > body.length) return cutOff(body, into);
  let first = true;
  while (at + perTrack <= body.length) {
    const codecAt = kind === 2 ? at : from + 1;
    const trackAt = kind === 2 ? at + 4 : at;
    const track = body[trackAt]!;
    const start = at + perTrack;
    const end = kind === 0 ? body.length : start + u24At(body, trackAt + 1);
    if (first || track === 0) {
      into.track = track;
      readCodec(body, codecAt, into);
      readData(body, start, end, packetType, into);
    }
    if (track === 0) return;
    first = false;
    at = end;
  }
}

/** What is behind the packet type of a tag with one track. */
function readCoded(body: Uint8Array, at: number, end: number, packetType: number, into: Tag): void {
  if (at + 4 > end) return markCut(body, into);
  readCodec(body, at, into);
  readData(body, at + 4, end, packetType, into);
}

function readData(body: Uint8Array, start: number, end: number, packetType: number, into: Tag): void {
  into.cut = end > body.length;
  into.end = Math.min(end, body.length);
  into.start = Math.min(start, into.end);
  const { kind, codec } = into;
  const timed = kind === "video" && packetType === 1 &&
    (codec === "h264" || codec === "hevc" || codec === "vvc");
  if (!timed) return;
  if (start + 3 > into.end) {
    into.cut = true;
    return;
  }
  into.compositionMs = s24At(body, start);
  into.start = start + 3;
}

/** Legacy AVC has the first three packet types of the enhanced form. */
function contentOf({ kind, flaggedKey }: Tag, packetType: number): TagContent {
  switch (packetType) {
    case 0:
      return "config";
    case 1:
      return flaggedKey ? "key" : "frame";
    case 2:
      return "end";
    case 3: // a picture whose composition time is 0 and left out
      return kind === "audio" ? "other" : flaggedKey ? "key" : "frame";
    case 4:
      return "info";
    case 5: // the configuration of an MPEG-2 transport stream
      return kind === "audio" ? "other" : "config";
    default:
      return "other";
  }
}

function cutOff(body: Uint8Array, into: Tag): void {
  into.content = "other";
  markCut(body, into);
}

function markCut(body: Uint8Array, into: Tag): void {
  into.cut = true;
  into.start = into.end = body.length;
}

function readCodec(body: Uint8Array, at: number, into: Tag): void {
  const fourCc = (body[at]! << 24 | body[at + 1]! << 16 | body[at + 2]! << 8 | body[at + 3]!) >>> 0;
  into.codecId = fourCc;
  into.codec = (into.kind === "audio" ? AUDIO_FOURCCS : VIDEO_FOURCCS).get(fourCc) ?? "unknown";
}

function isMetaData(body: Uint8Array): boolean {
  for (let at = 0; at < ON_METADATA.length; at++) {
    if (body[at] !== ON_METADATA[at]) return false;
  }
  return true;
}

/** What is missing counts as 0: the caller looks at the end. */
function u16At(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) << 8 | (bytes[at + 1] ?? 0);
}

function u24At(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) << 16 | u16At(bytes, at + 1);
}

function s24At(bytes: Uint8Array, at: number): number {
  return u24At(bytes, at) << 8 >> 8;
}
