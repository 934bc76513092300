// The pictures of a call, 1 Mbit/s: frames of one size with right headers and arbitrary contents, each with a stamp
// behind the head of its slice. Up it is measured when the last packet of a frame has come, down when the whole tag
// has. The RTP side sends back packet by packet.
// Role: edge
//
//   tag  17|27 01 00 00 00 length:u32 NAL      NAL  65|41 slice head:u8 stamp...
//   FU-A  indicator:u8 header:u8 (start 0x80) slice head:u8 stamp...

import type { Endpoint } from "../../lib/net/endpoint.ts";
import { MAX_LATENCY_US } from "./call.ts";
import { type EchoSocket, RTP_HEADER } from "./echo_socket.ts";
import type { FrameSender } from "./frame_sender.ts";
import type { RtpSink } from "./rtp_echo.ts";
import { nowUs, stampedCall, stampedUs, writeStamp } from "./stamp.ts";
import type { Tally } from "./tally.ts";

/** Pictures a second, and their size: 1 Mbit/s. */
export const PICTURES_PER_SECOND = 25;
/** Size of the body of each tag. */
export const PICTURE_LENGTH = 5000;

const TAG_HEAD = 5;
const NAL_AT = TAG_HEAD + 4;
/** The stamp keeps its first octet free: here that is the head of the slice. */
const STAMP_IN_TAG = NAL_AT + 1;
const STAMP_IN_FRAGMENT = RTP_HEADER + 2;
const KEY_EVERY = 50;
const SLICE_HEAD = { key: 0b1_011_0000, other: 0b1_1_000000 } as const;
const FU_A = 28;
const FU_START = 0x80;
const MARKER = 0x80;
const SPS = [0x67, 0x42, 0x00, 0x14, 0xab, 0xcd];
const PPS = [0x68, 0xce, 0x3c, 0x80];

/** The tag that comes before every picture: decoder configuration. */
export const CONFIGURATION: Uint8Array = Uint8Array.from([
  [0x17, 0, 0, 0, 0, 1, 0x42, 0x00, 0x14, 0xff, 0xe1, 0, SPS.length],
  [...SPS, 1, 0, PPS.length, ...PPS],
].flat());

/** A picture without a stamp. */
export function createPicture(length: number): Uint8Array {
  const body = Uint8Array.from({ length }, (_, i) => 1 + (i * 31) % 250);
  body.set([0x27, 1, 0, 0, 0], 0);
  new DataView(body.buffer).setUint32(TAG_HEAD, length - NAL_AT);
  body[NAL_AT] = 0x41;
  return body;
}

/** A key frame without a stamp. */
export function createKeyPicture(length: number): Uint8Array {
  const body = createPicture(length);
  body[0] = 0x17;
  body[NAL_AT] = 0x65;
  body[STAMP_IN_TAG] = SLICE_HEAD.key;
  return body;
}

/** What the pictures of a call send and receive. */
export class VideoLeg implements RtpSink {
  readonly #index: number;
  readonly #sender: FrameSender;
  readonly #tally: Tally;
  #sentUp = 0;
  #sentDown = 0;
  #lastDueMs: number | null = null;
  #arrivingUs: number | null = null;

  /** Nothing sent yet. */
  constructor(index: number, sender: FrameSender, tally: Tally) {
    this.#index = index;
    this.#sender = sender;
    this.#tally = tally;
  }

  /** Sends a picture; every fiftieth is a key frame. */
  show(dueMs: number): void {
    const buffer = this.#sender.next();
    if (buffer === null) return void this.#tally.blocked++;
    const at = this.#sender.bodyAt;
    const key = this.#sentUp % KEY_EVERY === 0;
    buffer[at] = key ? 0x17 : 0x27;
    buffer[at + NAL_AT] = key ? 0x65 : 0x41;
    buffer[at + STAMP_IN_TAG] = key ? SLICE_HEAD.key : SLICE_HEAD.other;
    writeStamp(buffer, at + STAMP_IN_TAG, this.#index, this.#sentUp++, nowUs());
    this.#tally.sentUp++;
    const deltaMs = this.#lastDueMs === null ? 0 : dueMs - this.#lastDueMs;
    this.#lastDueMs = dueMs;
    this.#sender.send(Math.min(deltaMs, 0xfffffe));
  }

  /** A packet of a picture: parameter sets alone, or a fragment. */
  echo(bytes: Uint8Array, from: Endpoint, socket: EchoSocket): void {
    const copy = socket.copy(bytes, this.#index);
    const first = (bytes[RTP_HEADER]! & 31) === FU_A && (bytes[RTP_HEADER + 1]! & FU_START) !== 0;
    if (first) {
      this.#arrivingUs = stampedUs(bytes, STAMP_IN_FRAGMENT);
      writeStamp(copy, STAMP_IN_FRAGMENT, this.#index, this.#sentDown++, nowUs());
      this.#tally.sentDown++;
    }
    if ((bytes[1]! & MARKER) !== 0 && this.#arrivingUs !== null) this.#arrived(this.#arrivingUs);
    socket.send(copy, from);
  }

  /** The client got a tag. */
  see(body: Uint8Array): void {
    if (body[1] !== 1 || body.length <= STAMP_IN_TAG) return; // a configuration
    const tally = this.#tally;
    tally.receivedDown++;
    if (!tally.measuring || stampedCall(body, STAMP_IN_TAG) !== this.#index) return;
    const passedUs = nowUs() - stampedUs(body, STAMP_IN_TAG) >>> 0;
    if (passedUs < MAX_LATENCY_US) tally.down.record(passedUs);
  }

  #arrived(sentUs: number): void {
    this.#arrivingUs = null;
    this.#tally.receivedUp++;
    const passedUs = nowUs() - sentUs >>> 0;
    if (this.#tally.measuring && passedUs < MAX_LATENCY_US) this.#tally.up.record(passedUs);
  }
}

/** How long the picture in this tag has been under way, in microseconds; null for a tag without one. */
export function pictureAgeUs(body: Uint8Array): number | null {
  if (body[1] !== 1 || body.length <= STAMP_IN_TAG) return null;
  return nowUs() - stampedUs(body, STAMP_IN_TAG) >>> 0;
}
