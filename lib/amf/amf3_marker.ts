// The type markers of AMF3 and the externalizable classes whose body is known.
// Adobe "AMF 3 Specification", sections 3.1 and 3.12.
// Role: wire

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
