// A UDP socket that sends packets back with another source. Sends must not share a buffer, because the runtime does not
// copy: each is carved off a slab, which is left to the collector when it is used up.
// Role: edge
//
//   RTP  version:u8 type:u8 sequence:u16 timestamp:u32 ssrc:u32 payload        the source becomes our own

/** Length of an RTP header without extras. */
export const RTP_HEADER = 12;

const SLAB_SIZE = 64 * 1024;

/** Sends without waiting. */
export class EchoSocket {
  /** The socket itself, for receiving. */
  readonly socket: Deno.DatagramConn;
  /** Packets that could not be sent. */
  failed = 0;
  readonly #onError: () => void;
  #slab = new Uint8Array(0);
  #used = 0;

  /** Takes over a socket. */
  constructor(socket: Deno.DatagramConn) {
    this.socket = socket;
    this.#onError = () => void this.failed++;
  }

  /** A copy of a packet with another source, to be changed and sent. */
  copy(bytes: Uint8Array, source: number): Uint8Array {
    if (this.#used + bytes.length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_SIZE);
      this.#used = 0;
    }
    const copy = this.#slab.subarray(this.#used, this.#used + bytes.length);
    this.#used += bytes.length;
    copy.set(bytes);
    copy[8] = 0x5e;
    copy[10] = source >> 8;
    copy[11] = source;
    return copy;
  }

  /** Sends what {@link copy} gave. */
  send(copy: Uint8Array, to: Deno.Addr): void {
    this.socket.send(copy, to).catch(this.#onError);
  }
}
