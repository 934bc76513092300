// One HTTP connection of RTMPT clients: requests are read one after the other, answers written. A client that
// starts a request has to finish it within a time; one that asks nothing may be closed whenever it suits.
// Role: edge

import type { Clock } from "../../base/clock.ts";
import { WireError } from "../../base/errors.ts";
import type { ByteStream } from "../../net/tcp.ts";
import {
  encodeResponseHead,
  findHttpHeadEnd,
  type HttpStatus,
  parseRequestHead,
  type RequestHead,
} from "./http_message.ts";

/** A request has to be whole within this time of its first byte. */
const REQUEST_MS = 15_000;

/** A connection without a request is closed after this time. */
const IDLE_MS = 60_000;

const READ_BYTES = 16 * 1024;
const KEPT_BYTES = 64 * 1024;

/** A request with its body, which is borrowed until the next one is read. */
export interface HttpRequest {
  readonly head: RequestHead;
  readonly body: Uint8Array;
}

export class HttpConnection {
  /** The bytes below. */
  readonly stream: ByteStream;
  readonly #clock: Clock;
  #buffer = new Uint8Array(READ_BYTES);
  #filled = 0;
  #used = 0;
  #deadlineMs: number;

  /** Takes over `stream`. */
  constructor(stream: ByteStream, clock: Clock) {
    this.stream = stream;
    this.#clock = clock;
    this.#deadlineMs = clock.now() + IDLE_MS;
  }

  /** Whether the client has begun no request that is unanswered. */
  get idle(): boolean {
    return this.#filled === 0;
  }

  /** The next request; null when the client has left. Throws WireError and TransportError. */
  async next(): Promise<HttpRequest | null> {
    this.#forget(this.#used);
    this.#deadlineMs = this.#clock.now() + (this.idle ? IDLE_MS : REQUEST_MS);
    let headEnd = findHttpHeadEnd(this.#view());
    while (headEnd < 0) {
      if (!await this.#fill(READ_BYTES)) return null;
      refuseOther(this.#buffer[0]!);
      headEnd = findHttpHeadEnd(this.#view());
    }
    const head = parseRequestHead(this.#view().subarray(0, headEnd));
    if (head.expectsContinue) this.stream.put(encodeResponseHead(100, 0, true));
    const end = headEnd + head.contentLength;
    // Memory follows what has arrived, not what was announced.
    while (this.#filled < end) if (!await this.#fill(READ_BYTES)) return null;
    this.#used = end;
    return { head, body: this.#buffer.subarray(headEnd, end) };
  }

  respond(status: HttpStatus, body: Uint8Array, keepAlive: boolean): void {
    this.stream.put(encodeResponseHead(status, body.length, keepAlive));
    this.stream.put(body);
  }

  /** Closes the connection when it has outlived its deadline. */
  checkTime(nowMs: number): void {
    if (nowMs > this.#deadlineMs) this.stream.close();
  }

  #view(): Uint8Array {
    return this.#buffer.subarray(0, this.#filled);
  }

  async #fill(count: number): Promise<boolean> {
    if (this.#filled + count > this.#buffer.length) {
      const larger = new Uint8Array(2 * (this.#filled + count));
      larger.set(this.#view());
      this.#buffer = larger;
    }
    const wasIdle = this.idle;
    const got = await this.stream.read(this.#buffer.subarray(this.#filled));
    if (got === null) return this.#endedMidway();
    if (wasIdle) this.#deadlineMs = this.#clock.now() + REQUEST_MS;
    this.#filled += got;
    return true;
  }

  #endedMidway(): false {
    if (!this.idle) throw new WireError("HTTP request", "it ends midway");
    return false;
  }

  #forget(count: number): void {
    const rest = this.#buffer.subarray(count, this.#filled);
    if (this.#buffer.length > KEPT_BYTES && rest.length <= READ_BYTES) {
      const smaller = new Uint8Array(READ_BYTES * 2);
      smaller.set(rest);
      this.#buffer = smaller;
    } else this.#buffer.copyWithin(0, count, this.#filled);
    this.#filled = rest.length;
    this.#used = 0;
  }
}

/** Programs that were given the wrong port wait for an answer that would never come. */
function refuseOther(first: number): void {
  if (first === 0x03) throw new WireError("HTTP request", "it is RTMP, which has another port");
  if (first === 0x16) throw new WireError("HTTP request", "it is TLS, which this port does not speak");
}
