// One TCP connection that carries SIP: reads until either side ends it, answers keep-alives, never throws.
// Role: edge

import { equalBytes } from "../../base/bytes.ts";
import { messageOf, TransportError } from "../../base/errors.ts";
import type { ByteStream } from "../../net/tcp.ts";
import type { SipMessage } from "../message/message.ts";
import { SipParseError } from "../message/parse_error.ts";
import { SipStreamParser } from "../message/stream_parser.ts";
import type { Flow } from "../message/target.ts";

const READ_BYTES = 8 * 1024;
const FLUSH_MS = 1000;
const PING = new Uint8Array([13, 10, 13, 10]);
const PONG = new Uint8Array([13, 10]);

/** What a connection hands out. */
export interface ConnectionOutlets {
  message(message: SipMessage, warnings: string[], flow: Flow): void;
  /** A message that cannot be processed. */
  malformed(error: SipParseError, flow: Flow): void;
  /** CRLFCRLF, which has been answered. */
  keepAlive(): void;
  /** The CRLF that answers a ping of ours. */
  pong(flow: Flow): void;
}

/** A connection while it lives. */
export class SipConnection {
  /** Who is at the other end; `connectionId` is ours. */
  readonly flow: Flow;
  /** When bytes last came or went, by the pool's clock. */
  lastUsedMs: number;
  /** Since when a message has been incomplete; null when none is. */
  incompleteSinceMs: number | null = null;
  readonly #stream: ByteStream;
  readonly #outlets: ConnectionOutlets;
  readonly #now: () => number;
  readonly #parser = new SipStreamParser();
  #pinged = false;
  #open = true;

  /** Reads nothing before run(). */
  constructor(stream: ByteStream, connectionId: number, outlets: ConnectionOutlets, now: () => number) {
    this.flow = { transport: "tcp", remote: stream.peer, local: stream.local, connectionId };
    this.#stream = stream;
    this.#outlets = outlets;
    this.#now = now;
    this.lastUsedMs = now();
  }

  /** False once it was closed or the peer has ended it. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Reads until the end; says in one line why it ended. */
  async run(): Promise<string> {
    try {
      const buffer = new Uint8Array(READ_BYTES);
      for (let count; (count = await this.#stream.read(buffer)) !== null;) {
        this.lastUsedMs = this.#now();
        this.#receive(buffer.subarray(0, count));
      }
      return "closed";
    } catch (error) {
      if (error instanceof SipParseError) await this.#stream.flush(FLUSH_MS);
      else if (!(error instanceof TransportError)) throw error;
      return messageOf(error);
    } finally {
      this.#open = false;
      this.#stream.close();
    }
  }

  #receive(bytes: Uint8Array): void {
    if (this.#isPong(bytes)) return this.#outlets.pong(this.flow);
    try {
      this.#parser.push(
        bytes,
        (message, warnings) => this.#outlets.message(message, warnings, this.flow),
        () => this.#pong(),
        (error) => this.#outlets.malformed(error, this.flow),
      );
    } catch (error) {
      if (error instanceof SipParseError) this.#outlets.malformed(error, this.flow);
      throw error;
    }
    this.incompleteSinceMs = this.#parser.pendingBytes === 0 ? null : this.incompleteSinceMs ?? this.#now();
  }

  /** A line end by itself, while one is waited for; else it may be half of the peer's own ping. */
  #isPong(bytes: Uint8Array): boolean {
    if (!this.#pinged || this.#parser.pendingBytes > 0 || !equalBytes(bytes, PONG)) return false;
    this.#pinged = false;
    return true;
  }

  #pong(): void {
    this.#outlets.keepAlive();
    this.#stream.put(PONG);
  }

  /** Sends; false when the connection is closed. A peer that does not read is closed by its send queue. */
  send(bytes: Uint8Array): boolean {
    if (!this.#open) return false;
    this.lastUsedMs = this.#now();
    return this.#stream.put(bytes) || this.#stream.unsent > 0;
  }

  /** Sends CRLFCRLF, to which a peer of RFC 5626 4.4.1 says CRLF; false when the connection is closed. */
  ping(): boolean {
    this.#pinged = true;
    return this.send(PING);
  }

  /** Sends what is unsent, for a second at most, then closes; run() ends. */
  async finish(): Promise<void> {
    if (this.#open) await this.#stream.flush(FLUSH_MS);
    this.close();
  }

  /** Closes at once; run() ends. */
  close(): void {
    this.#open = false;
    this.#stream.close();
  }
}
