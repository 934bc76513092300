// The RTP side of all calls on a few sockets: each packet is given to its call, which sends it back to where it came
// from. Beside each socket stands one for RTCP, which is read and thrown away.
// Role: edge

import { TransportError } from "../../lib/base/errors.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { UdpSocket } from "../../lib/net/udp.ts";
import { EchoSocket, RTP_HEADER } from "./echo_socket.ts";
import type { LoadSockets } from "./load_sockets.ts";
import { stampedCall } from "./stamp.ts";

/** Takes the packets of one stream. */
export interface RtpSink {
  /** A packet, borrowed; it is sent back on the same socket. */
  echo(bytes: Uint8Array, from: Endpoint, socket: EchoSocket): void;
}

/** Whose packet it is by its stamp. */
export type SinkFinder = (call: number) => RtpSink | undefined;

/** A pair of ports for many calls. */
export class RtpEcho implements Disposable {
  /** The RTP port; RTCP has the next one. */
  readonly port: number;
  /** Streams by the port they come from, as far as it is known; the others are known by their stamps. */
  readonly byPort: (RtpSink | undefined)[] = new Array(65536);
  readonly #rtp: UdpSocket;
  readonly #rtcp: UdpSocket;

  private constructor(rtp: UdpSocket, rtcp: UdpSocket, find: SinkFinder) {
    const echo = new EchoSocket(rtp);
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.port = rtp.local.port;
    void rtp.run((bytes, from) => {
      if (bytes.length < RTP_HEADER) return;
      const sink = this.byPort[from.port] ?? find(stampedCall(bytes, RTP_HEADER));
      sink?.echo(bytes, from, echo);
    });
    void rtcp.run(() => {});
  }

  /** Opens a pair: an even port and the next one. */
  static open(sockets: LoadSockets, find: SinkFinder): RtpEcho {
    using misfits = new DisposableStack();
    for (;;) {
      const rtp = sockets.bindUdp(0);
      const { port } = rtp.local;
      const rtcp = port % 2 === 0 ? bind(sockets, port + 1) : null;
      if (rtcp !== null) return new RtpEcho(rtp, rtcp, find);
      misfits.use(rtp);
    }
  }

  /** Closes both. */
  [Symbol.dispose](): void {
    this.#rtp.close();
    this.#rtcp.close();
  }
}

/** Null when somebody has the port. */
function bind(sockets: LoadSockets, port: number): UdpSocket | null {
  try {
    return sockets.bindUdp(port);
  } catch (error) {
    if (error instanceof TransportError && error.code === "addr-in-use") return null;
    throw error;
  }
}
