// Which sockets of a thread have something: asked of the system for all of them together, every millisecond, or every
// five while few have. What came meanwhile is handled in one go, which is what makes many calls cheap; it is that much
// later.
// Role: edge

import { type Clock, systemClock } from "../../base/clock.ts";
import { EPOLL_EVENT, LINUX, type LinuxCalls, linuxFailure } from "./calls.ts";

/** Time between two looks; the runtime makes two milliseconds of one. */
const TICK_MS = 1;

/** The same while fewer sockets a millisecond are ready, about five calls: a program with little to do sleeps longer. */
const QUIET_TICK_MS = 5;
const BUSY_PER_MS = 0.5;

/** Weight of one look in the smoothed number of sockets that are ready per millisecond. */
const LOOK_WEIGHT = 1 / 16;

const MAX_EVENTS = 256;

/** How often one socket may be ready per tick: a flood on it waits, as in turn.ts; the burst of a key frame does not. */
const MAX_ROUNDS = 16;

export interface Watched {
  /** The system says it can be read (EPOLLIN), written (EPOLLOUT) or is broken. False: it made no use of that. */
  ready(events: number): boolean;
}

/**   tick -> epoll_wait: who is ready? -> ready() of each -> once more, until nobody makes use of it, 16 times at most */
export class LinuxPoll implements Disposable {
  /** The system; it belongs to the watch. */
  readonly calls: LinuxCalls;
  readonly #clock: Clock;
  readonly #epoll: number;
  readonly #events = new Uint8Array(EPOLL_EVENT.length * MAX_EVENTS);
  readonly #view = new DataView(this.#events.buffer);
  readonly #watched: (Watched | undefined)[] = [];
  #size = 0;
  #readyPerMs = 0;
  #tickMs = QUIET_TICK_MS;
  #timer: Disposable | null = null;
  #closed = false;
  readonly #tick = (): void => {
    this.#timer = null;
    try {
      this.#look();
    } finally {
      this.#arm();
    }
  };

  /** Owns the calls, whether it can use them or not. Throws {@link TransportError}. */
  constructor(calls: LinuxCalls, clock: Clock = systemClock) {
    this.calls = calls;
    this.#clock = clock;
    this.#epoll = calls.epollCreate(LINUX.epollFlags);
    if (this.#epoll >= 0) return;
    const error = linuxFailure("Cannot watch sockets", calls);
    calls[Symbol.dispose]();
    throw error;
  }

  get size(): number {
    return this.#size;
  }

  /** Watches for these events from now on. Throws {@link TransportError} when there are too many already. */
  watch(fd: number, events: number, watched: Watched): void {
    const known = this.#watched[fd] !== undefined;
    const event = new Uint8Array(EPOLL_EVENT.length);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setInt32(EPOLL_EVENT.dataAt, fd, true);
    const operation = known ? LINUX.epollModify : LINUX.epollAdd;
    if (this.calls.epollControl(this.#epoll, operation, fd, event) < 0) {
      throw linuxFailure("Cannot watch a socket", this.calls);
    }
    this.#watched[fd] = watched;
    if (!known) this.#size++;
    this.#arm();
  }

  /** Watches no more: to be said before the socket is closed. */
  unwatch(fd: number): void {
    if (this.#watched[fd] === undefined) return;
    this.#watched[fd] = undefined;
    this.calls.epollControl(this.#epoll, LINUX.epollDelete, fd, this.#events);
    if (--this.#size > 0) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  /** Ends the watch; sockets are closed by their owners, before. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.calls.close(this.#epoll);
    this.calls[Symbol.dispose]();
  }

  #arm(): void {
    if (this.#size === 0 || this.#timer !== null || this.#closed) return;
    this.#tickMs = this.#readyPerMs < BUSY_PER_MS ? QUIET_TICK_MS : TICK_MS;
    this.#timer = this.#clock.after(this.#tickMs, this.#tick);
  }

  #look(): void {
    let ready = 0;
    for (let round = 0; round < MAX_ROUNDS && !this.#closed; round++) {
      const count = this.calls.epollWait(this.#epoll, this.#events, MAX_EVENTS, 0);
      if (count <= 0 || !this.#tell(count)) break;
      ready += count;
    }
    this.#readyPerMs += (ready / this.#tickMs - this.#readyPerMs) * LOOK_WEIGHT;
  }

  /** False when nobody made use of it. */
  #tell(count: number): boolean {
    let used = false;
    for (let i = 0; i < count && !this.#closed; i++) {
      const at = i * EPOLL_EVENT.length;
      // One that was closed by a packet before it has no place any more.
      const watched = this.#watched[this.#view.getInt32(at + EPOLL_EVENT.dataAt, true)];
      if (watched?.ready(this.#view.getUint32(at, true)) === true) used = true;
    }
    return used;
  }
}
