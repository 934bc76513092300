import assert from "node:assert/strict";
import { parseDialMatcher } from "../../../lib/config/setting_values.ts";
import {
  type DialMatcher,
  DialRules,
  loopbackPlaces,
  TargetPolicy,
} from "../../../lib/gateway/access/target_policy.ts";
import { parseEndpoint, parseNetwork } from "../../../lib/net/endpoint.ts";

const OUTSIDE = "203.0.113.9";

function policy(allowed: readonly string[] = [], open: readonly string[] = []): TargetPolicy {
  return new TargetPolicy({
    allowed: allowed.map((text) => parseNetwork(text)!),
    open: open.map((text) => parseEndpoint(text, 5060)),
  });
}

function refused(to: string, askedBy: string | null, rules = policy()): boolean {
  return rules.refusal(parseEndpoint(to, 5060), askedBy) !== null;
}

Deno.test("targets: what nobody may have us send to, however it is written", () => {
  const never = [
    ...[
      "169.254.1.1",
      "169.254.169.254",
      "[fe80::1]",
      "[fe80::1%eth0]",
      "[::ffff:169.254.169.254]",
      "[::ffff:a9fe:a9fe]",
    ],
    ...["[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[::169.254.169.254]", "169.254.170.2"],
    ...[
      "[fd00:ec2::254]",
      "[fd20:ce::254]",
      "100.100.100.200",
      "168.63.129.16",
      "192.0.0.192",
      "[fd00:42::42]",
    ],
    ...["0.0.0.0", "0.1.2.3", "[::]", "[::ffff:0.0.0.0]", "[0:0:0:0:0:0:0:0]"],
    ...["224.0.0.1", "239.255.255.250", "[ff02::1]", "255.255.255.255", "[::ffff:224.0.0.251]"],
  ];
  for (const to of never) {
    for (const askedBy of [OUTSIDE, "127.0.0.1", "::1", "10.0.0.7", ""]) assert.ok(refused(to, askedBy), to);
    assert.ok(!refused(to, null), "but for the operator");
  }
});

Deno.test("targets: this machine is for who is here", () => {
  const here = [
    "127.0.0.1",
    "127.1.2.3",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::127.0.0.1]",
    "[0:0:0:0:0:0:0:1]",
  ];
  for (const to of here) {
    for (const askedBy of [OUTSIDE, "10.0.0.7", "2001:db8::1", ""]) {
      assert.ok(refused(to, askedBy), `${to} ${askedBy}`);
    }
    for (const askedBy of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", null]) {
      assert.ok(!refused(to, askedBy), `${to} ${askedBy}`);
    }
  }
});

Deno.test("targets: everybody else is called by everybody", () => {
  for (
    const to of [
      "192.0.2.1",
      "10.0.0.1",
      "192.168.1.1",
      "100.64.0.1",
      "[2001:db8::1]",
      "[fd00::1]",
      "128.0.0.1",
    ]
  ) {
    for (const askedBy of [OUTSIDE, "127.0.0.1", null]) assert.ok(!refused(to, askedBy), to);
  }
});

Deno.test("targets: whoever asks is reached where it is", () => {
  assert.ok(!refused("169.254.7.7", "169.254.7.7"));
  assert.ok(!refused("[fe80::1]", "fe80::1"));
  assert.ok(refused("169.254.7.8", "169.254.7.7"));
});

Deno.test("targets: the operator opens networks, and places of our own", () => {
  const rules = policy(["169.254.0.0/24", "127.0.0.1", "fe80::/10"], ["10.0.0.1:5060", "0.0.0.0:5080"]);
  const table: readonly (readonly [string, boolean])[] = [
    ["169.254.0.9", false],
    ["169.254.1.9", true],
    ["127.0.0.1", false],
    ["127.0.0.2", true],
    ["[::ffff:127.0.0.1]", false],
    ["[fe80::7]", false],
    ["0.0.0.0:5080", false],
    ["0.0.0.0:5081", true],
    ["[::1]:5070", true],
  ];
  for (const [to, expected] of table) assert.equal(refused(to, OUTSIDE, rules), expected, to);
  rules.openOwnPort(5070);
  assert.ok(!refused("[::1]:5070", OUTSIDE, rules));
  assert.ok(refused("127.0.0.2:5070", OUTSIDE, rules));
  assert.deepEqual(loopbackPlaces(5).map(({ hostname }) => hostname), ["127.0.0.1", "::1"]);
});

Deno.test("targets: the words name the address, what it is and the option; each refusal is told", () => {
  const rules = policy();
  const told: string[] = [];
  rules.onRefused = (askedBy) => told.push(askedBy);
  const words = (to: string) => rules.refusal(parseEndpoint(to, 5060), OUTSIDE);
  assert.equal(
    words("169.254.169.254"),
    "nothing is sent to 169.254.169.254, the metadata service of a cloud: --allowed-targets opens it",
  );
  assert.equal(words("127.0.0.1"), "nothing is sent to 127.0.0.1, this machine: --allowed-targets opens it");
  assert.equal(words("192.0.2.1"), null);
  assert.deepEqual(told, [OUTSIDE, OUTSIDE]);
});

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
