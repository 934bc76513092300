// Redundant data (RFC 2198): one packet carries earlier payloads again beside the newest one.
//
//   |1|   block PT  |  timestamp offset (14)    | block length (10) |   for each earlier block
//   |0|   block PT  |                                                  for the newest one, last
//
// Role: wire

import { WireError } from "../base/errors.ts";

export interface RedundantBlock {
  /** Payload type of the block, 0..127. */
  readonly payloadType: number;
  /** How much earlier than the packet's timestamp, 0..16383; 0 for the newest. */
  readonly timestampOffset: number;
  /** The payload; borrowed after decoding. */
  readonly data: Uint8Array;
}

/** Most blocks of one packet, the newest included. */
export const MAX_RED_BLOCKS = 16;
/** The largest offset the 14 bits hold. */
export const MAX_RED_OFFSET = 16_383;
/** The longest earlier block the 10 bits hold. */
export const MAX_RED_LENGTH = 1023;

/** The blocks of a packet, oldest first as sent; the newest is the last. WireError when they do not fit. */
export function decodeRedundancy(payload: Uint8Array): RedundantBlock[] {
  const headers: { payloadType: number; timestampOffset: number; length: number }[] = [];
  let at = 0;
  while (at < payload.length && payload[at]! >= 0x80) {
    if (headers.length === MAX_RED_BLOCKS - 1) throw broken(`more than ${MAX_RED_BLOCKS} blocks`);
    if (payload.length - at < 4) throw broken("a cut block header");
    const fields = payload[at + 1]! << 16 | payload[at + 2]! << 8 | payload[at + 3]!;
    headers.push({
      payloadType: payload[at]! & 0x7f,
      timestampOffset: fields >>> 10,
      length: fields & 0x3ff,
    });
    at += 4;
  }
  if (at >= payload.length) throw broken("no newest block");
  const newest = payload[at++]!;
  const blocks: RedundantBlock[] = [];
  for (const { payloadType, timestampOffset, length } of headers) {
    if (length > payload.length - at) throw broken("a block longer than the packet");
    blocks.push({ payloadType, timestampOffset, data: payload.subarray(at, at + length) });
    at += length;
  }
  blocks.push({ payloadType: newest, timestampOffset: 0, data: payload.subarray(at) });
  return blocks;
}

function broken(message: string): WireError {
  return new WireError("RTP redundancy", message);
}

/**
 * Writes a packet: earlier blocks first, the newest (offset 0) last. Earlier blocks that are too old, too long
 * or too many for the format are left out, oldest first.
 */
export function encodeRedundancy(
  earlier: readonly RedundantBlock[],
  newest: Omit<RedundantBlock, "timestampOffset">,
): Uint8Array {
  const fitting = earlier.filter((block) =>
    block.timestampOffset >= 0 && block.timestampOffset <= MAX_RED_OFFSET &&
    block.data.length <= MAX_RED_LENGTH
  ).slice(-(MAX_RED_BLOCKS - 1));
  const dataLength = fitting.reduce((sum, block) => sum + block.data.length, newest.data.length);
  const bytes = new Uint8Array(4 * fitting.length + 1 + dataLength);
  let header = 0;
  let data = 4 * fitting.length + 1;
  for (const block of fitting) {
    const fields = block.timestampOffset << 10 | block.data.length;
    bytes[header++] = 0x80 | block.payloadType;
    bytes[header++] = fields >>> 16;
    bytes[header++] = fields >>> 8;
    bytes[header++] = fields;
    bytes.set(block.data, data);
    data += block.data.length;
  }
  bytes[header] = newest.payloadType & 0x7f;
  bytes.set(newest.data, data);
  return bytes;
}
