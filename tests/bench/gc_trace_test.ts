import assert from "node:assert/strict";
import { parseCollection, summarizeCollections } from "../../bench/control/gc_trace.ts";

const SCAVENGE =
  "[31554:0x55cb5c471000]       22 ms: Scavenge 9.3 (12.7) -> 8.5 (13.7) MB, pooled: 0.0 MB, " +
  "3.15 / 0.00 ms (average mu = 1.000, current mu = 1.000) allocation failure; ";
const MARK_COMPACT =
  "[7:0x1]    61234 ms: Incremental Mark-Compact 18.1 (22.3) -> 7.9 (21.1) MB, pooled: 0.5 MB, " +
  "4.02 / 0.01 ms (+ 5.1 ms in 12 steps since start of marking) finalize incremental marking";

Deno.test("lines of --trace-gc of this runtime", () => {
  assert.deepEqual(parseCollection(SCAVENGE), { atMs: 22, kind: "Scavenge", afterMb: 8.5, pauseMs: 3.15 });
  assert.deepEqual(parseCollection(MARK_COMPACT), {
    atMs: 61234,
    kind: "Mark-Compact",
    afterMb: 7.9,
    pauseMs: 4.02,
  });
});

Deno.test("other lines are none", () => {
  for (const line of ["", "RTMP clients connect to 127.0.0.1:1935", "[1:2] 5 ms: Scavenge"]) {
    assert.equal(parseCollection(line), null);
  }
});

Deno.test("what this runtime really prints is understood", async () => {
  const code =
    "let kept = []; for (let i = 0; i < 2e6; i++) { kept.push({ i }); if (kept.length > 1e5) kept = []; }";
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--v8-flags=--trace-gc", code],
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  const collections = lines.map(parseCollection);
  assert.ok(collections.length > 2, lines.join("\n"));
  assert.ok(collections.every((one) => one !== null && one.pauseMs > 0), lines.join("\n"));
});

Deno.test("many collections in short", () => {
  const of = (pauseMs: number) => ({ atMs: 0, kind: "Scavenge", pauseMs, afterMb: 1 }) as const;
  assert.deepEqual(summarizeCollections([of(1), of(4), of(2)]), { count: 3, maxMs: 4, totalMs: 7 });
  assert.deepEqual(summarizeCollections([]), { count: 0, maxMs: 0, totalMs: 0 });
});
