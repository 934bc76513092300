// Loading: what is there is used, what is missing or broken is left out.
import assert from "node:assert/strict";
import { moduleNames } from "../../lib/codecs/codecs.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { loadCodecs, readModule } from "../../lib/codecs/load.ts";

const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

Deno.test("modules that are not there are missing, and nothing fails", async () => {
  assert.deepEqual((await loadCodecs(() => Promise.resolve(null))).missing, moduleNames(builtInCodecs));
});

Deno.test("bytes that are no module are left out", async () => {
  const codecs = await loadCodecs((name) =>
    Promise.resolve(name === "opus" ? EMPTY : Uint8Array.of(1, 2, 3))
  );
  assert.deepEqual(codecs.missing, moduleNames(builtInCodecs).filter((name) => name !== "opus"));
});

Deno.test("a reader's own failure is passed on", async () => {
  await assert.rejects(loadCodecs(() => Promise.reject(new Error("disk on fire"))), /disk on fire/);
});

Deno.test("modules are read from beside the program, those that there are", async () => {
  for (const name of moduleNames(builtInCodecs)) {
    const bytes = await readModule(name);
    if (bytes !== null) assert.ok(WebAssembly.validate(bytes.slice()), name);
  }
});
