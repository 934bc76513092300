// Audio pass-through between RTMP tags and RTP payloads: Speex (RFC 5574) and G.711 (RFC 3551 4.5.14). A Speex tag or
// packet may hold several 20 ms frames and keeps its boundaries; towards an 8 kHz peer the wideband layer is stripped.
// G.711 of any block size leaves in blocks of one packet time.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { channelsOf } from "./flv_tag.ts";
import {
  createFrame,
  type Depacketizer,
  type Frame,
  type FrameSink,
  type Packetizer,
  type PayloadSink,
} from "./frame.ts";
import { alawToUlaw, decodeG711, encodeG711, G711_SILENCE, type G711Law, ulawToAlaw } from "./g711.ts";
import { SpeexBitWriter, SpeexWalker } from "./speex_bits.ts";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "./timeline.ts";

/** Speex frames of one RTP packet when the peer asked for no packet time: as many as the tag had, up to 200 ms. */
const MAX_SPEEX_FRAMES = 10;
const SPEEX_FRAME_MS = 20;
const DEFAULT_G711_MS = 20;
const G711_OCTETS_PER_MS = 8;
/** A longer G.711 tag (2 s) is not live audio: it is dropped. */
const MAX_G711_OCTETS = 16000;

export type PassThroughAudio = "speex" | "pcmu" | "pcma";

export interface AudioPacketOptions {
  readonly codec: PassThroughAudio;
  /** RTP clock rate: 8000 or 16000 for Speex, 8000 for G.711. */
  readonly clockRate: number;
  readonly clock: Clock;
  /** Packet time the peer asked for (`a=ptime`); absent or null: Speex as the tag has it, G.711 20 ms. */
  readonly ptimeMs?: number | null;
  /** What `clock.now()` was at RTMP time 0; only depacketizers use it. */
  readonly originMs?: number;
}

/** An audio {@link Packetizer} with its counter. */
export interface AudioPacketizer extends Packetizer {
  /** Where its frames lie on the RTP clock. */
  readonly timeline: RtmpToRtpTimeline;
  /** Frames that could not be carried: another codec, broken Speex, absurd size. */
  readonly dropped: number;
  /** The publisher starts over: its next time means "now". */
  restart(): void;
}

/** An audio {@link Depacketizer} with its counter. */
export interface AudioDepacketizer extends Depacketizer {
  /** Where its payloads lie in RTMP time. */
  readonly timeline: RtpToRtmpTimeline;
  /** Payloads that were no audio of this codec. */
  readonly dropped: number;
  /** The RTP source changed: its next timestamp means "now". */
  restart(): void;
}

export function createAudioPacketizer(options: AudioPacketOptions): AudioPacketizer {
  return options.codec === "speex"
    ? new SpeexPacketizer(options)
    : new G711Packetizer(options, options.codec);
}

export function createAudioDepacketizer(options: AudioPacketOptions): AudioDepacketizer {
  return options.codec === "speex"
    ? new SpeexDepacketizer(options)
    : new G711Depacketizer(options, options.codec);
}

/** Walks through one packet at a time, for all calls of this thread. */
const walker = new SpeexWalker();
/** Puts packets together anew, one at a time. */
const writer = new SpeexBitWriter();

class SpeexPacketizer implements AudioPacketizer {
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

class SpeexDepacketizer implements AudioDepacketizer {
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

/** Cuts a run of octets into blocks of one size, whatever sizes it comes in. */
class OctetBlocks {
  readonly #held: Uint8Array;
  readonly #silence: number;
  readonly #outlet: PayloadSink;
  #heldLength = 0;
  #heldTimestamp = 0;
  #first = true;

  /** @param outlet gets each block, its timestamp, and whether it is the first after a gap */
  constructor(size: number, silence: number, outlet: PayloadSink) {
    this.#held = new Uint8Array(size);
    this.#silence = silence;
    this.#outlet = outlet;
  }

  /** @param afterGap true when `octets` do not follow the ones before: what is held leaves, filled up */
  push(octets: Uint8Array, timestamp: number, afterGap: boolean): void {
    if (afterGap) {
      this.#flush();
      this.#first = true;
    }
    const size = this.#held.length;
    let at = this.#heldLength > 0 ? this.#fill(octets) : 0;
    while (octets.length - at >= size) {
      const block = octets.length === size ? octets : octets.subarray(at, at + size);
      this.#send(block, timestamp + at);
      at += size;
    }
    if (at === octets.length) return;
    this.#held.set(octets.subarray(at));
    this.#heldLength = octets.length - at;
    this.#heldTimestamp = timestamp + at;
  }

