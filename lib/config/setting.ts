// One setting as a row: what it accepts, its default, its help, and where its value goes. Command line, TOML file, help,
// docs/configuration.md, the list of what is read again and what is never shown are all made from rows.
// Role: wire

import { z } from "zod";
import { nearest, type ParsedTable } from "./config_table.ts";
import { MAX_TEXT_LENGTH, parseAddress, parseList, parseToken } from "./setting_values.ts";

interface Kind<T> {
  readonly schema: z.ZodType<T>;
  /** Placeholder of the value on the command line, `[address]` when it may be left out; null: a switch; "": no option. */
  readonly value: string | null;
  /** True when the value is a whole number, which the command line gives as text. */
  readonly whole: boolean;
  /** Of a list of tables: the keys of each. */
  readonly keys?: Rows;
}

/** A row of the table of settings; its name is its key there. */
export interface Setting<T = unknown, At extends string | null = string | null, V = unknown> extends Kind<T> {
  readonly default: T;
  readonly help: string;
  readonly short: string | null;
  /** What holds when the default is null; null: the default says it. */
  readonly absent: string | null;
  /** Where the value goes: "limit.calls" is config.limit.calls; null: it is put together with others (config.ts). */
  readonly at: At;
  to(value: T): V;
  /** True when SIGHUP reads it, or the file that it names, again. */
  readonly reload: boolean;
  /** True when its value is never shown. */
  readonly secret: boolean;
  readonly group: string | null;
  /** Of a key of a table: true when it must be there, so that its default is never used. */
  readonly required: boolean;
}

export type Rows = Readonly<Record<string, Setting>>;

export type ValuesOf<Table extends Rows> = { -readonly [Name in keyof Table]: Table[Name]["default"] };

/**
 * What rows put at a place of the configuration: `at: "limit.calls"` is a member of Slice<..., "limit">, `at: "dtmf"` of
 * Slice<..., "">. Where the default is undefined the member may be absent.
 */
export type Slice<Table extends Rows, Place extends string> = Optional<
  { [Name in keyof Table as MemberAt<Table[Name]["at"], Place>]: ReturnType<Table[Name]["to"]> }
>;

type MemberAt<At, Place extends string> = Place extends "" ? WithoutDot<At>
  : At extends `${Place}.${infer Member}` ? WithoutDot<Member>
  : never;

type WithoutDot<Text> = Text extends `${string}.${string}` ? never : Extract<Text, string>;

type Optional<Members> =
  & { readonly [Name in keyof Members as undefined extends Members[Name] ? never : Name]: Members[Name] }
  & {
    readonly [Name in keyof Members as undefined extends Members[Name] ? Name : never]?: Exclude<
      Members[Name],
      undefined
    >;
  };

/** Makes a row. `to` absent: the value goes as it is. */
export function setting<
  T,
  const D extends T | null | undefined,
  const At extends string | null = null,
  V = T | D,
>(
  kind: Kind<T>,
  row: {
    readonly default: D;
    readonly help: string;
    readonly at?: At;
    readonly short?: string;
    readonly absent?: string;
    readonly to?: (value: T | D) => V;
    readonly reload?: true;
    readonly secret?: true;
    readonly required?: true;
  },
): Setting<T | D, At, V> {
  const { to = (value: T | D): V => value as unknown as V } = row;
  return {
    ...kind,
    schema: kind.schema as z.ZodType<T | D>,
    default: row.default,
    help: row.help,
    short: row.short ?? null,
    absent: row.absent ?? null,
    at: row.at ?? null as At,
    to,
    reload: row.reload ?? false,
    secret: row.secret ?? false,
    group: null,
    required: row.required ?? false,
  };
}

export function group<Table extends object>(heading: string, rows: Table): Table {
  const grouped = Object.entries(rows).map(([name, row]) => [name, { ...row, group: heading }]);
  return Object.fromEntries(grouped) as Table;
}

/** Makes the row of a key that a table must have. */
export function required<T, const At extends string | null>(
  kind: Kind<T>,
  row: { readonly at: At; readonly help: string; readonly absent: string },
): Setting<T, At, T> {
  return setting(kind, { ...row, default: undefined, required: true }) as Setting<T, At, T>;
}

/** A value of one source that cannot be used. */
export interface SettingIssue {
  readonly key: string;
  /** What is wrong; reads well after the key's name. */
  readonly message: string;
  /** Where it is: the key, and in a table the number of the rule and the key of it. */
  readonly path: readonly (string | number)[];
}

