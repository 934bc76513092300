import assert from "node:assert/strict";
import { buildConfig } from "../../lib/config/config.ts";
import { sourceRules } from "../../lib/config/media_config.ts";

Deno.test("media: whose first packet counts", () => {
  assert.equal(buildConfig({ flags: {} }).rtp.sourceRule, "nat");
  for (const rule of sourceRules) {
    assert.equal(buildConfig({ flags: { "rtp-source": rule } }).rtp.sourceRule, rule);
  }
  assert.throws(
    () => buildConfig({ flags: { "rtp-source": "anybody" } }),
    /rtp-source must be nat, strict or any/,
  );
});

Deno.test("media: for how long a peer's media may be missing", () => {
  assert.deepEqual(buildConfig({ flags: {} }).rtp.timeouts, { initialMs: 30_000, silenceMs: 60_000 });
  const flags = { "media-timeout-initial": "0", "media-timeout": "7" };
  assert.deepEqual(buildConfig({ flags }).rtp.timeouts, { initialMs: 0, silenceMs: 7_000 });
  assert.throws(() => buildConfig({ flags: { "media-timeout": "-1" } }), /media-timeout must be/);
});