  clear(): void {
    this.#heldLength = 0;
  }

  #fill(octets: Uint8Array): number {
    const missing = this.#held.length - this.#heldLength;
    const taken = octets.length < missing ? octets.length : missing;
    this.#held.set(octets.subarray(0, taken), this.#heldLength);
    this.#heldLength += taken;
    if (taken === missing) this.#flush();
    return taken;
  }

  #flush(): void {
    if (this.#heldLength === 0) return;
    this.#held.fill(this.#silence, this.#heldLength);
    this.#heldLength = 0;
    this.#send(this.#held, this.#heldTimestamp);
  }

  #send(block: Uint8Array, timestamp: number): void {
    const first = this.#first;
    this.#first = false;
    this.#outlet(block, timestamp, first);
  }
}

const NO_PAYLOADS: PayloadSink = () => {};
const NO_FRAMES: FrameSink = () => {};

class G711Packetizer implements AudioPacketizer {
  dropped = 0;
  readonly #law: G711Law;
  readonly timeline: RtmpToRtpTimeline;
  readonly #blocks: OctetBlocks;
  #emit: PayloadSink = NO_PAYLOADS;
  #octets = new Uint8Array(0);
  #samples = new Int16Array(0);

  constructor(options: AudioPacketOptions, law: G711Law) {
    this.#law = law;
    this.timeline = new RtmpToRtpTimeline(options.clockRate, options.clock);
    this.#blocks = new OctetBlocks(
      g711BlockOctets(options.ptimeMs),
      G711_SILENCE[law],
      (block, timestamp, first) => this.#emit(block, timestamp >>> 0, first),
    );
  }

  restart(): void {
    this.timeline.restart();
  }

  push(frame: Frame, emit: PayloadSink): void {
    if (frame.data.length === 0) return;
    const g711 = frame.codec === "pcmu" || frame.codec === "pcma";
    if (!g711 || frame.data.length > MAX_G711_OCTETS) {
      this.dropped++;
      return;
    }
    const octets = this.#toMonoOfLaw(frame, frame.codec as G711Law);
    const timestamp = this.timeline.placeBlock(frame.timeMs, octets.length);
    this.#emit = emit;
    this.#blocks.push(octets, timestamp, this.timeline.afterGap);
    this.#emit = NO_PAYLOADS;
  }

  #toMonoOfLaw(frame: Frame, law: G711Law): Uint8Array {
    const stereo = channelsOf(frame) === 2;
    if (!stereo && law === this.#law) return frame.data;
    if (this.#octets.length === 0) this.#octets = new Uint8Array(MAX_G711_OCTETS);
    const octets = this.#octets.subarray(0, stereo ? frame.data.length >> 1 : frame.data.length);
    if (stereo) this.#mixDown(frame.data, law, octets);
    else if (law === "pcmu") ulawToAlaw(frame.data, octets);
    else alawToUlaw(frame.data, octets);
    return octets;
  }

  #mixDown(data: Uint8Array, law: G711Law, into: Uint8Array): void {
    if (this.#samples.length === 0) this.#samples = new Int16Array(MAX_G711_OCTETS);
    const samples = this.#samples;
    decodeG711(law, data, samples);
    for (let i = 0; i < into.length; i++) samples[i] = samples[2 * i]! + samples[2 * i + 1]! >> 1;
    encodeG711(this.#law, samples.subarray(0, into.length), into);
  }
}

class G711Depacketizer implements AudioDepacketizer {
  dropped = 0;
  readonly timeline: RtpToRtmpTimeline;
  readonly #blocks: OctetBlocks;
  readonly #frame = createFrame();
  #emit: FrameSink = NO_FRAMES;
  #endTimestamp = -1;

  constructor(options: AudioPacketOptions, law: G711Law) {
    this.timeline = new RtpToRtmpTimeline(options.clockRate, options.clock, options.originMs);
    this.#frame.codec = law;
    this.#blocks = new OctetBlocks(
      g711BlockOctets(options.ptimeMs),
      G711_SILENCE[law],
      (block, timestamp) => this.#sendBlock(block, timestamp),
    );
  }

  restart(): void {
    this.timeline.restart();
    this.#blocks.clear(); // its timestamp belongs to the old source
    this.#endTimestamp = -1;
  }

  push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink): void {
    if (payload.length === 0) {
      this.dropped++;
      return;
    }
    this.#emit = emit;
    this.#blocks.push(payload, timestamp, timestamp !== this.#endTimestamp);
    this.#emit = NO_FRAMES;
    this.#endTimestamp = timestamp + payload.length;
  }

  #sendBlock(block: Uint8Array, timestamp: number): void {
    this.#frame.timeMs = this.timeline.timeMsOf(timestamp);
    this.#frame.data = block;
    this.#emit(this.#frame);
  }
}

