import assert from "node:assert/strict";
import { BuildProgress, compilersFor } from "../../scripts/codecs/progress.ts";

Deno.test("a build says what it does, how far it is and how long it took", () => {
  let nowMs = 5_000;
  const progress = new BuildProgress(3, () => nowMs);
  assert.equal(progress.end(), null);
  nowMs += 10_000;
  assert.equal(progress.waiting(), "... 10 s: fetching the sources");
  assert.equal(progress.begin("Opus"), "[1 of 3] Opus: compiling");
  nowMs += 1_000;
  assert.equal(progress.begin("Speex"), "[2 of 3] Speex: compiling");
  nowMs += 9_000;
  assert.equal(progress.waiting(), "... 20 s: compiling Opus, Speex");
  assert.equal(progress.finish("Speex"), "Speex: built in 9.0 s, 1 of 3");
  assert.equal(progress.begin("AAC"), "[3 of 3] AAC: compiling");
  progress.fail("AAC");
  nowMs += 500;
  assert.equal(progress.finish("Opus", ", sha256 00"), "Opus: built in 10.5 s, sha256 00, 2 of 3");
  assert.equal(progress.end(), "2 of 3 codec modules built in 21 s");
});

Deno.test("as many compilers as cores and memory allow, at least one", () => {
  const gib = 1024 ** 3;
  const table: [modules: number, cores: number, free: number | null, compilers: number][] = [
    ...[[5, 2, 8 * gib, 2], [5, 8, 8 * gib, 5], [1, 8, 8 * gib, 1], [5, 8, gib, 2], [5, 8, 0, 1]],
    ...[[5, 1, 8 * gib, 1], [5, 8, null, 2], [0, 8, null, 1]],
  ] as [number, number, number | null, number][];
  for (const [modules, cores, free, compilers] of table) {
    assert.equal(compilersFor(modules, cores, free), compilers, `${modules} ${cores} ${free}`);
  }
});
