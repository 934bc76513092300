import assert from "node:assert/strict";
import { defaultRtmpOptions } from "../../lib/rtmp/options.ts";

Deno.test("the default options fit together", () => {
  const { idleMs, pingMs, softUnsent, hardUnsent, chunkSize, windowAckSize } = defaultRtmpOptions;
  assert.ok(2 * pingMs < idleMs);
  assert.ok(softUnsent < hardUnsent);
  assert.ok(chunkSize >= 4096);
  assert.ok(windowAckSize > 0 && windowAckSize < 2 ** 31);
});
