// Datagrams that go back to where they came from, out of a ring of buffers.
// Role: edge
//
//   RTP  version:u8 type:u8 sequence:u16 timestamp:u32 ssrc:u32 payload        the source becomes our own

/** Echoes that may be under way; the oldest buffer is used again. */
const RING = 16;

/** Length of an RTP header without extras. */
export const RTP_HEADER = 12;

/** Sends packets back with another source. */
export class EchoRing {
  readonly #ring: Uint8Array[] = Array.from({ length: RING }, () => new Uint8Array(0));
  readonly #source: number;
  readonly #onError: () => void;
  #turn = 0;

  /** @param source number of the sender, part of its SSRC; `onError` is told of packets that were not sent */
  constructor(source: number, onError: () => void) {
    this.#source = source;
    this.#onError = onError;
  }

  /** A copy of a packet, to be changed and sent. */
  copy(bytes: Uint8Array): Uint8Array {
    let copy = this.#ring[this.#turn]!;
    if (copy.length !== bytes.length) copy = this.#ring[this.#turn] = new Uint8Array(bytes.length);
    this.#turn = (this.#turn + 1) % RING;
    copy.set(bytes);
    copy[8] = 0x5e;
    copy[10] = this.#source >> 8;
    copy[11] = this.#source;
    return copy;
  }

  /** Sends what {@link copy} gave. */
  send(copy: Uint8Array, to: Deno.Addr, socket: Deno.DatagramConn): void {
    socket.send(copy, to).catch(this.#onError);
  }
}
