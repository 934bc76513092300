// Which UDP sockets carry media: those of the runtime, or those of the system itself, which cost a fraction but need a
// permission of their own.
// Role: edge
// Answers to: nothing in siprtmp.

import { ConfigError } from "../base/errors.ts";
import { type Endpoint, isIpv6 } from "./endpoint.ts";
import { mayCallLinux, openLinuxCalls } from "./linux_calls.ts";
import { LinuxUdp } from "./linux_udp.ts";
import { type UdpOptions, UdpSocket } from "./udp.ts";

/** What may be asked for; "auto": those of Linux where they may be used. */
export type MediaSocketKind = "auto" | "deno" | "linux";

/** Opens the sockets of one thread; disposed when all of them are closed. */
export interface MediaSockets extends Disposable {
  /** What they are. */
  readonly kind: "deno" | "linux";
  /** As {@link UdpSocket}.bind. */
  bind(at: Endpoint, options?: UdpOptions): UdpSocket;
}

/** Chooses the kind; opens nothing yet. @throws ConfigError when the wanted kind may not be used here */
export function openMediaSockets(wanted: MediaSocketKind): MediaSockets {
  if (wanted !== "deno" && mayCallLinux()) return new LinuxMediaSockets();
  if (wanted === "linux") {
    throw new ConfigError(
      "media-sockets linux needs Linux and the permission --allow-ffi: start it with deno task start:fast",
    );
  }
  return { kind: "deno", bind: UdpSocket.bind, [Symbol.dispose]: () => {} };
}

/** IPv6 goes through the runtime: its addresses have scopes that only a look-up by name tells. */
class LinuxMediaSockets implements MediaSockets {
  readonly kind = "linux";
  #udp: LinuxUdp | null = null;

  bind(at: Endpoint, options: UdpOptions = {}): UdpSocket {
    if (isIpv6(at.hostname)) return UdpSocket.bind(at, options);
    return (this.#udp ??= new LinuxUdp(openLinuxCalls())).bind(at, options);
  }

  [Symbol.dispose](): void {
    this.#udp?.[Symbol.dispose]();
    this.#udp = null;
  }
}
