// How long what has arrived waits until this process reads it: datagrams to itself, one every few milliseconds. A timer
// alone does not show it: timers go first.
// Role: edge

import { Histogram } from "./histogram.ts";
import { nowUs } from "./stamp.ts";

const LOOPBACK = "127.0.0.1";
const EVERY_MS = 5;
const LENGTH = 4;

/** Sends to itself until it is closed. */
export class IoProbe implements Disposable {
  /** From sending to reading. */
  readonly lag: Histogram = new Histogram();
  readonly #socket: Deno.DatagramConn;
  readonly #timer: ReturnType<typeof setInterval>;

  /** Starts at once. */
  constructor() {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
    void this.#receive();
    this.#timer = setInterval(() => this.#send(), EVERY_MS);
  }

  /** Sends nothing more. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #send(): void {
    const bytes = new Uint8Array(LENGTH);
    new DataView(bytes.buffer).setUint32(0, nowUs());
    this.#socket.send(bytes, this.#socket.addr).catch(() => {});
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(LENGTH);
    const view = new DataView(buffer.buffer);
    try {
      for (;;) {
        await this.#socket.receive(buffer);
        this.lag.record(nowUs() - view.getUint32(0) >>> 0);
      }
    } catch (error) {
      const ended = error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
      if (!ended) throw error;
    }
  }
}
