// RTP payloads of H.264 (RFC 6184: single NAL units, STAP-A, FU-A) to frames of RTMP in AVC format.
// A frame is all that shares a timestamp (5.1); the marker ends it, or the next timestamp does. A frame that
// lost a packet is dropped whole and a key frame is asked for. Parameter sets become an AVC configuration in
// front of every key frame, rebuilt when they change. Nothing leaves before parameter sets and a key frame.
// Role: machine
// Answers to: rtp2rtmpH264 in MediaContext, which assumed order and only logged gaps.

import { ByteWriter } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { createFrame, type Depacketizer, type FrameSink } from "./frame.ts";
import { isSlice, NAL, nalType, sliceTypeOf, startsPicture } from "./h264.ts";
import { ParameterSets } from "./parameter_sets.ts";
import { RtpToRtmpTimeline } from "./timeline.ts";

/** A larger frame is given up: no key frame of a call comes near it. */
const MAX_FRAME_OCTETS = 4 << 20;
const CLOCK_RATE = 90000;
const FU_START = 0x80;
const FU_END = 0x40;

/** How the video stream is carried. */
export interface H264DepacketizerOptions {
  /** Time is judged by it. */
  readonly clock: Clock;
  /** What `clock.now()` was at RTMP time 0; absent: now. */
  readonly originMs?: number;
  /** True holds all frames back from a loss to the next key frame; false (default) only the broken one. */
  readonly freezeOnLoss?: boolean;
}

/** Payloads, in order, to frames; made once per call. */
export class H264Depacketizer implements Depacketizer {
  /** Frames dropped because a part was lost or made no sense. */
  broken = 0;
  /** Whole frames held back while a key frame was waited for. */
  heldBack = 0;
  /** Frames with B slices, which Flash cannot show in a live stream. */
  bFrames = 0;
  /** Payloads that are none of mode 0 or 1. */
  unsupported = 0;
  /** Of the broken frames those that lost nothing on the way: they were sent so. */
  malformed = 0;
  /** Called when only a key frame can mend the picture: after a broken frame, or while none has come. */
  onKeyFrameWanted: (() => void) | null = null;
  /** The parameter sets in force; those of the SDP may be put in before the first packet. */
  readonly parameterSets: ParameterSets = new ParameterSets();

  readonly #timeline: RtpToRtmpTimeline;
  readonly #freezeOnLoss: boolean;
  readonly #frame = createFrame();
  readonly #picture = new ByteWriter(65536);
  readonly #fragments = new ByteWriter(65536);
  readonly #config = new ByteWriter(256);
  #timestamp = 0;
  #open = false;
  #damaged = false;
  #lossSeen = false;
  /** Packets were lost just before this frame: its first slice may be among them. */
  #headInDoubt = false;
  #slices = 0;
  #key = false;
  #allIntra = true;
  #hasB = false;
  #setsChanged = false;
  #waitingForKey = true;
  #lastTimeMs = 0;

  /** Frames leave through the `emit` of {@link push}. */
  constructor(options: H264DepacketizerOptions) {
    this.#timeline = new RtpToRtmpTimeline(CLOCK_RATE, options.clock, options.originMs);
    this.#freezeOnLoss = options.freezeOnLoss === true;
    this.#frame.kind = "video";
    this.#frame.codec = "h264";
  }

  /** True until a key frame has been sent on. */
  get waitingForKey(): boolean {
    return this.#waitingForKey;
  }

  /** RTMP time of a timestamp as things stand; null before the first picture. Changes nothing. */
  peekMs(timestamp: number): number | null {
    return this.#timeline.peekMs(timestamp);
  }

  /** Moves the times of what follows by `ms`, little by little. */
  shift(ms: number): void {
    this.#timeline.shift(ms);
  }

  /** The RTP source changed: its next timestamp means "now", and a key frame is needed. */
  restart(): void {
    this.#abandon();
    this.#timeline.restart();
    this.#waitingForKey = true;
  }

  /** Frames that follow wait for a key frame, as for a player that joins late; asks for one. */
  waitForKey(): void {
    this.#waitingForKey = true;
    this.onKeyFrameWanted?.();
  }

  /** Consumes one payload; a frame leaves with its last packet, or with the first of the next frame. */
  push(payload: Uint8Array, timestamp: number, marker: boolean, emit: FrameSink, lostBefore: number): void {
    if (this.#open && timestamp !== this.#timestamp) {
      if (lostBefore > 0) this.#damaged = this.#lossSeen = true; // its marker never came: the end may be lost
      this.#close(emit);
    }
    if (!this.#open) this.#begin(timestamp, lostBefore);
    else if (lostBefore > 0) {
      this.#lossSeen = true;
      this.#damage();
    }
    this.#take(payload);
    if (marker) this.#close(emit);
  }

  #begin(timestamp: number, lostBefore: number): void {
    this.#abandon();
    this.#open = true;
    this.#timestamp = timestamp;
    if (lostBefore === 0) return;
    this.#headInDoubt = this.#lossSeen = true;
    this.#askForKey(); // whole frames may be missing, and this one may build upon them
  }

