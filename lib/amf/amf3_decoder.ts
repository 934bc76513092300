// AMF3 decoding: variable-length integers and three reference tables (strings, objects, traits).
// Adobe "AMF 3 Specification", sections 1.3, 2 and 3; the wire pictures are in amf3.ts.
// Role: wire

import {
  AmfDictionary,
  AmfEcmaArray,
  type AmfObject,
  AmfTypedObject,
  type AmfValue,
  AmfVector,
  AmfXml,
  MAX_AMF_DEPTH,
  MAX_AMF_VALUES,
  setProperty,
} from "./value.ts";
import { type ByteReader, decodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

interface Traits {
  readonly className: string;
  readonly externalizable: boolean;
  readonly dynamic: boolean;
  readonly sealed: readonly string[];
}

/** Decodes AMF3 values from a reader, with one set of reference tables. */
export class Amf3Decoder {
  readonly #reader: ByteReader;
  readonly #strings: string[] = [];
  readonly #objects: AmfValue[] = [];
  readonly #traits: Traits[] = [];
  #count = 0;

  /** Reads on from where `reader` stands. */
  constructor(reader: ByteReader) {
    this.#reader = reader;
  }

  /** The next value. Throws WireError. */
  value(depth: number): AmfValue {
    if (depth > MAX_AMF_DEPTH) throw this.#wireError(`nesting deeper than ${MAX_AMF_DEPTH}`);
    if (++this.#count > MAX_AMF_VALUES) throw this.#wireError(`more than ${MAX_AMF_VALUES} values`);
    const marker = this.#reader.u8();
    switch (marker) {
      case AMF3.UNDEFINED:
        return undefined;
      case AMF3.NULL:
        return null;
      case AMF3.FALSE:
        return false;
      case AMF3.TRUE:
        return true;
      case AMF3.INTEGER:
        return (this.#u29() << 3) >> 3; // 29 bits, signed (3.6)
      case AMF3.DOUBLE:
        return this.#reader.f64();
      case AMF3.STRING:
        return this.#string();
      default:
        return this.#complexValue(marker, depth);
    }
  }

  /** Every complex type starts with a U29 whose lowest bit is 0 for a reference to an earlier object. */
  #complexValue(marker: number, depth: number): AmfValue {
    if (marker > AMF3.DICTIONARY) throw this.#wireError(`unknown marker 0x${marker.toString(16)}`);
    const header = this.#u29();
    if ((header & 1) === 0) return this.#reference(header >> 1);
    const length = header >> 1;
    switch (marker) {
      case AMF3.XML_DOCUMENT:
        return this.#remember(new AmfXml(decodeUtf8(this.#reader.bytes(length)), "document"));
      case AMF3.XML:
        return this.#remember(new AmfXml(decodeUtf8(this.#reader.bytes(length)), "e4x"));
      case AMF3.DATE:
        return this.#remember(new Date(this.#reader.f64()));
      case AMF3.ARRAY:
        return this.#array(length, depth);
      case AMF3.OBJECT:
        return this.#object(header, depth);
      case AMF3.BYTE_ARRAY:
        return this.#remember(this.#reader.bytes(length).slice());
      case AMF3.DICTIONARY:
        return this.#dictionary(length, depth);
      default:
        return this.#vector(marker, length, depth);
    }
  }

  #u29(): number {
    let value = 0;
    for (let index = 0; index < 3; index++) {
      const byte = this.#reader.u8();
      value = (value << 7) | (byte & 0x7f);
      if (byte < 0x80) return value;
    }
    return (value << 8) | this.#reader.u8(); // the fourth byte counts with all 8 bits (1.3.1)
  }

  #string(): string {
    const header = this.#u29();
    if ((header & 1) === 0) {
      const text = this.#strings[header >> 1];
      if (text === undefined) throw this.#wireError(`string reference ${header >> 1} to nothing`);
      return text;
    }
    const text = decodeUtf8(this.#reader.bytes(header >> 1));
    if (text !== "") this.#strings.push(text); // the empty string is never sent by reference (1.3.2)
    return text;
  }

  #reference(index: number): AmfValue {
    if (index >= this.#objects.length) throw this.#wireError(`object reference ${index} to nothing`);
    return this.#objects[index];
  }

  #remember<T extends AmfValue>(value: T): T {
    this.#objects.push(value);
    return value;
  }

  #bound(length: number, bytesEach: number): void {
    const { remaining } = this.#reader;
    if (length * bytesEach > remaining) throw this.#wireError(`${length} items in ${remaining} bytes`);
  }

  #dynamicMembers(into: AmfObject, depth: number): void {
    for (let name = this.#string(); name !== ""; name = this.#string()) {
      setProperty(into, name, this.value(depth + 1));
    }
  }

  /** The associative part decides what it is, but both kinds must be in the table before their members. */
  #array(length: number, depth: number): AmfValue {
    this.#bound(length, 1);
    const first = this.#string();
    const dense: AmfValue[] = [];
    if (first === "") return this.#denseItems(dense, length, depth, this.#remember(dense));
    const array = this.#remember(new AmfEcmaArray({}, dense));
    setProperty(array.properties, first, this.value(depth + 1));
    this.#dynamicMembers(array.properties, depth);
    return this.#denseItems(dense, length, depth, array);
  }

  #denseItems(dense: AmfValue[], length: number, depth: number, owner: AmfValue): AmfValue {
    for (let index = 0; index < length; index++) dense.push(this.value(depth + 1));
    return owner;
  }

  #object(header: number, depth: number): AmfValue {
    const traits = this.#readTraits(header);
    if (traits.externalizable) return this.#externalizable(traits, depth);
    const typed = traits.className === "" ? null : new AmfTypedObject(traits.className);
    const properties = typed === null ? {} : typed.properties;
    this.#remember(typed ?? properties);
    for (const name of traits.sealed) setProperty(properties, name, this.value(depth + 1));
    if (traits.dynamic) this.#dynamicMembers(properties, depth);
    return typed ?? properties;
  }

  #readTraits(header: number): Traits {
    if ((header & 2) === 0) {
      const known = this.#traits[header >> 2];
      if (known === undefined) throw this.#wireError(`traits reference ${header >> 2} to nothing`);
      return known;
    }
    const externalizable = (header & 4) !== 0;
    const className = this.#string();
    const sealedCount = externalizable ? 0 : header >> 4;
    this.#bound(sealedCount, 1);
    const sealed: string[] = [];
    for (let index = 0; index < sealedCount; index++) sealed.push(this.#string());
    const traits = { className, externalizable, dynamic: (header & 8) !== 0, sealed };
    this.#traits.push(traits);
    return traits;
  }

  /** Only classes whose body is known to be one value can be read; any other body has no known length. */
  #externalizable(traits: Traits, depth: number): AmfValue {
    if (!isExternalizable(traits.className)) {
      throw this.#wireError(`externalizable class "${traits.className.slice(0, 80)}" is not known`);
    }
    const object = this.#remember(new AmfTypedObject(traits.className));
    object.properties["source"] = this.value(depth + 1);
    return object;
  }

  #dictionary(length: number, depth: number): AmfValue {
    this.#bound(length, 2);
    const weak = this.#reader.u8() !== 0;
    const dictionary = this.#remember(new AmfDictionary([], weak));
    for (let index = 0; index < length; index++) {
      const key = this.value(depth + 1);
      dictionary.entries.push([key, this.value(depth + 1)]);
    }
    return dictionary;
  }

  #vector(marker: number, length: number, depth: number): AmfValue {
    const reader = this.#reader;
    const items: AmfValue[] = [];
    const fixed = reader.u8() !== 0;
    if (marker === AMF3.VECTOR_OBJECT) {
      const vector = this.#remember(new AmfVector("object", items, fixed, this.#string()));
      this.#bound(length, 1);
      return this.#denseItems(items, length, depth, vector);
    }
    this.#bound(length, marker === AMF3.VECTOR_DOUBLE ? 8 : 4);
    for (let index = 0; index < length; index++) {
      if (marker === AMF3.VECTOR_DOUBLE) items.push(reader.f64());
      else items.push(marker === AMF3.VECTOR_INT ? reader.u32() | 0 : reader.u32());
    }
    const kind = marker === AMF3.VECTOR_INT ? "int" : marker === AMF3.VECTOR_UINT ? "uint" : "double";
    return this.#remember(new AmfVector(kind, items, fixed));
  }

  #wireError(message: string): WireError {
    return new WireError("AMF3", message, this.#reader.offset);
  }
}

