// H.264 frames of RTMP, as picture_units.ts takes them apart, to RTP payloads, RFC 6184. Every NAL unit of a frame is
// sent: small ones together (STAP-A, 5.7.1), large ones in fragments (FU-A, 5.8), the others alone (5.6); the
// marker is on the last packet of the frame (5.1). In mode 0 all go alone.
// Role: machine

import { ByteWriter } from "../../base/bytes.ts";
import { WireError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import { decodeAvcConfig, lengthSizeOf } from "./avc_config.ts";
import type { Frame, Packetizer, PayloadSink } from "../../media/frame.ts";
import { FU_END, FU_START, isSlice, NAL, nalType, sliceTypeOf } from "./slice.ts";
import { ParameterSets } from "./parameter_sets.ts";
import { isKey, type PictureContent, PictureUnits } from "./picture_units.ts";
import { RtmpToRtpTimeline } from "../../media/timeline.ts";

/** Size of an RTP payload that fits every path: siprtmp's value. */
const MAX_PAYLOAD_OCTETS = 1446;
/** The largest payload one UDP datagram can hold, for mode 0, where nothing may be cut. */
const MAX_DATAGRAM_PAYLOAD_OCTETS = 65000;
/** A larger key frame is not kept for {@link H264Packetizer.repeatKeyFrame}. */
const MAX_KEPT_KEY_FRAME_OCTETS = 1 << 20;
const CLOCK_RATE = 90000;

export interface H264PacketizerOptions {
  readonly clock: Clock;
  /** The packetization-mode agreed upon (RFC 6184 6.2, 6.3). */
  readonly packetizationMode: 0 | 1;
  /** Largest RTP payload; absent: 1446 octets. */
  readonly maxPayloadOctets?: number;
  /** False sends every small NAL unit alone, for peers that know no STAP-A. Mode 0 never joins. */
  readonly aggregate?: boolean;
}

/** Why a frame was left out. */
export type H264Drop =
  | "codec"
  | "configuration"
  | "unreadable"
  | "too large"
  | "no key frame"
  | "no parameter sets";

/**
 * Frames to payloads; made once per call.
 *
 * Parameter sets precede every key frame that does not bring its own. Access unit delimiters and filler stay behind:
 * the marker delimits, and a delimiter would have to come before the parameter sets.
 */
export class H264Packetizer implements Packetizer {
  /** Frames left out: broken, too large for the mode, or before the first configuration and key frame. */
  dropped = 0;
  /** Why the last one was; null before the first. */
  lastDrop: H264Drop | null = null;
  /** True when the last frame sent was one to start at, whatever its tag said. */
  sentKey = false;
  /** Frames with B slices, which Flash and most phones cannot show. */
  bFrames = 0;
  /** The parameter sets in force; their profile is what the publisher really sends. */
  readonly parameterSets: ParameterSets = new ParameterSets();

  readonly #mode: 0 | 1;
  readonly #maxPayload: number;
  readonly #aggregate: boolean;
  readonly #timeline: RtmpToRtpTimeline;
  readonly #packet: ByteWriter;
  readonly #keyFrame = new ByteWriter(4096);
  #sets: readonly Uint8Array[] = [];
  readonly #units = new PictureUnits();
  #configured = false;
  #started = false;
  #timestamp = 0;
  #lastNalAt = 0;
  #hasSlice = false;
  #tooLarge = false;
  readonly #found: PictureContent = { idr: false, described: false, predicted: false };
  #bringsSets = false;
  #hasB = false;
  /** NAL units waiting in `#packet` to become one STAP-A, and where the first one's octets are. */
  #waiting = 0;

  /** Nothing is sent before the first configuration and key frame. */
  constructor(options: H264PacketizerOptions) {
    this.#mode = options.packetizationMode;
    this.#maxPayload = Math.max(100, options.maxPayloadOctets ?? MAX_PAYLOAD_OCTETS);
    this.#aggregate = this.#mode === 1 && options.aggregate !== false;
    this.#timeline = new RtmpToRtpTimeline(CLOCK_RATE, options.clock);
    this.#packet = new ByteWriter(this.#maxPayload + 16);
  }

  /** True when {@link repeatKeyFrame} has something to send. */
  get hasKeyFrame(): boolean {
    return this.#keyFrame.length > 0;
  }

  /** Timestamp that stands for the time of the last frame sent, its composition time left out. */
  get lastTimestamp(): number {
    return this.#timeline.lastTimestamp;
  }

  /** The publisher starts over: its next time means "now", and its next frame must be a key frame. */
  restart(): void {
    this.#timeline.restart();
    this.#units.reset();
    this.parameterSets.clear();
    this.#sets = [];
    this.#keyFrame.reset();
    this.#started = false;
    this.#configured = false;
  }

  push(frame: Frame, emit: PayloadSink): void {
    if (frame.codec !== "h264") this.#drop("codec");
    else if (frame.config) this.#configure(frame.data);
    else if (frame.data.length > 0) this.#pushPicture(frame, emit);
  }

  /** Sends the last key frame once more, for a peer that lost its picture; false when there is none. */
  repeatKeyFrame(emit: PayloadSink): boolean {
    if (this.#keyFrame.length === 0 || !this.#configured) return false;
    const data = this.#keyFrame.view();
    if (!this.#survey(data, true)) return false;
    this.#timestamp++;
    this.#send(data, true, emit);
    return true;
  }

  /** Parameter sets that were known before stay when a record cannot be read: others may come in the pictures. */
  #configure(record: Uint8Array): void {
    this.#units.reset(lengthSizeOf(record));
    try {
      const config = decodeAvcConfig(record);
      this.parameterSets.clear();
      for (const set of config.sps) this.parameterSets.update(set);
      for (const set of config.pps) this.parameterSets.update(set);
      this.#configured = true;
      this.#keyFrame.reset();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#drop("configuration");
    }
    this.#sets = this.parameterSets.nals;
  }

  #drop(reason: H264Drop): void {
    this.dropped++;
    this.lastDrop = reason;
  }

  #pushPicture(frame: Frame, emit: PayloadSink): void {
    const { data } = frame;
    if (!this.#survey(data, frame.key)) return this.#drop(this.#tooLarge ? "too large" : "unreadable");
    const key = this.#hasSlice && isKey(this.#found, frame.key);
    if (!this.#hasSlice && !this.#started) return; // parameter sets may come in a tag of their own
    if (!this.#started && !key) return this.#drop("no key frame");
    if (!this.#configured && !this.parameterSets.complete) return this.#drop("no parameter sets");
    this.#started = this.#configured = true; // cameras that send no configuration bring their sets in the pictures
    this.sentKey = key;
    if (this.#hasB) this.bFrames++;
    if (key) {
      this.#keyFrame.reset();
      if (frame.data.length <= MAX_KEPT_KEY_FRAME_OCTETS) this.#keyFrame.bytes(frame.data);
    }
    this.#timestamp = this.#timeline.place(frame.timeMs) + frame.compositionMs * 90;
    this.#send(data, key, emit);
  }

  /** Looks through a frame before any of it is sent: false when it is broken or cannot be sent. */
  #survey(data: Uint8Array, flagged: boolean): boolean {
    const [units, found] = [this.#units, this.#found];
    this.#lastNalAt = -1;
    this.#hasSlice =
      this.#tooLarge =
      this.#bringsSets =
      this.#hasB =
        false;
    found.idr = found.described = found.predicted = false;
    if (!units.open(data, 0, data.length, flagged)) return false;
    while (units.next()) {
      const { start, end } = units;
      const type = nalType(data[start]!);
      if (!isSent(type)) continue;
      this.#tooLarge ||= this.#mode === 0 && end - start > MAX_DATAGRAM_PAYLOAD_OCTETS;
      this.#lastNalAt = start;
      if (type === NAL.sps || type === NAL.pps) this.#takeSet(data.subarray(start, end));
      if (type === NAL.sei) found.described = true;
      if (!isSlice(type)) continue;
      this.#hasSlice = true;
      const coding = sliceTypeOf(data.subarray(start, Math.min(end, start + 12)));
      if (coding === "B") this.#hasB = true;
      if (type === NAL.idr) found.idr = true;
      else if (coding === "P" || coding === "B") found.predicted = true;
    }
    return this.#lastNalAt >= 0 && !this.#tooLarge;
  }

  #takeSet(nal: Uint8Array): void {
    this.#bringsSets = true;
    if (this.parameterSets.update(nal)) this.#sets = this.parameterSets.nals;
  }

  #send(data: Uint8Array, key: boolean, emit: PayloadSink): void {
    if (key && !this.#bringsSets) {
      for (let i = 0; i < this.#sets.length; i++) this.#sendNal(this.#sets[i]!, false, emit);
    }
    const units = this.#units;
    units.open(data, 0, data.length, false); // what the survey has found is known by now
    while (units.next()) {
      const { start, end } = units;
      if (!isSent(nalType(data[start]!))) continue;
      this.#sendNal(data.subarray(start, end), start === this.#lastNalAt, emit);
    }
  }

  #sendNal(nal: Uint8Array, last: boolean, emit: PayloadSink): void {
    const joinable = this.#aggregate && nal.length + 3 <= this.#maxPayload;
    if (joinable && this.#packet.length + nal.length + 2 > this.#maxPayload) this.#flush(false, emit);
    if (joinable) this.#join(nal);
    else {
      this.#flush(false, emit);
      if (this.#mode === 1 && nal.length >= this.#maxPayload) this.#fragment(nal, last, emit);
      else emit(nal, this.#timestamp >>> 0, last);
      return;
    }
    if (last) this.#flush(true, emit);
  }

  /** Adds a NAL unit to the STAP-A in the making; its header takes the highest importance of all (5.7.1). */
  #join(nal: Uint8Array): void {
    const packet = this.#packet;
    if (packet.length === 0) packet.u8(NAL.stapA);
    const header = packet.view()[0]!;
    const importance = Math.max(header & 0x60, nal[0]! & 0x60);
    packet.setU8(0, (header | nal[0]!) & 0x80 | importance | NAL.stapA);
    packet.u16(nal.length);
    packet.bytes(nal);
    this.#waiting++;
  }

  #flush(last: boolean, emit: PayloadSink): void {
    if (this.#waiting === 0) return;
    const joined = this.#packet.view();
    emit(this.#waiting === 1 ? joined.subarray(3) : joined, this.#timestamp >>> 0, last);
    this.#packet.reset();
    this.#waiting = 0;
  }

  #fragment(nal: Uint8Array, last: boolean, emit: PayloadSink): void {
    const packet = this.#packet;
    const room = this.#maxPayload - 2;
    for (let at = 1; at < nal.length; at += room) {
      const end = Math.min(at + room, nal.length);
      const edges = (at === 1 ? FU_START : 0) | (end === nal.length ? FU_END : 0);
      packet.u8(nal[0]! & 0xe0 | NAL.fuA);
      packet.u8(edges | nalType(nal[0]!));
      packet.bytes(nal.subarray(at, end));
      emit(packet.view(), this.#timestamp >>> 0, last && end === nal.length);
      packet.reset();
    }
  }
}

/** Whether a NAL unit of this type travels: not delimiters, ends and filler, nor types RTP uses itself. */
function isSent(type: number): boolean {
  return type >= NAL.slice && type <= NAL.pps || type > NAL.filler && type < NAL.stapA;
}
