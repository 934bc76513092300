import assert from "node:assert/strict";
import { buildConfig } from "../../lib/config/config.ts";
import { defaultGuard, limitOf, publishBytesPerSecond } from "../../lib/config/guard_config.ts";

Deno.test("bounds in the units of the machine", () => {
  const settings = { ...defaultGuard, "max-memory": 3, "max-lag": 70, "max-publish-rate": 800 };
  assert.deepEqual(limitOf(settings), {
    connections: 1000,
    calls: 500,
    lagMs: 70,
    memoryBytes: 3 * 1024 * 1024,
    halfOpen: 256,
  });
  assert.equal(publishBytesPerSecond(settings), 100_000);
});

Deno.test("bounds come from the command line", () => {
  const flags = { "max-lag": "0", "max-memory": "1024", "max-half-open": "5", "max-publish-rate": "0" };
  const { limit, rtmp } = buildConfig({ flags });
  assert.deepEqual([limit.lagMs, limit.memoryBytes, limit.halfOpen], [0, 1024 * 1024 * 1024, 5]);
  assert.equal(rtmp.options.readBytesPerSecond, 0);
  assert.equal(buildConfig({}).rtmp.options.readBytesPerSecond, 2_500_000);
});
