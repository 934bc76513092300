// The report of a run: tables, targets, and the same as a part of a document.
// Role: wire

import type { Target } from "../scenarios/scenario.ts";
import { formatMarkdown, type Table } from "./tables.ts";

/** What the bench writes into a document stands between two such marks, one part per scenario. */
export function marksOf(part: string): { readonly begin: string; readonly end: string } {
  return { begin: `<!-- bench:calls ${part}: begin -->`, end: `<!-- bench:calls ${part}: end -->` };
}

/** What is demanded, beside what was measured. */
export function targetTable(targets: readonly Target[]): Table {
  return {
    title: "Targets",
    heads: ["target", "measured", "reached"],
    rows: targets.map(({ text, measured, reached }) => [
      text,
      measured,
      reached === null ? "cannot be told" : reached ? "yes" : "no",
    ]),
  };
}

/** The tables as a part of a document. */
export function formatReport(heading: string, tables: readonly Table[]): string {
  const documented = tables.filter((table) => table.printedOnly !== true);
  return [heading, ...documented.map(formatMarkdown)].join("\n\n");
}

/** The document with the report in the place of what stood in its part; a document without that part gets it at its end. */
export function placeReport(document: string, part: string, report: string): string {
  const marks = marksOf(part);
  const [begin, end] = [document.indexOf(marks.begin), document.indexOf(marks.end)];
  if (begin >= 0 && end > begin) {
    return `${document.slice(0, begin + marks.begin.length)}\n\n${report}\n\n${document.slice(end)}`;
  }
  const before = document.trimEnd();
  return `${before}${before === "" ? "" : "\n\n"}${marks.begin}\n\n${report}\n\n${marks.end}\n`;
}
