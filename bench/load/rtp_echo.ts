// The RTP side of all calls on a few sockets: each packet is given to its call, which sends it back to where it came
// from. Beside each socket stands one for RTCP, which is read and thrown away.
// Role: edge

import type { LoadCall } from "./call.ts";
import { stampedCall } from "./stamp.ts";

const RTP_HEADER = 12;
const LOOPBACK = "127.0.0.1";

/** Who belongs to a packet. */
export type CallFinder = (call: number) => LoadCall | undefined;

/** A pair of ports for many calls. */
export class RtpEcho implements Disposable {
  /** The RTP port; RTCP has the next one. */
  readonly port: number;
  /** The ports of the gateway whose payloads carry no stamp. */
  readonly byPort: (LoadCall | undefined)[] = [];
  readonly #rtp: Deno.DatagramConn;
  readonly #rtcp: Deno.DatagramConn;

  private constructor(rtp: Deno.DatagramConn, rtcp: Deno.DatagramConn, find: CallFinder) {
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.port = (rtp.addr as Deno.NetAddr).port;
    void this.#run(find);
    void this.#drain();
  }

  /** Opens a pair: an even port and the next one. */
  static open(find: CallFinder): RtpEcho {
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
    this.#rtp.close();
    this.#rtcp.close();
  }

  async #run(find: CallFinder): Promise<void> {
    const buffer = new Uint8Array(2048);
    const socket = this.#rtp;
    for (;;) {
      const received = await receive(socket, buffer);
      if (received === null) return;
      const [bytes, from] = received;
      if (bytes.length < RTP_HEADER) continue;
      const call = this.byPort[(from as Deno.NetAddr).port] ?? find(stampedCall(bytes, RTP_HEADER));
      call?.echo(bytes, from, socket);
    }
  }

  async #drain(): Promise<void> {
    const buffer = new Uint8Array(2048);
    while (await receive(this.#rtcp, buffer) !== null);
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

/** Null when the socket is closed. */
async function receive(
  socket: Deno.DatagramConn,
  buffer: Uint8Array,
): Promise<[Uint8Array, Deno.Addr] | null> {
  for (;;) {
    try {
      return await socket.receive(buffer);
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return null;
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error; // the gateway has closed a port
    }
  }
}
