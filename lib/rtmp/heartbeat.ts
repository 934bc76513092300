// Watches one connection once a second: pings it, notices when it is dead, reports what it was too slow for.
// Adobe RTMP 1.0, section 7.1.7 (Ping Request and Response).
// Role: machine

import type { MessageLink } from "./message_link.ts";
import type { RtmpOptions } from "./options.ts";

/** While media is sent, an unanswered ping shows how late it arrives: it is asked this often. */
const LAG_PROBE_MS = 2_000;

/** Bytes beyond which media counts as being sent; pings and their like stay below. */
const SENDING_BYTES = 1_000;

/** Period of the shared ticker, and how many ticks a beat is: thousands of clients beat one after the other. */
export const HEARTBEAT = { tickMs: 100, every: 10 } as const;

/** Asked whether it is alive, a client that is not heard for so long is not. */
const PROBE_MS = 2_000;

interface HeartbeatOutlets {
  /** Video and audio messages dropped so far. */
  dropped(): readonly [video: number, audio: number];
  /** The client is too slow; at most once a beat. */
  slow(text: string): void;
  /** The client is dead; to be closed. */
  dead(text: string): void;
}

interface Probe {
  readonly sinceMs: number;
  readonly bytesBefore: number;
  readonly answer: PromiseWithResolvers<boolean>;
}

export class Heartbeat {
  readonly #link: MessageLink;
  readonly #options: RtmpOptions;
  readonly #outlets: HeartbeatOutlets;
  #running = false;
  #probe: Probe | null = null;
  #startMs = 0;
  #pingMs = 0;
  #bytesAtPing = 0;
  #video = 0;
  #audio = 0;

  /** At rest until start(). */
  constructor(link: MessageLink, options: RtmpOptions, outlets: HeartbeatOutlets) {
    this.#link = link;
    this.#options = options;
    this.#outlets = outlets;
  }

  /** The connection is up: from now on silence counts. */
  start(nowMs: number): void {
    this.#running = true;
    this.#startMs = nowMs;
    this.#pingMs = nowMs;
  }

  stop(): void {
    this.#running = false;
    this.#settleProbe(false);
  }

  /** Pings at once: whether anything is heard within {@link PROBE_MS}; known a beat later at most. */
  answers(nowMs: number): Promise<boolean> {
    if (!this.#running) return Promise.resolve(false);
    if (this.#probe === null) this.#link.ping();
    this.#probe ??= { sinceMs: nowMs, bytesBefore: this.#link.bytesIn, answer: Promise.withResolvers() };
    return this.#probe.answer.promise;
  }

  /** To be called about once a second. @param heardMs when something has arrived last */
  beat(nowMs: number, heardMs: number): void {
    if (!this.#running) return;
    if (this.#probe !== null) this.#watchProbe(this.#probe, nowMs, heardMs);
    const silentMs = nowMs - Math.max(heardMs, this.#startMs);
    if (silentMs >= this.#options.idleMs) {
      this.stop();
      return this.#outlets.dead(`no sign of life for ${Math.round(silentMs / 1000)} s`);
    }
    this.#reportDrops();
    const sending = this.#link.bytesOut - this.#bytesAtPing > SENDING_BYTES;
    const dueMs = sending ? Math.min(LAG_PROBE_MS, this.#options.pingMs) : this.#options.pingMs;
    if (nowMs - this.#pingMs < dueMs) return;
    this.#link.ping();
    this.#pingMs = nowMs;
    this.#bytesAtPing = this.#link.bytesOut;
  }

  /** A client that is read slowly is heard as well: it waits for us. */
  #watchProbe({ sinceMs, bytesBefore }: Probe, nowMs: number, heardMs: number): void {
    if (this.#link.bytesIn > bytesBefore || heardMs > sinceMs) this.#settleProbe(true);
    else if (nowMs - sinceMs >= PROBE_MS) this.#settleProbe(false);
  }

  #settleProbe(alive: boolean): void {
    this.#probe?.answer.resolve(alive);
    this.#probe = null;
  }

  #reportDrops(): void {
    const [video, audio] = this.#outlets.dropped();
    const newVideo = video - this.#video;
    const newAudio = audio - this.#audio;
    if (newVideo + newAudio === 0) return;
    this.#video = video;
    this.#audio = audio;
    this.#outlets.slow(`reads too slowly: ${newVideo} video and ${newAudio} audio messages dropped`);
  }
}
