// RTP payloads of H.264 (RFC 6184: single NAL units, STAP-A, FU-A) to frames of RTMP in AVC format. A frame is all
// that shares a timestamp (5.1); the marker ends it where markers can be believed, else the next timestamp does, or
// that nothing more has come for a moment.
// Role: machine

import { ByteWriter } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { createFrame, type Depacketizer, type FrameSink } from "../../media/frame.ts";
import { isSlice, NAL, nalType, sliceOf, sliceTypeOf, startsPicture } from "./slice.ts";
import { MarkerTrust, NalUnits } from "./nal_units.ts";
import { ParameterSets } from "./parameter_sets.ts";
import { RtpToRtmpTimeline } from "../../media/timeline.ts";

/** A larger frame is given up: no key frame of a call comes near it. */
const MAX_FRAME_OCTETS = 4 << 20;
const CLOCK_RATE = 90000;
/** A picture with a marker of doubt waits so long for more of it: twice what packets out of order are waited for. */
const HOLD_MS = 120;
/** A timer so late says that we were, not the packets: they are read first. */
const STALL_MS = 40;

export interface H264DepacketizerOptions {
  readonly clock: Clock;
  /** What `clock.now()` was at RTMP time 0; absent: now. */
  readonly originMs?: number;
  /** True holds all frames back from a loss to the next key frame; false (default) only the broken one. */
  readonly freezeOnLoss?: boolean;
}

/**
 * Payloads, in order, to frames; made once per call.
 *
 * A frame that lost a packet is dropped whole and a key frame is asked for. Parameter sets become an AVC
 * configuration in front of every key frame, rebuilt when they change. Nothing leaves before parameter sets and a
 * key frame.
 */
export class H264Depacketizer implements Depacketizer, Disposable {
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

