// What the rule finds, what it lets pass, and in which files.

import assert from "node:assert/strict";
import plugin, { regexpProblems } from "../../scripts/lint_regexps.ts";

const SLOW: readonly RegExp[] = [
  /(\S+)\s+([^;]*);$/,
  /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/,
  /^\/+|\/+$/g,
  /^(\s*a=crypto:)/m,
  /\s+$/,
  /^(a+)+$/,
  /\s*[\r\n]+\s*/g,
  /^\s*\[?\s*x/,
  /^\w+\d+;/,
];

const STOPS: readonly RegExp[] = [/^a=(.*)$/, /^[A-Z]+ (.+)$/, /^(.)$/, /^x.{1,9}(?:y|$)/, /^.*$/m];

const GOOD: readonly RegExp[] = [
  /^\d{1,5}(?:\/\d{1,5})?$/,
  /^([^:]+):([^]*)$/,
  /^a=.*$/s,
  /^[^@\s]+@[^@\s]+$/,
  /\.$/,
  /^[.]*$/,
  /\$.*/,
  /^[^\].]*$/,
  /\r?\n/,
  /\s+/g,
];

const found = ({ source, flags }: RegExp): string[] => regexpProblems(source, flags);

Deno.test("expressions that hostile text makes slow are found", () => {
  for (const expression of SLOW) {
    assert.ok(found(expression).some((problem) => problem.includes("its time grows")), String(expression));
  }
});

Deno.test("a full stop before a dollar is found, which separators of lines and paragraphs end", () => {
  for (const expression of STOPS) {
    assert.deepEqual(found(expression).map((problem) => problem.slice(0, 14)), ["`.` before `$`"]);
  }
});

Deno.test("other expressions pass", () => {
  for (const expression of GOOD) assert.deepEqual(found(expression), [], String(expression));
});

Deno.test("the rule looks at what runs, not at tests", () => {
  const root = new URL("../..", import.meta.url).pathname;
  const source = "export const slow = /a+$/;";
  const complaints = (path: string): number => Deno.lint.runPlugin(plugin, root + path, source).length;
  assert.deepEqual(
    ["lib/net/x.ts", "main.ts", "scripts/x.ts", "tests/lib/x.ts", "bench/x.ts"].map(complaints),
    [
      1,
      1,
      1,
      0,
      0,
    ],
  );
});
