// Silence for a peer that wants to be sent to before it sends: SBCs and media relays open only when a packet comes, and in
// early media nobody speaks on our side yet. Audio that is transcoded has silence of its own (transcode_bridge.ts); this is
// for what passes through. Packets leave at absolute deadlines of 20 ms until the client's own audio takes over.
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { Ticker } from "../base/ticker.ts";
import { G711_SILENCE } from "../media/g711.ts";
import type { NegotiatedAudio } from "./negotiation.ts";

export interface EarlySilenceParts {
  /** One packet of {@link SILENT_PACKET_MS}. */
  readonly payload: Uint8Array;
  /** RTP clock in Hz. */
  readonly clockRate: number;
  readonly clock: Clock;
  readonly ticker: Ticker;
  /** Takes each packet; timestamps begin at 0. */
  readonly send: (payload: Uint8Array, timestamp: number, marker: boolean) => void;
}

export const SILENT_PACKET_MS = 20;
/** Deadlines missed by more than this are given up. */
const MAX_LATE_MS = 200;
/** Ticks of 10 ms between two looks. */
const TICKS_PER_LOOK = 2;

/** Speex that says nothing is coded (submode 0), padded as RFC 5574 3.3 has it: narrowband, and with its wideband layer. */
const SPEEX_NARROWBAND = Uint8Array.of(0b00000_011);
const SPEEX_WIDEBAND = Uint8Array.of(0b00000_100, 0b0_0111111);
/** 20 ms of CELT whose first bit says silence (RFC 6716 4.3). */
const OPUS = Uint8Array.of(0xf8, 0xff, 0xfe);

/** A packet of silence in what goes to the peer; null: it is transcoded, which makes its own. */
export function silentPayload({ kind, clockRate }: NegotiatedAudio): Uint8Array | null {
  switch (kind) {
    case "pcmu":
    case "pcma":
      return new Uint8Array(clockRate * SILENT_PACKET_MS / 1000).fill(G711_SILENCE[kind]);
    case "speex":
      return clockRate === 8000 ? SPEEX_NARROWBAND : SPEEX_WIDEBAND;
    case "opus":
      return OPUS;
    case "transcode":
      return null;
  }
}

/** Silence from its making until it is disposed. */
export class EarlySilence implements Disposable {
  readonly #parts: EarlySilenceParts;
  readonly #startMs: number;
  readonly #ticking: Disposable;
  #count = 0;

  /** Begins with the next tick. */
  constructor(parts: EarlySilenceParts) {
    this.#parts = parts;
    this.#startMs = parts.clock.now();
    this.#ticking = parts.ticker.add((nowMs) => this.#tick(nowMs), TICKS_PER_LOOK);
  }

  /** Sends no more. */
  [Symbol.dispose](): void {
    this.#ticking[Symbol.dispose]();
  }

  #tick(nowMs: number): void {
    const { payload, clockRate, send } = this.#parts;
    const lateMs = nowMs - (this.#startMs + this.#count * SILENT_PACKET_MS);
    if (lateMs > MAX_LATE_MS) this.#count += Math.floor(lateMs / SILENT_PACKET_MS);
    while (this.#startMs + this.#count * SILENT_PACKET_MS <= nowMs) {
      const timestamp = this.#count * SILENT_PACKET_MS * clockRate / 1000;
      send(payload, timestamp, this.#count++ === 0);
    }
  }
}
