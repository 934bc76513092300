// Tables of text: aligned for a terminal, and as Markdown.
// Role: wire

/** A table: heads, then rows of as many cells. */
export interface Table {
  readonly title: string;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences below it. */
  readonly notes?: readonly string[];
  /** Evidence for who looks at a run: left out of documents. */
  readonly printedOnly?: boolean;
}

/** For a terminal: columns as wide as their widest cell, numbers to the right. */
export function formatTable(table: Table): string {
  const widths = widthsOf(table);
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
      .trimEnd();
  const body = [table.heads, ...table.rows].map(line);
  return [`${table.title}\n`, ...body, ...(table.notes ?? []).map((note) => `  ${note}`)].join("\n");
}

/** As Markdown, aligned as `deno fmt` leaves it. */
export function formatMarkdown(table: Table): string {
  const widths = widthsOf(table).map((width) => Math.max(3, width));
  const line = (cells: readonly string[]): string =>
    `| ${
      cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join(" | ")
    } |`;
  const rule = `| ${
    widths.map((width, i) => i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")
  } |`;
  const notes = (table.notes ?? []).map((note) => `- ${note}`);
  const parts = [`### ${table.title}`, [line(table.heads), rule, ...table.rows.map(line)].join("\n")];
  return [...parts, ...(notes.length > 0 ? [notes.join("\n")] : [])].join("\n\n");
}

function widthsOf({ heads, rows }: Table): number[] {
  return heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)));
}

/** A number with so many digits behind the point; a dash for what is not known. */
export function decimal(value: number | null, digits = 1): string {
  return value === null || !Number.isFinite(value) ? "-" : value.toFixed(digits);
}

/** A share as percent. */
export function percent(share: number | null, digits = 0): string {
  return share === null ? "-" : `${(share * 100).toFixed(digits)} %`;
}
