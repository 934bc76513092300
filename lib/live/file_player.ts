// Plays one file to one RTMP player: paced by the times in the file, ahead of them by what the player buffers, never
// faster than the player takes it, so nothing is dropped. Pauses and seeks come in from outside while it waits; the
// disk is waited for only where a piece of the file ends.
// Role: edge

import { encodeAmf0 } from "../amf/amf0.ts";
import type { Clock } from "../base/clock.ts";
import type { FlvPlace, FlvSeekReader } from "../flv/seek_reader.ts";
import type { FlvTag } from "../flv/tag.ts";
import { createStatus } from "../rtmp/command.ts";
import type { NetStream } from "../rtmp/net_stream.ts";

export type RecordedPlayer = Pick<
  NetStream,
  "name" | "send" | "congestion" | "bufferLengthMs" | "status" | "stop"
>;

export interface FilePlayOptions {
  /** From the key frame at or before this time on. */
  readonly startMs: number;
  /** So much of it; -1 for all. */
  readonly durationMs: number;
  /** The player is given so much in advance at most, however much it buffers. */
  readonly readAheadMs: number;
}

/** Even a player that buffers nothing gets this much in advance: it hides that we wake up now and then only. */
const LEAST_AHEAD_MS = 1_000;

/** Shortest wait for the next tag, longest wait (the player may buffer more meanwhile), and for a full queue. */
const LEAST_WAIT_MS = 50;
const MOST_WAIT_MS = 1_000;
const CONGESTED_WAIT_MS = 20;

/** What stopped the sending of tags for now: time to wait, the end of what was read, the end of all. */
type Pause = number | "read on" | "end";

type Request = { readonly type: "seek" | "resume"; readonly timeMs: number };

/**
 * One playback; it owns the file.
 *
 * Adobe RTMP 1.0, sections 7.2.2.1 (play), 7.2.2.7 (seek) and 7.2.2.8 (pause).
 */
export class FilePlayer {
  readonly #reader: FlvSeekReader;
  readonly #player: RecordedPlayer;
  readonly #options: FilePlayOptions;
  readonly #clock: Clock;
  readonly #pacer: FilePacer;
  #tag: FlvTag | null = null;
  #request: Request | null = null;
  #paused = false;
  #stopped = false;
  #wake: (() => void) | null = null;
  /** Tags up to this time are passed over: the player has them. */
  #hasUntilMs = -1;
  /** Where a seek has led, until the first tag from there is sent. */
  #place: FlvPlace | null = null;
  #lastSentMs = 0;

  /** At rest until run(). */
  constructor(reader: FlvSeekReader, player: RecordedPlayer, options: FilePlayOptions, clock: Clock) {
    this.#reader = reader;
    this.#player = player;
    this.#options = options;
    this.#clock = clock;
    this.#pacer = new FilePacer(() => clock.now());
  }

  /** Plays to the end, or to stop(); closes the file. @throws WireError or TransportError when the file fails */
  async run(): Promise<void> {
    using _reader = this.#reader;
    await this.#start();
    while (!this.#stopped) {
      const request = this.#request;
      this.#request = null;
      if (request !== null) await this.#perform(request);
      else if (this.#paused) await this.#sleep(null);
      else await this.#rest(this.#sendDue());
    }
  }

  /** The player pauses, or goes on behind the time it has played. */
  pause(paused: boolean, timeMs: number): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (!paused) this.#request ??= { type: "resume", timeMs };
    this.#wake?.();
  }

  /** The player wants to go on elsewhere. */
  seek(timeMs: number): void {
    this.#request = { type: "seek", timeMs };
    this.#wake?.();
  }

