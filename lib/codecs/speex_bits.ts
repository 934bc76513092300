// Walks the bits of a Speex packet without decoding it: counts frames, splits and joins them, and strips the
// wideband layer, which turns a 16 kHz packet into the 8 kHz packet it contains.
// Bit sizes from the Speex manual (tables 9.2 and 10.2); packing and terminator from RFC 5574 3.3.
// Role: wire

import { WireError } from "../base/errors.ts";

/** Bits of a narrowband core by submode 0-8, its 5 header bits included. */
const CORE_BITS = new Int16Array([5, 43, 119, 160, 220, 300, 364, 492, 79]);
/** Bits of a wideband layer by submode 0-4, its 4 header bits included; 5-7 are not defined. */
const LAYER_BITS = new Int16Array([4, 36, 112, 192, 352]);
/** Bits behind the 4-bit id of an in-band request, by id. */
const REQUEST_BITS = new Int16Array([1, 1, 4, 4, 4, 4, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64]);

const TERMINATOR = 15;
const REQUEST = 14;
const USER_DATA = 13;
const CORE_HEADER_BITS = 5;
/** Layers behind one core: one makes wideband, two ultra-wideband. */
const MAX_LAYERS = 2;
/** Frames of one packet; 64 are 1.3 seconds, far above what anybody sends. */
const MAX_FRAMES = 64;

/**
 * A cursor over the frames of one packet, made once and used for every packet. It never throws: a broken
 * packet ends the walk with `broken` set, and the frames before the break have been seen.
 *
 *   packet  frame* terminator         terminator  0 then ones up to the octet's end, or nothing
 *   frame   in-band* core layer*      core        0 submode:4 parameters
 *   layer   1 submode:3 parameters    in-band     0 14:4 request (1..64 bits by id), or 0 13:4 size:4 user data
 */
export class SpeexWalker {
  /** True when the walk ended at bits that are no frame. */
  broken = false;
  /** First bit of the current frame, its in-band requests included. */
  frameStart = 0;
  /** First bit behind the current frame. */
  frameEnd = 0;
  /** First bit behind the core of the current frame, where its layers start. */
  coreEnd = 0;
  /** Submode 0-8 of the core. */
  submode = 0;
  /** How many layers follow the core: 0 narrowband, 1 wideband, 2 ultra-wideband. */
  layers = 0;

  #packet: Uint8Array = new Uint8Array(0);
  #frames = 0;
  #bits = 0;

  /** Starts over at the first frame of `packet`, which is borrowed until the walk is over. */
  start(packet: Uint8Array): void {
    this.#packet = packet;
    this.#bits = packet.length * 8;
    this.#frames = 0;
    this.broken = false;
    this.frameStart = this.frameEnd = this.coreEnd = 0;
    this.submode = this.layers = 0;
  }

  /** Moves to the next frame; false at the end of the packet or at a break. */
  next(): boolean {
    this.frameStart = this.frameEnd;
    const start = this.#findCore(this.frameEnd);
    if (start < 0) return false;
    if (++this.#frames > MAX_FRAMES) return this.#break();
    const end = start + CORE_BITS[this.submode]!;
    if (end > this.#bits) return this.#break();
    this.coreEnd = this.frameEnd = end;
    return this.#passLayers();
  }

  /** Appends the current frame to `writer`, with or without its wideband layers. */
  copyTo(writer: SpeexBitWriter, keepLayers: boolean): void {
    writer.copy(this.#packet, this.frameStart, keepLayers ? this.frameEnd : this.coreEnd);
  }

  /** Frames of a whole packet; look at `broken` afterwards. */
  count(packet: Uint8Array): number {
    this.start(packet);
    let frames = 0;
    while (this.next()) frames++;
    return frames;
  }

  /** The first bit of the next core at or behind `at`, in-band requests passed over; -1 when there is none. */
  #findCore(at: number): number {
    let bit = at;
    for (;;) {
      // Fewer than 5 bits hold no header: it is the rest of a packet that ended within its last octet.
      if (this.#bits - bit < CORE_HEADER_BITS) {
        if (bit !== at) this.broken = true;
        return -1;
      }
      if (this.#read(bit, 1) === 1) { // a layer without a core; libspeex passes over it too
        const next = this.#behindLayer(bit);
        if (next < 0) return -1;
        this.frameStart = bit = next;
        continue;
      }
      const submode = this.#read(bit + 1, 4);
      if (submode < CORE_BITS.length) {
        this.submode = submode;
        return bit;
      }
      if (submode === TERMINATOR && bit === at) return -1;
      bit = this.#behindInBand(bit, submode);
      if (bit < 0) return -1;
    }
  }

  /** The bit behind an in-band message that starts at `bit`; -1 and broken when it is none. */
  #behindInBand(bit: number, kind: number): number {
    const length = bit + 9 > this.#bits ? 0 : this.#read(bit + 5, 4);
    const next = bit + 9 + (kind === REQUEST ? REQUEST_BITS[length]! : 5 + 8 * length);
    if (kind !== REQUEST && kind !== USER_DATA || next > this.#bits) {
      this.broken = true;
      return -1;
    }
    return next;
  }

  #passLayers(): boolean {
    this.layers = 0;
    // A 1 bit in fewer than 4 bits cannot be a layer; it is padding of a sender that fills up with ones.
    while (this.#bits - this.frameEnd >= 4 && this.#read(this.frameEnd, 1) === 1) {
      if (this.layers === MAX_LAYERS) return this.#break();
      const next = this.#behindLayer(this.frameEnd);
      if (next < 0) return false;
      this.frameEnd = next;
      this.layers++;
    }
    return true;
  }

