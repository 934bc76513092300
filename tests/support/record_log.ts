// A logger that keeps its lines for the test to look at.
// Role: machine

import type { Category, Level, Logger } from "../../lib/base/log.ts";
import { maskSecrets } from "../../lib/base/mask_secrets.ts";
import { messageOf } from "../../lib/base/errors.ts";

const ORDER: readonly Level[] = ["error", "warn", "info", "debug", "trace"];

/** Records lines as "LEVEL CATEGORY NAMES: TEXT: DETAIL", secrets masked as in the real log. */
export class RecordLog implements Logger {
  /** All lines so far; shared with children. */
  readonly lines: string[];
  readonly #lowest: Level;
  readonly #category: Category;
  readonly #names: string;

  /** Starts empty. @param lowest lines below this level are not recorded */
  constructor(lowest: Level = "trace", category: Category = "main", names = "", lines: string[] = []) {
    this.lines = lines;
    this.#lowest = lowest;
    this.#category = category;
    this.#names = names;
  }

  /** Whether `level` is recorded. */
  enabled(level: Level): boolean {
    return ORDER.indexOf(level) <= ORDER.indexOf(this.#lowest);
  }

  /** Records an error line. */
  error(text: string, detail?: unknown): void {
    this.#record("error", text, detail);
  }

  /** Records a warn line. */
  warn(text: string, detail?: unknown): void {
    this.#record("warn", text, detail);
  }

  /** Records an info line. */
  info(text: string, detail?: unknown): void {
    this.#record("info", text, detail);
  }

  /** Records a debug line. */
  debug(text: string, detail?: unknown): void {
    this.#record("debug", text, detail);
  }

  /** Records a trace line. */
  trace(text: string, detail?: unknown): void {
    this.#record("trace", text, detail);
  }

  /** A logger into the same lines with a name before each text. */
  child(name: string): RecordLog {
    return new RecordLog(this.#lowest, this.#category, `${this.#names}${name}: `, this.lines);
  }

  /** A logger into the same lines with another category. */
  category(category: Category): RecordLog {
    return new RecordLog(this.#lowest, category, this.#names, this.lines);
  }

  /** The lines of one level. */
  at(level: Level): string[] {
    return this.lines.filter((line) => line.startsWith(`${level} `));
  }

  #record(level: Level, text: string, detail: unknown): void {
    if (!this.enabled(level)) return;
    const suffix = detail === undefined
      ? ""
      : `: ${detail instanceof Error ? messageOf(detail) : String(detail)}`;
    this.lines.push(maskSecrets(`${level} ${this.#category} ${this.#names}${text}${suffix}`));
  }
}
