import assert from "node:assert/strict";
import { formatReport, marksOf, placeReport, targetTable } from "../../bench/control/report.ts";
import { decimal, formatMarkdown, formatTable, percent } from "../../bench/control/tables.ts";

const TABLE = {
  title: "Calls",
  heads: ["calls", "CPU"],
  rows: [["10", "1.25"], ["500", "0.9"]],
  notes: ["in ms"],
};

Deno.test("a table for a terminal: first column to the left, numbers to the right", () => {
  assert.equal(formatTable(TABLE), "Calls\n\ncalls   CPU\n10     1.25\n500     0.9\n  in ms");
});

Deno.test("a table as Markdown", () => {
  assert.equal(
    formatMarkdown(TABLE),
    "### Calls\n\n| calls |  CPU |\n| ----- | ---: |\n| 10    | 1.25 |\n| 500   |  0.9 |\n\n- in ms",
  );
});

Deno.test("what is not known is a dash", () => {
  assert.equal(decimal(null), "-");
  assert.equal(decimal(Number.NaN), "-");
  assert.equal(decimal(1.26), "1.3");
  assert.equal(percent(null), "-");
  assert.equal(percent(0.00123, 2), "0.12 %");
});

Deno.test("a target says what was demanded, measured, and whether it was reached", () => {
  const { rows } = targetTable([
    { text: "fast", measured: "1 ms", reached: true },
    { text: "small", measured: "9 KiB", reached: false },
    { text: "many", measured: "-", reached: null },
  ]);
  assert.deepEqual(rows.map((row) => row[2]), ["yes", "no", "cannot be told"]);
});

Deno.test("a report takes the place of its part, and the rest of the document stays", () => {
  const [calls, idle] = [marksOf("calls"), marksOf("idle")];
  const rest = `${idle.begin}\n\nother\n\n${idle.end}\n\nafter\n`;
  const document = `# Title\n\n${calls.begin}\n\nold\n\n${calls.end}\n\n${rest}`;
  const once = placeReport(document, "calls", "new");
  assert.equal(once, `# Title\n\n${calls.begin}\n\nnew\n\n${calls.end}\n\n${rest}`);
  assert.equal(placeReport(once, "calls", "new"), once);
});

Deno.test("a part that is not there comes at the end", () => {
  const { begin, end } = marksOf("soak");
  assert.equal(placeReport("# Title\n", "soak", "flat"), `# Title\n\n${begin}\n\nflat\n\n${end}\n`);
  const printed = { title: "Evidence", heads: ["a"], rows: [["b"]], printedOnly: true };
  assert.equal(placeReport("", "soak", formatReport("Today", [printed])), `${begin}\n\nToday\n\n${end}\n`);
});
