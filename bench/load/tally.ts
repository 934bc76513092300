// What the load ends of one run count for one kind of media: packets each way, latencies, and what was not sent.
// Role: machine

import { Histogram } from "./histogram.ts";
import type { StreamResult } from "./protocol.ts";

/** Counters of one run; latencies are kept while `measuring`. */
export class Tally {
  /** True inside the measured window: latencies count. Packets count always, so that none is on its way. */
  measuring = false;
  /** RTMP to RTP. */
  readonly up: Histogram = new Histogram();
  /** RTP to RTMP. */
  readonly down: Histogram = new Histogram();
  sentUp = 0;
  receivedUp = 0;
  sentDown = 0;
  receivedDown = 0;
  /** Frames the load end could not send in time, by its own or the other's fault. */
  blocked = 0;

  /** Starts over. */
  clear(): void {
    this.up.clear();
    this.down.clear();
    this.sentUp =
      this.receivedUp =
      this.sentDown =
      this.receivedDown =
      this.blocked =
        0;
    this.measuring = false;
  }

  /** As it is told to the bench. */
  result(): StreamResult {
    const { sentUp, receivedUp, sentDown, receivedDown, blocked } = this;
    return {
      sentUp,
      receivedUp,
      sentDown,
      receivedDown,
      blocked,
      up: this.up.toJSON(),
      down: this.down.toJSON(),
    };
  }
}
