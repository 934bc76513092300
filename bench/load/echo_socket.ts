// A UDP socket that sends packets back with another source.
// Role: edge
//
//   RTP  version:u8 type:u8 sequence:u16 timestamp:u32 ssrc:u32 payload        the source becomes our own

import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { UdpSocket } from "../../lib/net/udp.ts";

/** Length of an RTP header without extras. */
export const RTP_HEADER = 12;

/** Sends without waiting. */
export class EchoSocket {
  /** The socket itself, for receiving. */
  readonly socket: UdpSocket;
  #copy: Uint8Array = new Uint8Array(2048);

  /** Takes over a socket. */
  constructor(socket: UdpSocket) {
    this.socket = socket;
  }

  /** A copy of a packet with another source, to be changed and sent before the next one is asked for. */
  copy(bytes: Uint8Array, source: number): Uint8Array {
    if (this.#copy.length !== bytes.length) this.#copy = new Uint8Array(bytes.length);
    const copy = this.#copy;
    copy.set(bytes);
    copy[8] = 0x5e;
    copy[10] = source >> 8;
    copy[11] = source;
    return copy;
  }

  /** Sends what {@link copy} gave. */
  send(copy: Uint8Array, to: Endpoint): void {
    this.socket.send(copy, to);
  }
}
