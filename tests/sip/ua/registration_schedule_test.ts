// Tests of lib/sip/ua/registration_schedule.ts: granted expiry, refresh moment, waits after failures.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  FIRST_REFUSED_RETRY_MS,
  FIRST_RETRY_MS,
  grantedExpires,
  MAX_EXPIRES_SECONDS,
  MAX_REFUSED_RETRY_MS,
  MAX_RETRY_MS,
  MIN_REFRESH_MS,
  needsHuman,
  refreshDelayMs,
  retryDelayMs,
} from "../../../lib/sip/ua/registration_schedule.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";

const OURS = parseNameAddr("<sip:a@10.0.0.1:5060;line=mine>").uri;

/** What a 200 lists, and the seconds for which we are kept; 180 were asked for. */
const GRANTS: [name: string, headers: Record<string, string | string[]>, seconds: number][] = [
  ["our own beside another's", {
    Contact: ["<sip:a@1.1.1.1;line=other>;expires=9", "<sip:a@10.0.0.1:5060;line=mine>;expires=60"],
    Expires: "300",
  }, 60],
  ["our own without an expiry: that of the header", {
    Contact: "<sip:a@10.0.0.1:5060;line=mine>",
    Expires: "300",
  }, 300],
  ["our own and nothing said: what was asked for", { Contact: "<sip:a@10.0.0.1:5060;line=mine>" }, 180],
  ["our own, taken away", { Contact: "<sip:a@10.0.0.1;line=mine>;expires=0", Expires: "300" }, 0],
  ["another's live on, ours is taken away", {
    Contact: ["<sip:a@10.0.0.1;line=mine>;expires=0", "<sip:a@1.1.1.1>;expires=60"],
  }, 0],
  ["nothing", {}, 180],
  ["the header alone", { Expires: "20" }, 20],
  ["rewritten: one Contact", { Contact: "<sip:a@198.51.100.7:60210;transport=udp>;expires=20" }, 20],
  ["rewritten without a user", { Contact: "<sip:198.51.100.7:60210>;expires=20" }, 20],
  ["rewritten with another user", { Contact: "<sip:a-17f@198.51.100.7>;expires=20" }, 20],
  ["rewritten, beside an expired one", {
    Contact: ["<sip:a@198.51.100.7:60210>;expires=20", "<sip:a@198.51.100.9:40110>;expires=0"],
  }, 20],
  ["rewritten, beside another that ends first", {
    Contact: ["<sip:a@198.51.100.7>;expires=50", "<sip:a@198.51.100.9>;expires=40"],
  }, 40],
  ["our user's, not those of others", {
    Contact: ["<sip:a@198.51.100.7>;expires=50", "<sip:b@198.51.100.9>;expires=40"],
  }, 50],
  ["our address, without our line", {
    Contact: ["<sip:a@10.0.0.1:5060>;expires=70", "<sip:a@198.51.100.9>;expires=40"],
  }, 70],
  ["rewritten, and the expiry in the header", { Contact: "<sip:a@198.51.100.7>", Expires: "20" }, 20],
  ["a Contact that cannot be read, but its expiry can", { Contact: "<sip:a@198.51.100.7;expires=20" }, 20],
  ["a Contact that cannot be read, and the header", { Contact: "<broken", Expires: "20" }, 20],
  ["all taken away", { Contact: ["<sip:x@1.1.1.1>;expires=0", "<sip:y@1.1.1.2>;expires=0"] }, 0],
  ["an expiry in quotes", { Contact: '<sip:a@198.51.100.7>;expires="20"' }, 20],
  ["an expiry that is none", { Contact: "<sip:a@198.51.100.7>;expires=soon", Expires: "20" }, 20],
  ["for ever counts as not said", { Contact: "<sip:a@198.51.100.7>;expires=4294967295" }, 180],
  ["for ever by the header", { Expires: "4294967296" }, 180],
  ["longer than asked for", { Contact: "<sip:a@198.51.100.7>;expires=3600" }, 3600],
  ["a second", { Contact: "<sip:a@198.51.100.7>;expires=1" }, 1],
];

for (const [name, headers, seconds] of GRANTS) {
  Deno.test(`granted: ${name}: ${seconds} s`, () => {
    const response = responseTo(sipRequest("REGISTER"), 200, "t", { Contact: null, ...headers });
    assert.equal(grantedExpires(response, OURS, 180), seconds);
  });
}

Deno.test("a refresh comes before the expiry, with time for a second try where there is any", () => {
  assert.equal(refreshDelayMs(180), 162_000);
  assert.equal(refreshDelayMs(3600), 3_565_000);
  assert.equal(refreshDelayMs(10), 9_000);
  assert.equal(refreshDelayMs(2), 1_000);
  assert.equal(refreshDelayMs(1), MIN_REFRESH_MS); // no registrar makes us ask it all the time
  fc.assert(fc.property(fc.integer({ min: 2, max: MAX_EXPIRES_SECONDS }), (seconds) => {
    const waitMs = refreshDelayMs(seconds);
    assert.ok(waitMs >= MIN_REFRESH_MS && waitMs < seconds * 1000);
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
