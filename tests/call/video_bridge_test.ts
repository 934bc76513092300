import assert from "node:assert/strict";
import { KEY_FRAME_REQUEST_MS, KeyFrameGate } from "../../lib/call/video_bridge.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("one request passes at once, the next one when its time has come", () => {
  const clock = new FakeClock();
  const gate = new KeyFrameGate(clock);
  const passed: number[] = [];
  for (let ms = 0; ms <= 700; ms += 50) {
    if (gate.admits()) passed.push(ms);
    clock.advance(50);
  }
  assert.deepEqual(passed, [0, KEY_FRAME_REQUEST_MS, 2 * KEY_FRAME_REQUEST_MS]);
});
