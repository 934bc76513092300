// DTMF sent in-band as G.711, one key after the other, in packets of 20 ms at their times: for peers that
// take neither events nor INFO. Audio rests meanwhile, the pause behind each key included.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { PacedKeys } from "../base/pacer.ts";
import { DtmfTone } from "./dtmf_detector.ts";
import { encodeG711, type G711Law } from "./g711_tables.ts";

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
export class InbandDtmfSender extends PacedKeys {
  readonly #options: InbandDtmfSenderOptions;
  readonly #samples = new Int16Array(BLOCK_SAMPLES);
  readonly #payload = new Uint8Array(BLOCK_SAMPLES);
  #tone: DtmfTone | null = null;
  #pause = 0;
  #timestamp = -Infinity;
  #first = false;

  constructor(options: InbandDtmfSenderOptions) {
    super(options.clock);
    this.#options = options;
  }

  /** True while a key or the pause behind it is sent: audio should not be. */
  get active(): boolean {
    return this.waiting;
  }

  /** Where the stream is free again. */
  get endTimestamp(): number {
    return this.#timestamp;
  }

  protected override begin(nowMs: number): void {
    this.#timestamp = Math.max(this.#timestamp, Math.round(this.#options.timestampAt(nowMs)));
    this.#first = true;
    this.step();
  }

  protected override step(): void {
    if (this.#tone === null && this.#pause === 0 && !this.#takeNext()) return;
    const sounding = this.#tone?.fill(this.#samples) ?? false;
    if (!sounding) this.#rest();
    encodeG711(this.#options.law, this.#samples, this.#payload);
    const first = this.#first;
    this.#first = false;
    this.wait(BLOCK_MS); // before the outlet, which may dispose
    const timestamp = this.#timestamp;
    this.#timestamp += BLOCK_SAMPLES;
    this.#options.send(this.#payload, timestamp, first);
  }

  #takeNext(): boolean {
    const next = this.takeKey();
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
}