  #askForKey(): void {
    if (this.#freezeOnLoss) this.#waitingForKey = true;
    this.onKeyFrameWanted?.();
  }

  #abandon(): void {
    this.#picture.reset();
    this.#fragments.reset();
    this.#open =
      this.#damaged =
      this.#lossSeen =
      this.#headInDoubt =
      this.#key =
      this.#hasB =
        false;
    this.#allIntra = true;
    this.#slices = 0;
  }

  #damage(): void {
    this.#damaged = true;
    this.#fragments.reset();
  }

  #take(payload: Uint8Array): void {
    const type = nalType(payload[0] ?? 0);
    if (type !== NAL.fuA && this.#fragments.length > 0) this.#damage(); // a fragment without its end
    if (type === NAL.fuA) this.#takeFragment(payload);
    else if (type === NAL.stapA) this.#takeJoined(payload);
    else if (type > 0 && type < NAL.stapA) this.#takeNal(payload);
    else {
      this.unsupported++;
      this.#damaged = true;
    }
  }

  #takeJoined(payload: Uint8Array): void {
    let at = 1;
    while (at + 2 < payload.length) {
      const end = at + 2 + (payload[at]! << 8 | payload[at + 1]!);
      if (end > payload.length) break;
      if (end > at + 2) this.#takeNal(payload.subarray(at + 2, end));
      at = end;
    }
    if (at < payload.length) this.#damaged = true;
  }

  #takeFragment(payload: Uint8Array): void {
    const flags = payload[1] ?? 0;
    const fragments = this.#fragments;
    if ((flags & FU_START) !== 0) {
      if (fragments.length > 0) this.#damage();
      fragments.u8(payload[0]! & 0xe0 | flags & 31);
    }
    const fits = fragments.length > 0 && fragments.length + payload.length < MAX_FRAME_OCTETS;
    if (!fits || payload.length < 3) {
      this.#damage();
      return;
    }
    fragments.bytes(payload.subarray(2));
    if ((flags & FU_END) === 0) return;
    this.#takeNal(fragments.view());
    fragments.reset();
  }

  #takeNal(nal: Uint8Array): void {
    const type = nalType(nal[0]!);
    if (type === NAL.sps || type === NAL.pps) {
      if (this.parameterSets.update(nal)) this.#setsChanged = true;
      return;
    }
    const delimits = type >= NAL.delimiter && type <= NAL.filler;
    if (delimits) return;
    const fits = this.#picture.length + nal.length + 4 <= MAX_FRAME_OCTETS;
    if (type === 0 || type >= NAL.stapA || !fits) {
      this.#damaged = true;
      return;
    }
    if (isSlice(type)) this.#noteSlice(type, nal);
    this.#picture.u32(nal.length);
    this.#picture.bytes(nal);
  }

  #noteSlice(type: number, nal: Uint8Array): void {
    if (this.#slices === 0 && this.#headInDoubt && !startsPicture(nal)) this.#damaged = true;
    this.#slices++;
    if (type === NAL.idr) this.#key = true;
    const sliceType = sliceTypeOf(nal);
    if (sliceType !== "I" && sliceType !== "SI") this.#allIntra = false;
    if (sliceType === "B") this.#hasB = true;
  }

  #close(emit: FrameSink): void {
    if (this.#fragments.length > 0) this.#damage();
    if (this.#damaged) this.#giveUp();
    else if (this.#slices > 0) this.#finish(emit);
    this.#abandon();
  }

  #giveUp(): void {
    this.broken++;
    if (!this.#lossSeen) this.malformed++;
    this.#askForKey();
  }

  #finish(emit: FrameSink): void {
    // A picture of intra slices only can be started at too: some phones never send an IDR after the first.
    const startable = this.#key || this.#waitingForKey && this.#allIntra;
    if (!this.parameterSets.complete || this.#waitingForKey && !startable) {
      this.heldBack++;
      this.onKeyFrameWanted?.();
      return;
    }
    this.#waitingForKey = false;
    if (this.#hasB) this.bFrames++;
    this.#emitPicture(startable, emit);
  }

  /** Decoding time may not go back, so a picture shown before its predecessor gets a negative composition time. */
  #emitPicture(key: boolean, emit: FrameSink): void {
    const presentationMs = this.#timeline.presentationMsOf(this.#timestamp);
    const timeMs = Math.max(presentationMs, this.#lastTimeMs);
    this.#lastTimeMs = timeMs;
    const frame = this.#frame;
    frame.timeMs = timeMs;
    if (key || this.#setsChanged) this.#emitConfig(emit);
    frame.key = key;
    frame.config = false;
    frame.compositionMs = presentationMs - timeMs;
    frame.data = this.#picture.view();
    emit(frame);
  }

  #emitConfig(emit: FrameSink): void {
    this.#setsChanged = false;
    this.#config.reset();
    this.parameterSets.encodeConfig(this.#config);
    this.#frame.key = true;
    this.#frame.config = true;
    this.#frame.compositionMs = 0;
    this.#frame.data = this.#config.view();
    emit(this.#frame);
  }
}
