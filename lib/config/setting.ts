// One setting as a row: what it accepts, its default, its help, and where its value goes. Command line, TOML file, help,
// docs/configuration.md, the list of what is read again and what is never shown are all made from rows.
// Role: wire

import { z } from "zod";
import type { ParsedTable } from "./config_table.ts";
import { nearest } from "./nearest.ts";
import { MAX_TEXT_LENGTH, parseAddress, parseList } from "./setting_values.ts";

/** What a setting accepts. */
export interface Kind<T> {
  readonly schema: z.ZodType<T>;
  /** Placeholder of the value on the command line, `[address]` when it may be left out; null: a switch; "": no option. */
  readonly value: string | null;
  /** True when the value is a whole number, which the command line gives as text. */
  readonly whole: boolean;
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
  /** The value as it goes there. */
  to(value: T): V;
  /** True when SIGHUP reads it, or the file that it names, again. */
  readonly reload: boolean;
  /** True when its value is never shown. */
  readonly secret: boolean;
}

/** Rows by name. */
export type Rows = Readonly<Record<string, Setting>>;

/** Makes a row. `to` absent: the value goes as it is. */
export function setting<T, const D extends T | null, const At extends string | null, V = T | D>(
  kind: Kind<T>,
  row: {
    readonly default: D;
    readonly help: string;
    readonly at: At;
    readonly short?: string;
    readonly absent?: string;
    readonly to?: (value: T | D) => V;
    readonly reload?: true;
    readonly secret?: true;
  },
): Setting<T | D, At, V> {
  const { to = (value: T | D): V => value as unknown as V } = row;
  return {
    schema: kind.schema as z.ZodType<T | D>,
    value: kind.value,
    whole: kind.whole,
    default: row.default,
    help: row.help,
    short: row.short ?? null,
    absent: row.absent ?? null,
    at: row.at,
    to,
    reload: row.reload ?? false,
    secret: row.secret ?? false,
  };
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
export type CheckedSettings =
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
      : [{ key: String(issue.path[0] ?? ""), message: issue.message, path: issue.path.map(stepOf) }]
  );
  return { type: "wrong", issues: firstOfEachKey(issues) };
}

/** Turns the text of a command line into a number where the setting wants one; other text stays as it is. */
export function readOptionValue(
  row: Setting | undefined,
  value: string | boolean,
): string | number | boolean {
  return row?.whole && typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
}

/** The values of the rows that go to `part` of the configuration ("" for its top), by their names there. */
export function sliceOfRows(
  rows: Rows,
  values: Readonly<Record<string, unknown>>,
  part: string,
): Record<string, unknown> {
  const slice: Record<string, unknown> = {};
  for (const [name, { at, to }] of Object.entries(rows)) {
    if (at === null) continue;
    const dot = at.indexOf(".");
    if (at.slice(0, Math.max(0, dot)) === part) slice[at.slice(dot + 1)] = to(values[name]);
  }
  return slice;
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

export function oneOf<Name extends string>(value: string, names: readonly Name[]): Kind<Name> {
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

/** A table of the file, which the command line has not: its reader says what is wrong. */
export function table<Rule>(parse: (value: unknown) => ParsedTable<Rule>): Kind<readonly Rule[]> {
  const schema = z.unknown().transform((value, context) => {
    const parsed = parse(value);
    if (parsed.type === "rules") return parsed.rules;
    context.addIssue({ code: "custom", message: parsed.problem, path: [...parsed.at] });
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
  const schema = transformed(convert, (given) => `must be ${wanted}, not ${shown(given)}`);
  return {
    schema: isBad === undefined ? schema : schema.refine((read) => !isBad(read), problem),
    value,
    whole,
  };
}

/** As above, without showing what was written. */
export function secretText<T>(
  wanted: string,
  value: string,
  convert: (value: unknown) => T | undefined,
): Kind<T> {
  return { schema: transformed(convert, () => `must be ${wanted}`), value, whole: false };
}

function transformed<T>(
  convert: (value: unknown) => T | undefined,
  problem: (value: unknown) => string,
): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const result = convert(value);
    if (result !== undefined) return result;
    context.addIssue({ code: "custom", message: problem(value) });
    return z.NEVER;
  });
}

function shown(value: unknown): string {
  if (typeof value === "string") return `"${value.length > 60 ? `${value.slice(0, 60)}...` : value}"`;
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  return typeof value === "object" && value !== null ? "a table" : String(value);
}
