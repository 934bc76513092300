// AVCDecoderConfigurationRecord: the H.264 parameter sets as RTMP and FLV carry them (the tag 17 00).
// ISO/IEC 14496-15 5.2.4.1 (record) and 7.3.2.1.1 of ITU-T H.264 (start of a sequence parameter set).
// Role: wire

import { ByteReader, type ByteWriter } from "../../base/bytes.ts";
import { WireError } from "../../base/errors.ts";
import { expGolombAt, NAL, nalType } from "./slice.ts";
import { PictureUnits } from "./picture_units.ts";

const PROTOCOL = "AVC configuration";
/** Sets of each kind that are read from a record; real ones have one or two. */
const MAX_SETS = 32;

/** What the record says; the parameter sets are views of it. */
interface AvcConfig {
  /** Octets of the length in front of every NAL unit of a frame. */
  readonly lengthSize: 1 | 2 | 4;
  /** Sequence parameter sets, NAL header included. */
  readonly sps: readonly Uint8Array[];
  /** Picture parameter sets, NAL header included. */
  readonly pps: readonly Uint8Array[];
}

/**
 * Reads a record, or the parameter sets with start codes that some send in its place.
 * @throws WireError when it is cut off, of another version, or has no sequence parameter set
 *
 *   1:8 profile:8 compatibility:8 level:8 | 111111 length size - 1:2 | 111 sets:5 (length:16 SPS)*
 *   sets:8 (length:16 PPS)* | High profiles: 111111 chroma:2 | 11111 luma depth - 8:3 | 11111 chroma depth - 8:3 | 0:8
 */
export function decodeAvcConfig(record: Uint8Array): AvcConfig {
  if (record[0] === 0) return readStartCodes(record);
  const reader = new ByteReader(record, PROTOCOL);
  const version = reader.u8();
  if (version !== 1) throw new WireError(PROTOCOL, `version ${version}`, 0);
  reader.skip(3);
  const lengthSize = (reader.u8() & 3) + 1;
  if (lengthSize === 3) throw new WireError(PROTOCOL, "NAL unit lengths of 3 octets", 4);
  const sps = readSets(reader, reader.u8() & 31, NAL.sps);
  const pps = readSets(reader, reader.u8(), NAL.pps);
  if (sps.length === 0) throw new WireError(PROTOCOL, "no sequence parameter set", 5);
  return { lengthSize: lengthSize as 1 | 2 | 4, sps, pps };
}

/** Octets of the length in front of every NAL unit, as far as a record says; else 4. */
export function lengthSizeOf(record: Uint8Array): 1 | 2 | 4 {
  const size = record[0] === 1 && record.length >= 5 ? (record[4]! & 3) + 1 : 4;
  return size === 3 ? 4 : size as 1 | 2 | 4;
}

/** Appends the record of at least one SPS and any PPS, with NAL unit lengths of 4 octets. */
export function encodeAvcConfig(
  sps: readonly Uint8Array[],
  pps: readonly Uint8Array[],
  writer: ByteWriter,
): void {
  const first = sps[0];
  if (first === undefined || first.length < 4) throw new Error("An AVC configuration needs a whole SPS");
  writer.u8(1);
  for (let i = 1; i < 4; i++) writer.u8(first[i]!);
  writer.u8(0xff);
  writer.u8(0xe0 | sps.length);
  for (const set of sps) writeSet(writer, set);
  writer.u8(pps.length);
  for (const set of pps) writeSet(writer, set);
  const format = sampleFormatOf(first);
  if (format === null) return;
  writer.u8(0xfc | format.chroma);
  writer.u8(0xf8 | format.lumaDepth - 8);
  writer.u8(0xf8 | format.chromaDepth - 8);
  writer.u8(0);
}

/** The profile-level-id of an SPS as SDP writes it (RFC 6184 8.1): profile, constraints, level in hex. */
export function profileLevelIdOf(sps: Uint8Array): string {
  let id = "";
  for (let i = 1; i < 4; i++) id += (sps[i] ?? 0).toString(16).padStart(2, "0");
  return id;
}

function readStartCodes(data: Uint8Array): AvcConfig {
  const units = new PictureUnits();
  const sps: Uint8Array[] = [];
  const pps: Uint8Array[] = [];
  const readable = units.open(data, 0, data.length, true);
  while (readable && units.next()) {
    const type = nalType(data[units.start]!);
    const sets = type === NAL.sps ? sps : type === NAL.pps ? pps : null;
    if (sets !== null && sets.length < MAX_SETS) sets.push(data.subarray(units.start, units.end));
  }
  if (sps.length === 0) throw new WireError(PROTOCOL, "no sequence parameter set", 0);
  return { lengthSize: 4, sps, pps };
}

function readSets(reader: ByteReader, count: number, type: number): Uint8Array[] {
  if (count > MAX_SETS) throw new WireError(PROTOCOL, `${count} parameter sets`, reader.offset);
  const sets: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const set = reader.bytes(reader.u16());
    const whole = set.length >= (type === NAL.sps ? 4 : 2) && nalType(set[0]!) === type;
    if (!whole) throw new WireError(PROTOCOL, "a parameter set that is none", reader.offset);
    sets.push(set);
  }
  return sets;
}

function writeSet(writer: ByteWriter, set: Uint8Array): void {
  writer.u16(set.length);
  writer.bytes(set);
}

interface SampleFormat {
  readonly chroma: number;
  readonly lumaDepth: number;
  readonly chromaDepth: number;
}

/** Chroma format and bit depths that the record repeats for High profiles; null for the others. */
function sampleFormatOf(sps: Uint8Array): SampleFormat | null {
  const profile = sps[1]!;
  if (profile !== 100 && profile !== 110 && profile !== 122 && profile !== 144) return null;
  const id = expGolombAt(sps, 32);
  const chroma = id === null ? null : expGolombAt(sps, id.end);
  if (chroma === null || chroma.value > 3) return null;
  const luma = expGolombAt(sps, chroma.end + (chroma.value === 3 ? 1 : 0));
  const depth = luma === null ? null : expGolombAt(sps, luma.end);
  if (luma === null || depth === null || luma.value > 6 || depth.value > 6) return null;
  return { chroma: chroma.value, lumaDepth: luma.value + 8, chromaDepth: depth.value + 8 };
}
