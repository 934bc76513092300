// TCP connections by the system calls of Linux, like those of tcp.ts. What can be sent is sent at once, from the bytes
// of the caller; the rest waits in an OutBuffer until there is room. What has come is read when the poll says so,
// straight into the reader's buffer.
// Role: edge

import { TransportError } from "../../base/errors.ts";
import { EndOfStream, OutBuffer } from "../out_buffer.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { EAGAIN, LINUX, type LinuxCalls, linuxFailure } from "./calls.ts";
import type { LinuxPoll, Watched } from "./poll.ts";
import type { ByteStream, SendLimits } from "../tcp.ts";

/** A connection that nobody reads is looked at so often before it is left alone. */
const UNREAD_LOOKS = 16;

const YES = Int32Array.of(1);

export interface ConnectedSocket {
  readonly fd: number;
  readonly peer: Endpoint;
  readonly local: Endpoint;
}

export class LinuxTcpConnection implements ByteStream, Watched {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #poll: LinuxPoll;
  readonly #calls: LinuxCalls;
  readonly #fd: number;
  readonly #out: OutBuffer;
  readonly #end = new EndOfStream();
  #closed = false;
  /** The events it is watched for; 0: it is not. */
  #watchedFor = 0;
  #into: Uint8Array | null = null;
  #resolveRead: (count: number | null) => void = () => {};
  #rejectRead: (error: unknown) => void = () => {};
  readonly #startRead = (resolve: (count: number | null) => void, reject: (error: unknown) => void): void => {
    this.#resolveRead = resolve;
    this.#rejectRead = reject;
  };
  #unreadLooks = 0;
  #writing: { readonly bytes: Uint8Array; readonly done: PromiseWithResolvers<number> } | null = null;

  constructor(poll: LinuxPoll, { fd, peer, local }: ConnectedSocket, limits: SendLimits) {
    this.#poll = poll;
    this.#calls = poll.calls;
    this.#fd = fd;
    this.peer = peer;
    this.local = local;
    this.#out = new OutBuffer(limits, {
      to: this,
      overflow: (unsent) =>
        this.#fail(new TransportError(`${this.#name()} is too slow: ${unsent} bytes unsent`, "timeout")),
      failed: (error) => this.#fail(error as TransportError),
    });
    this.#calls.setsockopt(fd, LINUX.tcpLevel, LINUX.noDelay, YES, 4);
    this.#calls.setsockopt(fd, LINUX.socketLevel, LINUX.keepAlive, YES, 4);
  }

  /** Bytes not yet taken by the operating system. */
  get unsent(): number {
    return this.#out.unsent;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#closed) return this.#readAfterEnd();
    this.#into = into;
    const read = new Promise(this.#startRead);
    try {
      this.#watch();
    } catch (error) { // there are too many already
      this.#into = null;
      this.#rejectRead(error);
    }
    return read;
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
    this.#out.close();
    this.#poll.unwatch(this.#fd);
    this.#calls.close(this.#fd);
    this.#writing?.done.reject(new TransportError(`Connection to ${this.#name()} was closed`, "closed"));
    this.#writing = null;
    this.#endRead();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  /** For the OutBuffer. See {@link Writable}. */
  writeNow(bytes: Uint8Array): number {
    const count = this.#calls.send(this.#fd, bytes, bytes.length, LINUX.noSignal);
    if (count >= 0) return count;
    if (this.#calls.errno() === EAGAIN) return 0;
    throw linuxFailure(`Cannot write to ${this.#name()}`, this.#calls);
  }

  /** For the OutBuffer, when there was no room. */
  write(bytes: Uint8Array): Promise<number> {
    const done = Promise.withResolvers<number>();
    this.#writing = { bytes, done };
    this.#watch();
    return done.promise;
  }

  ready(events: number): boolean {
    const wrote = this.#writing !== null && (events & ~LINUX.epollIn) !== 0 && this.#writeWaiting();
    const read = !this.#closed && (events & ~LINUX.epollOut) !== 0 && this.#readWaiting();
    return wrote || read;
  }

  #writeWaiting(): boolean {
    const { bytes, done } = this.#writing!;
    try {
      const count = this.writeNow(bytes);
      if (count === 0) return false;
      done.resolve(count);
    } catch (error) {
      done.reject(error);
    }
    this.#writing = null;
    this.#watch();
    return true;
  }

  /** Nobody reads (a client that sends too much is made to wait): the system is asked less about it, then not at all. */
  #readWaiting(): boolean {
    const into = this.#into;
    if (into === null) {
      if (++this.#unreadLooks === UNREAD_LOOKS) this.#watch();
      return false;
    }
    const count = this.#calls.recv(this.#fd, into, into.length, LINUX.dontWait);
    if (count < 0 && this.#calls.errno() === EAGAIN) return false;
    this.#into = null;
    if (count > 0) this.#resolveRead(count);
    else if (count === 0) this.#resolveRead(null);
    else this.#rejectRead(linuxFailure(`Connection to ${this.#name()} broke`, this.#calls));
    return true;
  }

  #endRead(): void {
    if (this.#into === null) return;
    this.#into = null;
    try {
      this.#resolveRead(this.#end.told());
    } catch (error) {
      this.#rejectRead(error);
    }
  }

  /** Watches for what is waited for; reading on is what usually happens next, so that is not given up at once. */
  #watch(): void {
    if (this.#closed) return;
    const reads = this.#into !== null || this.#unreadLooks < UNREAD_LOOKS;
    const events = (reads ? LINUX.epollIn : 0) | (this.#writing !== null ? LINUX.epollOut : 0);
    if (this.#into !== null) this.#unreadLooks = 0;
    if (events === this.#watchedFor) return;
    if (events === 0) this.#poll.unwatch(this.#fd);
    else this.#poll.watch(this.#fd, events, this);
    this.#watchedFor = events;
  }

  async #readAfterEnd(): Promise<null> {
    await Promise.resolve(); // as late as any read
    return this.#end.told();
  }

  #fail(failure: TransportError): void {
    if (this.#closed) return;
    this.#end.failed(failure);
    this.close();
  }

  #name(): string {
    return formatEndpoint(this.peer);
  }
}
