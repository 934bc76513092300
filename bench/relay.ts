// The bare relay: what the gateway's sockets cost without a protocol. Per TCP connection a pair of UDP sockets, as the
// gateway has per call; each frame that is read leaves as a datagram, each datagram as a frame. Same calls as lib/net:
// read and receive into a reused buffer, unawaited sends off a slab, one write in flight and what comes meanwhile
// behind it. Frames have one size, told by the first six bytes of a connection.
// `deno run --allow-net bench/relay.ts` prints the port it listens on.
// Role: edge
//
//   hello  port:u16 frame:u16 payload:u16        in  header:(frame - payload) payload        out  header:12 payload
//   back   the same frame, header 0x88 00 00 14 and whatever the tag byte was

const LOOPBACK = "127.0.0.1";
const HELLO_LENGTH = 6;
const RTP_HEADER = 12;
const MAX_PACKET = 9217;
const SLAB_SIZE = 64 * 1024;
const BUFFER_SIZE = 4096;

interface Shape {
  readonly to: Deno.NetAddr;
  readonly frameLength: number;
  readonly payloadLength: number;
}

const ignored = (): void => {};

class Relay {
  readonly #conn: Deno.TcpConn;
  readonly #rtp: Deno.DatagramConn;
  readonly #rtcp: Deno.DatagramConn;
  readonly #shape: Shape;
  #slab = new Uint8Array(SLAB_SIZE);
  #slabUsed = 0;
  #filling = new Uint8Array(BUFFER_SIZE);
  #idle = new Uint8Array(BUFFER_SIZE);
  #filled = 0;
  #writing = false;

  constructor(conn: Deno.TcpConn, shape: Shape) {
    this.#conn = conn;
    this.#shape = shape;
    this.#rtp = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
    this.#rtcp = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
  }

  async run(buffer: Uint8Array<ArrayBuffer>, filled: number): Promise<void> {
    void this.#receive(this.#rtp);
    void this.#receive(this.#rtcp);
    let end = this.#forward(buffer, filled);
    for (;;) {
      const count = await this.#conn.read(end === 0 ? buffer : buffer.subarray(end));
      if (count === null) break;
      end = this.#forward(buffer, end + count);
    }
    this.#rtp.close();
    this.#rtcp.close();
    this.#conn.close();
  }

  /** Sends whole frames on; says how many bytes are left at the front of the buffer. */
  #forward(buffer: Uint8Array, end: number): number {
    const { frameLength, payloadLength, to } = this.#shape;
    let at = 0;
    for (; at + frameLength <= end; at += frameLength) {
      const length = RTP_HEADER + payloadLength;
      if (this.#slabUsed + length > SLAB_SIZE) {
        this.#slab = new Uint8Array(SLAB_SIZE);
        this.#slabUsed = 0;
      }
      const packet = this.#slab.subarray(this.#slabUsed, this.#slabUsed + length);
      this.#slabUsed += length;
      packet.set(buffer.subarray(at + frameLength - payloadLength, at + frameLength), RTP_HEADER);
      this.#rtp.send(packet, to).catch(ignored);
    }
    if (at > 0 && at < end) buffer.copyWithin(0, at, end);
    return end - at;
  }

  async #receive(socket: Deno.DatagramConn): Promise<void> {
    const buffer = new Uint8Array(MAX_PACKET);
    try {
      for (;;) {
        const [bytes] = await socket.receive(buffer);
        this.#back(bytes);
      }
    } catch (error) {
      const ended = error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
      if (!ended) throw error;
    }
  }

  #back(packet: Uint8Array): void {
    const { frameLength, payloadLength } = this.#shape;
    const at = this.#filled;
    if (at + frameLength > this.#filling.length) return; // the reader is too slow: lost
    const frame = this.#filling;
    frame[at] = 0x88;
    frame[at + 1] = frame[at + 2] = 0;
    frame[at + 3] = 20;
    frame.set(packet.subarray(RTP_HEADER), at + frameLength - payloadLength);
    this.#filled = at + frameLength;
    if (!this.#writing) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#filled > 0) {
        const writing = this.#filling;
        const end = this.#filled;
        this.#filling = this.#idle;
        this.#filled = 0;
        for (let at = 0; at < end;) at += await this.#conn.write(writing.subarray(at, end));
        this.#idle = writing;
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error; // the reading side sees the end
    }
    this.#writing = false;
  }
}

async function serve(conn: Deno.TcpConn): Promise<void> {
  conn.setNoDelay(true);
  const buffer = new Uint8Array(BUFFER_SIZE);
  let filled = 0;
  while (filled < HELLO_LENGTH) {
    const count = await conn.read(buffer.subarray(filled));
    if (count === null) return conn.close();
    filled += count;
  }
  const view = new DataView(buffer.buffer);
  const to: Deno.NetAddr = { transport: "udp", hostname: LOOPBACK, port: view.getUint16(0) };
  const shape = { to, frameLength: view.getUint16(2), payloadLength: view.getUint16(4) };
  buffer.copyWithin(0, HELLO_LENGTH, filled);
  await new Relay(conn, shape).run(buffer, filled - HELLO_LENGTH);
}

if (import.meta.main) {
  const listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
  Deno.stdout.writeSync(new TextEncoder().encode(`relay listens on ${listener.addr.port}\n`));
  for await (const conn of listener) serve(conn).catch(ignored);
}
