// The RTP side of all calls on a few sockets: each packet is given to its call, which sends it back to where it came
// from. Beside each socket stands one for RTCP, which is read and thrown away.
// Role: edge

import { EchoSocket, RTP_HEADER } from "./echo_socket.ts";
import { stampedCall } from "./stamp.ts";

const LOOPBACK = "127.0.0.1";

/** Takes the packets of one stream. */
export interface RtpSink {
  /** A packet, borrowed; it is sent back on the same socket. */
  echo(bytes: Uint8Array, from: Deno.Addr, socket: EchoSocket): void;
}

/** Whose packet it is by its stamp. */
export type SinkFinder = (call: number) => RtpSink | undefined;

/** A pair of ports for many calls. */
export class RtpEcho implements Disposable {
  /** The RTP port; RTCP has the next one. */
  readonly port: number;
  /** Streams by the port they come from, as far as it is known; the others are known by their stamps. */
  readonly byPort: (RtpSink | undefined)[] = new Array(65536);
  readonly #rtp: EchoSocket;
  readonly #rtcp: Deno.DatagramConn;

  private constructor(rtp: Deno.DatagramConn, rtcp: Deno.DatagramConn, find: SinkFinder) {
    this.#rtp = new EchoSocket(rtp);
    this.#rtcp = rtcp;
    this.port = (rtp.addr as Deno.NetAddr).port;
    void this.#run(find);
    void this.#drain();
  }

  /** Opens a pair: an even port and the next one. */
  static open(find: SinkFinder): RtpEcho {
    const misfits: Deno.DatagramConn[] = [];
    try {
      for (;;) {
        const rtp = bind(0)!;
        const { port } = rtp.addr as Deno.NetAddr;
        const rtcp = port % 2 === 0 ? bind(port + 1) : null;
        if (rtcp !== null) return new RtpEcho(rtp, rtcp, find);
        misfits.push(rtp);
      }
    } finally {
      for (const socket of misfits) socket.close();
    }
  }

  /** Closes both. */
  [Symbol.dispose](): void {
    this.#rtp.socket.close();
    this.#rtcp.close();
  }

  async #run(find: SinkFinder): Promise<void> {
    const buffer = new Uint8Array(2048);
    const echo = this.#rtp;
    for (;;) {
      try {
        for (;;) {
          const [bytes, from] = await echo.socket.receive(buffer);
          if (bytes.length < RTP_HEADER) continue;
          const sink = this.byPort[(from as Deno.NetAddr).port] ?? find(stampedCall(bytes, RTP_HEADER));
          sink?.echo(bytes, from, echo);
        }
      } catch (error) {
        if (isClosed(error)) return;
      }
    }
  }

  async #drain(): Promise<void> {
    const buffer = new Uint8Array(2048);
    for (;;) {
      try {
        for (;;) await this.#rtcp.receive(buffer);
      } catch (error) {
        if (isClosed(error)) return;
      }
    }
  }
}

function bind(port: number): Deno.DatagramConn | null {
  try {
    return Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse && port !== 0) return null;
    throw error;
  }
}

/** False when the gateway has closed a port that we have sent to; throws what was not to be expected. */
function isClosed(error: unknown): boolean {
  if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return true;
  if (error instanceof Deno.errors.ConnectionRefused) return false;
  throw error;
}