/** Type markers (3.1). Those from XML_DOCUMENT on start with a U29 that may be an object reference. */
export const AMF3 = {
  /** No value. */
  UNDEFINED: 0x00,
  /** Null. */
  NULL: 0x01,
  /** Boolean false. */
  FALSE: 0x02,
  /** Boolean true. */
  TRUE: 0x03,
  /** Signed 29-bit integer. */
  INTEGER: 0x04,
  /** IEEE 754 double. */
  DOUBLE: 0x05,
  /** UTF-8 text. */
  STRING: 0x06,
  /** XMLDocument of ActionScript 2. */
  XML_DOCUMENT: 0x07,
  /** Milliseconds since 1970. */
  DATE: 0x08,
  /** Associative and dense members. */
  ARRAY: 0x09,
  /** Object with traits. */
  OBJECT: 0x0a,
  /** E4X. */
  XML: 0x0b,
  /** Bytes. */
  BYTE_ARRAY: 0x0c,
  /** Vector of int. */
  VECTOR_INT: 0x0d,
  /** Vector of uint. */
  VECTOR_UINT: 0x0e,
  /** Vector of Number. */
  VECTOR_DOUBLE: 0x0f,
  /** Vector of anything else. */
  VECTOR_OBJECT: 0x10,
  /** Map with keys of any type. */
  DICTIONARY: 0x11,
} as const;

/** Integers of this size and more are sent as doubles. */
export const AMF3_INTEGER_LIMIT = 0x10000000;

/** True for the Flex collections, whose externalized body is exactly one value. */
export function isExternalizable(className: string): boolean {
  return className === "flex.messaging.io.ArrayCollection" ||
    className === "flex.messaging.io.ObjectProxy" || className === "flex.messaging.io.ArrayList";
}
