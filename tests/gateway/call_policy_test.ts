import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../lib/base/random.ts";
import { isWorthRedialling, NO_ANSWER, redialDelayMs } from "../../lib/gateway/call_policy.ts";

const AGAIN = [
  NO_ANSWER,
  "408 Request timeout",
  "480 Temporarily Unavailable",
  "486 Busy Here",
  "500 Server Internal Error",
  "503 Service Unavailable",
  "503 no such host",
  "504 Server Time-out",
  "600 Busy Everywhere",
];
const FINAL = [
  "401 Unauthorized",
  "403 Forbidden",
  "404 Not Found",
  "407 Proxy Authentication Required",
  "484 Address Incomplete",
  "488 Not Acceptable Here",
  "501 Not Implemented",
  "505 Version Not Supported",
  "603 Decline",
  "606 Not Acceptable",
  "302 Moved Temporarily",
  "invalid dest URI",
  "Internal server error",
  "4860 is no status",
  "",
];

for (const [reasons, again] of [[AGAIN, true], [FINAL, false]] as const) {
  for (const reason of reasons) {
    Deno.test(`"${reason}" is ${again ? "tried again" : "final"}`, () => {
      assert.equal(isWorthRedialling(reason), again);
    });
  }
}

Deno.test("delays double, by chance a fifth shorter or longer, up to five minutes", () => {
  const policy = { attempts: 100, firstDelaySeconds: 5 };
  const middle = { ...seededRandom(1), float: () => 0.5 };
  const plain = [0, 1, 2, 3, 6, 7, 50].map((redials) => redialDelayMs(policy, redials, middle));
  assert.deepEqual(plain, [5000, 10_000, 20_000, 40_000, 300_000, 300_000, 300_000]);
  fc.assert(fc.property(fc.nat(1100), fc.nat(300), fc.nat(), (redials, first, seed) => {
    const ms = redialDelayMs({ attempts: 1, firstDelaySeconds: 1 + first }, redials, seededRandom(seed));
    const wanted = Math.min(300_000, (1 + first) * 1000 * 2 ** redials);
    assert.ok(ms >= 0.8 * wanted - 1 && ms <= Math.min(300_000, 1.2 * wanted + 1), `${ms} for ${wanted}`);
  }));
});
