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
