// Speex passed through between RTMP tags and RTP payloads (RFC 5574): a tag or packet may hold several 20 ms frames and
// keeps its boundaries; towards an 8 kHz peer the wideband layer is stripped. The marker opens a talk spurt (RFC 3551 4.1).
// Role: machine

import { createFrame, type Frame, type FrameSink, type PayloadSink } from "../../media/frame.ts";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "../../media/timeline.ts";
import type { AudioDepacketizer, AudioPacketizer, AudioPacketOptions } from "../codec.ts";
import { SpeexBitWriter, SpeexWalker } from "./bits.ts";

/** Frames of one RTP packet when the peer asked for no packet time: as many as the tag had, up to 200 ms. */
const MAX_SPEEX_FRAMES = 10;
const SPEEX_FRAME_MS = 20;

/** Walks through one packet at a time, for all calls of this thread. */
const walker = new SpeexWalker();
/** Puts packets together anew, one at a time. */
const writer = new SpeexBitWriter();

export class SpeexPacketizer implements AudioPacketizer {
  dropped = 0;
  readonly timeline: RtmpToRtpTimeline;
  readonly #strip: boolean;
  readonly #frameTicks: number;
  readonly #framesPerPacket: number;
  #layered = false;

  constructor(options: AudioPacketOptions) {
    this.timeline = new RtmpToRtpTimeline(options.clockRate, options.clock);
    this.#strip = options.clockRate === 8000;
    this.#frameTicks = options.clockRate * SPEEX_FRAME_MS / 1000;
    const ptimeMs = options.ptimeMs ?? MAX_SPEEX_FRAMES * SPEEX_FRAME_MS;
    this.#framesPerPacket = Math.min(MAX_SPEEX_FRAMES, Math.max(1, Math.floor(ptimeMs / SPEEX_FRAME_MS)));
  }

  restart(): void {
    this.timeline.restart();
  }

  push(frame: Frame, emit: PayloadSink): void {
    if (frame.data.length === 0) return;
    const frames = frame.codec === "speex" ? this.#count(frame.data) : 0;
    if (frames === 0) {
      this.dropped++;
      return;
    }
    const timestamp = this.timeline.placeBlock(frame.timeMs, frames * this.#frameTicks);
    const asItIs = frames <= this.#framesPerPacket && !walker.broken && !(this.#strip && this.#layered);
    if (asItIs) emit(frame.data, timestamp >>> 0, this.timeline.afterGap);
    else this.#rewrite(frame.data, timestamp, emit);
  }

  #count(packet: Uint8Array): number {
    walker.start(packet);
    this.#layered = false;
    let frames = 0;
    while (walker.next()) {
      frames++;
      if (walker.layers > 0) this.#layered = true;
    }
    return frames;
  }

  #rewrite(packet: Uint8Array, timestamp: number, emit: PayloadSink): void {
    walker.start(packet);
    let marker = this.timeline.afterGap;
    let frames = 0;
    let at = timestamp;
    writer.reset();
    for (;;) {
      const more = walker.next();
      if (frames === this.#framesPerPacket || !more && frames > 0) {
        emit(writer.finish(), at >>> 0, marker);
        writer.reset();
        marker = false;
        at += frames * this.#frameTicks;
        frames = 0;
      }
      if (!more) return;
      walker.copyTo(writer, !this.#strip);
      frames++;
    }
  }
}

export class SpeexDepacketizer implements AudioDepacketizer {
  dropped = 0;
  readonly timeline: RtpToRtmpTimeline;
  readonly #frame = createFrame();

  constructor(options: AudioPacketOptions) {
    this.timeline = new RtpToRtmpTimeline(options.clockRate, options.clock, options.originMs);
    this.#frame.codec = "speex";
  }

  restart(): void {
    this.timeline.restart();
  }

  push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink): void {
    if (walker.count(payload) === 0) {
      this.dropped++;
      return;
    }
    this.#frame.timeMs = this.timeline.timeMsOf(timestamp);
    this.#frame.data = payload;
    emit(this.#frame);
  }
}
