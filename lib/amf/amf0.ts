// AMF0: the value encoding of RTMP commands, data messages and FLV metadata.
// Adobe "Action Message Format - AMF 0", section 2; every marker that a peer may send is decoded.
// Role: wire

import { ByteReader, ByteWriter, decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { readAmf3, writeAmf3 } from "./amf3.ts";
import {
  AmfDictionary,
  AmfEcmaArray,
  type AmfObject,
  AmfTypedObject,
  type AmfValue,
  AmfVector,
  AmfXml,
  assertEncodable,
  MAX_AMF_DEPTH,
  MAX_AMF_VALUES,
  setProperty,
} from "./value.ts";

const NUMBER = 0x00;
const BOOLEAN = 0x01;
const STRING = 0x02;
const OBJECT = 0x03;
const NULL = 0x05;
const UNDEFINED = 0x06;
const REFERENCE = 0x07;
const ECMA_ARRAY = 0x08;
const OBJECT_END = 0x09;
const STRICT_ARRAY = 0x0a;
const DATE = 0x0b;
const LONG_STRING = 0x0c;
const UNSUPPORTED = 0x0d;
const XML_DOCUMENT = 0x0f;
const TYPED_OBJECT = 0x10;
const AVM_PLUS = 0x11;

/**
 * Decodes all values of a body. Byte arrays and strings are own copies. Throws WireError.
 *
 *   value   = marker:u8 body            object  = 03 member* 00 00 09
 *   string  = 02 length:u16 utf8        member  = length:u16 name value
 *   number  = 00 f64be                  switch  = 11 <one AMF3 value, own reference tables>
 */
export function decodeAmf0(bytes: Uint8Array): AmfValue[] {
  const decoder = new Amf0Decoder(bytes);
  const values: AmfValue[] = [];
  while (decoder.remaining > 0) values.push(decoder.value(0));
  return values;
}

/** Decodes values as far as they can be read: what stands behind a command is not always one. Never throws WireError. */
export function decodeReadableAmf0(bytes: Uint8Array): AmfValue[] {
  const decoder = new Amf0Decoder(bytes);
  const values: AmfValue[] = [];
  try {
    while (decoder.remaining > 0) values.push(decoder.value(0));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return values;
}

/** Encodes values one after the other; what only AMF3 can express is switched (marker 0x11). */
export function encodeAmf0(values: readonly AmfValue[]): Uint8Array {
  const writer = new ByteWriter(256);
  writeAmf0(writer, values);
  return writer.take();
}

/** Appends values to `writer`; as {@linkcode encodeAmf0}, for callers that frame the body themselves. */
export function writeAmf0(writer: ByteWriter, values: readonly AmfValue[]): void {
  const encoder = new Amf0Encoder(writer);
  for (const value of values) encoder.value(value, 0);
}

class Amf0Decoder {
  readonly #reader: ByteReader;
  readonly #complex: AmfValue[] = [];
  #count = 0;

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes, "AMF0");
  }

  get remaining(): number {
    return this.#reader.remaining;
  }

  value(depth: number): AmfValue {
    const reader = this.#reader;
    if (depth > MAX_AMF_DEPTH) throw this.#wireError(`nesting deeper than ${MAX_AMF_DEPTH}`);
    if (++this.#count > MAX_AMF_VALUES) throw this.#wireError(`more than ${MAX_AMF_VALUES} values`);
    const marker = reader.u8();
    switch (marker) {
      case NUMBER:
        return reader.f64();
      case BOOLEAN:
        return reader.u8() !== 0;
      case STRING:
        return decodeUtf8(reader.bytes(reader.u16()));
      case LONG_STRING:
        return decodeUtf8(reader.bytes(reader.u32()));
      case NULL:
        return null;
      case UNDEFINED:
      case UNSUPPORTED:
        return undefined;
      case DATE:
        return this.#date();
      case XML_DOCUMENT:
        return new AmfXml(decodeUtf8(reader.bytes(reader.u32())));
      default:
        return this.#complexValue(marker, depth);
    }
  }

  #complexValue(marker: number, depth: number): AmfValue {
    switch (marker) {
      case OBJECT:
        return this.#members(this.#remember({}), depth);
      case TYPED_OBJECT:
        return this.#typedObject(depth);
      case ECMA_ARRAY:
        return this.#ecmaArray(depth);
      case STRICT_ARRAY:
        return this.#strictArray(depth);
      case REFERENCE:
        return this.#reference();
      case AVM_PLUS:
        return readAmf3(this.#reader, depth);
      default:
        throw this.#wireError(`unknown marker 0x${marker.toString(16)}`);
    }
  }

  #date(): Date {
    const timeMs = this.#reader.f64();
    this.#reader.skip(2); // the time zone is reserved and not to be used (2.13)
    return new Date(timeMs);
  }

  #remember<T extends AmfValue>(value: T): T {
    this.#complex.push(value);
    return value;
  }

  #reference(): AmfValue {
    const index = this.#reader.u16();
    if (index >= this.#complex.length) throw this.#wireError(`reference ${index} to nothing`);
    return this.#complex[index];
  }

  #members(into: AmfObject, depth: number): AmfObject {
    while (!this.#atEnd()) {
      const name = decodeUtf8(this.#reader.bytes(this.#reader.u16()));
      setProperty(into, name, this.value(depth + 1));
    }
    return into;
  }

  /** Consumes 00 00 09 when it comes next. */
  #atEnd(): boolean {
    const reader = this.#reader;
    const start = reader.offset;
    if (reader.u16() === 0 && reader.u8() === OBJECT_END) return true;
    reader.offset = start;
    return false;
  }

  #typedObject(depth: number): AmfValue {
    const className = decodeUtf8(this.#reader.bytes(this.#reader.u16()));
    if (className === "") return this.#members(this.#remember({}), depth);
    const object = this.#remember(new AmfTypedObject(className));
    this.#members(object.properties, depth);
    return object;
  }

  /** The count is a hint (2.10): what ends the array is the end marker, or the end of the body. */
  #ecmaArray(depth: number): AmfValue {
    const expected = this.#reader.u32();
    const array = this.#remember(new AmfEcmaArray());
    for (let count = 0; !(count >= expected && this.#reader.remaining === 0); count++) {
      if (this.#atEnd()) break;
      const name = decodeUtf8(this.#reader.bytes(this.#reader.u16()));
      setProperty(array.properties, name, this.value(depth + 1));
    }
    return array;
  }

  #strictArray(depth: number): AmfValue {
    const length = this.#reader.u32();
    if (length > this.#reader.remaining) {
      throw this.#wireError(`array of ${length} in ${this.remaining} bytes`);
    }
    const array: AmfValue[] = this.#remember([]);
    for (let index = 0; index < length; index++) array.push(this.value(depth + 1));
    return array;
  }

  #wireError(message: string): WireError {
    return new WireError("AMF0", message, this.#reader.offset);
  }
}

