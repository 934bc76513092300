// Sends touch tones as sound in G.711, one key after the other, in packets of 20 ms at their times: for peers that
// take neither events nor INFO. Audio rests meanwhile, the pause behind each key included.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { dtmfFrequencies, DtmfTone } from "./dtmf_detector.ts";
import { encodeG711, type G711Law } from "./g711.ts";

/** The shortest key: 40 ms are the least that receivers must recognise (ITU-T Q.24). */
const MIN_KEY_MS = 40;
const MAX_KEY_MS = 10_000;
/** Most keys that wait. */
const MAX_QUEUED_KEYS = 128;
const BLOCK_MS = 20;
const BLOCK_SAMPLES = 160;
const PAUSE_BLOCKS = 3;
const SAMPLE_RATE = 8000;

interface InbandDtmfSenderOptions {
  readonly clock: Clock;
  readonly law: G711Law;
  /** The stream's timestamp at a moment of `clock`. */
  readonly timestampAt: (nowMs: number) => number;
  /** Where packets go; the payload is borrowed. */
  readonly send: (payload: Uint8Array, timestamp: number, marker: boolean) => void;
}

/**
 * Sends the keys of one call.
 *
 *   idle -> key (20 ms blocks) -> pause (60 ms of silence) -> next key | idle
 */
export class InbandDtmfSender implements Disposable {
  readonly #options: InbandDtmfSenderOptions;
  readonly #queue: { readonly key: string; readonly durationMs: number }[] = [];
  readonly #samples = new Int16Array(BLOCK_SAMPLES);
  readonly #payload = new Uint8Array(BLOCK_SAMPLES);
  #tone: DtmfTone | null = null;
  #pause = 0;
  #timer: Disposable | null = null;
  #dueMs = 0;
  #timestamp = -Infinity;
  #first = false;
  #closed = false;

  constructor(options: InbandDtmfSenderOptions) {
    this.#options = options;
  }

  /** True while a key or the pause behind it is sent: audio should not be. */
  get active(): boolean {
    return this.#timer !== null;
  }

  /** Where the stream is free again. */
  get endTimestamp(): number {
    return this.#timestamp;
  }

  /**
   * Queues keys 0-9 * # A-D, each of `durationMs` (kept within 40 ms and 10 s). False, and nothing queued, when
   * there is no key, one is unknown, the queue has no room for all, or the sender is disposed.
   */
  enqueue(digits: string, durationMs: number): boolean {
    const keys = [...digits.toUpperCase()];
    const known = keys.length > 0 && keys.every((key) => dtmfFrequencies(key) !== null);
    if (this.#closed || !known || this.#queue.length + keys.length > MAX_QUEUED_KEYS) return false;
    const keptMs = Math.min(MAX_KEY_MS, Math.max(MIN_KEY_MS, durationMs));
    for (const key of keys) this.#queue.push({ key, durationMs: keptMs });
    if (this.#timer === null) this.#start();
    return true;
  }

  /** Stops at once and for good; what waits is forgotten. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#queue.length = 0;
  }

  #start(): void {
    const { clock, timestampAt } = this.#options;
    this.#dueMs = clock.now();
    this.#timestamp = Math.max(this.#timestamp, Math.round(timestampAt(this.#dueMs)));
    this.#first = true;
    this.#step();
  }

  #step(): void {
    this.#timer = null;
    if (this.#tone === null && this.#pause === 0 && !this.#takeNext()) return;
    const sounding = this.#tone?.fill(this.#samples) ?? false;
    if (!sounding) this.#rest();
    encodeG711(this.#options.law, this.#samples, this.#payload);
    const first = this.#first;
    this.#first = false;
    this.#wait(); // before the outlet, which may dispose
    const timestamp = this.#timestamp;
    this.#timestamp += BLOCK_SAMPLES;
    this.#options.send(this.#payload, timestamp, first);
  }

  #takeNext(): boolean {
    const next = this.#queue.shift();
    if (next === undefined) return false;
    this.#tone = new DtmfTone(next.key, SAMPLE_RATE, next.durationMs);
    return true;
  }

  #rest(): void {
    this.#samples.fill(0);
    if (this.#tone !== null) this.#pause = PAUSE_BLOCKS;
    this.#tone = null;
    this.#pause--;
  }

  #wait(): void {
    const { clock } = this.#options;
    this.#dueMs += BLOCK_MS;
    this.#timer = clock.after(this.#dueMs - clock.now(), () => this.#step());
  }
}
