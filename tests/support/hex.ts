// Bytes as test tables write them.
// Role: wire

export { fromHex, toHex } from "../../lib/base/bytes.ts";
import { fromHex } from "../../lib/base/bytes.ts";

/** Bytes from a template literal: hex`00 01 ff`. */
export function hex(parts: TemplateStringsArray): Uint8Array<ArrayBuffer> {
  return fromHex(parts.join(""));
}
