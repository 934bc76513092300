// AMF3: the value encoding of ActionScript 3, alone or switched to from AMF0 (marker 0x11).
// Adobe "AMF 3 Specification". Reference tables live for one body, or for one switched value.
// Role: wire

import { AMF3, AMF3_INTEGER_LIMIT, Amf3Decoder, isExternalizable } from "./amf3_decoder.ts";
import {
  AmfDictionary,
  AmfEcmaArray,
  type AmfObject,
  AmfTypedObject,
  type AmfValue,
  AmfVector,
  AmfXml,
  assertEncodable,
  getProperty,
} from "./value.ts";
import { ByteReader, ByteWriter, encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

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

type Complex = Exclude<AmfValue, null | undefined | boolean | number | string>;

/**
 * Encodes AMF3 values to a writer, with one set of reference tables.
 *
 *   U29     = 1 to 4 bytes, 7 bits each, highest bit "more follows"; a fourth byte counts with 8 bits
 *   string  = U29 (length << 1 | 1) utf8          or U29 (index << 1), an earlier string
 *   object  = 0a U29 traits members               or 0a U29 (index << 1), an earlier object
 *   traits  = (sealed << 4 | dynamic << 3 | external << 2 | 3) class name*   or (index << 2 | 1)
 */
export class Amf3Encoder {
  readonly #writer: ByteWriter;
  readonly #strings = new Map<string, number>();
  readonly #objects = new Map<AmfValue, number>();
  readonly #traits = new Map<string, number>();

  /** Appends to `writer`. */
  constructor(writer: ByteWriter) {
    this.#writer = writer;
  }

  /** Appends one value. Throws WireError for what AMF3 cannot express. */
  value(value: AmfValue, depth: number): void {
    const writer = this.#writer;
    assertEncodable("AMF3", depth, writer.length);
    switch (typeof value) {
      case "undefined":
        return writer.u8(AMF3.UNDEFINED);
      case "boolean":
        return writer.u8(value ? AMF3.TRUE : AMF3.FALSE);
      case "number":
        return this.#number(value);
      case "string":
        writer.u8(AMF3.STRING);
        return this.#string(value);
      default:
        return value === null ? writer.u8(AMF3.NULL) : this.#complexValue(value, depth);
    }
  }

  #number(value: number): void {
    const fits = Number.isInteger(value) && value >= -AMF3_INTEGER_LIMIT && value < AMF3_INTEGER_LIMIT;
    if (fits && !Object.is(value, -0)) {
      this.#writer.u8(AMF3.INTEGER);
      return this.#u29(value & 0x1fffffff);
    }
    this.#writer.u8(AMF3.DOUBLE);
    this.#writer.f64(value);
  }

  #u29(value: number): void {
    const writer = this.#writer;
    if (value >= 0x200000) {
      writer.u8(0x80 | ((value >> 22) & 0x7f));
      writer.u8(0x80 | ((value >> 15) & 0x7f));
      writer.u8(0x80 | ((value >> 8) & 0x7f));
      return writer.u8(value & 0xff);
    }
    if (value >= 0x4000) writer.u8(0x80 | (value >> 14));
    if (value >= 0x80) writer.u8(0x80 | ((value >> 7) & 0x7f));
    writer.u8(value & 0x7f);
  }

  #length(length: number): void {
    if (length >= AMF3_INTEGER_LIMIT) throw new WireError("AMF3", `length ${length} exceeds 28 bits`);
    this.#u29((length << 1) | 1);
  }

  #string(text: string): void {
    const index = this.#strings.get(text);
    if (index !== undefined) return this.#u29(index << 1);
    if (text !== "") this.#strings.set(text, this.#strings.size);
    this.#blob(encodeUtf8(text));
  }

  #blob(bytes: Uint8Array): void {
    this.#length(bytes.length);
    this.#writer.bytes(bytes);
  }

  #complexValue(value: Complex, depth: number): void {
    this.#writer.u8(markerOf(value));
    const index = this.#objects.get(value);
    if (index !== undefined) return this.#u29(index << 1);
    this.#objects.set(value, this.#objects.size);
    if (value instanceof Date) {
      this.#length(0);
      return this.#writer.f64(value.getTime());
    }
    if (value instanceof AmfXml) return this.#blob(encodeUtf8(value.text));
    if (value instanceof Uint8Array) return this.#blob(value);
    if (value instanceof AmfVector) return this.#vector(value, depth);
    if (value instanceof AmfDictionary) return this.#dictionary(value, depth);
    if (Array.isArray(value)) return this.#array({}, value, depth);
    if (value instanceof AmfEcmaArray) return this.#array(value.properties, value.dense, depth);
    if (value instanceof AmfTypedObject) return this.#typedObject(value, depth);
    this.#object("", value, depth);
  }

  #array(properties: AmfObject, dense: readonly AmfValue[], depth: number): void {
    this.#length(dense.length);
    for (const name of Object.keys(properties)) {
      if (name === "") throw new WireError("AMF3", "an array key cannot be empty");
      this.#string(name);
      this.value(properties[name], depth + 1);
    }
    this.#string("");
    for (const item of dense) this.value(item, depth + 1);
  }

  #typedObject(object: AmfTypedObject, depth: number): void {
    if (!isExternalizable(object.className)) return this.#object(object.className, object.properties, depth);
    if (!this.#writeTraits(`external ${object.className}`, 0x07)) this.#string(object.className);
    this.value(getProperty(object.properties, "source"), depth + 1);
  }

  /** All members are sent sealed: unlike dynamic ones they may have an empty name. */
  #object(className: string, members: AmfObject, depth: number): void {
    const names = Object.keys(members);
    if (className === "" && !names.includes("")) return this.#anonymous(members, names, depth);
    if (!this.#writeTraits(JSON.stringify([className, names]), (names.length << 4) | 0x03)) {
      this.#string(className);
      for (const name of names) this.#string(name);
    }
    for (const name of names) this.value(members[name], depth + 1);
  }

  #anonymous(members: AmfObject, names: readonly string[], depth: number): void {
    if (!this.#writeTraits("", 0x0b)) this.#string("");
    for (const name of names) {
      this.#string(name);
      this.value(members[name], depth + 1);
    }
    this.#string("");
  }

  /** Writes the traits' reference and answers true, or their inline header and answers false. */
  #writeTraits(key: string, header: number): boolean {
    const index = this.#traits.get(key);
    if (index !== undefined) {
      this.#u29((index << 2) | 1);
      return true;
    }
    this.#traits.set(key, this.#traits.size);
    this.#u29(header);
    return false;
  }

  #dictionary(dictionary: AmfDictionary, depth: number): void {
    this.#length(dictionary.entries.length);
    this.#writer.u8(dictionary.weak ? 1 : 0);
    for (const [key, value] of dictionary.entries) {
      this.value(key, depth + 1);
      this.value(value, depth + 1);
    }
  }

  #vector(vector: AmfVector, depth: number): void {
    const writer = this.#writer;
    this.#length(vector.items.length);
    writer.u8(vector.fixed ? 1 : 0);
    if (vector.kind === "object") this.#string(vector.typeName);
    for (const item of vector.items) {
      if (vector.kind === "object") this.value(item, depth + 1);
      else if (vector.kind === "double") writer.f64(Number(item));
      else writer.u32(Number(item) >>> 0);
    }
  }
}

function markerOf(value: Complex): number {
  if (value instanceof Date) return AMF3.DATE;
  if (value instanceof Uint8Array) return AMF3.BYTE_ARRAY;
  if (value instanceof AmfXml) return value.kind === "document" ? AMF3.XML_DOCUMENT : AMF3.XML;
  if (value instanceof AmfDictionary) return AMF3.DICTIONARY;
  if (Array.isArray(value) || value instanceof AmfEcmaArray) return AMF3.ARRAY;
  if (!(value instanceof AmfVector)) return AMF3.OBJECT;
  if (value.kind === "int") return AMF3.VECTOR_INT;
  if (value.kind === "uint") return AMF3.VECTOR_UINT;
  return value.kind === "double" ? AMF3.VECTOR_DOUBLE : AMF3.VECTOR_OBJECT;
}
