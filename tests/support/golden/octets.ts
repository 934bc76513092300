// How payloads stand in a trace: short ones whole, long ones by their beginning, length and hash.

import { createHash } from "node:crypto";

export function octets(bytes: Uint8Array): string {
  if (bytes.length <= 48) return bytes.toHex();
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  return `${bytes.subarray(0, 16).toHex()}... ${bytes.length} octets, sha256 ${hash}`;
}
