// One call as both of its ends see it, because both are ours: the RTMP client that speaks, and the RTP side that
// sends back what it hears. Payloads are stamped anew at each end, so each direction is measured by itself.
// Transcoded payloads carry no stamp: there the distance of packets is measured, beyond the 20 ms it should be.
// Role: edge

import type { Endpoint } from "../../lib/net/endpoint.ts";
import { type EchoSocket, RTP_HEADER } from "./echo_socket.ts";
import type { FrameSender } from "./frame_sender.ts";
import type { Histogram } from "./histogram.ts";
import type { RtpSink } from "./rtp_echo.ts";
import { hasStamp, nowUs, stampedCall, stampedUs, writeStamp } from "./stamp.ts";
import type { Tally } from "./tally.ts";
import type { VideoLeg } from "./video_leg.ts";

/** Beyond this a time is not believed: it is no stamp of this run. */
export const MAX_LATENCY_US = 60_000_000;
const BLOCK_US = 20_000;

/** How a call is measured. */
export interface LoadCallOptions {
  readonly tally: Tally;
  /** False: payloads are transcoded on the way. */
  readonly stamped: boolean;
}

/** What a call sends and hears. */
export class LoadCall implements RtpSink {
  /** Its number: user part of the SIP address, and part of each stamp. */
  readonly index: number;
  /** Its pictures; null in calls without. */
  video: VideoLeg | null = null;
  /** Packets that came back to the client in this run. */
  heard = 0;
  readonly #stamped: boolean;
  readonly #tally: Tally;
  readonly #sender: FrameSender;
  #sentUp = 0;
  #sentDown = 0;
  #lastDueMs: number | null = null;
  #lastUpUs = 0;
  #lastDownUs = 0;

  /** Nothing sent yet. */
  constructor(index: number, sender: FrameSender, options: LoadCallOptions) {
    this.index = index;
    this.#stamped = options.stamped;
    this.#sender = sender;
    this.#tally = options.tally;
  }

  /** The client speaks; `dueMs` is when the block was to be sent. */
  speak(dueMs: number): void {
    const buffer = this.#sender.next();
    if (buffer === null) return void this.#tally.blocked++;
    if (this.#stamped) writeStamp(buffer, this.#sender.bodyAt + 1, this.index, this.#sentUp, nowUs());
    this.#sentUp++;
    this.#tally.sentUp++;
    const deltaMs = this.#lastDueMs === null ? 0 : dueMs - this.#lastDueMs;
    this.#lastDueMs = dueMs;
    this.#sender.send(Math.min(deltaMs, 0xfffffe));
  }

  /** The RTP side heard a packet and sends it back. */
  echo(bytes: Uint8Array, from: Endpoint, socket: EchoSocket): void {
    const tally = this.#tally;
    tally.receivedUp++;
    const us = nowUs();
    const sinceUs = this.#stamped ? stampedUs(bytes, RTP_HEADER) : this.#lastUpUs + BLOCK_US;
    this.#lastUpUs = us;
    if (tally.measuring) note(tally.up, us, sinceUs, this.#stamped);
    const copy = socket.copy(bytes, this.index);
    if (this.#stamped) writeStamp(copy, RTP_HEADER, this.index, this.#sentDown, us);
    this.#sentDown++;
    tally.sentDown++;
    socket.send(copy, from);
  }

  /** The client heard a tag. */
  hear(body: Uint8Array): void {
    const tally = this.#tally;
    tally.receivedDown++;
    this.heard++;
    const us = nowUs();
    const sinceUs = this.#stamped ? stampOf(body, this.index) : this.#lastDownUs + BLOCK_US;
    this.#lastDownUs = us;
    if (tally.measuring && sinceUs !== null) note(tally.down, us, sinceUs, this.#stamped);
  }
}

/** Null when the tag is of somebody else, or too short. */
function stampOf(body: Uint8Array, index: number): number | null {
  return hasStamp(body.length - 1) && stampedCall(body, 1) === index ? stampedUs(body, 1) : null;
}

/** Packets that come early are not late; stamps cannot be early. */
function note(histogram: Histogram, us: number, sinceUs: number, stamped: boolean): void {
  const passedUs = us - sinceUs >>> 0;
  if (passedUs < MAX_LATENCY_US) histogram.record(passedUs);
  else if (!stamped) histogram.record(0);
}
