// Frames: reuse, copies, message types.
import assert from "node:assert/strict";
import { cloneFrame, createFrame, tagTypeOf } from "../../lib/media/frame.ts";

Deno.test("a cloned frame keeps its data when the original is filled again", () => {
  const frame = createFrame();
  const bytes = Uint8Array.of(1, 2, 3);
  Object.assign(frame, {
    kind: "video",
    codec: "h264",
    timeMs: 40,
    key: true,
    compositionMs: -5,
    data: bytes,
  });
  const copy = cloneFrame(frame);
  bytes.fill(9);
  frame.timeMs = 80;
  assert.deepEqual(copy.data, Uint8Array.of(1, 2, 3));
  assert.deepEqual([copy.kind, copy.codec, copy.timeMs, copy.key, copy.compositionMs], [
    "video",
    "h264",
    40,
    true,
    -5,
  ]);
});

Deno.test("each kind of frame travels in its own message type", () => {
  const types = (["audio", "video", "data"] as const).map((kind) => tagTypeOf({ ...createFrame(), kind }));
  assert.deepEqual(types, [8, 9, 18]);
});
