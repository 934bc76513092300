// One TLS connection that was accepted: the ByteStream of tcp.ts over a socket of node:tls. Reading is by
// pull (the socket stays paused), sending through the same bounded queue as plain TCP.
// Role: edge

import type { TLSSocket } from "node:tls";
import { systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import { EndOfStream } from "./end_of_stream.ts";
import { type Endpoint, formatEndpoint, unmapAddress } from "./endpoint.ts";
import { transportError } from "./failure.ts";
import { OutBuffer } from "./out_buffer.ts";
import type { ByteStream, SendLimits } from "./tcp.ts";

/** How long the closing alert (RFC 8446 6.1) may take to leave. */
const CLOSING_MS = 1_000;

/** One TLS connection, its handshake done. */
export class TlsConnection implements ByteStream {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #socket: TLSSocket;
  readonly #out: OutBuffer;
  readonly #ending = new EndOfStream();
  #closed = false;
  #ended = false;
  #wake: (() => void) | null = null;

  /** Takes over a socket whose handshake is done. */
  constructor(socket: TLSSocket, limits: SendLimits = {}) {
    this.#socket = socket;
    this.peer = endpointOf(socket.remoteAddress, socket.remotePort);
    this.local = endpointOf(socket.localAddress, socket.localPort);
    this.#out = new OutBuffer(limits, {
      to: { write: (bytes) => this.#write(bytes) },
      overflow: (unsent) =>
        this.#fail(new TransportError(`${this.#name()} is too slow: ${unsent} bytes unsent`, "timeout")),
      failed: (error) => this.#fail(transportError(`Cannot write to ${this.#name()}`, error)),
    });
    socket.on("readable", () => this.#wake?.());
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#end());
    socket.on("error", (error) => this.#fail(transportError(`Connection to ${this.#name()} broke`, error)));
  }

  /** Bytes not yet taken by the operating system. */
  get unsent(): number {
    return this.#out.unsent;
  }

  /** Whether close() was called or the connection broke. */
  get closed(): boolean {
    return this.#closed;
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#closed) return this.#ending.told();
      const count = this.#take(into);
      if (count > 0) return count;
      if (this.#ended) return this.#ending.told();
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = null;
    }
  }

  put(bytes: Uint8Array): boolean {
    return this.#out.put(bytes);
  }

  flush(withinMs: number): Promise<boolean> {
    return this.#out.flush(withinMs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const allSent = this.#out.unsent === 0 && !this.#ending.hasFailed;
    this.#out.close();
    this.#wake?.();
    if (allSent && !this.#socket.destroyed) this.#sayGoodbye();
    else this.#socket.destroy();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  #sayGoodbye(): void {
    const timer = systemClock.after(CLOSING_MS, () => this.#socket.destroy());
    this.#socket.once("close", () => timer[Symbol.dispose]());
    this.#socket.destroySoon();
  }

  #take(into: Uint8Array): number {
    const count = Math.min(into.length, this.#socket.readableLength);
    const chunk: Uint8Array | null = this.#socket.read(count > 0 ? count : undefined);
    if (chunk === null) return 0;
    if (chunk.length > into.length) {
      this.#socket.unshift(chunk.subarray(into.length));
      into.set(chunk.subarray(0, into.length));
      return into.length;
    }
    into.set(chunk);
    return chunk.length;
  }

  #write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  #fail(failure: TransportError): void {
    if (this.#closed) return;
    this.#ending.failed(failure);
    this.close();
  }

  #name(): string {
    return formatEndpoint(this.peer);
  }
}

/** The runtime knows no address any more when the peer left during the handshake. */
function endpointOf(hostname: string | undefined, port: number | undefined): Endpoint {
  return { hostname: unmapAddress(hostname ?? "0.0.0.0"), port: port ?? 0 };
}
