import assert from "node:assert/strict";
import { RtmpRefused } from "../../lib/rtmp/refused.ts";

Deno.test("a refusal speaks in the server's words", () => {
  const refused = RtmpRefused.from({ level: "error", code: "A.B", description: "401 Unauthorized" });
  assert.deepEqual([refused.code, refused.description, refused.message], [
    "A.B",
    "401 Unauthorized",
    "401 Unauthorized",
  ]);
});

Deno.test("a refusal without words still says something", () => {
  assert.equal(RtmpRefused.from({ code: "A.B" }).message, "A.B");
  assert.equal(RtmpRefused.from("no").message, "no");
  assert.equal(RtmpRefused.from(undefined).message, "refused without a reason");
});
