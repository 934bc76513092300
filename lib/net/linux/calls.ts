// The system calls behind sockets on Linux, called directly, and one epoll per thread that waits for all of them. The runtime's
// own sockets cost a promise, some objects and a wake-up per packet; a call costs what the kernel takes.
// Deno permissions: --allow-ffi until the library is open, no longer; ask mayCallLinux() first.
// Role: edge

import { type Clock, systemClock } from "../../base/clock.ts";
import { TransportError, type TransportErrorCode } from "../../base/errors.ts";
import { transportError } from "../out_buffer.ts";

/** The calls; numbers and buffers as in their manual pages, section 2. Those that fail return -1: see errno(). */
export interface LinuxCalls extends Disposable {
  socket(family: number, type: number, protocol: number): number;
  /** 0. */
  bind(fd: number, address: Uint8Array<ArrayBuffer>, length: number): number;
  /** 0. */
  listen(fd: number, backlog: number): number;
  accept(fd: number, from: Uint8Array<ArrayBuffer>, length: Uint32Array<ArrayBuffer>, flags: number): number;
  /** 0. */
  getsockname(fd: number, address: Uint8Array<ArrayBuffer>, length: Uint32Array<ArrayBuffer>): number;
  /** 0. */
  setsockopt(fd: number, level: number, name: number, value: Int32Array<ArrayBuffer>, length: number): number;
  /** Octets received; of a stream 0 is its end. */
  recv(fd: number, into: Uint8Array, length: number, flags: number): number;
  /** Octets received; with MSG_TRUNC as many as the packet had. */
  recvfrom(
    fd: number,
    into: Uint8Array<ArrayBuffer>,
    length: number,
    flags: number,
    from: Uint8Array<ArrayBuffer>,
    fromLength: Uint32Array<ArrayBuffer>,
  ): number;
  /** Octets taken. */
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  /** Octets sent. */
  sendto(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    to: Uint8Array<ArrayBuffer>,
    toLength: number,
  ): number;
  epollCreate(flags: number): number;
  /** 0. */
  epollControl(epoll: number, operation: number, fd: number, event: Uint8Array<ArrayBuffer>): number;
  epollWait(epoll: number, events: Uint8Array<ArrayBuffer>, most: number, timeoutMs: number): number;
  /** 0. */
  close(fd: number): number;
  /** Why the last call failed: errno(3). */
  errno(): number;
}

/** struct epoll_event: events:u32 data:u64, packed on x86-64 only; see epoll_ctl(2). */
export const EPOLL_EVENT: { readonly length: number; readonly dataAt: number } = Deno.build.arch === "x86_64"
  ? { length: 12, dataAt: 4 }
  : { length: 16, dataAt: 8 };

/** What is asked for with the calls: the same on every processor Deno runs on. */
export const LINUX = {
  /** SOCK_DGRAM and SOCK_STREAM, each with SOCK_NONBLOCK and SOCK_CLOEXEC. */
  datagramSocket: 0o2004002,
  streamSocket: 0o2004001,
  acceptFlags: 0o2004000,
  /** SOL_SOCKET and its SO_REUSEADDR, SO_RCVBUF, SO_KEEPALIVE, SO_REUSEPORT. */
  socketLevel: 1,
  reuseAddress: 2,
  receiveBuffer: 8,
  keepAlive: 9,
  reusePort: 15,
  tcpLevel: 6,
  noDelay: 1,
  dontWait: 0x40,
  /** MSG_DONTWAIT and MSG_TRUNC: the length of the packet is told, not of what fitted. */
  wholePacket: 0x60,
  noSignal: 0x4040,
  epollFlags: 0o2000000,
  epollAdd: 1,
  epollDelete: 2,
  epollModify: 3,
  epollIn: 1,
  epollOut: 4,
} as const;

/** errno(3): nothing can be done without waiting. */
export const EAGAIN = 11;

/** errno(3) in words. */
const FAILURES: ReadonlyMap<number, readonly [TransportErrorCode, string]> = new Map([
  [12, ["failed", "Cannot allocate memory"]],
  [13, ["failed", "Permission denied"]],
  [23, ["failed", "Too many open files in the system"]],
  [24, ["failed", "Too many open files"]],
  [32, ["closed", "Broken pipe"]],
  [98, ["addr-in-use", "Address already in use"]],
  [99, ["unreachable", "Cannot assign requested address"]],
  [101, ["unreachable", "Network is unreachable"]],
  [103, ["closed", "Connection aborted"]],
  [104, ["closed", "Connection reset by peer"]],
  [105, ["failed", "No buffer space available"]],
  [110, ["timeout", "Connection timed out"]],
  [111, ["refused", "Connection refused"]],
  [113, ["unreachable", "No route to host"]],
]);

