import assert from "node:assert/strict";
import { residentBytes } from "../../lib/net/process_memory.ts";

Deno.test("memory that is used is counted", () => {
  const before = residentBytes();
  const block = new Uint8Array(64 * 1024 * 1024).fill(1); // touched, or the system would not give it
  const grown = residentBytes() - before;
  assert.ok(before > 10 * 1024 * 1024, `${before} bytes`);
  assert.ok(grown > block.length / 2, `${grown} bytes more`);
});