class Amf0Encoder {
  readonly #writer: ByteWriter;
  readonly #complex = new Map<AmfValue, number>();

  constructor(writer: ByteWriter) {
    this.#writer = writer;
  }

  value(value: AmfValue, depth: number): void {
    const writer = this.#writer;
    assertEncodable("AMF0", depth, writer.length);
    switch (typeof value) {
      case "undefined":
        return writer.u8(UNDEFINED);
      case "boolean":
        writer.u8(BOOLEAN);
        return writer.u8(value ? 1 : 0);
      case "number":
        writer.u8(NUMBER);
        return writer.f64(value);
      case "string":
        return this.#string(value);
      default:
        return value === null ? writer.u8(NULL) : this.#object(value, depth);
    }
  }

  #string(text: string): void {
    const bytes = encodeUtf8(text);
    this.#writer.u8(bytes.length > 0xffff ? LONG_STRING : STRING);
    if (bytes.length > 0xffff) this.#writer.u32(bytes.length);
    else this.#writer.u16(bytes.length);
    this.#writer.bytes(bytes);
  }

  #object(value: Exclude<AmfValue, null | undefined | boolean | number | string>, depth: number): void {
    if (value instanceof Date) return this.#date(value);
    if (value instanceof AmfXml && value.kind === "document") return this.#xml(value);
    if (
      value instanceof Uint8Array || value instanceof AmfXml || value instanceof AmfVector ||
      value instanceof AmfDictionary || (value instanceof AmfEcmaArray && value.dense.length > 0)
    ) {
      this.#writer.u8(AVM_PLUS);
      return writeAmf3(this.#writer, value, depth);
    }
    if (this.#writeReference(value)) return;
    if (Array.isArray(value)) return this.#array(value, depth);
    if (value instanceof AmfEcmaArray) return this.#ecmaArray(value, depth);
    if (value instanceof AmfTypedObject) return this.#typedObject(value, depth);
    this.#writer.u8(OBJECT);
    this.#members(value, depth);
  }

  #date(value: Date): void {
    this.#writer.u8(DATE);
    this.#writer.f64(value.getTime());
    this.#writer.u16(0);
  }

  #xml(value: AmfXml): void {
    const bytes = encodeUtf8(value.text);
    this.#writer.u8(XML_DOCUMENT);
    this.#writer.u32(bytes.length);
    this.#writer.bytes(bytes);
  }

  /** A second occurrence is written as a reference: it ends cycles and keeps shared parts from multiplying. */
  #writeReference(value: AmfValue): boolean {
    const index = this.#complex.get(value);
    if (index === undefined) {
      // The index has 16 bits; values beyond them can only be written out again.
      if (this.#complex.size <= 0xffff) this.#complex.set(value, this.#complex.size);
      return false;
    }
    this.#writer.u8(REFERENCE);
    this.#writer.u16(index);
    return true;
  }

  #array(items: readonly AmfValue[], depth: number): void {
    this.#writer.u8(STRICT_ARRAY);
    this.#writer.u32(items.length);
    for (const item of items) this.value(item, depth + 1);
  }

  #ecmaArray(array: AmfEcmaArray, depth: number): void {
    this.#writer.u8(ECMA_ARRAY);
    this.#writer.u32(Object.keys(array.properties).length);
    this.#members(array.properties, depth);
  }

  #typedObject(object: AmfTypedObject, depth: number): void {
    this.#writer.u8(TYPED_OBJECT);
    this.#name(object.className);
    this.#members(object.properties, depth);
  }

  #members(members: AmfObject, depth: number): void {
    for (const name of Object.keys(members)) {
      this.#name(name);
      this.value(members[name], depth + 1);
    }
    this.#writer.u24(OBJECT_END);
  }

  #name(name: string): void {
    const bytes = encodeUtf8(name);
    if (bytes.length > 0xffff) throw new WireError("AMF0", `property name of ${bytes.length} bytes`);
    this.#writer.u16(bytes.length);
    this.#writer.bytes(bytes);
  }
}
