// The NAL units of one H.264 picture, however its sender has put them together: length-prefixed, in Annex B form, or both.
// Role: machine

import { isSlice, NAL, nalType, sliceTypeOf } from "./slice.ts";

/**
 * Walks over the NAL units of one picture after another; nothing is copied or allocated.
 *
 *   length NAL length NAL ...                 as RTMP has it (ISO/IEC 14496-15), lengths of 1, 2 or 4 octets
 *   00 00 01 NAL 00 00 01 NAL ...             start codes (ITU-T H.264 annex B), with any zeros before and behind
 *   length (00 00 01 NAL 00 00 01 NAL ...)    one length around start codes, or around each
 *
 * Emulation prevention keeps start codes out of NAL units, so what is found is one. Lengths that fit to the last octet
 * are lengths; a start code that could be a length as well is what the picture before had.
 */
export class PictureUnits {
  /** Octets of a length, as the decoder configuration says. */
  lengthSize: 1 | 2 | 4 = 4;
  /** Where the NAL unit that next() has found begins. */
  start = 0;
  end = 0;
  #data: Uint8Array = new Uint8Array(0);
  #to = 0;
  /** Within a unit: what is left of it. */
  #at = 0;
  #unitEnd = 0;
  /** Where the next length is. */
  #next = 0;
  #key = false;
  #scan = false;
  /** The first octet 1 behind all that was searched: no octet is looked at twice. */
  #one = -1;
  #annexB = false;
  #nested = false;

  /** False when what was seen of this sender has start codes: not all of it is as RTMP has it. */
  get plain(): boolean {
    return !this.#annexB && !this.#nested;
  }

  reset(lengthSize: 1 | 2 | 4 = 4): void {
    this.lengthSize = lengthSize;
    this.#annexB = this.#nested = false;
  }

  /**
   * Begins with a picture: `data` from `from` to `to`. False when it has neither lengths nor start codes.
   * @param key all of it is searched for start codes, as is done with anything but slices
   */
  open(data: Uint8Array, from: number, to: number, key: boolean): boolean {
    const coded = startCodeOctets(data, from, to) > 0;
    const lengths = !(this.#annexB && coded) && this.#lengthsFit(data, from, to);
    if (!lengths && !coded) return false;
    this.#data = data;
    this.#to = to;
    this.#one = -1;
    this.#key = key;
    this.#annexB = this.#scan = !lengths;
    this.#at = from;
    this.#unitEnd = lengths ? from : to;
    this.#next = lengths ? from : to;
    return true;
  }

  /** Finds the next NAL unit that is not empty; false behind the last one. */
  next(): boolean {
    for (;;) {
      if (this.#at >= this.#unitEnd && !this.#openUnit()) return false;
      const code = startCodeOctets(this.#data, this.#at, this.#unitEnd);
      if (code > 0) this.#scan = true;
      const start = this.#at + code;
      const stop = this.#scan ? this.#startCodeFrom(start, this.#unitEnd) : this.#unitEnd;
      if (code > 0 || stop < this.#unitEnd) this.#nested = !this.#annexB;
      let end = stop;
      if (this.#scan) { while (end > start && this.#data[end - 1] === 0) end--; }
      this.#at = stop;
      if (end <= start) continue;
      this.start = start;
      this.end = end;
      return true;
    }
  }

  #openUnit(): boolean {
    let start = this.#next + this.lengthSize;
    while (start <= this.#to && this.#lengthAt(this.#data, start - this.lengthSize) === 0) {
      start += this.lengthSize;
    }
    if (start > this.#to) return false;
    this.#at = start;
    this.#next = this.#unitEnd = start + this.#lengthAt(this.#data, start - this.lengthSize);
    this.#scan = this.#nested || this.#key || !isSlice(nalType(this.#data[start]!));
    return true;
  }

  /** Where the next start code begins, or `to`. */
  #startCodeFrom(from: number, to: number): number {
    const data = this.#data;
    let one = this.#one < from + 2 ? oneFrom(data, from + 2) : this.#one;
    while (one < to && (data[one - 1] !== 0 || data[one - 2] !== 0)) one = oneFrom(data, one + 1);
    this.#one = one;
    return one < to ? one - 2 : to;
  }

  #lengthsFit(data: Uint8Array, from: number, to: number): boolean {
    let at = from;
    while (at + this.lengthSize <= to) at += this.lengthSize + this.#lengthAt(data, at);
    return at === to && to > from;
  }

  #lengthAt(data: Uint8Array, at: number): number {
    if (this.lengthSize === 1) return data[at]!;
    if (this.lengthSize === 2) return data[at]! << 8 | data[at + 1]!;
    return (data[at]! << 24 | data[at + 1]! << 16 | data[at + 2]! << 8 | data[at + 3]!) >>> 0;
  }
}

export interface PictureContent {
  idr: boolean;
  described: boolean;
  predicted: boolean;
}

/**
 * True when a decoder can start with a picture: it has IDR slices, whatever its tag says. One that is flagged as a key
 * picture is none when it is coded from others and says nothing of recovery.
 */
export function isKey({ idr, described, predicted }: PictureContent, flagged: boolean): boolean {
  return idr || flagged && (described || !predicted);
}

/** As {@link isKey}, of a picture that is still to be looked at; what cannot be read is believed. */
export function isKeyPicture(
  units: PictureUnits,
  data: Uint8Array,
  from: number,
  to: number,
  flagged: boolean,
): boolean {
  if (!units.open(data, from, to, flagged)) return flagged;
  const found: PictureContent = { idr: false, described: false, predicted: false };
  while (units.next()) {
    const type = nalType(data[units.start]!);
    if (type === NAL.idr) return true;
    if (type === NAL.sei) found.described = true;
    if (!flagged || found.predicted || !isSlice(type)) continue;
    const coding = sliceTypeOf(data.subarray(units.start, Math.min(units.end, units.start + 12)));
    found.predicted = coding === "P" || coding === "B";
  }
  return isKey(found, flagged);
}

/** Octets of the start code that stands here, zeros before it included; 0 when there is none. */
function startCodeOctets(data: Uint8Array, at: number, to: number): number {
  let code = at;
  while (code < to && data[code] === 0) code++;
  return code - at >= 2 && code < to && data[code] === 1 ? code + 1 - at : 0;
}

function oneFrom(data: Uint8Array, from: number): number {
  const found = data.indexOf(1, from);
  return found < 0 ? Infinity : found;
}
