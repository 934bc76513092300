// The values that Action Message Format carries, as JavaScript values: plain ones where JavaScript has a
// twin, small classes where it has not (typed objects, associative arrays, XML, vectors, dictionaries).
// AMF0: Adobe amf0-file-format-specification. AMF3: Adobe amf-file-format-spec.
// Role: wire

import { WireError } from "../base/errors.ts";

/** An anonymous object: own string keys only. Read it with {@linkcode isAmfObject} and the `...Of` helpers. */
export interface AmfObject {
  /** A property of the object. */
  [name: string]: AmfValue;
}

/** Everything that can be decoded from, or encoded to, AMF0 and AMF3. May contain shared or cyclic parts. */
export type AmfValue =
  | null
  | undefined
  | boolean
  | number
  | string
  | Date
  | Uint8Array
  | AmfValue[]
  | AmfObject
  | AmfTypedObject
  | AmfEcmaArray
  | AmfXml
  | AmfVector
  | AmfDictionary;

/**
 * An object with a registered class name (AMF0 2.18, AMF3 3.12). The externalizable Flex collections
 * `ArrayCollection` and `ObjectProxy` keep their one inner value under the property `source`.
 */
export class AmfTypedObject {
  /** Name of the class, never empty. */
  readonly className: string;
  /** Its sealed and dynamic members. */
  readonly properties: AmfObject;

  /** Names `properties` as an instance of `className`. */
  constructor(className: string, properties: AmfObject = {}) {
    this.className = className;
    this.properties = properties;
  }
}

/** An array with string keys (AMF0 2.10, AMF3 3.11); AMF3 may have a dense part as well. */
export class AmfEcmaArray {
  /** The members with string keys. */
  readonly properties: AmfObject;
  /** The members counted from 0; always empty in AMF0, which writes them as keys "0", "1"... */
  readonly dense: AmfValue[];

  /** Joins string-keyed and counted members. */
  constructor(properties: AmfObject = {}, dense: AmfValue[] = []) {
    this.properties = properties;
    this.dense = dense;
  }
}

/** XML text: the old XMLDocument (AMF0 2.17, AMF3 3.9) or E4X (AMF3 3.13). */
export class AmfXml {
  /** The document, unparsed. */
  readonly text: string;
  /** Which of the two ActionScript classes it belongs to. */
  readonly kind: "document" | "e4x";

  /** Wraps `text`. */
  constructor(text: string, kind: "document" | "e4x" = "document") {
    this.text = text;
    this.kind = kind;
  }
}

/** A typed vector (AMF3 3.15). */
export class AmfVector {
  /** What the items are: 32-bit integers, doubles or any values. */
  readonly kind: "int" | "uint" | "double" | "object";
  /** The items; numbers unless `kind` is "object". */
  readonly items: AmfValue[];
  /** True when the vector may not grow. */
  readonly fixed: boolean;
  /** Class of the items of an object vector, "*" or empty for any. */
  readonly typeName: string;

  /** Wraps `items`. */
  constructor(kind: AmfVector["kind"], items: AmfValue[], fixed = false, typeName = "") {
    this.kind = kind;
    this.items = items;
    this.fixed = fixed;
    this.typeName = typeName;
  }
}

/** A map with keys of any type (AMF3 3.16). */
export class AmfDictionary {
  /** Key and value, in the order of the wire. */
  readonly entries: [AmfValue, AmfValue][];
  /** True when the keys are held weakly in ActionScript. */
  readonly weak: boolean;

  /** Wraps `entries`. */
  constructor(entries: [AmfValue, AmfValue][], weak = false) {
    this.entries = entries;
    this.weak = weak;
  }
}

/** Nesting deeper than this is refused, by the decoders and by the encoders. */
export const MAX_AMF_DEPTH = 64;

/** More values than this in one body are refused by the decoders. */
export const MAX_AMF_VALUES = 262_144;

/** An encoded body longer than this is refused: RTMP message lengths have 24 bits. */
export const MAX_AMF_BYTES = 0xffffff;

/** What both encoders look at before each value. Throws WireError when it is nested too deep, or the body too long. */
export function assertEncodable(protocol: "AMF0" | "AMF3", depth: number, bytes: number): void {
  if (depth > MAX_AMF_DEPTH) throw new WireError(protocol, `nesting deeper than ${MAX_AMF_DEPTH}`);
  if (bytes > MAX_AMF_BYTES) throw new WireError(protocol, `body longer than ${MAX_AMF_BYTES} bytes`);
}

/** True for anonymous objects, false for null, arrays, dates, byte arrays and the classes above. */
export function isAmfObject(value: AmfValue): value is AmfObject {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The named members of any value that has some: anonymous and typed objects, associative arrays. */
export function propertiesOf(value: AmfValue): AmfObject {
  if (value instanceof AmfTypedObject || value instanceof AmfEcmaArray) return value.properties;
  return isAmfObject(value) ? value : {};
}

/** Sets an own property even when it is called `__proto__`, so that a peer cannot change a prototype. */
export function setProperty(object: AmfObject, name: string, value: AmfValue): void {
  if (name === "__proto__") {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/** The own property `name`, undefined when there is none. */
export function getProperty(object: AmfObject, name: string): AmfValue {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** A string as it is, a number or boolean as text, anything else as `fallback`. */
export function textOf(value: AmfValue, fallback = ""): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : fallback;
}

/** A finite number as it is, a numeric string as its number, a boolean as 0 or 1, else `fallback`. */
export function numberOf(value: AmfValue, fallback = 0): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string" && value.trim() === "") return fallback;
  const number = typeof value === "string" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : fallback;
}

/** A boolean as it is, a number as "not 0", anything else as `fallback`. */
export function booleanOf(value: AmfValue, fallback = false): boolean {
  if (typeof value === "boolean") return value;
  return typeof value === "number" ? value !== 0 : fallback;
}

/** One line for a log: at most `limit` characters, cyclic values are cut. */
export function formatAmf(value: AmfValue, limit = 400): string {
  const text = formatNested(value, 4, limit);
  return text.length > limit ? `${text.slice(0, limit - 3)}...` : text;
}

function formatNested(value: AmfValue, depth: number, limit: number): string {
  if (typeof value === "string") return JSON.stringify(value.length > limit ? value.slice(0, limit) : value);
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (value instanceof Uint8Array) return `<${value.length} bytes>`;
  if (value instanceof AmfXml) return `<xml ${value.text.length} characters>`;
  if (depth === 0) return "...";
  if (value instanceof AmfVector) return formatNested(value.items, depth, limit);
  if (value instanceof AmfDictionary) return `<dictionary of ${value.entries.length}>`;
  if (Array.isArray(value)) return formatList(value, depth, limit);
  const name = value instanceof AmfTypedObject ? value.className : "";
  return `${name}{${formatMembers(propertiesOf(value), depth, limit)}}`;
}

function formatList(items: readonly AmfValue[], depth: number, limit: number): string {
  let text = "";
  for (const item of items) {
    if (text.length > limit) break;
    text += (text === "" ? "" : ", ") + formatNested(item, depth - 1, limit);
  }
  return `[${text}]`;
}

function formatMembers(members: AmfObject, depth: number, limit: number): string {
  let text = "";
  for (const name of Object.keys(members)) {
    if (text.length > limit) break;
    text += `${text === "" ? "" : ", "}${name}: ${formatNested(members[name], depth - 1, limit)}`;
  }
  return text;
}
