import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../lib/base/errors.ts";
import { type DialPlan, MAX_DIAL_RULES, parseDialPlan, resolveDialled } from "../../lib/config/dial_plan.ts";
import { formatNameAddr } from "../../lib/sip/message/name_addr.ts";

function planOf(...rules: [pattern: string, target: string][]): DialPlan {
  const parsed = parseDialPlan(rules.map(([pattern, target]) => ({ pattern, target })));
  return parsed.type === "rules" ? parsed.rules : assert.fail(parsed.problem);
}

const PLAN = planOf(
  ["0049(.*)", "sip:+49$1@trunk.example"],
  ["+1(\\d+)", "tel:+1$1"],
  ["9(.+)", "$1"],
  ["echo", "echo@test.example:5070"],
  ["(.*)@old\\.example", "sip:$1@new.example;transport=tcp"],
  ["sales", '"Sales" <sip:sales@pbx.example>'],
  ["[*]21[*](.*)#", "sip:fwd-$1@services.example"],
  ["cost", "sip:$$$0@x.example"],
);

/** What is dialled by alice@example.com, and who is called. */
const DIALLED: [text: string, called: string][] = [
  // Without a rule: the account's domain.
  ["7140", "<sip:7140@example.com>"],
  ["+44 (20) 7946-0018", "<sip:+442079460018@example.com>"],
  ["tel:+44-20-7946-0018", "<sip:+442079460018@example.com;user=phone>"],
  ["bob", "<sip:bob@example.com>"],
  ["sip:7140", "<sip:7140@example.com>"],
  ["bob@elsewhere.example", "<sip:bob@elsewhere.example>"],
  ['"Bob" <sip:bob@elsewhere.example>', '"Bob" <sip:bob@elsewhere.example>'],
  // By a rule, however the number is written.
  ["0049301234", "<sip:+49301234@trunk.example>"],
  ["0049 (30) 12-34", "<sip:+49301234@trunk.example>"],
  ["tel:0049301234", "<sip:+49301234@trunk.example>"],
  ["sip:0049301234@example.com", "<sip:+49301234@trunk.example>"],
  ["sip:0049301234@EXAMPLE.com", "<sip:+49301234@trunk.example>"],
  ['"Zoë" <sip:0049301234@example.com>', '"Zoë" <sip:+49301234@trunk.example>'],
  ["+1 201 555 0123", "<sip:+12015550123@example.com;user=phone>"],
  ["9112", "<sip:112@example.com>"],
  ["echo", "<sip:echo@test.example:5070>"],
  ["sales", '"Sales" <sip:sales@pbx.example>'],
  ["*21*4711#", "<sip:fwd-4711@services.example>"],
  ["cost", "<sip:$cost@x.example>"],
  ["alice@old.example", "<sip:alice@new.example;transport=tcp>"],
  ["alice@OLD.example", "<sip:alice@new.example;transport=tcp>"],
  // Not by a rule: another domain, another port, a scheme that asks for more.
  ["sip:0049301234@other.example", "<sip:0049301234@other.example>"],
  ["sip:0049301234@example.com:5070", "<sip:0049301234@example.com:5070>"],
  ["sips:0049301234@example.com", "<sips:0049301234@example.com>"],
];

for (const [text, called] of DIALLED) {
  Deno.test(`FAQ 9: ${text} calls ${called}`, () => {
    assert.equal(formatNameAddr(resolveDialled(PLAN, text, "example.com")), called);
  });
}

Deno.test("dial_plan: the first rule that fits counts, and only once", () => {
  const plan = planOf(["1(.*)", "2$1"], ["2(.*)", "3$1"], ["1.*", "never"]);
  assert.equal(resolveDialled(plan, "100", "example.com").uri.user, "200");
});

Deno.test("dial_plan: the account's domain may have a port or be an IPv6 address", () => {
  for (
    const [domain, called] of [["pbx.example:5070", "<sip:112@pbx.example:5070>"], [
      "[::1]:5070",
      "<sip:112@[::1]:5070>",
    ]]
  ) {
    assert.equal(formatNameAddr(resolveDialled(PLAN, "9112", domain!)), called);
  }
});

Deno.test("dial_plan: what is dialled stays inside the user part, whatever signs it has", () => {
  const plan = planOf(["9(.*)", "sip:$1@trunk.example"], ["8(.*)", "$1"]);
  const nasty = [
    "9x%40evil.example",
    "9a;b=c",
    "9a?b=c",
    "9a:pw",
    '9"a" ',
    "9a,b",
    "9%3Csip%3Ax%40y%3E",
    "9äöü",
  ];
  for (const text of nasty) {
    const { uri } = resolveDialled(plan, `sip:${text.replace('"a" ', "%22a%22")}@example.com`, "example.com");
    assert.deepEqual(
      [uri.host, uri.port, uri.headers, uri.params.size],
      ["trunk.example", null, null, 0],
      text,
    );
  }
  assert.equal(
    resolveDialled(plan, "sip:8x%40evil.example@example.com", "example.com").uri.host,
    "example.com",
  );
});

const WRONG: [value: unknown, problem: RegExp][] = [
  ["0049", /^must be written as \[\[dial\]\]/],
  [{ pattern: "1", target: "2" }, /^must be written as \[\[dial\]\]/],
  [[1], /^rule 1: must be written as \[\[dial\]\], with pattern/],
  [[{ pattern: "1", target: "2" }, { pattern: "1" }], /^rule 2: target must be a text$/],
  [[{ target: "1" }], /^rule 1: pattern must be a text$/],
  [[{ pattern: "1", target: "2", to: "3" }], /^rule 1: has to, which is unknown/],
  [[{ pattern: "^1", target: "2" }], /^rule 1: pattern "\^1" has \^/],
  [
    [{ pattern: "1", target: "sip:$1@x" }],
    /^rule 1: target "sip:\$1@x" has \$1, but the pattern has 0 groups$/,
  ],
  [[{ pattern: "1", target: "sip:$x@x" }], /has \$ without a digit/],
  [[{ pattern: "1", target: "sip:1@x$" }], /has \$ without a digit/],
  [[{ pattern: "1", target: "" }], /^rule 1: target "" cannot be called/],
  [[{ pattern: "1", target: "http://x" }], /cannot be called/],
  [[{ pattern: "1", target: "sip:a b@c d" }], /cannot be called/],
  [
    Array.from({ length: MAX_DIAL_RULES + 1 }, () => ({ pattern: "1", target: "2" })),
    /^has more than 1000 rules$/,
  ],
];

for (const [value, problem] of WRONG) {
  Deno.test(`dial_plan: refused: ${problem.source.slice(0, 50)}`, () => {
    const parsed = parseDialPlan(value);
    assert.match(parsed.type === "wrong" ? parsed.problem : assert.fail("accepted"), problem);
  });
}

Deno.test("dial_plan: whatever is dialled is called or refused with WireError", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      try {
        assert.notEqual(resolveDialled(PLAN, text, "example.com").uri.host, "");
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }),
  );
});

Deno.test("dial_plan: whatever a file holds is a plan or a reason", () => {
  fc.assert(fc.property(fc.anything(), (value) => {
    const parsed = parseDialPlan(value);
    if (parsed.type === "wrong") assert.ok(parsed.problem.length > 10);
  }));
});
