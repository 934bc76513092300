// The report of a run: tables, targets, and the same as a part of a document.
// Role: wire

import type { Target } from "../scenarios/scenario.ts";
import { formatMarkdown, type Table } from "./tables.ts";

/** Between these marks of a document stands what the bench has written. */
export const MARKS = {
  begin: "<!-- written by deno task bench:calls --markdown: begin -->",
  end: "<!-- written by deno task bench:calls --markdown: end -->",
} as const;

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
  return [heading, ...tables.map(formatMarkdown)].join("\n\n");
}

/** The document with the report between its marks; a document without marks is replaced by the report. */
export function placeReport(document: string, report: string): string {
  const [begin, end] = [document.indexOf(MARKS.begin), document.indexOf(MARKS.end)];
  if (begin < 0 || end < begin) return report + "\n";
  return `${document.slice(0, begin + MARKS.begin.length)}\n\n${report}\n\n${document.slice(end)}`;
}
