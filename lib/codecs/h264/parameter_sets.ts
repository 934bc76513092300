// The H.264 parameter sets in force on a stream, by their ids, whichever way they came: AVC configuration,
// in band, or `sprop-parameter-sets` of SDP (RFC 6184 8.1).
// Role: machine

import { type ByteWriter, equalBytes } from "../../base/bytes.ts";
import { WireError } from "../../base/errors.ts";
import { encodeAvcConfig, profileLevelIdOf } from "./avc_config.ts";
import { expGolombAt, NAL, nalType } from "./slice.ts";

/** Sets of each kind that are kept; more are ignored. */
const MAX_SETS = 16;
/** A longer set is not believed. */
const MAX_SET_OCTETS = 1024;

interface KeptSet {
  readonly id: number;
  readonly nal: Uint8Array;
}

/** Keeps own copies of parameter sets and notices changes. */
export class ParameterSets {
  #sps: readonly KeptSet[] = [];
  #pps: readonly KeptSet[] = [];

  /** True when a decoder could be configured: one SPS and one PPS at least. */
  get complete(): boolean {
    return this.#sps.length > 0 && this.#pps.length > 0;
  }

  /** Profile, constraints and level of the first SPS in hex; null when there is none. */
  get profileLevelId(): string | null {
    const first = this.#sps[0];
    return first === undefined ? null : profileLevelIdOf(first.nal);
  }

  /** SPS then PPS, in the order of their first arrival. */
  get nals(): readonly Uint8Array[] {
    return [...this.#sps, ...this.#pps].map((kept) => kept.nal);
  }

  /** Takes a NAL unit of type 7 or 8 and keeps a copy; true when it is new or differs from the one in force. */
  update(nal: Uint8Array): boolean {
    const sequence = nalType(nal[0] ?? 0) === NAL.sps;
    const id = nal.length < (sequence ? 5 : 2) || nal.length > MAX_SET_OCTETS
      ? null
      : expGolombAt(nal, sequence ? 32 : 8);
    if (id === null) return false;
    const sets = sequence ? this.#sps : this.#pps;
    const known = sets.find((kept) => kept.id === id.value);
    if (known !== undefined && equalBytes(known.nal, nal)) return false;
    if (known === undefined && sets.length === MAX_SETS) return false;
    const fresh = { id: id.value, nal: nal.slice() };
    const next = known === undefined ? [...sets, fresh] : sets.map((kept) => kept === known ? fresh : kept);
    if (sequence) this.#sps = next;
    else this.#pps = next;
    return true;
  }

  clear(): void {
    this.#sps = [];
    this.#pps = [];
  }

  /** Appends the AVCDecoderConfigurationRecord of a complete collection. */
  encodeConfig(writer: ByteWriter): void {
    encodeAvcConfig(this.#sps.map((kept) => kept.nal), this.#pps.map((kept) => kept.nal), writer);
  }

  /** The value of `sprop-parameter-sets`; an empty string when there are none. */
  formatSprop(): string {
    return this.nals.map((nal) => btoa(String.fromCharCode(...nal))).join(",");
  }
}

/**
 * The NAL units in a `sprop-parameter-sets` value; those that are no parameter sets are left out.
 * @throws WireError when it is not a list of base64 texts
 */
export function parseSprop(text: string): Uint8Array[] {
  const sets: Uint8Array[] = [];
  for (const part of text.split(",", 2 * MAX_SETS)) {
    const base64 = part.trim();
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.replace(/={1,2}$/, "").length % 4 === 1) {
      throw new WireError("sprop-parameter-sets", `"${base64.slice(0, 40)}" is not base64`);
    }
    const nal = Uint8Array.from(atob(base64.replace(/={1,2}$/, "")), (char) => char.charCodeAt(0));
    const type = nalType(nal[0] ?? 0);
    if (type === NAL.sps || type === NAL.pps) sets.push(nal);
  }
  return sets;
}
