// Tests of lib/sip/registration_schedule.ts: granted expiry, refresh moment, waits after failures.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  FIRST_REFUSED_RETRY_MS,
  FIRST_RETRY_MS,
  grantedExpires,
  MAX_EXPIRES_SECONDS,
  MAX_REFUSED_RETRY_MS,
  MAX_RETRY_MS,
  needsHuman,
  refreshDelayMs,
  retryDelayMs,
} from "../../lib/sip/registration_schedule.ts";
import { responseTo, sipRequest } from "../support/sip_messages.ts";

Deno.test("the expiry of our own Contact wins over Expires, and that over the wish", () => {
  const granted = (headers: Record<string, string | string[]>) =>
    grantedExpires(responseTo(sipRequest("REGISTER"), 200, "t", { Contact: null, ...headers }), "mine", 180);
  const ours = "<sip:a@10.0.0.1;line=mine>";
  assert.equal(
    granted({ Contact: [`<sip:a@1.1.1.1;line=other>;expires=9`, `${ours};expires=60`], Expires: "300" }),
    60,
  );
  assert.equal(granted({ Contact: ours, Expires: "300" }), 300);
  assert.equal(granted({ Contact: ours }), 180);
  assert.equal(granted({ Contact: "<broken", Expires: "20" }), 20);
  assert.equal(granted({}), 180);
  assert.equal(granted({ Contact: `${ours};expires=0` }), 0);
  assert.equal(granted({ Expires: "4294967295" }), MAX_EXPIRES_SECONDS);
});

Deno.test("a refresh comes before the expiry, with time for a second try where there is any", () => {
  assert.equal(refreshDelayMs(180), 162_000);
  assert.equal(refreshDelayMs(3600), 3_565_000);
  assert.equal(refreshDelayMs(10), 9_000);
  assert.equal(refreshDelayMs(1), 500);
  fc.assert(fc.property(fc.integer({ min: 1, max: MAX_EXPIRES_SECONDS }), (seconds) => {
    const waitMs = refreshDelayMs(seconds);
    assert.ok(waitMs >= 500 && waitMs < seconds * 1000);
  }));
});

Deno.test("waits double up to a ceiling, spread by the jitter", () => {
  const wait = (failures: number, jitter: number) =>
    retryDelayMs({ failures, status: 408, retryAfterSeconds: null, jitter });
  assert.equal(wait(1, 0), FIRST_RETRY_MS / 2);
  assert.equal(wait(2, 0), FIRST_RETRY_MS);
  assert.equal(wait(4, 0), FIRST_RETRY_MS * 4);
  assert.equal(wait(40, 0.999999), MAX_RETRY_MS);
});

Deno.test("refusals that need a human are retried seldom, and Retry-After is obeyed", () => {
  assert.equal(needsHuman(403), true);
  assert.equal(needsHuman(503), false);
  const wait = (status: number, failures: number, retryAfterSeconds: number | null) =>
    retryDelayMs({ failures, status, retryAfterSeconds, jitter: 0 });
  assert.equal(wait(401, 1, null), FIRST_REFUSED_RETRY_MS / 2);
  assert.equal(wait(403, 50, null), MAX_REFUSED_RETRY_MS / 2);
  assert.equal(wait(503, 1, 30), 30_000);
  assert.equal(wait(503, 1, 999_999), 3_600_000);
});
