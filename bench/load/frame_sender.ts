// Media out of one load client: frames of one shape from a ring of pre-built buffers, each with its chunk header, so
// that a packet costs one write. A buffer is used again when its turn comes and its write has settled.
// Role: edge
//
//   first  0x08 time:u24 length:u24 type streamId:u32le body     then  0x88 delta:u24 body

import type { LoadConn } from "./load_sockets.ts";

/** What all frames have in common. */
export interface FrameShape {
  /** Chunk stream, 3 to 63. */
  readonly chunkStreamId: number;
  /** Message type. */
  readonly type: 8 | 9;
  /** Message stream. */
  readonly streamId: number;
  /** Bodies of one length, taken in turn, as they are before they are stamped. */
  readonly bodies: readonly Uint8Array[];
  /** False: the receiver needs no header of form 0 (the relay). */
  readonly announce: boolean;
}

/** Writes that may be under way on one connection. */
const RING = 8;
const SHORT_HEADER = 4;
const FULL_HEADER = 12;

/** Sends frames of one shape. */
export class FrameSender {
  /** Where the body begins in the buffer of {@link next}. */
  readonly bodyAt: number = SHORT_HEADER;
  /** Frames that were left out because the connection takes no more. */
  blocked = 0;
  /** Frames that were written in part only: never seen on loopback, and the end of a stream. */
  cut = 0;
  readonly #conn: Pick<LoadConn, "write">;
  readonly #shape: FrameShape;
  readonly #ring: Uint8Array<ArrayBuffer>[];
  readonly #settled: (count: number) => void;
  readonly #failed: (error: unknown) => void;
  #turn = 0;
  #underWay = 0;
  #announced: boolean;

  /** Builds the buffers. */
  constructor(conn: Pick<LoadConn, "write">, shape: FrameShape) {
    this.#conn = conn;
    this.#shape = shape;
    this.#announced = !shape.announce;
    const length = SHORT_HEADER + lengthOf(shape);
    this.#ring = Array.from({ length: RING }, (_, turn) => {
      const buffer = new Uint8Array(length);
      buffer[0] = 0x80 | shape.chunkStreamId;
      buffer.set(shape.bodies[turn % shape.bodies.length]!, SHORT_HEADER);
      return buffer;
    });
    this.#settled = (count) => {
      this.#underWay--;
      if (count !== length && count !== length + FULL_HEADER - SHORT_HEADER) this.cut++;
    };
    this.#failed = () => void this.#underWay--; // the reader of the connection learns why
  }

  /** The buffer that is sent next, to be stamped; null when too many writes are under way. */
  next(): Uint8Array | null {
    if (this.#underWay < RING - 1) return this.#ring[this.#turn]!;
    this.blocked++;
    return null;
  }

  /** Sends what {@link next} gave, `deltaMs` behind the frame before. */
  send(deltaMs: number): void {
    const buffer = this.#ring[this.#turn]!;
    this.#turn = (this.#turn + 1) % RING;
    buffer[1] = deltaMs >> 16;
    buffer[2] = deltaMs >> 8;
    buffer[3] = deltaMs;
    this.#underWay++;
    this.#conn.write(this.#announced ? buffer : this.#withFullHeader(buffer)).then(
      this.#settled,
      this.#failed,
    );
  }

  #withFullHeader(buffer: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#announced = true;
    const { chunkStreamId, type, streamId } = this.#shape;
    const length = lengthOf(this.#shape);
    const full = new Uint8Array(FULL_HEADER + length);
    full[0] = chunkStreamId;
    full.set([length >> 16, length >> 8 & 255, length & 255, type, streamId], 4);
    full.set(buffer.subarray(SHORT_HEADER), FULL_HEADER);
    return full;
  }
}

function lengthOf(shape: FrameShape): number {
  return shape.bodies[0]!.length;
}
