// Answers to: lib/net/process_memory.ts. In a process of its own: other tests give memory back at any moment.

import assert from "node:assert/strict";

const BLOCK_BYTES = 64 * 1024 * 1024;

Deno.test("memory that is used is counted", async () => {
  const file = new URL("../../lib/net/process_memory.ts", import.meta.url).href;
  const program = `
    import { residentBytes } from ${JSON.stringify(file)};
    const before = residentBytes();
    const block = new Uint8Array(${BLOCK_BYTES}).fill(1); // touched, or the system would not give it
    console.log(JSON.stringify([before, residentBytes(), block[7]]));`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", `data:application/typescript,${encodeURIComponent(program)}`],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const [before, after] = JSON.parse(new TextDecoder().decode(stdout));
  assert.ok(before > 10 * 1024 * 1024, `${before} bytes`);
  assert.ok(after - before > BLOCK_BYTES / 2, `${after - before} bytes more`);
});
