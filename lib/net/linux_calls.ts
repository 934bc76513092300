// The system calls behind UDP sockets on Linux, called directly. The runtime's own sockets cost a promise, an object and
// a wake-up per packet; a call costs what the kernel takes.
// Deno permissions: --allow-ffi; ask mayCallLinux() first.
// Role: edge
// Answers to: nothing in siprtmp.

import { transportError } from "./failure.ts";

/** The calls; numbers and buffers as in their manual pages, section 2. */
export interface LinuxCalls extends Disposable {
  /** A file descriptor, or -1. */
  socket(family: number, type: number, protocol: number): number;
  /** 0, or -1. */
  bind(fd: number, address: Uint8Array<ArrayBuffer>, length: number): number;
  /** 0, or -1. */
  getsockname(fd: number, address: Uint8Array<ArrayBuffer>, length: Uint32Array<ArrayBuffer>): number;
  /** 0, or -1. */
  setsockopt(fd: number, level: number, name: number, value: Int32Array<ArrayBuffer>, length: number): number;
  /** Octets received, or -1; with MSG_TRUNC as many as the packet had. */
  recvfrom(
    fd: number,
    into: Uint8Array<ArrayBuffer>,
    length: number,
    flags: number,
    from: Uint8Array<ArrayBuffer>,
    fromLength: Uint32Array<ArrayBuffer>,
  ): number;
  /** Octets sent, or -1. */
  sendto(
    fd: number,
    bytes: Uint8Array<ArrayBuffer>,
    length: number,
    flags: number,
    to: Uint8Array<ArrayBuffer>,
    toLength: number,
  ): number;
  /** A file descriptor, or -1. */
  epollCreate(flags: number): number;
  /** 0, or -1. */
  epollControl(epoll: number, operation: number, fd: number, event: Uint8Array<ArrayBuffer>): number;
  /** How many events were written, or -1. */
  epollWait(epoll: number, events: Uint8Array<ArrayBuffer>, most: number, timeoutMs: number): number;
  /** 0, or -1. */
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
  /** SOCK_DGRAM, SOCK_NONBLOCK and SOCK_CLOEXEC. */
  datagramSocket: 0o2004002,
  solSocket: 1,
  soReceiveBuffer: 8,
  /** MSG_DONTWAIT. */
  dontWait: 0x40,
  /** MSG_TRUNC: the length of the packet is told, not of what fitted. */
  wholeLength: 0x20,
  /** EPOLL_CLOEXEC. */
  epollCloseOnExec: 0o2000000,
  /** EPOLL_CTL_ADD. */
  epollAdd: 1,
  /** EPOLLIN. */
  epollIn: 1,
} as const;

/** The C library of Linux. */
const LIBRARY = "libc.so.6";

// size_t is told as 64 bits and the ssize_t of a result as 32: datagrams are short, and -1 stays -1.
const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Whether the calls may be used here. */
export function mayCallLinux(): boolean {
  if (Deno.build.os !== "linux") return false;
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

/** The C library, until the calls are disposed. Throws TransportError where it cannot be had. */
export function openLinuxCalls(): LinuxCalls {
  const library = openLibrary();
  const { symbols } = library;
  return {
    socket: symbols.socket,
    bind: symbols.bind,
    getsockname: symbols.getsockname,
    setsockopt: symbols.setsockopt,
    // The runtime takes a number for a size as well, and that is faster; its types ask for a bigint.
    recvfrom: symbols.recvfrom as unknown as LinuxCalls["recvfrom"],
    sendto: symbols.sendto as unknown as LinuxCalls["sendto"],
    epollCreate: symbols.epoll_create1,
    epollControl: symbols.epoll_ctl,
    epollWait: symbols.epoll_wait,
    close: symbols.close,
    errno: () => errnoAt(symbols.__errno_location()),
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

function errnoAt(place: Deno.PointerValue): number {
  return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
}
