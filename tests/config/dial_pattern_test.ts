import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type DialPattern,
  MAX_PATTERN_LENGTH,
  MAX_SUBJECT_LENGTH,
  parseDialPattern,
} from "../../lib/config/dial_pattern.ts";

function patternOf(text: string): DialPattern {
  const parsed = parseDialPattern(text);
  return parsed.type === "pattern" ? parsed.pattern : assert.fail(`${text} ${parsed.problem}`);
}

/** Pattern, text, groups; null: does not fit. */
const MATCHES: [pattern: string, text: string, groups: string[] | null][] = [
  ["7140", "7140", []],
  ["7140", "71400", null],
  ["7140", "714", null],
  ["0049(.*)", "0049301234", ["301234"]],
  ["0049(.*)", "0049", [""]],
  ["0049(.*)", "0048301234", null],
  ["+49(.+)", "+49301234", ["301234"]],
  ["+49(.+)", "+49", null],
  ["(+49)(.*)", "+4930", ["+49", "30"]],
  ["00?49(.*)", "049111", ["111"]],
  ["00?49(.*)", "0049111", ["111"]],
  ["[1-9][0-9]", "42", []],
  ["[1-9][0-9]", "02", null],
  ["[^0]\\d\\d", "112", []],
  ["[^0]\\d\\d", "012", null],
  ["[*]21[*](\\d+)#", "*21*4711#", ["4711"]],
  ["\\*\\#06\\#", "*#06#", []],
  ["1.3", "1x3", []],
  ["1\\.3", "1x3", null],
  ["1\\.3", "1.3", []],
  ["[0-9#*-]+", "1-2#*", []],
  ["[\\]^]+", "]^]", []],
  ["(a*)(a*)b", "aaab", ["aaa", ""]],
  ["(.*)(\\d)", "1234", ["123", "4"]],
  ["(a?)(.*)", "ab", ["a", "b"]],
  ["(.*)@old\\.example", "alice@old.example", ["alice"]],
  ["(.)😀(.*)", "a😀b", ["a", "b"]],
  ["Zoë", "Zoë", []],
  ["zoë", "Zoë", null],
];

for (const [pattern, text, groups] of MATCHES) {
  Deno.test(`dial_pattern: ${pattern} ${groups === null ? "does not fit" : "fits"} ${text}`, () => {
    assert.deepEqual(patternOf(pattern).match(text), groups === null ? null : [text, ...groups]);
  });
}

const WRONG: [pattern: string, problem: RegExp][] = [
  ["", /^is empty$/],
  ["1".repeat(MAX_PATTERN_LENGTH + 1), /^is longer than 128/],
  ["(", /^has \( without \)$/],
  [")", /^has \) without \($/],
  ["((1))", /^has \( inside/],
  ["[12", /^has \[ without \]$/],
  ["12]", /^has \] without \[$/],
  ["[]", /^has an empty \[ \]$/],
  ["[9-0]", /^has the range 9-0, which is the wrong way round$/],
  ["[\\", /^has \[ without \]$/],
  ["1\\", /^ends with \\$/],
  ["\\w", /^has \\w, which means nothing here$/],
  ["*21", /^has \* with nothing before it; for the key write \[\*\]$/],
  ["?1", /^has \? with nothing/],
  ["1**", /^has \* after a repetition; for the key write \[\*\]$/],
  ["1+*", /^has \* after a repetition/],
  ["(1)*", /^has \* after a group/],
  ["^0049", /^has \^, which means nothing here: the whole number is compared anyway/],
  ["0049$", /^has \$, which means nothing here/],
  ["1|2", /^has \|.*a rule for each/],
  ["1{3}", /^has \{/],
  ["(1)".repeat(10), /^has more than 9 groups$/],
];

for (const [pattern, problem] of WRONG) {
  Deno.test(`dial_pattern: "${pattern.slice(0, 20)}" is explained`, () => {
    const parsed = parseDialPattern(pattern);
    assert.match(parsed.type === "wrong" ? parsed.problem : assert.fail("accepted"), problem);
  });
}

Deno.test("dial_pattern: those with an @ are compared with the host too", () => {
  for (
    const [text, wantsHost] of [["(.*)@x", true], ["0049", false], [".*", false], ["[@-Z]", false]] as const
  ) {
    assert.equal(patternOf(text).wantsHost, wantsHost, text);
  }
});

Deno.test("dial_pattern: what takes other languages longer than we live ends here", () => {
  const text = "a".repeat(MAX_SUBJECT_LENGTH);
  const evil = [
    "(a*)".repeat(9) + "b",
    `${"a*".repeat(60)}b`,
    `${".*a".repeat(40)}b`,
    `${"a?".repeat(58)}${"a".repeat(8)}b`,
  ];
  for (const pattern of evil) assert.equal(patternOf(pattern).match(text), null);
  assert.equal(patternOf(".*").match(`${text}a`), null, "a text that long fits nothing");
});

/** Our language in terms of RegExp, for patterns made of these pieces only. */
const pieces = fc.array(
  fc.record({
    what: fc.constantFrom("0", "1", ".", "[01]", "[^1]", "\\d"),
    times: fc.constantFrom("", "*", "+", "?"),
    grouped: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
).map((list) =>
  list.map(({ what, times, grouped }) => (grouped ? `(${what}${times})` : what + times)).join("")
)
  .filter((text) => parseDialPattern(text).type === "pattern");

Deno.test("dial_pattern: agrees with RegExp, groups too", () => {
  const texts = fc.string({ unit: fc.constantFrom("0", "1", "2"), maxLength: 10 });
  fc.assert(
    fc.property(pieces, texts, (pattern, text) => {
      const expected = new RegExp(`^${pattern}$`).exec(text);
      assert.deepEqual(patternOf(pattern).match(text), expected === null ? null : [...expected]);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("dial_pattern: nothing throws, whatever is written or dialled", () => {
  const signs = fc.string({ unit: fc.constantFrom(..."()[]*+?.\\^$|-019a@"), maxLength: 20 });
  fc.assert(
    fc.property(fc.oneof(signs, fc.string()), fc.string(), (pattern, text) => {
      const parsed = parseDialPattern(pattern);
      if (parsed.type === "wrong") return assert.ok(parsed.problem.length > 5);
      const groups = parsed.pattern.match(text);
      if (groups !== null) assert.equal(groups.length, parsed.pattern.groups + 1);
    }),
    { numRuns: 2000 },
  );
});
