// The neutral unit of media between the RTMP side and the RTP side: one audio block, one video access unit,
// one data message. Frames on the hot path are made once and filled again and again; their data is borrowed.
// Role: wire

import type { CodecName } from "./codec_ids.ts";

export type { CodecName } from "./codec_ids.ts";

/** Which of the three RTMP media message types a frame travels in. */
export type FrameKind = "audio" | "video" | "data";

/** The RTMP message type ids of media: 8 audio, 9 video, 18 AMF0 data. */
export type TagType = 8 | 9 | 18;

/** One unit of media. Mutable and reused: whoever keeps a frame calls {@link cloneFrame}. */
export interface Frame {
  /** Audio, video or data. */
  kind: FrameKind;
  /** How `data` is coded. */
  codec: CodecName;
  /** Decoding time in RTMP milliseconds. */
  timeMs: number;
  /** True when a video decoder can start here. */
  key: boolean;
  /** True when `data` is decoder configuration (AVCDecoderConfigurationRecord, AudioSpecificConfig). */
  config: boolean;
  /**
   * False: no media of the default track, but a command to the player, a description, or another track. Then `data` is
   * the whole tag body.
   */
  media: boolean;
  /** Presentation time minus decoding time in milliseconds; 0 without B frames. */
  compositionMs: number;
  /** The first byte of the FLV tag body it came from; 0 when it did not come from one. */
  tag: number;
  /** The coded bytes without FLV tag header; borrowed, valid until the outlet it was given to returns. */
  data: Uint8Array;
}

/** Takes a frame; the frame and its data are borrowed and may change once it returns. */
export type FrameSink = (frame: Frame) => void;

/** Takes one RTP payload with its timestamp (32 bit, relative) and marker; the payload is borrowed. */
export type PayloadSink = (payload: Uint8Array, timestamp: number, marker: boolean) => void;

/** Turns frames into RTP payloads. */
export interface Packetizer {
  /** Consumes the frame; `emit` is called zero or more times before it returns. */
  push(frame: Frame, emit: PayloadSink): void;
}

/** Turns RTP payloads, in order, into frames. */
export interface Depacketizer {
  /**
   * Consumes the payload; `emit` is called zero or more times before it returns.
   * @param timestamp RTP timestamp, unwrapped
   * @param lostBefore packets missing just before this one
   */
  push(payload: Uint8Array, timestamp: number, marker: boolean, emit: FrameSink, lostBefore: number): void;
}

const NO_BYTES = new Uint8Array(0);

/** A fresh, empty audio frame to be filled again and again. */
export function createFrame(): Frame {
  return {
    kind: "audio",
    codec: "unknown",
    timeMs: 0,
    key: false,
    config: false,
    media: true,
    compositionMs: 0,
    tag: 0,
    data: NO_BYTES,
  };
}

/** An own copy of a frame, data included. Not for the hot path. */
export function cloneFrame(frame: Frame): Frame {
  return { ...frame, data: frame.data.slice() };
}

/** The RTMP message type a frame travels in. */
export function tagTypeOf(frame: Frame): TagType {
  if (frame.kind === "audio") return 8;
  return frame.kind === "video" ? 9 : 18;
}