  /** The bit behind the layer that starts at `bit`; -1 and broken when it is cut off or undefined. */
  #behindLayer(bit: number): number {
    const submode = this.#read(bit + 1, 3);
    const next = submode < LAYER_BITS.length ? bit + LAYER_BITS[submode]! : this.#bits + 1;
    if (next <= this.#bits) return next;
    this.broken = true;
    return -1;
  }

  #break(): false {
    this.broken = true;
    return false;
  }

  #read(at: number, count: number): number {
    const octet = at >> 3;
    const pair = (this.#packet[octet]! << 8) | (this.#packet[octet + 1] ?? 0);
    return pair >> 16 - (at & 7) - count & (1 << count) - 1;
  }
}

/** Collects bits of frames into a packet; made once and reset for every packet. */
export class SpeexBitWriter {
  #octets: Uint8Array<ArrayBuffer>;
  #bits = 0;

  /** Starts empty. @param capacity expected packet size in octets; it grows when it must */
  constructor(capacity = 256) {
    this.#octets = new Uint8Array(capacity);
  }

  /** Bits written so far. */
  get bits(): number {
    return this.#bits;
  }

  reset(): void {
    this.#bits = 0;
  }

  /** Appends the bits from `from` up to, not including, `to`. */
  copy(source: Uint8Array, from: number, to: number): void {
    this.#reserve(to - from);
    for (let at = from; at < to; at += 8) {
      const shift = at & 7;
      const octet = at >> 3;
      const eight = (source[octet]! << 8 | (source[octet + 1] ?? 0)) >> 8 - shift & 255;
      const count = to - at < 8 ? to - at : 8;
      this.#put(eight >> 8 - count, count);
    }
  }

  /** Ends the packet as RFC 5574 asks, 0 then ones up to the octet's end, and lends it until the next reset. */
  finish(): Uint8Array<ArrayBuffer> {
    const left = -this.#bits & 7;
    if (left > 0) {
      this.#reserve(left);
      this.#put((1 << left - 1) - 1, left);
    }
    return this.#octets.subarray(0, this.#bits >> 3);
  }

  #put(value: number, count: number): void {
    const octet = this.#bits >> 3;
    const used = this.#bits & 7;
    const shifted = value << 16 - used - count;
    this.#octets[octet] = (used === 0 ? 0 : this.#octets[octet]!) | shifted >> 8;
    if (used + count > 8) this.#octets[octet + 1] = shifted;
    this.#bits += count;
  }

  #reserve(bits: number): void {
    const needed = (this.#bits + bits >> 3) + 2;
    if (needed <= this.#octets.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#octets.length));
    larger.set(this.#octets);
    this.#octets = larger;
  }
}

/** How many 20 ms frames a packet holds. @throws WireError when it does not end as a packet must */
export function countSpeexFrames(packet: Uint8Array): number {
  const walker = new SpeexWalker();
  const frames = walker.count(packet);
  if (walker.broken) throw brokenPacket(walker);
  return frames;
}

/** One packet per frame, each an own copy. @throws WireError when the packet is broken */
export function splitSpeexFrames(packet: Uint8Array): Uint8Array[] {
  const walker = new SpeexWalker();
  const writer = new SpeexBitWriter(packet.length + 1);
  const frames: Uint8Array[] = [];
  walker.start(packet);
  while (walker.next()) {
    writer.reset();
    walker.copyTo(writer, true);
    frames.push(writer.finish().slice());
  }
  if (walker.broken) throw brokenPacket(walker);
  return frames;
}

/** One packet with the frames of all `packets`, in order. @throws WireError when one of them is broken */
export function joinSpeexFrames(packets: readonly Uint8Array[]): Uint8Array {
  return rewriteFrames(packets, true);
}

/** The narrowband (8 kHz) packet inside a wideband one. @throws WireError when the packet is broken */
export function stripWidebandLayer(packet: Uint8Array): Uint8Array {
  return rewriteFrames([packet], false);
}

function rewriteFrames(packets: readonly Uint8Array[], keepLayers: boolean): Uint8Array {
  const walker = new SpeexWalker();
  const writer = new SpeexBitWriter();
  for (const packet of packets) {
    walker.start(packet);
    while (walker.next()) walker.copyTo(writer, keepLayers);
    if (walker.broken) throw brokenPacket(walker);
  }
  return writer.finish().slice();
}

function brokenPacket(walker: SpeexWalker): WireError {
  return new WireError("Speex packet", "bits that are no frame", walker.frameEnd >> 3);
}
