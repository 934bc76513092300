// Whose sockets carry RTMP and media: those of the runtime, or those of the system itself, which cost a fraction but
// need a permission of their own.
// Role: edge

import { ConfigError, TransportError } from "../base/errors.ts";
import { type Endpoint, isIpv6 } from "./endpoint.ts";
import { LinuxPoll, mayCallLinux, type OpenFiles, openLinuxCalls } from "./linux/calls.ts";
import { listenLinuxTcp } from "./linux/tcp.ts";

import { bindLinuxUdp } from "./linux/udp.ts";
import type { ByteStream } from "./byte_stream.ts";
import { type ListenOptions, listenTcp } from "./tcp.ts";
import { type UdpOptions, UdpSocket } from "./udp.ts";

/** What may be asked for; "auto": those of Linux where they may be used. */
export type SocketKind = "auto" | "deno" | "linux";

/** Opens the sockets of one thread; disposed when all of them are closed. */
export interface Sockets extends Disposable {
  readonly kind: "deno" | "linux";
  bindUdp(at: Endpoint, options?: UdpOptions): UdpSocket;
  listenTcp(at: Endpoint, options: ListenOptions): AsyncGenerator<ByteStream, void, void>;
}

/** Those of the runtime, which need no owner. */
export const denoSockets: Sockets = {
  kind: "deno",
  bindUdp: UdpSocket.bind,
  listenTcp,
  [Symbol.dispose]: () => {},
};

/**
 * Chooses the kind and opens what it takes: afterwards the permission for system calls may be given up.
 * @param files where a thread that may break down notes what somebody else has to close then
 * @throws ConfigError when the wanted kind cannot be used here
 */
export function openSockets(wanted: SocketKind, files?: OpenFiles): Sockets {
  if (wanted === "deno") return denoSockets;
  try {
    if (mayCallLinux()) return new LinuxSockets(new LinuxPoll(openLinuxCalls(files)));
  } catch (error) {
    if (!(error instanceof TransportError) || wanted === "linux") throw error;
    return denoSockets; // a Linux with another C library
  }
  if (wanted === "auto") return denoSockets;
  throw new ConfigError("sockets linux needs Linux and the permission --allow-ffi");
}

/** IPv6 goes through the runtime: its addresses have scopes that only a look-up by name tells. */
class LinuxSockets implements Sockets {
  readonly kind = "linux";
  readonly #poll: LinuxPoll;

  /** Owns the poll. */
  constructor(poll: LinuxPoll) {
    this.#poll = poll;
  }

  bindUdp(at: Endpoint, options?: UdpOptions): UdpSocket {
    return isIpv6(at.hostname) ? UdpSocket.bind(at, options) : bindLinuxUdp(this.#poll, at, options);
  }

  listenTcp(at: Endpoint, options: ListenOptions): AsyncGenerator<ByteStream, void, void> {
    return isIpv6(at.hostname) ? listenTcp(at, options) : listenLinuxTcp(this.#poll, at, options);
  }

  [Symbol.dispose](): void {
    this.#poll[Symbol.dispose]();
  }
}
