// x-flv: RTMP messages cut into RTP payloads, as siprtmp peers send video (and audio) to each other.
// behaviour.md 1.9; there is no RFC.
// Role: machine

import { ByteWriter } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { decodeTag, encodeTag } from "../media/flv_tag.ts";
import {
  createFrame,
  type Depacketizer,
  type Frame,
  type FrameSink,
  type Packetizer,
  type PayloadSink,
  type TagType,
  tagTypeOf,
} from "../media/frame.ts";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "../media/timeline.ts";
import { mediaFormat } from "../sdp/media_format.ts";
import type { Codec } from "./codec.ts";

const MAGIC = 0x52544d50;
const CLOCK_RATE = 90000;
const TICKS_PER_MS = 90;
const MESSAGE_HEADER_OCTETS = 12;
const PACKET_HEADER_OCTETS = 10;
const CHUNK_OCTETS = 1000;
const MAX_MESSAGE_OCTETS = 0xffff;
/** Packets of one message; ours has 66 at most, other senders may cut smaller. */
const MAX_CHUNKS = 1024;
/** A sequence number this far off does not belong to the stream that was heard so far. */
const FAR = 64;

/**
 * RTMP messages to x-flv payloads.
 *
 *   message  type:32 (8|9|18) | body length:32 | time in ms:32 | body with its FLV tag byte
 *   packet   "RTMP" | seq:32 | cseq:16 | cseq 0 only: message length:16 | up to 1000 octets of message
 *
 * seq counts messages, cseq the packets of one. The length is read unsigned here, so a key frame of up to
 * 65535 octets passes; a larger one cannot be written and is dropped. Packets of the two messages in the making
 * may come in any order.
 */
export class XflvPacketizer implements Packetizer {
  /** Messages larger than the format can say. */
  dropped = 0;

  readonly #timeline: RtmpToRtpTimeline;
  readonly #message = new ByteWriter(4096);
  readonly #packet = new ByteWriter(PACKET_HEADER_OCTETS + 2 + CHUNK_OCTETS);
  #sequence = 0;

  /** Messages are counted from 0. @param clock time is judged by it */
  constructor(clock: Clock) {
    this.#timeline = new RtmpToRtpTimeline(CLOCK_RATE, clock);
  }

  /** The publisher starts over: its next time means "now". */
  restart(): void {
    this.#timeline.restart();
  }

  /** Sends one message, audio, video or data. The marker is never set. */
  push(frame: Frame, emit: PayloadSink): void {
    const timestamp = this.#timeline.placeUnordered(frame.timeMs);
    const message = this.#message;
    message.reset();
    message.u32(tagTypeOf(frame));
    message.u32(0);
    message.u32(timestamp / TICKS_PER_MS);
    encodeTag(frame, message);
    if (message.length > MAX_MESSAGE_OCTETS) {
      this.dropped++;
      return;
    }
    message.setU32(4, message.length - MESSAGE_HEADER_OCTETS);
    this.#cut(message.view(), timestamp >>> 0, emit);
    this.#sequence = this.#sequence + 1 >>> 0;
  }

  #cut(message: Uint8Array, timestamp: number, emit: PayloadSink): void {
    const packet = this.#packet;
    let chunk = 0;
    for (let at = 0; at < message.length; at += CHUNK_OCTETS) {
      packet.reset();
      packet.u32(MAGIC);
      packet.u32(this.#sequence);
      packet.u16(chunk);
      if (chunk === 0) packet.u16(message.length);
      packet.bytes(message.subarray(at, Math.min(at + CHUNK_OCTETS, message.length)));
      emit(packet.view(), timestamp, false);
      chunk++;
    }
  }
}

/** One message in the making: its chunks in order of arrival, and where each of them is. */
class Assembly {
  sequence = 0;
  timestamp = 0;
  failed = false;
  readonly #octets = new ByteWriter(4096);
  readonly #starts = new Int32Array(MAX_CHUNKS);
  readonly #lengths = new Int32Array(MAX_CHUNKS);
  #declared = -1;
  #chunks = 0;
  #highest = -1;

  begin(sequence: number): void {
    this.#octets.reset();
    this.#lengths.fill(-1, 0, this.#highest + 1);
    this.#declared = this.#highest = -1;
    this.#chunks = 0;
    this.failed = false;
    this.sequence = sequence >>> 0;
  }

