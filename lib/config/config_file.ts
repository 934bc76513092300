// The configuration file: TOML whose keys are the long option names. Every complaint names the file and the line and points at
// the place, because the reader has an editor open and not our source.
// Role: wire

import { parse, TomlError } from "smol-toml";
import { ConfigError } from "../base/errors.ts";
import { maskSecrets } from "../base/mask_secrets.ts";
import { checkSettings, type Rows, type SettingIssue } from "./setting.ts";

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

function placeOf(keys: readonly TomlKey[], path: SettingIssue["path"]): TomlPlace | null {
  for (let length = path.length; length > 0; length--) {
    const above = path.slice(0, length);
    const found = keys.find((key) => above.every((step, index) => key.path[index] === step));
    if (found !== undefined) return found;
  }
  return null;
}

/** Lines and columns count from 1. */
type TomlPlace = Pick<TomlKey, "line" | "column">;

function pointAt(
  file: ConfigFile,
  { line, column }: TomlPlace,
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

/** A key or table: its names and numbers from the top, as the parsed value has them. */
interface TomlKey {
  /** Such as ["account", 0, "password"]. */
  readonly path: readonly (string | number)[];
  /** Counts from 1. */
  readonly line: number;
  /** Counts from 1. */
  readonly column: number;
}

/** Inline tables and lists in each other at most, and names of one key that are told apart. */
const MAX_DEPTH = 100;

/** Every key of a text, in order. */
export function findTomlKeys(text: string): TomlKey[] {
  const scanner = new KeyScanner(text);
  scanner.document();
  return scanner.keys;
}

class KeyScanner {
  readonly keys: TomlKey[] = [];
  readonly #text: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;
  /** Where the keys of the next lines belong. */
  #table: (string | number)[] = [];
  /** How many tables of a list there are, by the path of the list. */
  readonly #counts = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    while (this.#skip(true)) {
      const before = this.#at;
      if (this.#text[this.#at] === "[") this.#header();
      else this.#pair(this.#table, 0);
      if (this.#at === before) return;
    }
  }

  #header(): void {
    const list = this.#text[this.#at + 1] === "[";
    this.#at += list ? 2 : 1;
    this.#skip(false);
    const place = this.#place();
    const path: (string | number)[] = [];
    const names = this.#names();
    for (const [index, name] of names.entries()) {
      path.push(name);
      const count = this.#counts.get(JSON.stringify(path));
      if (list && index === names.length - 1) {
        this.#counts.set(JSON.stringify(path), (count ?? 0) + 1);
        path.push(count ?? 0);
      } else if (count !== undefined) path.push(count - 1);
    }
    this.#table = path;
    this.keys.push({ path, ...place });
    this.#at += list ? 2 : 1;
  }

  #pair(table: readonly (string | number)[], depth: number): void {
    const place = this.#place();
    const path = [...table, ...this.#names()];
    if (this.#text[this.#at] !== "=") return;
    this.#at++;
    this.keys.push({ path, ...place });
    this.#skip(false);
    this.#value(path, depth);
  }

  #names(): string[] {
    const names: string[] = [];
    while (this.#at < this.#text.length) {
      const start = this.#at;
      const sign = this.#text[start];
      if (sign === '"' || sign === "'") {
        this.#string();
        if (names.length < MAX_DEPTH) names.push(unquoted(this.#text.slice(start, this.#at)));
      } else {
        while (isBare(this.#text.charCodeAt(this.#at))) this.#at++;
        if (this.#at === start) return names;
        if (names.length < MAX_DEPTH) names.push(this.#text.slice(start, this.#at));
      }
      this.#skip(false);
      if (this.#text[this.#at] !== ".") return names;
      this.#at++;
      this.#skip(false);
    }
    return names;
  }

  #value(path: readonly (string | number)[], depth: number): void {
    const sign = this.#text[this.#at];
    if (sign === '"' || sign === "'") return this.#string();
    if ((sign === "[" || sign === "{") && depth < MAX_DEPTH) return this.#members(path, depth, sign === "[");
    while (this.#at < this.#text.length && !/[,\]}#\r\n]/.test(this.#text[this.#at]!)) this.#at++;
  }

  /** [value, value] or { key = value, key = value } */
  #members(path: readonly (string | number)[], depth: number, list: boolean): void {
    this.#at++;
    for (let index = 0; this.#skip(true); index++) {
      if (this.#text[this.#at] === (list ? "]" : "}")) {
        this.#at++;
        return;
      }
      const before = this.#at;
      if (list) this.#value([...path, index], depth + 1);
      else this.#pair(path, depth + 1);
      this.#skip(true);
      if (this.#text[this.#at] === ",") this.#at++;
      if (this.#at === before) return;
    }
  }

  #string(): void {
    const quote = this.#text[this.#at]!;
    const escapes = quote === '"';
    const long = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = long ? quote.repeat(3) : quote;
    this.#at += end.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      if (escapes && this.#text[this.#at] === "\\") this.#at++;
      this.#step();
    }
    this.#at += end.length;
    while (long && this.#text[this.#at] === quote) this.#at++; // up to two quotes belong to the text
  }

  /** Over blanks, and with `lines` over line ends and comments; false at the end of the text. */
  #skip(lines: boolean): boolean {
    for (; this.#at < this.#text.length; this.#step()) {
      const sign = this.#text[this.#at]!;
      if (lines && sign === "#") {
        while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++;
      } else if (sign !== " " && sign !== "\t" && !(lines && (sign === "\n" || sign === "\r"))) return true;
      if (this.#at >= this.#text.length) return false;
    }
    return false;
  }

  #step(): void {
    if (this.#text[this.#at] === "\n") {
      this.#line++;
      this.#lineStart = this.#at + 1;
    }
    this.#at++;
  }

  #place(): { line: number; column: number } {
    const quoted = this.#text[this.#at] === '"' || this.#text[this.#at] === "'";
    return { line: this.#line, column: this.#at - this.#lineStart + (quoted ? 2 : 1) };
  }
}

/** A sign of a key without quotes: letter, digit, - or _ */
function isBare(code: number): boolean {
  return code >= 0x61 && code <= 0x7a || code >= 0x41 && code <= 0x5a || code >= 0x30 && code <= 0x39 ||
    code === 0x2d || code === 0x5f;
}

/** The name of a key in quotes; escapes as in JSON, and as they are where JSON has others. */
function unquoted(text: string): string {
  if (text[0] === "'" || !text.includes("\\")) return text.slice(1, -1);
  try {
    return String(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text.slice(1, -1);
  }
}