/** Values checked: settings to use, or everything that is wrong with them. */
type CheckedSettings =
  | { readonly type: "ok"; readonly settings: Readonly<Record<string, unknown>> }
  | { readonly type: "wrong"; readonly issues: readonly SettingIssue[] };

/** Checks the values of one source; an unknown name is an issue too, with the nearest name suggested. */
export function checkSettings(rows: Rows, values: Readonly<Record<string, unknown>>): CheckedSettings {
  const shape = Object.fromEntries(Object.entries(rows).map(([name, { schema }]) => [name, schema]));
  const result = z.strictObject(shape).partial().safeParse(values);
  if (result.success) {
    const present = Object.entries(result.data).filter(([, value]) => value !== undefined);
    return { type: "ok", settings: Object.fromEntries(present) };
  }
  const issues = result.error.issues.flatMap((issue): SettingIssue[] =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => unknownKey(rows, key))
      : [issueOf(issue, rows, values)]
  );
  return { type: "wrong", issues: firstOfEachKey(issues) };
}

/** Reads one table of a list; a text says what is wrong, without what was written. */
export function readEntry<Table extends Rows>(
  rows: Table,
  entry: Readonly<Record<string, unknown>>,
): ValuesOf<Table> | string {
  const values: Record<string, unknown> = {};
  for (const [key, row] of Object.entries(rows)) {
    values[key] = row.default;
    if (entry[key] === undefined && !row.required) continue;
    const read = row.schema.safeParse(entry[key]);
    if (!read.success) return `${key} ${read.error.issues[0]?.message}`;
    values[key] = read.data;
  }
  return values as ValuesOf<Table>;
}

/** Turns the text of a command line into a number where the setting wants one; other text stays as it is. */
export function readOptionValue(
  row: Setting | undefined,
  value: string | boolean,
): string | number | boolean {
  return row?.whole && typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
}

/** The values that go to a place of the configuration ("" for its top), by their names there. */
export function sliceOf<Table extends Rows, Place extends string>(
  rows: Table,
  values: Readonly<Record<string, unknown>>,
  place: Place,
): Slice<Table, Place> {
  const slice: Record<string, unknown> = {};
  for (const [name, { at, to }] of Object.entries(rows)) {
    const dot = at?.lastIndexOf(".") ?? -1;
    if (at === null || values[name] === undefined || at.slice(0, Math.max(0, dot)) !== place) continue;
    slice[at.slice(dot + 1)] = to(values[name]);
  }
  return slice as Slice<Table, Place>;
}

/** In `params` of an issue: the message may go on with what was written instead. */
const NOT_WANTED = { notWanted: true };

function issueOf(
  issue: z.core.$ZodIssue,
  rows: Rows,
  values: Readonly<Record<string, unknown>>,
): SettingIssue {
  const key = String(issue.path[0] ?? "");
  const toTell = issue.code === "custom" && issue.params?.notWanted === true && rows[key]?.secret === false;
  const message = toTell ? `${issue.message}, not ${shown(values[key])}` : issue.message;
  return { key, message, path: issue.path.map(stepOf) };
}

function unknownKey(rows: Rows, key: string): SettingIssue {
  const suggestion = nearest(key, Object.keys(rows));
  const hint = suggestion === null ? "" : `; did you mean ${suggestion}?`;
  return { key, message: `is not a setting${hint}`, path: [key] };
}

function stepOf(step: PropertyKey): string | number {
  return typeof step === "number" ? step : String(step);
}

function firstOfEachKey(issues: readonly SettingIssue[]): SettingIssue[] {
  return issues.filter((issue, index) => issues.findIndex((other) => other.key === issue.key) === index);
}

export function wholeNumber(min: number, max: number, value: string): Kind<number> {
  const isOne = (given: unknown): given is number => Number.isInteger(given);
  const read = (given: unknown): number | undefined =>
    isOne(given) && given >= min && given <= max ? given : undefined;
  return { ...converted(`a whole number from ${min} to ${max}`, value, read), whole: true };
}

export function port(): Kind<number> {
  return wholeNumber(0, 65535, "<port>");
}

export function address(): Kind<string> {
  return converted("an IP address", "<address>", parseAddress);
}

