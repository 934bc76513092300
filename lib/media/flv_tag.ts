// FLV tag bodies, which are RTMP audio and video messages, to frames and back: what media/tag.ts has read, with the
// coded data that a call carries.
// Adobe FLV file format 10.1, annex E.4.2-E.4.3; the Opus and AVC forms of Enhanced RTMP.
// Role: wire

import { type ByteWriter, viewOf } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import type { CodecName, Frame, TagType } from "./frame.ts";
import { createTag, readTag, type Tag } from "./tag.ts";

const NO_BYTES = new Uint8Array(0);
const FOURCC_OPUS = 0x4f707573;
const AAC_TAG = 0xaf;
const MP3_TAG = 0x2f;

/** Filled by each call, and read before it returns. */
const header = createTag();

/**
 * Reads the body of an RTMP media message into `into`; `into.data` is a view of `body`. What no call carries keeps its
 * whole body as data: codecs that are only named here, and what is no media of the default track.
 * @param tag its header, where it has been read by now
 * @throws WireError when a tag is cut off before its data
 */
export function decodeTag(
  type: TagType,
  timeMs: number,
  body: Uint8Array,
  into: Frame,
  tag: Tag = readTag(type, body, header),
): void {
  const last = into.data;
  into.kind = tag.kind;
  into.timeMs = timeMs;
  into.key = tag.flaggedKey;
  into.config = false;
  into.compositionMs = 0;
  into.codec = "unknown";
  into.media = true;
  into.tag = type === 18 ? 0 : body[0] ?? 0;
  into.data = body;
  if (type === 18 || body.length === 0) return;
  if (tag.cut) throw new WireError("FLV tag", "cut off before its data", body.length);
  into.media = isCallMedia(tag);
  if (!into.media || tag.content === "other") return;
  into.codec = tag.codec;
  into.config = tag.content === "config";
  if (!isCarried(tag.codec)) return;
  if (tag.kind === "video") decodeVideo(tag, body, into);
  else decodeAudio(tag, body, into, last);
}

/** A call has one track of each kind, and nobody to take commands or descriptions. Packet types that are unknown may be media. */
function isCallMedia({ content, track }: Tag): boolean {
  return track === 0 && content !== "info" && content !== "command";
}

/** True for codecs whose tags are taken apart; of the others the body goes on as it came. */
function isCarried(codec: CodecName): boolean {
  switch (codec) {
    case "speex":
    case "pcmu":
    case "pcma":
    case "aac":
    case "mp3":
    case "nellymoser":
    case "opus":
    case "adpcm":
    case "linear16":
    case "h264":
    case "h263":
      return true;
    default:
      return false;
  }
}

/** @param last what the frame before had for data: often the same view */
function decodeAudio(tag: Tag, body: Uint8Array, into: Frame, last: Uint8Array): void {
  if (into.tag >> 4 === 9) into.tag = tag.codec === "mp3" ? MP3_TAG : tag.codec === "aac" ? AAC_TAG : 0x90;
  into.data = tag.content === "end" ? NO_BYTES : viewOf(body, tag.start, tag.end, last);
}

function decodeVideo(tag: Tag, body: Uint8Array, into: Frame): void {
  if (into.tag >= 0x80) into.tag = into.key ? 0x17 : 0x27;
  into.compositionMs = tag.compositionMs;
  into.data = tag.content === "end" ? NO_BYTES : body.subarray(tag.start, tag.end);
}

/** Appends the tag body of a frame: what {@link decodeTag} read, or the tag siprtmp clients expect. */
export function encodeTag(frame: Frame, writer: ByteWriter): void {
  if (frame.kind === "audio") encodeAudio(frame, writer);
  else if (frame.kind === "video") encodeVideo(frame, writer);
  else writer.bytes(frame.data);
}

/** How many channels the audio tag a frame came from declared; a frame made here is mono. */
export function channelsOf(frame: Frame): 1 | 2 {
  return (frame.tag & 1) === 1 ? 2 : 1;
}

function encodeAudio(frame: Frame, writer: ByteWriter): void {
  switch (frame.codec) {
    case "speex":
      writer.u8(0xb2);
      break;
    case "pcmu":
      writer.u8(0x82 | frame.tag & 1);
      break;
    case "pcma":
      writer.u8(0x72 | frame.tag & 1);
      break;
    case "aac":
      writer.u8(AAC_TAG);
      writer.u8(frame.config ? 0 : 1);
      break;
    case "opus":
      writer.u8(frame.config ? 0x90 : frame.data.length === 0 ? 0x92 : 0x91);
      writer.u32(FOURCC_OPUS);
      break;
    case "mp3":
    case "nellymoser":
    case "adpcm":
    case "linear16":
      writer.u8(frame.tag);
      break;
    default: // unknown: the data is the whole body
  }
  writer.bytes(frame.data);
}

function encodeVideo(frame: Frame, writer: ByteWriter): void {
  if (frame.codec === "h264") {
    writer.u8(frame.key ? 0x17 : 0x27);
    writer.u8(frame.config ? 0 : frame.data.length === 0 ? 2 : 1);
    writer.u24(frame.compositionMs & 0xffffff);
  } else if (frame.codec === "h263") {
    writer.u8(frame.tag);
  }
  writer.bytes(frame.data);
}
