// Opus passed through between Enhanced RTMP and RTP: a packet is a payload, unchanged (RFC 7587 4.2). Only its
// length in time must be known, which its first octet tells (RFC 6716 3.1):
// Role: machine

import { ByteWriter } from "../base/bytes.ts";
import type { AudioDepacketizer, AudioPacketizer, AudioPacketOptions } from "./audio_packets.ts";
import { createFrame, type Frame, type FrameSink, type PayloadSink } from "./frame.ts";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "./timeline.ts";

/** RTP counts Opus at 48000 whatever is in it (RFC 7587 4.1). */
const OPUS_CLOCK_RATE = 48000;

const TICKS_PER_MS = OPUS_CLOCK_RATE / 1000;
/** RFC 6716 3.2.1: a packet has at most 120 ms. */
const MAX_TICKS = 120 * TICKS_PER_MS;
/** Tenths of a millisecond of one frame, for SILK-only, hybrid and CELT-only configs. */
const SILK = [100, 200, 400, 600] as const;
const HYBRID = [100, 200] as const;
const CELT = [25, 50, 100, 200] as const;

/** Length of a packet in units of 48 kHz; 0 when it is none. */
export function opusTicks(packet: Uint8Array): number {
  if (packet.length === 0) return 0;
  const config = packet[0]! >> 3;
  const tenths = config < 12 ? SILK[config & 3]! : config < 16 ? HYBRID[config & 1]! : CELT[config & 3]!;
  const ticks = frameCount(packet) * tenths * TICKS_PER_MS / 10;
  return ticks <= MAX_TICKS ? ticks : 0;
}

function frameCount(packet: Uint8Array): number {
  const code = packet[0]! & 3;
  if (code < 3) return code === 0 ? 1 : 2;
  return packet.length < 2 ? 0 : packet[1]! & 63;
}

/** The configuration that Enhanced RTMP and Ogg begin with: the OpusHead of RFC 7845 5.1. */
export function opusHead(channels: 1 | 2 = 1): Uint8Array<ArrayBuffer> {
  const head = new ByteWriter(19);
  head.utf8("OpusHead");
  head.u8(1);
  head.u8(channels);
  head.u16(0); // nothing to skip: a call has no beginning to align
  head.u32le(OPUS_CLOCK_RATE);
  head.u16(0);
  head.u8(0);
  return head.take();
}

/**
 * Frames of RTMP to payloads of RTP.
 *
 *   config:5 stereo:1 frame count code:2 | code 3 only: VBR:1 padding:1 count:6
 */
export class OpusPacketizer implements AudioPacketizer {
  dropped = 0;
  /** Where its frames lie on the RTP clock. */
  readonly timeline: RtmpToRtpTimeline;

  /** Starts at the first frame. */
  constructor(options: Pick<AudioPacketOptions, "clock">) {
    this.timeline = new RtmpToRtpTimeline(OPUS_CLOCK_RATE, options.clock);
  }

  restart(): void {
    this.timeline.restart();
  }

  push(frame: Frame, emit: PayloadSink): void {
    if (frame.config || frame.data.length === 0) return;
    const ticks = frame.codec === "opus" ? opusTicks(frame.data) : 0;
    if (ticks === 0) {
      this.dropped++;
      return;
    }
    const timestamp = this.timeline.placeBlock(frame.timeMs, ticks);
    emit(frame.data, timestamp >>> 0, this.timeline.afterGap);
  }
}

export class OpusDepacketizer implements AudioDepacketizer {
  /** Payloads that are no packet. */
  dropped = 0;
  /** Where its payloads lie in RTMP time. */
  readonly timeline: RtpToRtmpTimeline;
  readonly #frame = createFrame();

  /** The first timestamp means "now". */
  constructor(options: Pick<AudioPacketOptions, "clock" | "originMs">) {
    this.timeline = new RtpToRtmpTimeline(OPUS_CLOCK_RATE, options.clock, options.originMs);
    this.#frame.codec = "opus";
  }

  restart(): void {
    this.timeline.restart();
  }

  push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink): void {
    if (opusTicks(payload) === 0) {
      this.dropped++;
      return;
    }
    this.#frame.timeMs = this.timeline.timeMsOf(timestamp);
    this.#frame.data = payload;
    emit(this.#frame);
  }
}
