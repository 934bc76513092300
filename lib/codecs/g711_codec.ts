// G.711 in the shape of the other codecs; the tables are media's.
// Role: machine

import { decodeG711, encodeG711, type G711Law } from "../media/g711.ts";
import type { AudioDecoder, AudioEncoder } from "./codec.ts";

const SAMPLE_RATE = 8000;
/** The longest packet that is taken at once: half a second. */
const MAX_PACKET_OCTETS = 4000;

/** Samples of 8 kHz to octets. */
export class G711Encoder implements AudioEncoder {
  /** 8000. */
  readonly sampleRate: number = SAMPLE_RATE;
  readonly frameSamples: number;
  readonly #law: G711Law;
  readonly #packet: Uint8Array;

  /** An encoder of one law. @param frameSamples samples, and octets, of a packet */
  constructor(law: G711Law, frameSamples = 160) {
    this.#law = law;
    this.frameSamples = frameSamples;
    this.#packet = new Uint8Array(frameSamples);
  }

  /** One packet; borrowed until the next. */
  encode(samples: Int16Array): Uint8Array {
    encodeG711(this.#law, samples, this.#packet);
    return this.#packet;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}
}

/** Octets to samples of 8 kHz. */
export class G711Decoder implements AudioDecoder {
  /** 8000. */
  readonly sampleRate: number = SAMPLE_RATE;
  /** 1, or 2 as it was made for. */
  readonly channels: 1 | 2;
  readonly #law: G711Law;
  #samples = new Int16Array(160);

  /** A decoder of one law. @param channels 2: the octets are interleaved stereo */
  constructor(law: G711Law, channels: 1 | 2 = 1) {
    this.#law = law;
    this.channels = channels;
  }

  /** A sample for each octet; every octet means something, but half a pair. */
  decode(packet: Uint8Array): Int16Array {
    const whole = Math.min(MAX_PACKET_OCTETS, packet.length - packet.length % this.channels);
    const octets = packet.length > whole ? packet.subarray(0, whole) : packet;
    if (this.#samples.length !== octets.length) this.#samples = new Int16Array(octets.length);
    decodeG711(this.#law, octets, this.#samples);
    return this.#samples;
  }

  /** Nothing of its own: the audio path repeats what was heard. */
  conceal(): Int16Array {
    return NOTHING;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}
}

const NOTHING = new Int16Array(0);
