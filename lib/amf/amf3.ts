// AMF3: the value encoding of ActionScript 3, alone or switched to from AMF0 (marker 0x11).
// Adobe "AMF 3 Specification". Reference tables live for one body, or for one switched value.
// Role: wire
//
//   U29     = 1 to 4 bytes, 7 bits each, highest bit "more follows"; a fourth byte counts with 8 bits
//   string  = U29 (length << 1 | 1) utf8          or U29 (index << 1), an earlier string
//   object  = 0a U29 traits members               or 0a U29 (index << 1), an earlier object
//   traits  = (sealed << 4 | dynamic << 3 | external << 2 | 3) class name*   or (index << 2 | 1)

import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { Amf3Decoder } from "./amf3_decoder.ts";
import { Amf3Encoder } from "./amf3_encoder.ts";
import type { AmfValue } from "./value.ts";

/** Decodes all values of a body; references reach back to its beginning. Throws WireError. */
export function decodeAmf3(bytes: Uint8Array): AmfValue[] {
  const reader = new ByteReader(bytes, "AMF3");
  const decoder = new Amf3Decoder(reader);
  const values: AmfValue[] = [];
  while (reader.remaining > 0) values.push(decoder.value(0));
  return values;
}

/** Encodes values one after the other, repeated strings, objects and traits by reference. */
export function encodeAmf3(values: readonly AmfValue[]): Uint8Array {
  const writer = new ByteWriter(256);
  const encoder = new Amf3Encoder(writer);
  for (const value of values) encoder.value(value, 0);
  return writer.take();
}

/** Decodes one value with reference tables of its own, as after the AMF0 marker 0x11. */
export function readAmf3(reader: ByteReader, depth = 0): AmfValue {
  return new Amf3Decoder(reader).value(depth);
}

/** Encodes one value with reference tables of its own, as after the AMF0 marker 0x11. */
export function writeAmf3(writer: ByteWriter, value: AmfValue, depth = 0): void {
  new Amf3Encoder(writer).value(value, depth);
}