function g711BlockOctets(ptimeMs: number | null | undefined): number {
  const ms = ptimeMs === undefined || ptimeMs === null ? DEFAULT_G711_MS : Math.round(ptimeMs);
  return Math.min(200, Math.max(10, ms)) * G711_OCTETS_PER_MS;
}

const HEADER_OCTETS = 7;
const CRC_OCTETS = 2;
const RATES = 13;

/**
 * Takes the AAC frames of one tag after another out of their headers; nothing is allocated per frame.
 *
 * Timestamps come from timeline.ts only; the marker bit opens a talk spurt (RFC 3551 4.1).
 */
export class AdtsFrames {
  readonly config = new Uint8Array(2);
  /** True when it differs from that of the frame before. */
  changed = false;
  /** Where the frame begins, behind its header. */
  start = 0;
  end = 0;
  #data: Uint8Array = new Uint8Array(0);

  /** Begins with a tag's data; false when it does not begin with a header and the frame it names. */
  open(data: Uint8Array): boolean {
    this.#data = data;
    this.end = 0;
    return frameOctets(data, 0) > 0;
  }

  /** Finds the next frame; false behind the last whole one. */
  next(): boolean {
    const data = this.#data;
    const at = this.end;
    const octets = frameOctets(data, at);
    if (octets === 0) return false;
    this.start = at + headerOctets(data, at);
    this.end = at + octets;
    const [first, second] = configAt(data, at);
    this.changed = first !== this.config[0] || second !== this.config[1];
    this.config[0] = first;
    this.config[1] = second;
    return true;
  }
}

/** The AudioSpecificConfig that an ADTS header says, for those who send one in its place; null when it is none. */
export function configOfAdts(data: Uint8Array): Uint8Array | null {
  return isHeader(data, 0) ? Uint8Array.from(configAt(data, 0)) : null;
}

/** True for LOAS: AAC in LATM, whose frames do not begin at octets. */
export function isLoas(data: Uint8Array): boolean {
  if (data.length < 3 || data[0] !== 0x56 || (data[1]! & 0xe0) !== 0xe0) return false;
  return ((data[1]! & 0x1f) << 8 | data[2]!) + 3 <= data.length;
}

/** An AAC frame itself never begins with the twelve ones: its first element would be the end. */
function isHeader(data: Uint8Array, at: number): boolean {
  if (at + HEADER_OCTETS > data.length || data[at] !== 0xff || (data[at + 1]! & 0xf6) !== 0xf0) return false;
  return (data[at + 2]! >> 2 & 15) < RATES;
}

function headerOctets(data: Uint8Array, at: number): number {
  return (data[at + 1]! & 1) === 1 ? HEADER_OCTETS : HEADER_OCTETS + CRC_OCTETS;
}

/** Of header and frame; 0 when no whole frame is here. */
function frameOctets(data: Uint8Array, at: number): number {
  if (!isHeader(data, at)) return 0;
  const octets = (data[at + 3]! & 3) << 11 | data[at + 4]! << 3 | data[at + 5]! >> 5;
  return octets > headerOctets(data, at) && at + octets <= data.length ? octets : 0;
}

/** Object type, which is the profile and one; rate; channels. */
function configAt(data: Uint8Array, at: number): readonly [number, number] {
  const objectType = (data[at + 2]! >> 6) + 1;
  const rate = data[at + 2]! >> 2 & 15;
  const channels = (data[at + 2]! & 1) << 2 | data[at + 3]! >> 6;
  return [objectType << 3 | rate >> 1, (rate & 1) << 7 | channels << 3];
}
