// One call as both of its ends see it, because both are ours: the RTMP client that speaks, and the RTP side that
// sends back what it hears. Payloads are stamped anew at each end, so each direction is measured by itself.
// Role: edge

import type { FrameSender } from "./frame_sender.ts";
import { hasStamp, nowUs, stampedCall, stampedUs, writeStamp } from "./stamp.ts";
import type { Tally } from "./tally.ts";

const RTP_HEADER = 12;
/** Echoes that may be under way; the oldest buffer is used again. */
const RING = 8;
/** Beyond this a time is not believed: it is no stamp of this run. */
const MAX_LATENCY_US = 60_000_000;

/** What a call sends and hears. */
export class LoadCall {
  /** Its number: user part of the SIP address, and part of each stamp. */
  readonly index: number;
  /** False: payloads are transcoded on the way, so that only their number can be compared. */
  readonly stamped: boolean;
  /** Packets that came back to the client in this run. */
  heard = 0;
  readonly #tally: Tally;
  readonly #sender: FrameSender;
  readonly #ring: Uint8Array[];
  readonly #onSendError: () => void;
  #turn = 0;
  #sentUp = 0;
  #sentDown = 0;
  #lastDueMs: number | null = null;

  /** Nothing sent yet. */
  constructor(index: number, sender: FrameSender, options: { tally: Tally; stamped: boolean }) {
    this.index = index;
    this.stamped = options.stamped;
    this.#sender = sender;
    this.#tally = options.tally;
    this.#ring = Array.from({ length: RING }, () => new Uint8Array(0));
    this.#onSendError = () => void this.#tally.blocked++;
  }

  /** The client speaks; `dueMs` is when the block was to be sent. */
  speak(dueMs: number): void {
    const buffer = this.#sender.next();
    if (buffer === null) return void this.#tally.blocked++;
    if (this.stamped) writeStamp(buffer, this.#sender.bodyAt + 1, this.index, this.#sentUp, nowUs());
    this.#sentUp++;
    this.#tally.sentUp++;
    const deltaMs = this.#lastDueMs === null ? 0 : dueMs - this.#lastDueMs;
    this.#lastDueMs = dueMs;
    this.#sender.send(Math.min(deltaMs, 0xfffffe));
  }

  /** The RTP side heard a packet and sends it back. */
  echo(bytes: Uint8Array, from: Deno.Addr, socket: Deno.DatagramConn): void {
    const tally = this.#tally;
    tally.receivedUp++;
    const us = nowUs();
    if (this.stamped && tally.measuring) {
      const latencyUs = us - stampedUs(bytes, RTP_HEADER) >>> 0;
      if (latencyUs < MAX_LATENCY_US) tally.up.record(latencyUs);
    }
    let copy = this.#ring[this.#turn]!;
    if (copy.length !== bytes.length) copy = this.#ring[this.#turn] = new Uint8Array(bytes.length);
    this.#turn = (this.#turn + 1) % RING;
    copy.set(bytes);
    copy[8] = 0x5e;
    copy[10] = this.index >> 8;
    copy[11] = this.index;
    if (this.stamped) writeStamp(copy, RTP_HEADER, this.index, this.#sentDown, us);
    this.#sentDown++;
    tally.sentDown++;
    socket.send(copy, from).catch(this.#onSendError);
  }

  /** The client heard a tag. */
  hear(body: Uint8Array): void {
    const tally = this.#tally;
    tally.receivedDown++;
    this.heard++;
    if (!this.stamped || !tally.measuring || !hasStamp(body.length - 1)) return;
    if (stampedCall(body, 1) !== this.index) return;
    const latencyUs = nowUs() - stampedUs(body, 1) >>> 0;
    if (latencyUs < MAX_LATENCY_US) tally.down.record(latencyUs);
  }
}
