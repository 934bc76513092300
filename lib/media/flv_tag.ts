// FLV tag bodies, which are RTMP audio and video messages: tag byte(s), then coded data.
// Adobe FLV file format 10.1, annex E.4.2-E.4.3; the Opus and AVC FourCC forms of Enhanced RTMP.
//
//   audio  format:4 rate:2 size:1 stereo:1 | AAC only: packet type:8 | data
//   video  frame type:4 codec:4 | AVC only: packet type:8 composition time:s24 | data
//   FourCC audio 9:4 packet type:4 | FourCC:32 | data      (video: 1:1 frame type:3 packet type:4 ...)
//
// Role: wire
// Answers to: the tag bytes B2, 82, 72, 17, 27 in siprtmp's MediaContext.

import { type ByteWriter, viewOf } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type CodecName, type Frame, type TagType } from "./frame.ts";

const PROTOCOL = "FLV tag";
const NO_BYTES = new Uint8Array(0);

const FOURCC_OPUS = 0x4f707573;
const FOURCC_AAC = 0x6d703461;
const FOURCC_MP3 = 0x2e6d7033;
const FOURCC_AVC = 0x61766331;

const AUDIO_CODECS: readonly CodecName[] = [
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
];

const AAC_TAG = 0xaf;

/**
 * Reads the body of an RTMP media message into `into`; `into.data` is a view of `body`.
 * A body nobody here understands becomes codec `unknown` with the whole body as data; an empty body (Flash
 * sends those when a microphone falls silent) likewise.
 * @throws WireError when a tag is cut off before its data
 */
export function decodeTag(type: TagType, timeMs: number, body: Uint8Array, into: Frame): void {
  const last = into.data;
  into.timeMs = timeMs;
  into.key = false;
  into.config = false;
  into.compositionMs = 0;
  into.codec = "unknown";
  into.tag = 0;
  into.data = body;
  into.kind = type === 8 ? "audio" : type === 9 ? "video" : "data";
  if (type === 18 || body.length === 0) return;
  into.tag = body[0]!;
  if (type === 8) decodeAudio(body, into, last);
  else decodeVideo(body, into);
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

/** @param last what the frame before had for data: often the same view */
function decodeAudio(body: Uint8Array, into: Frame, last: Uint8Array): void {
  const format = into.tag >> 4;
  if (format === 9) {
    decodeFourCcAudio(body, into);
    return;
  }
  const codec = AUDIO_CODECS[format]!;
  if (codec === "unknown") return;
  into.codec = codec;
  if (codec !== "aac") {
    into.data = viewOf(body, 1, body.length, last);
    return;
  }
  if (body.length < 2) throw new WireError(PROTOCOL, "AAC tag without a packet type", 1);
  into.config = body[1] === 0;
  into.data = body.subarray(2);
}

function decodeFourCcAudio(body: Uint8Array, into: Frame): void {
  const packetType = into.tag & 15;
  if (packetType > 2) return;
  const codec = fourCcAudioCodec(fourCc(body));
  if (codec === "unknown") return;
  into.codec = codec;
  into.tag = codec === "mp3" ? 0x2f : codec === "aac" ? AAC_TAG : into.tag & 0xf0;
  into.config = packetType === 0;
  into.data = packetType === 2 ? NO_BYTES : body.subarray(5);
}

function fourCcAudioCodec(code: number): CodecName {
  if (code === FOURCC_OPUS) return "opus";
  if (code === FOURCC_AAC) return "aac";
  return code === FOURCC_MP3 ? "mp3" : "unknown";
}

function decodeVideo(body: Uint8Array, into: Frame): void {
  const fourCcForm = into.tag >= 0x80;
  const frameType = into.tag >> 4 & 7;
  into.key = frameType === 1 || frameType === 4;
  if (frameType === 5) return; // a command to the player, not a picture
  if (fourCcForm) {
    decodeFourCcVideo(body, into);
    return;
  }
  const codecId = into.tag & 15;
  if (codecId === 2) {
    into.codec = "h263";
    into.data = body.subarray(1);
  } else if (codecId === 7) {
    if (body.length < 5) throw new WireError(PROTOCOL, "AVC tag shorter than its header", body.length);
    readAvcPacket(body[1]!, 2, body, into);
  }
}

function decodeFourCcVideo(body: Uint8Array, into: Frame): void {
  const packetType = into.tag & 15;
  if (packetType > 3 || fourCc(body) !== FOURCC_AVC) return;
  if (packetType === 1 && body.length < 8) {
    throw new WireError(PROTOCOL, "AVC tag shorter than its header", body.length);
  }
  into.tag = into.key ? 0x17 : 0x27;
  if (packetType === 3) { // coded frame whose composition time is 0 and left out
    into.codec = "h264";
    into.data = body.subarray(5);
    return;
  }
  if (packetType === 1) readAvcPacket(packetType, 5, body, into);
  else {
    into.codec = "h264";
    into.config = packetType === 0;
    into.data = packetType === 0 ? body.subarray(5) : NO_BYTES;
  }
}

/** The part both AVC forms share: composition time at `at`, data behind it. */
function readAvcPacket(packetType: number, at: number, body: Uint8Array, into: Frame): void {
  if (packetType > 2) return;
  into.codec = "h264";
  into.config = packetType === 0;
  into.compositionMs = (body[at]! << 24 | body[at + 1]! << 16 | body[at + 2]! << 8) >> 8;
  into.data = packetType === 2 ? NO_BYTES : body.subarray(at + 3);
}

function fourCc(body: Uint8Array): number {
  if (body.length < 5) throw new WireError(PROTOCOL, "cut off inside a FourCC", body.length);
  return (body[1]! << 24 | body[2]! << 16 | body[3]! << 8 | body[4]!) >>> 0;
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