/** Why the last call failed, behind what was tried. */
export function linuxFailure(attempt: string, calls: LinuxCalls): TransportError {
  const errno = calls.errno();
  const [code, reason] = FAILURES.get(errno) ?? ["failed", `error ${errno}`] as const;
  return new TransportError(`${attempt}: ${reason}`, code);
}

const LIBRARY = "libc.so.6";

// size_t is told as 64 bits and the ssize_t of a result as 32: what is asked for is short, and -1 stays -1.
const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
  memcpy: { parameters: ["buffer", "pointer", "usize"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Closes what a thread that is over has left open; how many files that were. */
export function closeLeftFiles(files: OpenFiles): number {
  const left = files.take();
  if (left.length === 0) return 0;
  using calls = openLinuxCalls();
  for (const fd of left) calls.close(fd);
  return left.length;
}

export function mayCallLinux(): boolean {
  if (Deno.build.os !== "linux") return false;
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

/**
 * The C library, until the calls are disposed. Throws {@link TransportError} where it cannot be had.
 * @param files where it is noted what is open
 */
export function openLinuxCalls(files: OpenFiles = new OpenFiles()): LinuxCalls {
  const library = openLibrary();
  const { symbols } = library;
  const errno = new Int32Array(1);
  const errnoSize = BigInt(errno.byteLength);
  const opened = (fd: number): number => {
    files.add(fd);
    return fd;
  };
  return {
    socket: (family, type, protocol) => opened(symbols.socket(family, type, protocol)),
    bind: symbols.bind,
    listen: symbols.listen,
    accept: (fd, from, length, flags) => opened(symbols.accept4(fd, from, length, flags)),
    getsockname: symbols.getsockname,
    setsockopt: symbols.setsockopt,
    // The runtime takes a number for a size as well, and that is faster; its types ask for a bigint.
    recv: symbols.recv as unknown as LinuxCalls["recv"],
    recvfrom: symbols.recvfrom as unknown as LinuxCalls["recvfrom"],
    send: symbols.send as unknown as LinuxCalls["send"],
    sendto: symbols.sendto as unknown as LinuxCalls["sendto"],
    epollCreate: (flags) => opened(symbols.epoll_create1(flags)),
    epollControl: symbols.epoll_ctl,
    epollWait: symbols.epoll_wait,
    close: (fd) => {
      files.remove(fd);
      return symbols.close(fd);
    },
    errno: () => {
      symbols.memcpy(errno, symbols.__errno_location(), errnoSize); // no view: that would take the permission
      return errno[0]!;
    },
    [Symbol.dispose]: () => library.close(),
  };
}

function openLibrary(): Deno.DynamicLibrary<typeof SYMBOLS> {
  try {
    return Deno.dlopen(LIBRARY, SYMBOLS);
  } catch (error) {
    throw transportError(`Cannot use ${LIBRARY}`, error); // a Linux with another C library
  }
}

/** More than a process may usually open (LimitNOFILE of the unit file: 65536); what is beyond is not kept. */
const MOST = 1 << 17;

/** The open files of one thread, as it or its supervisor sees them. */
export class OpenFiles {
  readonly memory: SharedArrayBuffer;
  readonly #bits: Int32Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(MOST / 8)) {
    this.memory = memory;
    this.#bits = new Int32Array(memory);
  }

  add(fd: number): void {
    if (fd >= 0 && fd < MOST) Atomics.or(this.#bits, fd >> 5, 1 << (fd & 31));
  }

  /** To be said before it is closed: right afterwards another thread may have the same number. */
  remove(fd: number): void {
    if (fd >= 0 && fd < MOST) Atomics.and(this.#bits, fd >> 5, ~(1 << (fd & 31)));
  }

  /** Those that are open now; afterwards none is. For who clears up behind a thread that is over. */
  take(): number[] {
    const files: number[] = [];
    for (let word = 0; word < this.#bits.length; word++) {
      const bits = Atomics.exchange(this.#bits, word, 0);
      if (bits === 0) continue;
      for (let bit = 0; bit < 32; bit++) if ((bits >>> bit & 1) === 1) files.push(32 * word + bit);
    }
    return files;
  }
}

/** Time between two looks; the runtime makes two milliseconds of one. */
const TICK_MS = 1;

/** The same while fewer sockets a millisecond are ready, about five calls: a program with little to do sleeps longer. */
const QUIET_TICK_MS = 5;
const BUSY_PER_MS = 0.5;

/** Weight of one look in the smoothed number of sockets that are ready per millisecond. */
const LOOK_WEIGHT = 1 / 16;

const MAX_EVENTS = 256;

/** How often one socket may be ready per tick: a flood on it waits, as in udp.ts; the burst of a key frame does not. */
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
