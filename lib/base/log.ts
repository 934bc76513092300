// The log: categories equal the folders, one line per event, secrets masked here (mask_secrets.ts) and not by callers.
// LogTape decides by category and level; the writer (log_writer.ts) survives a full disk or closed pipe.
// A logger is passed down and extended with child(), never global, so a test can give one that records.
// Deno permissions: none (standard error is always open to the process).
// Role: edge

import { configureSync, getConfig, getLogger, type LogLevel, type LogRecord } from "@logtape/logtape";
import { ConfigError, messageOf, TransportError, WireError } from "./errors.ts";
import { LineWriter } from "./log_writer.ts";
import { maskSecrets } from "./mask_secrets.ts";

/** What a line is about; equal to the folders, with `.wire` for the bytes or text on the wire. */
export type Category =
  | "main"
  | "config"
  | "net"
  | "rtmp"
  | "rtmp.wire"
  | "sip"
  | "sip.wire"
  | "sdp"
  | "rtp"
  | "rtcp"
  | "media"
  | "call";

/** How much it matters. */
export type Level = "error" | "warn" | "info" | "debug" | "trace";

/** Takes lines of one category on behalf of one thing (a connection, a call). */
export interface Logger {
  /** Whether lines of this level are written: ask before building an expensive text. */
  enabled(level: Level): boolean;
  /** Something is broken and somebody must look. `detail` may be an error or any value. */
  error(text: string, detail?: unknown): void;
  /** A peer or a setting misbehaves; we go on. */
  warn(text: string, detail?: unknown): void;
  /** One line when a thing starts and one when it ends. */
  info(text: string, detail?: unknown): void;
  /** What `-d` shows: messages and calls. */
  debug(text: string, detail?: unknown): void;
  /** What `-D` shows: everything. */
  trace(text: string, detail?: unknown): void;
  /** The same category, with `name` put before each text. */
  child(name: string): Logger;
  /** The same names, another category. */
  category(category: Category): Logger;
}

const nothing = (): void => {};

/** Writes nothing. */
export const silentLog: Logger = {
  enabled: () => false,
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  trace: nothing,
  child: () => silentLog,
  category: () => silentLog,
};

/** How the log is opened. */
export interface LogOptions {
  /** normal: info and above; debug (`-d`): also debug of rtmp, sip, media and call; trace (`-D`): all. */
  verbosity: "normal" | "debug" | "trace";
  /** Takes finished lines (without line feed) instead of standard error; may throw, then the line is lost. */
  write?: (line: string) => void;
}

/** An open log. */
export interface OpenLog {
  /** The root logger, category "main". */
  readonly log: Logger;
  /** Lines that could not be written so far. */
  readonly lost: number;
  /** Writes a line that another thread of this program has finished, as it is. */
  put(line: string): void;
  /** Writes what is queued (waits 1 s at most) and stops; later lines are ignored. */
  close(): Promise<void>;
}

const LEVELS: Readonly<Record<Level, LogLevel>> = {
  error: "error",
  warn: "warning",
  info: "info",
  debug: "debug",
  trace: "trace",
};

const LEVEL_LABELS: Readonly<Record<LogLevel, string>> = {
  fatal: "error",
  error: "error",
  warning: "warn ",
  info: "info ",
  debug: "debug",
  trace: "trace",
};

/** What `-d` opens up; categories below them (sip.wire) follow. */
const DEBUG_CATEGORIES: readonly Category[] = ["rtmp", "sip", "media", "call"];

/** Opens the log. Several may be open at once (tests); each has a LogTape tree of its own. */
export function openLog(options: LogOptions): OpenLog {
  const root = `siprtmp-${crypto.randomUUID()}`;
  const writer = new LineWriter(options.write ?? null, (bytes) => Deno.stderr.write(bytes));
  addToLogTape(root, options.verbosity, (record) => writer.put(formatRecord(record)));
  return {
    log: new CategoryLogger(root, "main", ""),
    get lost() {
      return writer.lost;
    },
    put: (line) => writer.put(line),
    async close() {
      removeFromLogTape(root);
      await writer.close();
    },
  };
}