export function oneOf<const Name extends string>(value: string, names: readonly Name[]): Kind<Name> {
  const wanted = `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
  return converted(wanted, value, (given) => names.find((name) => name === given));
}

export function path(what: "file" | "folder"): Kind<string> {
  return converted(`a ${what}`, `<${what}>`, (given) => {
    const usable = typeof given === "string" && given !== "" && given.length <= MAX_TEXT_LENGTH;
    return usable && !given.includes("\0") ? given : undefined;
  });
}

/** A switch of the command line; true or false in the file. */
export function truth(): Kind<boolean> {
  return converted("true or false", null, (given) => typeof given === "boolean" ? given : undefined);
}

/** A list: several texts in the file, one with commas or spaces between on the command line. */
export function list<T>(wanted: string, parse: (text: string) => T | undefined): Kind<readonly T[]> {
  return converted(wanted, "<list>", (given) => parseList(given, parse));
}

/** 16 characters at least: not to be guessed; none that separates the parts of a URL. */
export function token(): Kind<string> {
  return converted(
    "16 to 256 letters, digits and signs, without spaces and & = # % + ?",
    "<text>",
    parseToken,
  );
}

/** A list of tables of the file, which the command line has not. */
export function table<Rule>(
  keys: Rows,
  parse: (value: unknown) => ParsedTable<Rule>,
): Kind<readonly Rule[]> {
  const kind = explained((value) => {
    const parsed = parse(value);
    return parsed.type === "rules" ? parsed.rules : new Problem(parsed.problem, parsed.at);
  });
  return { ...kind, value: "", keys };
}

/** What is wrong with a value, in words that read well after its name; in a table also where. */
export class Problem {
  constructor(readonly text: string, readonly at: readonly (string | number)[] = []) {}
}

export function explained<T>(read: (value: unknown) => T | Problem): Kind<T> {
  const schema = z.unknown().transform((value, context) => {
    const result = read(value);
    if (!(result instanceof Problem)) return result;
    context.addIssue({ code: "custom", message: result.text, path: [...result.at] });
    return z.NEVER;
  });
  return { schema, value: "", whole: false };
}

/**
 * A value as `convert` reads it; undefined from it means "not `wanted`".
 * @param more `isBad`: what is read and yet wrong, with its `problem`; `whole`: digits of the command line are a number
 */
export function converted<T>(
  wanted: string,
  value: string | null,
  convert: (value: unknown) => T | undefined,
  more: { readonly isBad?: (value: T) => boolean; readonly problem?: string; readonly whole?: boolean } = {},
): Kind<T> {
  const { isBad, problem = "", whole = false } = more;
  const schema = z.unknown().transform((given, context) => {
    const result = convert(given);
    if (result !== undefined) return result;
    context.addIssue({ code: "custom", message: `must be ${wanted}`, params: NOT_WANTED });
    return z.NEVER;
  });
  return {
    schema: isBad === undefined ? schema : schema.refine((read) => !isBad(read), problem),
    value,
    whole,
  };
}

function shown(value: unknown): string {
  if (typeof value === "string") return `"${value.length > 60 ? `${value.slice(0, 60)}...` : value}"`;
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  return typeof value === "object" && value !== null ? "a table" : String(value);
}

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
export function reloadedSettings(rows: Rows): readonly string[] {
  return Object.entries(rows).filter(([, { reload }]) => reload).map(([name]) => name);
}

/** The tables of all options, in Markdown, each below its heading. */
export function formatSettingsTable(rows: Rows): string {
  const options = Object.entries(rows).filter(([, { value }]) => value !== "");
  const headings = new Set(options.map(([, row]) => row.group));
  return [...headings].map((heading) => {
    const table = formatOptions(options.filter(([, row]) => row.group === heading));
    return heading === null ? table : `### ${heading}\n\n${table}`;
  }).join("\n\n");
}

function formatOptions(options: readonly [name: string, row: Setting][]): string {
  const lines = options.map(([name, row]) => {
    const short = row.short === null ? "" : `\`-${row.short}\`, `;
    const value = row.value === null ? "" : ` ${row.value}`;
    const notes = [row.reload ? "read again on SIGHUP" : "", row.secret ? "never shown" : ""];
    const help = [row.help, ...notes.filter((note) => note !== "")].join("; ");
    return [`${short}\`--${name}${value}\``, defaultText(row) ?? "", help];
  });
  return formatTable(["Option", "Default", "Meaning"], lines);
}

/** The table of the keys of an `[[account]]`, or of another table of the file, in Markdown. */
export function formatKeysTable(rows: Rows): string {
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