  /** The player has gone: run() returns soon. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  async #start(): Promise<void> {
    const { startMs } = this.#options;
    this.#player.send(18, 0, this.#reader.metadata); // whatever the start: with a time it passes for a stream
    if (startMs <= 0) return;
    const place = await this.#reader.seek(startMs);
    if (place === null) this.#end();
    else this.#place = place;
  }

  async #perform({ type, timeMs }: Request): Promise<void> {
    const again = type === "resume";
    // A player that has got nothing since, or does not say where it is, goes on where we are.
    const asIs = this.#place !== null || timeMs <= 0 || timeMs >= this.#lastSentMs;
    if (again && asIs) return this.#pacer.restart();
    const place = await this.#reader.seek(timeMs);
    const { name } = this.#player;
    if (place === null) {
      return this.#player.status("error", "NetStream.Seek.Failed", `${name} ends before ${timeMs} ms.`, {
        details: name,
      });
    }
    this.#tag = null;
    this.#pacer.restart();
    this.#hasUntilMs = again ? timeMs : -1;
    if (again) return;
    const where = { details: name, clientid: 0 };
    this.#player.status("status", "NetStream.Seek.Notify", `Seeking to ${place.timeMs} ms.`, where);
    this.#player.status("status", "NetStream.Play.Start", `Started playing ${name}.`, where);
    this.#place = place;
  }

  #sendHeaders(): void {
    if (this.#place === null) return;
    const { timeMs, headers } = this.#place;
    this.#place = null;
    for (const { type, body } of headers) this.#player.send(type, timeMs, body);
  }

  #sendDue(): Pause {
    const { startMs, durationMs } = this.#options;
    const endMs = durationMs < 0 ? Number.POSITIVE_INFINITY : startMs + durationMs;
    for (;;) {
      const tag = this.#tag ??= this.#reader.next();
      if (tag === null) return "read on";
      if (tag.timeMs > endMs) return "end";
      if (tag.timeMs > this.#hasUntilMs) {
        this.#hasUntilMs = -1;
        if (this.#player.congestion > 0) return CONGESTED_WAIT_MS;
        const waitMs = this.#pacer.dueInMs(tag.timeMs, this.#readAheadMs());
        if (waitMs > 0) return Math.min(Math.max(waitMs, LEAST_WAIT_MS), MOST_WAIT_MS);
        this.#sendHeaders();
        this.#player.send(tag.type, tag.timeMs, tag.body);
        this.#lastSentMs = Math.max(0, tag.timeMs);
      }
      this.#tag = null;
    }
  }

  async #rest(pause: Pause): Promise<void> {
    if (pause === "end") return this.#end();
    if (pause !== "read on") return await this.#sleep(pause);
    if (!await this.#reader.fill()) this.#end();
  }

  #readAheadMs(): number {
    return Math.min(Math.max(this.#player.bufferLengthMs, LEAST_AHEAD_MS), this.#options.readAheadMs);
  }

  #end(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const { name } = this.#player;
    const complete = createStatus("status", "NetStream.Play.Complete", `${name} was sent.`, {
      duration: this.#lastSentMs / 1000,
    });
    this.#player.send(18, this.#lastSentMs, encodeAmf0(["onPlayStatus", complete]));
    this.#player.stop("NetStream.Play.Stop", "File ended");
  }

  /** Waits so long, or until something is asked for; null: only until then. */
  async #sleep(ms: number | null): Promise<void> {
    if (this.#request !== null || this.#stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _timer = ms === null ? null : this.#clock.after(ms, resolve);
    await promise;
    this.#wake = null;
  }
}

/** A tag this much before its predecessor starts a new time line. */
const MAX_DISORDER_MS = 1_000;

export class FilePacer {
  readonly #now: () => number;
  #startedAtMs = 0;
  #startMs: number | null = null;
  #lastMs = 0;

  /** The first tag is due at once. @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The next tag is due at once, whatever its time. */
  restart(): void {
    this.#startMs = null;
  }

  /** Milliseconds until a tag of this time may be sent; 0 or less: now. */
  dueInMs(timeMs: number, readAheadMs: number): number {
    if (this.#startMs === null || timeMs < this.#lastMs - MAX_DISORDER_MS) {
      this.#startMs = timeMs;
      this.#startedAtMs = this.#now();
    }
    this.#lastMs = timeMs;
    return this.#startedAtMs + (timeMs - this.#startMs) - readAheadMs - this.#now();
  }
}
