// What people read of the settings: defaults in the help, the tables of docs/configuration.md, what SIGHUP reads again.
// Role: wire

import type { Rows, Setting } from "./setting.ts";
import { accountKeys } from "./accounts.ts";
import { settings } from "./settings.ts";

/** The default of a setting in words; null: there is nothing to say. */
export function defaultText({ default: value, absent }: Setting): string | null {
  if (
    absent !== null && (value === null || value === undefined || Array.isArray(value) && value.length === 0)
  ) return absent;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  if (isPortRange(value)) return `${value.min}-${value.max}`;
  return null;
}

/** Names of the settings that SIGHUP reads again. */
export function reloadedSettings(rows: Rows = settings): readonly string[] {
  return Object.entries(rows).filter(([, { reload }]) => reload).map(([name]) => name);
}

/** The table of all settings, in Markdown. */
export function formatSettingsTable(rows: Rows = settings): string {
  const lines = Object.entries(rows).filter(([, { value }]) => value !== "").map(([name, row]) => {
    const short = row.short === null ? "" : `\`-${row.short}\`, `;
    const value = row.value === null ? "" : ` ${row.value}`;
    const notes = [row.reload ? "read again on SIGHUP" : "", row.secret ? "never shown" : ""];
    const help = [row.help, ...notes.filter((note) => note !== "")].join("; ");
    return [`${short}\`--${name}${value}\``, defaultText(row) ?? "", help];
  });
  return formatTable(["Option", "Default", "Meaning"], lines);
}

/** The table of the keys of an `[[account]]`, or of another table of the file, in Markdown. */
export function formatKeysTable(rows: Rows = accountKeys): string {
  const lines = Object.entries(rows).map(([name, row]) => [`\`${name}\``, defaultText(row) ?? "", row.help]);
  return formatTable(["Key", "Default", "Meaning"], lines);
}

function isPortRange(value: unknown): value is { readonly min: number; readonly max: number } {
  return typeof value === "object" && value !== null && "min" in value && "max" in value;
}

/** Columns as wide as their widest cell, as the formatter of this project leaves them. */
function formatTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const cells = [head, ...lines].map((line) => line.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const rows = cells.map((line) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`
  );
  rows.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  return rows.join("\n");
}
