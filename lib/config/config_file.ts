// The configuration file: TOML whose keys are the long option names. Every complaint names the file and the
// line and points at the place, because the reader has an editor open and not our source.
// Role: wire

import { parse, TomlError } from "smol-toml";
import { ConfigError } from "../base/errors.ts";
import { maskSecrets } from "../base/mask_secrets.ts";
import { checkSettings, type Rows, type SettingIssue } from "./setting.ts";
import { findTomlKeys, type TomlKey } from "./toml_keys.ts";

/** A configuration file that has been read: its name, for messages, and its text. */
export interface ConfigFile {
  readonly name: string;
  readonly text: string;
}

/** Longest file accepted, in characters; a real one is a page. */
const MAX_FILE_LENGTH = 1 << 20;

/** Faults told at a time. */
const MAX_TOLD = 20;

/** Longest line shown in a message. */
const MAX_SHOWN_LENGTH = 100;

/** One key, with dots at most, and nothing that could be a value. */
const PLAIN_KEY = /^[ \t]*(?:[\w-]{1,64}(?:\.[\w-]{1,64}){0,4}|"[\w -]{1,64}"|'[\w -]{1,64}')[ \t]*$/;
const PLAIN_TABLE = /^[ \t]*\[{1,2}[\w.-]{1,64}\]{1,2}[ \t]*$/;

/** Reads the settings of a file. @throws ConfigError naming the line, with a caret below the fault */
export function parseConfigFile(file: ConfigFile, rows: Rows): Readonly<Record<string, unknown>> {
  const shown = shownKeys(rows);
  if (file.text.length > MAX_FILE_LENGTH) {
    throw new ConfigError(`${file.name} is too long for a configuration`);
  }
  const checked = checkSettings(rows, parseToml(file, shown));
  if (checked.type === "ok") return checked.settings;
  const keys = findTomlKeys(file.text);
  const told = checked.issues.slice(0, MAX_TOLD).map((issue) => formatIssue(file, issue, keys, shown));
  throw new ConfigError(told.join("\n"));
}

/** Settings whose value is another in a later text of a file. @throws ConfigError when that cannot be used */
export function changedSettings(before: ConfigFile, later: ConfigFile, rows: Rows): string[] {
  parseConfigFile(later, rows);
  const [was, is] = [parseToml(before, new Set()), parseToml(later, new Set())];
  const names = new Set([...Object.keys(was), ...Object.keys(is)]);
  return [...names].filter((name) => JSON.stringify(was[name]) !== JSON.stringify(is[name]));
}

/** Settings and keys of tables whose values may be shown; of all others, mistyped ones too, only the key is. */
function shownKeys(rows: Rows): ReadonlySet<string> {
  return new Set(
    Object.entries(rows).flatMap(([name, { secret, keys }]) => [
      ...(secret || keys !== undefined ? [] : [name]),
      ...(keys === undefined ? [] : shownKeys(keys)),
    ]),
  );
}

function parseToml(file: ConfigFile, shown: ReadonlySet<string>): Record<string, unknown> {
  try {
    return parse(file.text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [summary = ""] = error.message.replace(/^Invalid TOML document: /, "").split("\n");
    const message = /^[\w ,:.-]{1,100}$/.test(summary) ? summary : "invalid value"; // nothing that was written
    throw new ConfigError(pointAt(file, error, message, shown));
  }
}

function formatIssue(
  file: ConfigFile,
  issue: SettingIssue,
  keys: readonly TomlKey[],
  shown: ReadonlySet<string>,
): string {
  const place = placeOf(keys, issue.path);
  const message = `${maskSecrets(issue.key.slice(0, MAX_SHOWN_LENGTH))} ${issue.message}`;
  return place === null ? `${file.name}: ${maskSecrets(message)}` : pointAt(file, place, message, shown);
}

function placeOf(keys: readonly TomlKey[], path: SettingIssue["path"]): Place | null {
  for (let length = path.length; length > 0; length--) {
    const above = path.slice(0, length);
    const found = keys.find((key) => above.every((step, index) => key.path[index] === step));
    if (found !== undefined) return found;
  }
  return null;
}

/** Lines and columns count from 1. */
type Place = Pick<TomlKey, "line" | "column">;

function pointAt(
  file: ConfigFile,
  { line, column }: Place,
  message: string,
  shownKeys: ReadonlySet<string>,
): string {
  const lines = file.text.split("\n");
  const source = (lines[line - 1] ?? "").replace(/\t/g, " ").trimEnd();
  const shown = isInText(lines.slice(0, line - 1)) ? "" : shownPart(source, shownKeys);
  const whole = shown !== "" && !shown.endsWith("...");
  const told = whole ? message : message.replace(/, not "[^]*$/, "");
  const head = `${file.name}, line ${line}, column ${column}: ${maskSecrets(told)}`;
  if (shown === "" || column > Math.min(shown.length, MAX_SHOWN_LENGTH)) return head;
  return `${head}\n  ${shown.slice(0, MAX_SHOWN_LENGTH)}\n  ${" ".repeat(column - 1)}^`;
}

/**
 * What of a line may be seen by whoever reads the complaint: all of a setting that is known and no secret, the key of
 * another, nothing of what is neither.
 */
function shownPart(source: string, shownKeys: ReadonlySet<string>): string {
  if (PLAIN_TABLE.test(source)) return source;
  const equals = source.indexOf("=");
  const key = source.slice(0, Math.max(0, equals));
  if (!PLAIN_KEY.test(key)) return "";
  const [, known = ""] = /^[ \t]*["']?([\w-]+)["']?[ \t]*$/.exec(key) ?? [];
  const value = withoutComment(source.slice(equals + 1));
  const harmless = shownKeys.has(known) && !/[={]|"""|'''/.test(value.replace(/^ ?=/, "")) &&
    maskSecrets(source) === source;
  return harmless ? `${key}=${value}` : `${key}= ...`;
}

function withoutComment(value: string): string {
  const at = value.indexOf("#");
  return (at < 0 ? value : value.slice(0, at)).trimEnd();
}

/** Whether a text of several lines is open behind these: what comes is a part of it. */
function isInText(before: readonly string[]): boolean {
  const text = before.join("\n");
  return ['"""', "'''"].some((quotes) => text.split(quotes).length % 2 === 0);
}
