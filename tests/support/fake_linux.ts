// The system calls of linux/calls.ts in memory: a socket is a queue of packets, and any call can be made to fail.
// Role: machine

import { EAGAIN, EPOLL_EVENT, LINUX, type LinuxCalls } from "../../lib/net/linux/calls.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_LENGTH } from "../../lib/net/linux/udp.ts";

interface Packet {
  readonly bytes: Uint8Array;
  readonly from: Uint8Array<ArrayBuffer>;
}

interface FakeFile {
  address: Uint8Array<ArrayBuffer>;
  readonly packets: Packet[];
}

/** errno(3) of what is not a file. */
export const EBADF = 9;

/** A kernel with nothing but UDP sockets and one epoll. File descriptors are used again, lowest first. */
export class FakeLinux implements LinuxCalls {
  /** What is open, the epoll included. */
  readonly files = new Map<number, FakeFile>();
  /** Names of the calls that were made, in order. */
  readonly made: string[] = [];
  /** Called instead of each call with its number from 1 and its name; what it returns is errno, null: the call works. */
  failing: (count: number, name: string) => number | null = () => null;
  /** Set by dispose. */
  disposed = false;
  readonly #watched = new Set<number>();
  #errno = 0;
  #nextPort = 40000;

  /** Puts a packet into the queue of a port. */
  deliver(port: number, bytes: Uint8Array, from = { hostname: "192.0.2.9", port: 4000 }): void {
    for (const file of this.files.values()) {
      if (decodeSockaddr(file.address).port === port) {
        file.packets.push({ bytes, from: encodeSockaddr(from)! });
      }
    }
  }

  socket(): number {
    return this.#call("socket", () => this.#open());
  }

  bind(fd: number, address: Uint8Array<ArrayBuffer>): number {
    return this.#call("bind", () => {
      const at = decodeSockaddr(address);
      const port = at.port === 0 ? this.#nextPort++ : at.port;
      this.files.get(fd)!.address = encodeSockaddr({ ...at, port })!;
      return 0;
    });
  }

  getsockname(fd: number, address: Uint8Array<ArrayBuffer>): number {
    return this.#call("getsockname", () => {
      address.set(this.files.get(fd)!.address);
      return 0;
    });
  }

  setsockopt(): number {
    return this.#call("setsockopt", () => 0);
  }

  listen(): number {
    throw new Error("the kernel in memory has no TCP");
  }

  accept(): number {
    throw new Error("the kernel in memory has no TCP");
  }

  recv(): number {
    throw new Error("the kernel in memory has no TCP");
  }

  send(): number {
    throw new Error("the kernel in memory has no TCP");
  }

  recvfrom(
    fd: number,
    into: Uint8Array<ArrayBuffer>,
    _length: number,
    _flags: number,
    from: Uint8Array<ArrayBuffer>,
  ): number {
    return this.#call("recvfrom", () => {
      const packet = this.files.get(fd)?.packets.shift();
      if (packet === undefined) return this.#failWith(EAGAIN);
      into.set(packet.bytes.subarray(0, into.length));
      from.set(packet.from);
      return packet.bytes.length;
    });
  }

  sendto(
    _fd: number,
    bytes: Uint8Array<ArrayBuffer>,
    _length: number,
    _flags: number,
    to: Uint8Array<ArrayBuffer>,
  ): number {
    return this.#call("sendto", () => {
      this.deliver(decodeSockaddr(to).port, bytes.slice());
      return bytes.length;
    });
  }

  epollCreate(): number {
    return this.#call("epoll_create1", () => this.#open());
  }

  epollControl(_epoll: number, operation: number, fd: number): number {
    return this.#call("epoll_ctl", () => {
      if (operation === LINUX.epollDelete) this.#watched.delete(fd);
      else this.#watched.add(fd);
      return 0;
    });
  }

  epollWait(_epoll: number, events: Uint8Array<ArrayBuffer>, most: number): number {
    return this.#call("epoll_wait", () => {
      const ready = [...this.#watched].filter((fd) => this.files.get(fd)!.packets.length > 0).slice(0, most);
      const view = new DataView(events.buffer);
      for (const [i, fd] of ready.entries()) {
        view.setUint32(i * EPOLL_EVENT.length, LINUX.epollIn, true);
        view.setInt32(i * EPOLL_EVENT.length + EPOLL_EVENT.dataAt, fd, true);
      }
      return ready.length;
    });
  }

  close(fd: number): number {
    this.made.push("close");
    this.#watched.delete(fd);
    return this.files.delete(fd) ? 0 : this.#failWith(EBADF);
  }

  errno(): number {
    return this.#errno;
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }

  #call(name: string, run: () => number): number {
    this.made.push(name);
    const errno = this.failing(this.made.length, name);
    return errno === null ? run() : this.#failWith(errno);
  }

  #failWith(errno: number): number {
    this.#errno = errno;
    return -1;
  }

  #open(): number {
    let fd = 3;
    while (this.files.has(fd)) fd++;
    this.files.set(fd, { address: new Uint8Array(SOCKADDR_LENGTH), packets: [] });
    return fd;
  }
}
