// ADTS: AAC frames each behind a header that says how they are coded (ISO/IEC 13818-7 6.2). FLV has AAC without, but
// some senders leave it there. And what tells the other framing, LOAS with LATM inside (ISO/IEC 14496-3 1.7.2).
//
//   fff:12 id:1 layer 0:2 no CRC:1 | profile:2 rate:4 private:1 channels:3 copy, home and copyright:4
//   octets of header and frame:13 fullness:11 blocks - 1:2 [CRC:16] | frame
//
// Role: machine

const HEADER_OCTETS = 7;
const CRC_OCTETS = 2;
const RATES = 13;

/** Takes the AAC frames of one tag after another out of their headers; nothing is allocated per frame. */
export class AdtsFrames {
  /** The AudioSpecificConfig of the frame that next() has found. */
  readonly config = new Uint8Array(2);
  /** True when it differs from that of the frame before. */
  changed = false;
  /** Where the frame begins, behind its header. */
  start = 0;
  end = 0;
  #data: Uint8Array = new Uint8Array(0);

  /** Begins with a tag's data; false when it does not begin with a header and the frame it names. */
  open(data: Uint8Array): boolean {
    this.#data = data;
    this.end = 0;
    return frameOctets(data, 0) > 0;
  }

  /** Finds the next frame; false behind the last whole one. */
  next(): boolean {
    const data = this.#data;
    const at = this.end;
    const octets = frameOctets(data, at);
    if (octets === 0) return false;
    this.start = at + headerOctets(data, at);
    this.end = at + octets;
    const [first, second] = configAt(data, at);
    this.changed = first !== this.config[0] || second !== this.config[1];
    this.config[0] = first;
    this.config[1] = second;
    return true;
  }
}

/** The AudioSpecificConfig that an ADTS header says, for those who send one in its place; null when it is none. */
export function configOfAdts(data: Uint8Array): Uint8Array | null {
  return isHeader(data, 0) ? Uint8Array.from(configAt(data, 0)) : null;
}

/** True for LOAS: AAC in LATM, whose frames do not begin at octets. */
export function isLoas(data: Uint8Array): boolean {
  if (data.length < 3 || data[0] !== 0x56 || (data[1]! & 0xe0) !== 0xe0) return false;
  return ((data[1]! & 0x1f) << 8 | data[2]!) + 3 <= data.length;
}

/** An AAC frame itself never begins with the twelve ones: its first element would be the end. */
function isHeader(data: Uint8Array, at: number): boolean {
  if (at + HEADER_OCTETS > data.length || data[at] !== 0xff || (data[at + 1]! & 0xf6) !== 0xf0) return false;
  return (data[at + 2]! >> 2 & 15) < RATES;
}

function headerOctets(data: Uint8Array, at: number): number {
  return (data[at + 1]! & 1) === 1 ? HEADER_OCTETS : HEADER_OCTETS + CRC_OCTETS;
}

/** Of header and frame; 0 when no whole frame is here. */
function frameOctets(data: Uint8Array, at: number): number {
  if (!isHeader(data, at)) return 0;
  const octets = (data[at + 3]! & 3) << 11 | data[at + 4]! << 3 | data[at + 5]! >> 5;
  return octets > headerOctets(data, at) && at + octets <= data.length ? octets : 0;
}

/** Object type, which is the profile and one; rate; channels. */
function configAt(data: Uint8Array, at: number): readonly [number, number] {
  const objectType = (data[at + 2]! >> 6) + 1;
  const rate = data[at + 2]! >> 2 & 15;
  const channels = (data[at + 2]! & 1) << 2 | data[at + 3]! >> 6;
  return [objectType << 3 | rate >> 1, (rate & 1) << 7 | channels << 3];
}
