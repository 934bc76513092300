// Streams of bytes: what their users see, and what every kind of socket has in common: a send queue with its marks, an end
// that is told once, closing. A kind only reads, writes and closes its socket.
// Role: edge

import { TransportError } from "../base/errors.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { EndOfStream, OutBuffer, transportError, type Writable } from "./out_buffer.ts";

/** Bytes both ways. Sockets are {@link SocketStream}s; tunnels and the pipes of the tests are others. */
export interface ByteStream extends Disposable {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  /**
   * Reads at least one byte into the front of `into` and says how many; null when the peer has ended or we
   * have closed. Throws {@link TransportError} when the connection broke or the peer was too slow.
   */
  read(into: Uint8Array): Promise<number | null>;
  /** Copies and sends; false when more than the soft mark is unsent now, or when closed. */
  put(bytes: Uint8Array): boolean;
  /** Bytes not yet taken by the operating system. */
  readonly unsent: number;
  /** Waits until all is sent; false when time is up or the connection ended before. */
  flush(withinMs: number): Promise<boolean>;
  /** Closes at once; may be called again. What is unsent is lost: flush() first. */
  close(): void;
}

/** Marks of the send queue, in bytes. */
export interface SendLimits {
  /** Above it put() returns false; default 256 KiB. */
  softUnsent?: number;
  /** Above it the connection is closed: the peer is too slow; default 4 MiB. */
  hardUnsent?: number;
}

/** A connected socket. */
export abstract class SocketStream implements ByteStream, Writable {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  /** What a read after the end is told. */
  protected readonly ending = new EndOfStream();
  readonly #out: OutBuffer;
  #closed = false;

  constructor({ peer, local }: { peer: Endpoint; local: Endpoint }, limits: SendLimits) {
    this.peer = peer;
    this.local = local;
    this.#out = new OutBuffer(limits, {
      to: this,
      overflow: (unsent) =>
        this.fail(new TransportError(`${this.name} is too slow: ${unsent} bytes unsent`, "timeout")),
      failed: (error) => this.fail(transportError(`Cannot write to ${this.name}`, error)),
    });
  }

  abstract read(into: Uint8Array): Promise<number | null>;
  /** For the send queue. See {@link Writable}. */
  abstract write(bytes: Uint8Array): Promise<number>;
  writeNow?(bytes: Uint8Array): number;

  /** Closes the socket, once. @param allSent nothing was unsent, and nothing had failed */
  protected abstract closeSocket(allSent: boolean): void;

  get unsent(): number {
    return this.#out.unsent;
  }

  get closed(): boolean {
    return this.#closed;
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
    const allSent = this.#out.unsent === 0 && !this.ending.hasFailed;
    this.#out.close();
    this.closeSocket(allSent);
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  protected get name(): string {
    return formatEndpoint(this.peer);
  }

  /** Ends with this failure, which the next read throws. */
  protected fail(failure: TransportError): void {
    if (this.#closed) return;
    this.ending.failed(failure);
    this.close();
  }

  protected async readAfterEnd(): Promise<null> {
    await Promise.resolve(); // as late as any read
    return this.ending.told();
  }
}