  /** Adds a chunk; false when it makes no sense. `declared` is the message length, or -1 behind chunk 0. */
  add(chunk: number, declared: number, data: Uint8Array): boolean {
    if (chunk > this.#highest) {
      this.#lengths.fill(-1, this.#highest + 1, chunk + 1);
      this.#highest = chunk;
    }
    if (this.#lengths[chunk]! >= 0) return true; // a duplicate
    if (declared >= 0) this.#declared = declared;
    this.#starts[chunk] = this.#octets.length;
    this.#lengths[chunk] = data.length;
    this.#octets.bytes(data);
    this.#chunks++;
    const limit = this.#declared < 0 ? MAX_MESSAGE_OCTETS : this.#declared;
    return this.#octets.length <= limit;
  }

  get complete(): boolean {
    return !this.failed && this.#declared >= 0 && this.#octets.length === this.#declared &&
      this.#chunks === this.#highest + 1;
  }

  /** Appends the message, chunks in their order. */
  copyTo(writer: ByteWriter): void {
    const octets = this.#octets.view();
    for (let chunk = 0; chunk <= this.#highest; chunk++) {
      const start = this.#starts[chunk]!;
      writer.bytes(octets.subarray(start, start + this.#lengths[chunk]!));
    }
  }
}

export class XflvDepacketizer implements Depacketizer {
  /** Messages that were not whole, or whole but no message. */
  broken = 0;
  /** Payloads that are no x-flv. */
  unsupported = 0;
  /** Called when a message was lost: if it was video, only a key frame mends the picture. */
  onKeyFrameWanted: (() => void) | null = null;

  readonly #timeline: RtpToRtmpTimeline;
  readonly #frame = createFrame();
  readonly #message = new ByteWriter(4096);
  /** The oldest message still in the making, and the one behind it. */
  #current = new Assembly();
  #next = new Assembly();
  #started = false;

  /** Starts with any message. @param originMs what `clock.now()` was at RTMP time 0; absent: now */
  constructor(clock: Clock, originMs?: number) {
    this.#timeline = new RtpToRtmpTimeline(CLOCK_RATE, clock, originMs);
  }

  /** The RTP source changed: unfinished messages are forgotten, its next timestamp means "now". */
  restart(): void {
    this.#timeline.restart();
    this.#started = false;
  }

  /** Consumes one payload; up to two messages leave when it completes them. */
  push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink): void {
    const headerOctets = payload.length > 9 && (payload[8]! | payload[9]!) === 0 ? 12 : PACKET_HEADER_OCTETS;
    const chunk = payload.length > 9 ? payload[8]! << 8 | payload[9]! : MAX_CHUNKS;
    if (payload.length <= headerOctets || chunk >= MAX_CHUNKS || u32At(payload, 0) !== MAGIC) {
      this.unsupported++;
      return;
    }
    const sequence = u32At(payload, 4);
    if (!this.#makeRoom(sequence, emit)) return;
    const assembly = sequence === this.#current.sequence ? this.#current : this.#next;
    const declared = chunk === 0 ? payload[10]! << 8 | payload[11]! : -1;
    assembly.timestamp = timestamp;
    if (!assembly.failed && !assembly.add(chunk, declared, payload.subarray(headerOctets))) {
      this.#lose(assembly);
    }
    this.#deliver(emit);
  }

  /** Makes `sequence` one of the two messages in the making; false when it has been delivered or given up. */
  #makeRoom(sequence: number, emit: FrameSink): boolean {
    const ahead = this.#started ? sequence - this.#current.sequence | 0 : FAR;
    if (ahead === 0 || ahead === 1) return true;
    if (ahead < 0 && ahead > -FAR) return false; // a late packet; farther behind is a sender that starts over
    if (ahead === 2) {
      this.#lose(this.#current);
      this.#moveUp();
      this.#deliver(emit);
      return true;
    }
    if (this.#started) this.#lose(this.#current);
    this.#started = true;
    this.#current.begin(sequence);
    this.#next.begin(sequence + 1);
    return true;
  }

  #moveUp(): void {
    const finished = this.#current;
    this.#current = this.#next;
    this.#next = finished;
    finished.begin(this.#current.sequence + 1);
  }

  #lose(assembly: Assembly): void {
    if (assembly.failed) return;
    assembly.failed = true;
    this.broken++;
    this.onKeyFrameWanted?.();
  }

  #deliver(emit: FrameSink): void {
    while (this.#current.complete) {
      this.#emitMessage(this.#current, emit);
      this.#moveUp();
    }
  }

  #emitMessage(assembly: Assembly, emit: FrameSink): void {
    const message = this.#message;
    message.reset();
    assembly.copyTo(message);
    const octets = message.view();
    const body = octets.subarray(MESSAGE_HEADER_OCTETS);
    const type = octets.length < MESSAGE_HEADER_OCTETS ? 0 : u32At(octets, 0);
    const known = type === 8 || type === 9 || type === 18;
    if (!known || u32At(octets, 4) !== body.length || !this.#decode(type, assembly.timestamp, body)) {
      this.broken++;
      return;
    }
    emit(this.#frame);
  }

  #decode(type: TagType, timestamp: number, body: Uint8Array): boolean {
    try {
      decodeTag(type, this.#timeline.presentationMsOf(timestamp), body, this.#frame);
      return true;
    } catch (error) {
      if (error instanceof WireError) return false;
      throw error;
    }
  }
}

function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}

export const xflv: Codec<"x-flv"> = {
  name: "x-flv",
  label: "x-flv",
  kind: "video",
  encodingName: "x-flv",
  tokens: [{ token: "flv", formats: [mediaFormat(97, "x-flv", CLOCK_RATE)] }],
};
