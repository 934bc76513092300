import assert from "node:assert/strict";
import { formatReport, MARKS, placeReport, targetTable } from "../../bench/control/report.ts";
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

Deno.test("a report takes the place between its marks, and the rest of the document stays", () => {
  const document = `# Title\n\n${MARKS.begin}\n\nold\n\n${MARKS.end}\n\nafter\n`;
  const once = placeReport(document, "new");
  assert.equal(once, `# Title\n\n${MARKS.begin}\n\nnew\n\n${MARKS.end}\n\nafter\n`);
  assert.equal(placeReport(once, "new"), once);
  assert.equal(placeReport("", formatReport("Today", [])), "Today\n");
});
