import assert from "node:assert/strict";
import { type DialMatcher, DialRules } from "../../../lib/gateway/access/dial_rules.ts";
import { parseDialMatcher } from "../../../lib/config/setting_values.ts";

const dials = ["7...", "\\+49\\d+", ".*@pbx\\.example"].map((text) => parseDialMatcher(text) as DialMatcher);

Deno.test("domains: the one named, or all below it", () => {
  const rules = new DialRules({ domains: ["example.com", "*.example.net", "2001:db8::1"], dials: null });
  const table: [string, boolean][] = [
    ["example.com", true],
    ["EXAMPLE.com.", true],
    ["sip.example.com", false],
    ["notexample.com", false],
    ["a.example.net", true],
    ["a.b.example.net", true],
    ["example.net", false],
    ["badexample.net", false],
    ["2001:db8::1", true],
    ["", false],
  ];
  for (const [host, allowed] of table) {
    assert.equal(rules.mayUse(host).type === "allowed", allowed, host);
    assert.equal(rules.mayDial({ user: "1", host }).type === "allowed", allowed || host === "", host);
  }
});

Deno.test("numbers: one pattern has to fit the whole of it", () => {
  const rules = new DialRules({ domains: null, dials });
  const table: [string | null, string, boolean][] = [
    ["7140", "example.com", true],
    ["71400", "example.com", false],
    ["+4930123", "example.com", true],
    ["4930123", "example.com", false],
    ["anybody", "pbx.example", true],
    ["anybody", "other.example", false],
    [null, "example.com", false],
    ["7140", "", true],
  ];
  for (const [user, host, allowed] of table) {
    assert.equal(rules.mayDial({ user, host }).type === "allowed", allowed, `${user}@${host}`);
  }
});

Deno.test("both have to agree; without rules everything goes", () => {
  const both = new DialRules({ domains: ["example.com"], dials });
  assert.deepEqual(both.mayDial({ user: "7140", host: "example.com" }), { type: "allowed" });
  assert.deepEqual(both.mayDial({ user: "7140", host: "evil.example" }), {
    type: "refused",
    reason: "the domain evil.example is not in allowed-domains",
  });
  assert.deepEqual(both.mayDial({ user: "90\r\n0", host: "example.com" }), {
    type: "refused",
    reason: "90??0 is not in allowed-dials",
  });
  const none = new DialRules({ domains: null, dials: null });
  assert.equal(none.mayDial({ user: null, host: "anywhere.example" }).type, "allowed");
  assert.equal(none.mayUse("anywhere.example").type, "allowed");
});
