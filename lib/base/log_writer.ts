// Writes log lines without ever throwing or blocking: one write in flight, a bounded queue behind it.
// A full disk, a closed pipe or a reader that stalls costs lines, which are counted; when writing works
// again one line says how many were lost.
// Role: edge

import { systemClock } from "./clock.ts";

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

/** A bounded, lossy queue of lines before an unreliable output. */
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
