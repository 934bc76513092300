// The sockets of calls at the load end. On Linux they are the lean ones of lib/net, or the load end would need more of its
// core than what it measures; elsewhere those of the runtime.
// Role: edge

import { LINUX, LinuxPoll, mayCallLinux, openLinuxCalls } from "../../lib/net/linux/calls.ts";
import { type ConnectedSocket, LinuxTcpConnection } from "../../lib/net/linux/tcp.ts";
import { AF_INET, bindLinuxUdp, encodeSockaddr, SOCKADDR_LENGTH } from "../../lib/net/linux/udp.ts";
import { UdpSocket } from "../../lib/net/udp.ts";

/** A connection of a client. */
export interface LoadConn {
  /** Null: the peer has ended, or we have closed. */
  read(into: Uint8Array): Promise<number | null>;
  /** Settles when all is written; until then the bytes stay as they are. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<number>;
  close(): void;
}

const HOST = "127.0.0.1";

/** Writes of a client that does not get rid of them end it. */
const WRITE_WITHIN_MS = 60_000;

/** Opens them. */
export class LoadSockets implements Disposable {
  #poll: LinuxPoll | null = null;
  #connect: Deno.DynamicLibrary<typeof CONNECT> | null = null;

  /** Port 0: any. Throws TransportError. */
  bindUdp(port: number): UdpSocket {
    const at = { hostname: HOST, port };
    return mayCallLinux() ? bindLinuxUdp(this.#open(), at) : UdpSocket.bind(at);
  }

  /** Connects to a port of this machine. */
  async connect(port: number): Promise<LoadConn> {
    if (mayCallLinux()) return new LeanConn(this.#open(), this.#connectNow(port));
    const conn = await Deno.connect({ hostname: HOST, port });
    conn.setNoDelay(true);
    return conn;
  }

  /** Everything that was opened is closed by now. */
  [Symbol.dispose](): void {
    this.#poll?.[Symbol.dispose]();
    this.#connect?.close();
    this.#poll = this.#connect = null;
  }

  #open(): LinuxPoll {
    return this.#poll ??= new LinuxPoll(openLinuxCalls());
  }

  /** On loopback a connection is there at once, or not at all. */
  #connectNow(port: number): ConnectedSocket {
    const peer = { hostname: HOST, port };
    const { calls } = this.#open();
    this.#connect ??= Deno.dlopen("libc.so.6", CONNECT);
    const fd = calls.socket(AF_INET, LINUX.streamSocket & ~LINUX_NONBLOCK, 0);
    if (this.#connect.symbols.connect(fd, encodeSockaddr(peer)!, SOCKADDR_LENGTH) === 0) {
      return { fd, peer, local: { hostname: HOST, port: 0 } };
    }
    calls.close(fd);
    throw new Error(`cannot connect to port ${port}`);
  }
}

const LINUX_NONBLOCK = 0o4000;

const CONNECT = {
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

class LeanConn implements LoadConn {
  readonly #stream: LinuxTcpConnection;

  constructor(poll: LinuxPoll, connected: ConnectedSocket) {
    this.#stream = new LinuxTcpConnection(poll, connected, {});
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#stream.read(into);
  }

  write(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    this.#stream.put(bytes);
    if (this.#stream.unsent === 0) return Promise.resolve(bytes.length);
    return this.#stream.flush(WRITE_WITHIN_MS).then(() => bytes.length);
  }

  close(): void {
    this.#stream.close();
  }
}