  readonly #clock: Clock;
  readonly #timeline: RtpToRtmpTimeline;
  readonly #markers = new MarkerTrust();
  readonly #freezeOnLoss: boolean;
  readonly #frame = createFrame();
  readonly #picture = new ByteWriter(65536);
  readonly #nals = new NalUnits((nal) => this.#takeNal(nal), MAX_FRAME_OCTETS);
  readonly #config = new ByteWriter(256);
  #timestamp = 0;
  #open = false;
  #held = false;
  #holding: Disposable | null = null;
  #dueMs = 0;
  /** Presentation time of a held picture; NaN: not known yet. */
  #heldMs = NaN;
  /** The picture before, whether it was taken as whole, and how many slices a marker ended; 0: no marker did. */
  #closedTimestamp = NaN;
  #closedWhole = false;
  #closedSlices = 0;
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
    this.#clock = options.clock;
    this.#timeline = new RtpToRtmpTimeline(CLOCK_RATE, options.clock, options.originMs);
    this.#freezeOnLoss = options.freezeOnLoss === true;
    this.#frame.kind = "video";
    this.#frame.codec = "h264";
  }

  get wrongMarkers(): number {
    return this.#markers.wrongOnes;
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
    this.#markers.restart();
    this.#closedTimestamp = NaN;
    this.#waitingForKey = true;
  }

  /** Nothing leaves any more. */
  [Symbol.dispose](): void {
    this.#abandon();
  }

  /** Frames that follow wait for a key frame, as for a player that joins late; asks for one. */
  waitForKey(): void {
    this.#waitingForKey = true;
    this.onKeyFrameWanted?.();
  }

  /** Consumes one payload; a frame leaves with its last packet, or with the first of the next frame, or held too long. */
  push(payload: Uint8Array, timestamp: number, marker: boolean, emit: FrameSink, lostBefore: number): void {
    if (timestamp === this.#closedTimestamp && sliceOf(payload) === "further") {
      if (!this.#open || timestamp !== this.#timestamp) return this.#takeLate(lostBefore);
    }
    if (this.#open && timestamp !== this.#timestamp) this.#end(payload, emit, lostBefore);
    else if (this.#held) this.#goOn(payload, emit);
    if (!this.#open) this.#begin(timestamp, lostBefore);
    else if (lostBefore > 0) {
      this.#lossSeen = true;
      this.#damage();
    }
    this.#take(payload);
    if (marker) this.#mark(emit);
  }

  /** A slice of a picture that is gone: its marker was wrong, and whoever got it has a part only. */
  #takeLate(lostBefore: number): void {
    if (this.#open && lostBefore > 0) {
      this.#lossSeen = true;
      this.#damage();
    }
    if (!this.#closedWhole) return;
    this.#closedWhole = false;
    this.#closedSlices = 0;
    this.#markers.wrong();
    this.broken++;
    this.#askForKey();
  }

  /** The next picture begins with `payload`. Lost packets before it may have been the end of this one. */
  #end(payload: Uint8Array, emit: FrameSink, lostBefore: number): void {
    const isWhole = lostBefore === 0 ||
      this.#held && (this.#markers.likelyEndsAt(this.#slices) || sliceOf(payload) === "further");
    if (!isWhole) this.#damaged = this.#lossSeen = true;
    this.#close(emit);
  }

  /** What comes behind a marker with the same timestamp: more of the picture, or another one of that moment. */
  #goOn(payload: Uint8Array, emit: FrameSink): void {
    const slice = sliceOf(payload);
    if (slice === "first") return this.#close(emit);
    if (slice === null) return;
    this.#markers.wrong();
    this.#held = false;
  }

  /** A marker within a NAL unit, or before any slice, ends nothing. */
  #mark(emit: FrameSink): void {
    if (this.#nals.incomplete || this.#slices === 0 && !this.#damaged) return;
    this.#held = true;
    if (this.#damaged || this.#markers.endsAt(this.#slices)) return this.#close(emit);
    if (Number.isNaN(this.#heldMs) && this.#maySend()) {
      this.#heldMs = this.#timeline.presentationMsOf(this.#timestamp);
    }
    this.#dueMs = this.#clock.now() + HOLD_MS;
    if (this.#holding === null) this.#wait(HOLD_MS, emit);
  }

  /** One timer for each picture, not for each slice. */
  #wait(ms: number, emit: FrameSink): void {
    const firesMs = this.#clock.now() + ms;
    this.#holding = this.#clock.after(ms, () => {
      this.#holding = null;
      const nowMs = this.#clock.now();
      if (nowMs - firesMs > STALL_MS) this.#wait(STALL_MS, emit);
      else if (nowMs < this.#dueMs) this.#wait(this.#dueMs - nowMs, emit);
      else if (this.#held) this.#close(emit);
    });
  }

  #begin(timestamp: number, lostBefore: number): void {
    this.#abandon();
    this.#open = true;
    this.#timestamp = timestamp;
    if (lostBefore === 0) return this.#judgeMarker();
    this.#closedSlices = 0;
    this.#headInDoubt = this.#lossSeen = true;
    this.#askForKey(); // whole frames may be missing, and this one may build upon them
  }

  /** The next picture came at once: the marker of the one before was right. */
  #judgeMarker(): void {
    if (this.#closedSlices > 0 && this.#timestamp !== this.#closedTimestamp) {
      this.#markers.right(this.#closedSlices);
    }
    this.#closedSlices = 0;
  }

  #askForKey(): void {
    if (this.#freezeOnLoss) this.#waitingForKey = true;
    this.onKeyFrameWanted?.();
  }

  #abandon(): void {
    this.#picture.reset();
    this.#nals.reset();
    this.#holding?.[Symbol.dispose]();
    this.#holding = null;
    this.#heldMs = NaN;
    this.#open =
      this.#held =
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
    this.#nals.reset();
  }

  #take(payload: Uint8Array): void {
    const result = this.#nals.push(payload);
    if (result === "taken") return;
    if (result === "unsupported") this.unsupported++;
    this.#damaged = true;
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
    if (this.#nals.incomplete) this.#damage();
    this.#closedTimestamp = this.#timestamp;
    this.#closedWhole = !this.#damaged && this.#slices > 0;
    this.#closedSlices = this.#held && this.#closedWhole ? this.#slices : 0;
    if (this.#damaged) this.#giveUp();
    else if (this.#slices > 0) this.#finish(emit);
    this.#abandon();
  }

  #giveUp(): void {
    this.broken++;
    if (!this.#lossSeen) this.malformed++;
    this.#askForKey();
  }

  /** A picture of intra slices only can be started at too: some phones never send an IDR after the first. */
  #isStartable(): boolean {
    return this.#key || this.#waitingForKey && this.#allIntra;
  }

  #maySend(): boolean {
    return this.parameterSets.complete && (!this.#waitingForKey || this.#isStartable());
  }

  #finish(emit: FrameSink): void {
    if (!this.#maySend()) {
      this.heldBack++;
      this.onKeyFrameWanted?.();
      return;
    }
    const key = this.#isStartable();
    this.#waitingForKey = false;
    if (this.#hasB) this.bFrames++;
    this.#emitPicture(key, emit);
  }

  /** Decoding time may not go back, so a picture shown before its predecessor gets a negative composition time. */
  #emitPicture(key: boolean, emit: FrameSink): void {
    const presentationMs = Number.isNaN(this.#heldMs)
      ? this.#timeline.presentationMsOf(this.#timestamp)
      : this.#heldMs;
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
