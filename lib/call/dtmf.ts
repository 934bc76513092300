// DTMF of one call beside its media: which way our digits leave, and each digit that arrives told once.
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import type { CallMedia } from "./call_media.ts";
import type { DtmfMode } from "../config/setting_values.ts";
import type { SipBody } from "../sip/message/body.ts";
import { formatDtmf, formatDtmfRelay } from "../sip/message/info_bodies.ts";
import { reasonPhrase } from "../sip/message/message.ts";
import type { Runtime } from "../base/runtime.ts";

interface DigitRouteOptions extends Pick<Runtime, "clock" | "log"> {
  /** Sends an INFO in the call; the final status. */
  readonly info: (body: SipBody) => Promise<number>;
  readonly media: Pick<CallMedia, "sendDigits">;
  readonly mode: DtmfMode;
  readonly spawn: (name: string, run: () => Promise<void>) => void;
}

/** Told how it went: null, or why not. */
export type DigitsDone = (problem: string | null) => void;

interface Order {
  readonly digits: string;
  readonly durationMs: number;
  readonly done: DigitsDone;
}

const NO_WAY = "the remote party takes no DTMF";
const OVER = "the call is over";
/** Orders that wait; each has 64 digits at most. */
const MAX_ORDERS = 16;
/** Between two digits: receivers must recognise 40 ms of pause (ITU-T Q.24). */
const PAUSE_MS = 80;

/**
 * As RTP events (RFC 4733) where they were agreed, else in SIP INFO (application/dtmf-relay, or application/dtmf for a
 * phone that knows only that), one after the other, else in-band in G.711; or the one way the settings say.
 */
export class DigitRoute implements Disposable {
  readonly #options: DigitRouteOptions;
  readonly #orders: Order[] = [];
  readonly #over = new AbortController();
  #running = false;
  /** How the remote party rejected INFO; 0: it has not. */
  #refusal = 0;
  #plain = false;

  constructor(options: DigitRouteOptions) {
    this.#options = options;
  }

  /** Queues digits; `done` is called once, at once when they go in the media. */
  send(digits: string, durationMs: number, done: DigitsDone): void {
    const { media, mode } = this.#options;
    if (this.#over.signal.aborted) return done(OVER);
    const asEvents = mode === "auto" || mode === "rtp";
    if (asEvents && media.sendDigits(digits, durationMs, "rtp")) return done(null);
    if (mode === "rtp") return done(NO_WAY);
    if (mode === "inband" || mode === "auto" && this.#refusal > 0) {
      return done(this.#asSound(digits, durationMs));
    }
    if (this.#orders.length >= MAX_ORDERS) return done("too many DTMF are waiting");
    this.#orders.push({ digits, durationMs, done });
    if (this.#running) return;
    this.#running = true;
    this.#options.spawn("DTMF", () => this.#sendAll());
  }

  /** The call is over: what waits is told so. */
  [Symbol.dispose](): void {
    this.#over.abort();
    for (const { done } of this.#orders.splice(0)) done(OVER);
  }

  async #sendAll(): Promise<void> {
    for (let order = this.#orders.shift(); order !== undefined; order = this.#orders.shift()) {
      order.done(await this.#sendOrder(order));
    }
    this.#running = false;
  }

  async #sendOrder({ digits, durationMs }: Order): Promise<string | null> {
    const { clock, mode } = this.#options;
    for (let i = 0; i < digits.length; i++) {
      const dueMs = clock.now() + durationMs + PAUSE_MS;
      const status = await this.#sendInfo(digits[i]!, durationMs);
      if (this.#over.signal.aborted) return OVER;
      if (status >= 300) {
        this.#note(status);
        return mode === "auto" ? this.#asSound(digits.slice(i), durationMs) : statusOf(status);
      }
      await delay(clock, Math.max(0, dueMs - clock.now()), this.#over.signal);
      if (this.#over.signal.aborted) return i + 1 === digits.length ? null : OVER;
    }
    return null;
  }

  async #sendInfo(digit: string, durationMs: number): Promise<number> {
    const { info } = this.#options;
    const status = this.#plain ? 415 : await info(formatDtmfRelay({ digit, durationMs }));
    if (status !== 415 || this.#over.signal.aborted) return status;
    const plainStatus = await info(formatDtmf(digit));
    this.#plain = plainStatus < 300;
    return plainStatus;
  }

  #note(status: number): void {
    if (this.#refusal === 0) {
      this.#options.log.info(`DTMF by INFO rejected: ${statusOf(status)}`);
    }
    this.#refusal = status;
  }

  #asSound(digits: string, durationMs: number): string | null {
    if (this.#options.media.sendDigits(digits, durationMs, "inband")) return null;
    return this.#refusal > 0 ? `${NO_WAY}: ${statusOf(this.#refusal)}` : NO_WAY;
  }
}

function statusOf(status: number): string {
  return `${status} ${reasonPhrase(status)}`;
}

export type DigitSource = "media" | "info";

interface Told {
  readonly source: DigitSource;
  readonly digit: string;
  readonly atMs: number;
  readonly durationMs: number;
}

/** The two ways of one digit are so close, its own length left out. */
const TOGETHER_MS = 1000;
const REMEMBERED = 32;

/**
 * DTMF of the remote party: some phones send a digit both in the media and in SIP INFO. Each digit of one way is held
 * against one of the other; two of one way are two digits.
 */
export class DigitInbox {
  readonly #clock: Clock;
  readonly #tell: (digit: string, durationMs: number) => void;
  readonly #told: Told[] = [];

  /** @param tell told each digit once */
  constructor(clock: Clock, tell: (digit: string, durationMs: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  take(source: DigitSource, digit: string, durationMs: number): void {
    const atMs = this.#clock.now();
    const same = this.#told.findIndex((told) =>
      told.source !== source && told.digit === digit &&
      atMs - told.atMs <= TOGETHER_MS + Math.max(durationMs, told.durationMs)
    );
    if (same >= 0) return void this.#told.splice(same, 1);
    this.#told.push({ source, digit, atMs, durationMs });
    if (this.#told.length > REMEMBERED) this.#told.shift();
    this.#tell(digit, durationMs);
  }
}
