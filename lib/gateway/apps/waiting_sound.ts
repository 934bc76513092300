// What a caller hears while nobody speaks to it: silence or a gentle tone, as an RTMP publisher of G.711 would send
// it. Frames leave at absolute deadlines of 20 ms on a tick that all lines share.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { Pacer } from "../../base/pacer.ts";
import type { Ticker } from "../../base/ticker.ts";
import { G711_SILENCE, linearToUlaw } from "../../codecs/g711_tables.ts";
import type { MediaMessage } from "../../rtmp/message.ts";

/** Tag bodies of 20 ms each, repeated for ever. */
export type WaitingFrames = readonly Uint8Array[];

interface WaitingSoundParts {
  readonly frames: WaitingFrames;
  readonly clock: Clock;
  readonly ticker: Ticker;
  /** Takes each message while it is called. */
  readonly put: (message: MediaMessage) => void;
}

const FRAME_MS = 20;
const SAMPLE_RATE = 8000;
const FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS / 1000;
/** FLV: mu-law, mono (behaviour 1.8). */
const ULAW_TAG = 0x82;
/** Deadlines missed by more than this are given up. */
const MAX_LATE_MS = 200;
/** A deadline this close is due: timers are not exact. */
const EARLY_MS = 0.5;

/** Two soft notes, a fourth apart, then a pause. */
const NOTES: readonly { readonly hz: number; readonly atMs: number }[] = [
  { hz: 392, atMs: 0 },
  { hz: 523, atMs: 600 },
];
const NOTE_MS = 500;
const FADE_MS = 60;
const PERIOD_MS = 3000;
/** 23 dB below the greatest. */
const AMPLITUDE = 2300;

export function silentFrames(): WaitingFrames {
  return [frameOf(new Uint8Array(FRAME_SAMPLES).fill(G711_SILENCE.pcmu))];
}

/** A period of the tone: notes of 392 and 523 Hz, every 3 s. */
export function toneFrames(): WaitingFrames {
  return Array.from({ length: PERIOD_MS / FRAME_MS }, (_, frame) => {
    const samples = new Uint8Array(FRAME_SAMPLES);
    for (let i = 0; i < FRAME_SAMPLES; i++) {
      samples[i] = linearToUlaw(sampleAt((frame * FRAME_SAMPLES + i) * 1000 / SAMPLE_RATE));
    }
    return frameOf(samples);
  });
}

function sampleAt(timeMs: number): number {
  let sample = 0;
  for (const { hz, atMs } of NOTES) {
    const intoMs = timeMs - atMs;
    if (intoMs < 0 || intoMs >= NOTE_MS) continue;
    const loudness = Math.min(1, intoMs / FADE_MS, (NOTE_MS - intoMs) / FADE_MS);
    sample += AMPLITUDE * loudness * Math.sin(2 * Math.PI * hz * intoMs / 1000);
  }
  return Math.round(sample);
}

function frameOf(samples: Uint8Array): Uint8Array {
  const body = new Uint8Array(1 + samples.length);
  body[0] = ULAW_TAG;
  body.set(samples, 1);
  return body;
}

export class WaitingSound implements Disposable {
  readonly #parts: WaitingSoundParts;
  readonly #message: { type: 8; timeMs: number; body: Uint8Array };
  #pacer: Pacer | null = null;

  constructor(parts: WaitingSoundParts) {
    this.#parts = parts;
    this.#message = { type: 8, timeMs: 0, body: parts.frames[0]! };
  }

  get playing(): boolean {
    return this.#pacer !== null;
  }

  /** Begins with the first frame; nothing changes while it plays. */
  start(): void {
    const { clock, ticker, frames, put } = this.#parts;
    this.#pacer ??= new Pacer({
      ticker,
      periodMs: FRAME_MS,
      startMs: clock.now(),
      earlyMs: EARLY_MS,
      maxLateMs: MAX_LATE_MS,
      run: (index) => {
        this.#message.timeMs = index * FRAME_MS;
        this.#message.body = frames[index % frames.length]!;
        put(this.#message);
      },
    });
  }

  stop(): void {
    this.#pacer?.[Symbol.dispose]();
    this.#pacer = null;
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
