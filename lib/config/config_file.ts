// The configuration file: TOML whose keys are the long option names. Every complaint names the file and the
// line and points at the place, because the reader has an editor open and not our source.
// Role: wire
// Answers to: nothing in siprtmp, which had no configuration file.

import { parse, TomlError } from "smol-toml";
import { ConfigError } from "../base/errors.ts";
import { maskSecrets } from "../base/mask_secrets.ts";
import { checkSettings, type SettingIssue } from "./config_schema.ts";
import type { PartialSettings } from "./config_settings.ts";

/** A configuration file that has been read: its name, for messages, and its text. */
export interface ConfigFile {
  /** The path as the person wrote it. */
  readonly name: string;
  /** The whole text. */
  readonly text: string;
}

/** Longest file accepted, in characters; a real one is a page. */
const MAX_FILE_LENGTH = 1 << 20;

/** Longest line shown in a message. */
const MAX_SHOWN_LENGTH = 100;

/** A line that sets something of this name is not shown: complaints end up in logs and in other people's eyes. */
const SECRET_KEY = /^[^=#]*(?:pass|pwd|secret|token)|(?:^|[\s,{"'])key["']?\s*=/i;

/** Reads the settings of a file. @throws ConfigError naming the line, with a caret below the fault */
export function parseConfigFile(file: ConfigFile): PartialSettings {
  if (file.text.length > MAX_FILE_LENGTH) {
    throw new ConfigError(`${file.name} is too long for a configuration`);
  }
  const checked = checkSettings(parseToml(file));
  if (checked.type === "ok") return checked.settings;
  throw new ConfigError(checked.issues.map((issue) => formatIssue(file, issue)).join("\n"));
}

function parseToml(file: ConfigFile): Record<string, unknown> {
  try {
    return parse(file.text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [summary = ""] = error.message.replace(/^Invalid TOML document: /, "").split("\n");
    throw new ConfigError(pointAt(file, error.line, error.column, summary));
  }
}

function formatIssue(file: ConfigFile, issue: SettingIssue): string {
  const rule = /^rule (\d+): /.exec(issue.message)?.[1];
  const place = findKey(file.text, issue.key, Number(rule ?? 1));
  const message = `${issue.key} ${issue.message}`;
  return place === null ? `${file.name}: ${message}` : pointAt(file, place.line, place.column, message);
}

/** Lines and columns count from 1; `count` says which of several tables of one name. Our settings are plain keys at the top, so a line search finds them. */
function findKey(text: string, key: string, count: number): { line: number; column: number } | null {
  const found: { line: number; column: number }[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (keyOf(line) === key) found.push({ line: index + 1, column: line.indexOf(key) + 1 });
  }
  return found[count - 1] ?? found[0] ?? null;
}

/** `key`, `"key"` or `[[key` before the first equals sign, dot or bracket; null when there is none. */
function keyOf(line: string): string | null {
  const end = line.search(/[=.\]]/);
  if (end < 0) return null;
  const key = line.slice(0, end).trim().replace(/^\[{1,2}/, "").trim();
  return /^(["']).*\1$/s.test(key) ? key.slice(1, -1) : key;
}

function pointAt(file: ConfigFile, line: number, column: number, message: string): string {
  const source = (file.text.split("\n")[line - 1] ?? "").replace(/\t/g, " ").trimEnd();
  const secret = SECRET_KEY.test(source) || maskSecrets(source) !== source;
  const told = secret ? maskSecrets(message.replace(/, not ".*/s, "")) : message;
  const head = `${file.name}, line ${line}, column ${column}: ${told}`;
  if (secret || source === "" || column > MAX_SHOWN_LENGTH) return head;
  return `${head}\n  ${source.slice(0, MAX_SHOWN_LENGTH)}\n  ${" ".repeat(column - 1)}^`;
}