class CategoryLogger implements Logger {
  readonly #root: string;
  readonly #category: Category;
  readonly #names: string;
  readonly #logger: ReturnType<typeof getLogger>;

  constructor(root: string, category: Category, names: string) {
    this.#root = root;
    this.#category = category;
    this.#names = names;
    this.#logger = getLogger([root, ...category.split(".")]);
  }

  enabled(level: Level): boolean {
    return this.#logger.isEnabledFor(LEVELS[level]);
  }

  error(text: string, detail?: unknown): void {
    this.#emit("error", text, detail);
  }

  warn(text: string, detail?: unknown): void {
    this.#emit("warn", text, detail);
  }

  info(text: string, detail?: unknown): void {
    this.#emit("info", text, detail);
  }

  debug(text: string, detail?: unknown): void {
    this.#emit("debug", text, detail);
  }

  trace(text: string, detail?: unknown): void {
    this.#emit("trace", text, detail);
  }

  child(name: string): Logger {
    return new CategoryLogger(this.#root, this.#category, `${this.#names}${name}: `);
  }

  category(category: Category): Logger {
    return new CategoryLogger(this.#root, category, this.#names);
  }

  /** emit() and not info(): texts of peers hold braces, which LogTape would take for placeholders. */
  #emit(level: Level, text: string, detail: unknown): void {
    if (!this.enabled(level)) return;
    const whole = this.#names + text + formatDetail(detail);
    this.#logger.emit({
      level: LEVELS[level],
      message: [whole],
      rawMessage: whole,
      timestamp: Date.now(),
      properties: {},
    });
  }
}

function addToLogTape(
  root: string,
  verbosity: LogOptions["verbosity"],
  sink: (record: LogRecord) => void,
): void {
  const before = getConfig();
  const debug = verbosity === "debug" ? DEBUG_CATEGORIES : [];
  configureSync({
    sinks: { ...before?.sinks, [root]: sink },
    loggers: [
      { category: ["logtape", "meta"], lowestLevel: "fatal", sinks: [] },
      ...(before?.loggers ?? []).filter((logger) => logger.category[0] !== "logtape"),
      { category: [root], lowestLevel: verbosity === "trace" ? "trace" : "info", sinks: [root] },
      ...debug.map((category) => ({
        category: [root, category],
        lowestLevel: "debug" as const,
        sinks: [root],
        parentSinks: "override" as const,
      })),
    ],
    reset: true,
  });
}

function removeFromLogTape(root: string): void {
  const before = getConfig();
  if (before === null) return;
  const { [root]: _removed, ...sinks } = before.sinks;
  const loggers = before.loggers.filter((logger) => logger.category[0] !== root);
  configureSync({ sinks, loggers, reset: true });
}

function formatRecord(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString();
  const category = record.category.slice(1).join(".").padEnd(9);
  return `${time} ${LEVEL_LABELS[record.level]} ${category} ${
    printable(maskSecrets(record.message.join("")))
  }`;
}

/** Our own bugs show their stack; errors of peers and settings are one plain line. */
function formatDetail(detail: unknown): string {
  if (detail === undefined) return "";
  if (detail instanceof WireError || detail instanceof TransportError || detail instanceof ConfigError) {
    return `: ${messageOf(detail)}`;
  }
  if (detail instanceof Error) return `: ${detail.stack ?? messageOf(detail)}`;
  if (typeof detail === "string") return `: ${detail}`;
  return `: ${
    Deno.inspect(detail, { breakLength: Infinity, compact: true, depth: 4, strAbbreviateSize: 1000 })
  }`;
}

/** Further lines are indented, and no peer can send control sequences to the reader's terminal. */
function printable(text: string): string {
  return text
    .replace(/\r?\n(?=[^])/g, "\n    ")
    .replace(/\r?\n$/, "")
    .replace(/[^\P{Cc}\t\n]/gu, (char) => CONTROL_ESCAPES[char.charCodeAt(0)]!);
}

/** By code: a body may be nothing but control characters. */
const CONTROL_ESCAPES = Array.from({ length: 0xa0 }, (_, code) => `\\x${code.toString(16).padStart(2, "0")}`);
