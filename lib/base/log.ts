// The log: categories equal the folders, one line per event, secrets masked here (mask_secrets.ts) and not by callers.
// LogTape decides by category and level; its writer survives a full disk or closed pipe. A logger is
// passed down and extended with child(), never global, so a test can give one that records.
// Role: edge

import { configureSync, getConfig, getLogger, type LogLevel, type LogRecord } from "@logtape/logtape";
import { systemClock } from "./clock.ts";
import { ConfigError, messageOf, TransportError, WireError } from "./errors.ts";
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

/** How many bytes may wait for a slow reader of the log before lines are dropped. */
const MAX_QUEUED_BYTES = 1 << 20;

/** How much goes into one write at most. */
const MAX_BATCH_BYTES = 1 << 16;

/** How long close() waits for queued lines. */
const CLOSE_WAIT_MS = 1_000;

/** Writes some of the bytes and says how many, as Deno.Writer does. */
export type WriteBytes = (bytes: Uint8Array) => Promise<number>;

const encoder = new TextEncoder();

interface QueuedLines {
  readonly bytes: Uint8Array;
  readonly lines: number;
}

/**
 * A bounded, lossy queue of lines before an unreliable output.
 *
 * Deno permissions: none (standard error is always open to the process).
 */
export class LineWriter {
  readonly #writeLine: ((line: string) => void) | null;
  readonly #writeBytes: WriteBytes;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | null = null;
  #closed = false;
  #lost = 0;
  #lostUntold = 0;

  /**
   * Two kinds of output: line by line, or bytes in batches.
   * @param writeLine takes each line at once (tests, other sinks); when null lines are queued for `writeBytes`
   * @param writeBytes the output; a rejected promise loses the batch it was given
   */
  constructor(writeLine: ((line: string) => void) | null, writeBytes: WriteBytes) {
    this.#writeLine = writeLine;
    this.#writeBytes = writeBytes;
  }

  /** Lines that could not be written so far. */
  get lost(): number {
    return this.#lost;
  }

  /** Queues one line (without line feed). Never throws. */
  put(line: string): void {
    if (this.#closed) return;
    if (this.#writeLine !== null) return this.#putAtOnce(this.#writeLine, line);
    const bytes = encoder.encode(line + "\n");
    if (this.#queuedBytes + bytes.length > MAX_QUEUED_BYTES) return this.#lose(1);
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#running ??= this.#drain();
  }

  /** Ends the log: waits a moment for what is queued, then gives the rest up. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#running === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    using _limit = systemClock.after(CLOSE_WAIT_MS, resolve);
    await Promise.race([this.#running, promise]);
  }

  #putAtOnce(writeLine: (line: string) => void, line: string): void {
    try {
      if (this.#lostUntold > 0) {
        writeLine(lostLine(this.#lostUntold));
        this.#lostUntold = 0;
      }
      writeLine(line);
    } catch (_error) {
      // Whatever the sink's trouble is, the log is the last place that could report it.
      this.#lose(1);
    }
  }

  async #drain(): Promise<void> {
    // Lines of the same turn of the event loop go out in one write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      try {
        if (this.#lostUntold > 0) await this.#tellLost();
        await this.#writeAll(batch.bytes);
      } catch (_error) {
        // ENOSPC, EPIPE, EAGAIN, ...: nobody can be told but the counter.
        this.#lose(batch.lines);
      }
    }
    this.#running = null;
  }

  #takeBatch(): QueuedLines {
    let length = 0;
    let lines = 0;
    while (
      lines < this.#queue.length && (lines === 0 || length + this.#queue[lines]!.length <= MAX_BATCH_BYTES)
    ) {
      length += this.#queue[lines++]!.length;
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of this.#queue.splice(0, lines)) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#queuedBytes -= length;
    return { bytes, lines };
  }

  async #tellLost(): Promise<void> {
    const told = this.#lostUntold;
    await this.#writeAll(encoder.encode(lostLine(told) + "\n"));
    this.#lostUntold -= told;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#writeBytes(bytes.subarray(at));
  }

  #lose(lines: number): void {
    this.#lost += lines;
    this.#lostUntold += lines;
  }
}

function lostLine(lines: number): string {
  return `${
    new Date().toISOString()
  } warn  main      ${lines} log lines before this one could not be written`;
}
