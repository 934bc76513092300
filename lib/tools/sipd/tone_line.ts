// The number `tone`: plays one sound to its callers, a packet each 20 ms, on absolute deadlines of a ticker that all
// calls share. G.711 is preferred whatever the caller prefers, since Speex can only carry a ready-made sample.
// RFC 3551 4.2 (packets of 20 ms), 4.1 (marker on the first packet).
// Role: edge

import { Pacer } from "../../base/pacer.ts";
import type { Ticker } from "../../base/ticker.ts";
import type { Logger } from "../../base/log.ts";
import type { G711Law } from "../../media/g711.ts";
import type { RtpSession } from "../../rtp/session.ts";
import type { AgreedFormat, AgreedMedia } from "../../sdp/agreed_media.ts";
import { isNamed, type MediaFormat, mediaFormat } from "../../sdp/media_format.ts";
import type { UserAgent } from "../../sip/ua/user_agent.ts";
import { BuiltInNumber } from "./built_in_number.ts";
import type { MediaKind } from "../../call/call_streams.ts";
import type { MediaTreatment, NumberServices } from "./number_media.ts";
import { g711Tone, speexSpeech, TONE_BLOCK_MS, type ToneSound } from "./tone_source.ts";

/** A busy moment is made up for, at most 5 packets at once; what is missing beyond is left out. */
const MAX_LATE_MS = 90;

const OFFERED: readonly MediaFormat[] = [
  mediaFormat(0, "PCMU", 8000),
  mediaFormat(8, "PCMA", 8000),
  mediaFormat(96, "speex", 16000),
  mediaFormat(98, "speex", 8000),
];

/** Plays to whoever calls. */
export class ToneTreatment implements MediaTreatment {
  readonly offered: MediaTreatment["offered"] = [{ kind: "audio", formats: OFFERED }];
  readonly #ticker: Ticker;
  readonly #log: Logger;
  readonly #sounds = new Map<string, ToneSound>();

  /** Sounds are made when they are first needed. */
  constructor(ticker: Ticker, log: Logger) {
    this.#ticker = ticker;
    this.#log = log;
  }

  /** One codec, G.711 first, and the touch tones that go with it. */
  accept(kind: MediaKind, offered: readonly MediaFormat[]): readonly MediaFormat[] {
    if (kind !== "audio") return [];
    const codec = preferred(offered);
    if (codec === undefined) return [];
    const { clockRate } = codec;
    const tones = offered.filter((one) => isNamed(one, "telephone-event") && one.clockRate === clockRate);
    return [codec, ...tones];
  }

  connect(agreed: AgreedMedia, session: RtpSession): Disposable {
    const format = preferred(agreed.formats);
    if (format === undefined) throw new Error("the tone was connected to a codec it never accepted");
    const sound = this.#sound(format);
    this.#log.info(`Playing ${sound.description} (${format.name}/${format.clockRate})`);
    return new TonePlayer({ ticker: this.#ticker, session, format, sound });
  }

  #sound(format: AgreedFormat): ToneSound {
    const key = `${format.name.toLowerCase()}/${format.clockRate}`;
    const sound = this.#sounds.get(key) ?? soundFor(format);
    this.#sounds.set(key, sound);
    return sound;
  }
}

/** The first G.711, else the first Speex; the number knows nothing else. */
function preferred<F extends Codec>(formats: readonly F[]): F | undefined {
  return formats.find((format) => lawOf(format) !== null) ?? formats.find((format) => isSpeex(format));
}

interface Codec {
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
}

function lawOf(format: Codec): G711Law | null {
  if (format.clockRate !== 8000 || format.channels !== 1) return null;
  return isNamed(format, "pcmu") ? "pcmu" : isNamed(format, "pcma") ? "pcma" : null;
}

function isSpeex(format: Codec): boolean {
  const { clockRate, channels } = format;
  return isNamed(format, "speex") && channels === 1 && (clockRate === 8000 || clockRate === 16000);
}

function soundFor(format: Codec): ToneSound {
  const law = lawOf(format);
  return law === null ? speexSpeech(format.clockRate === 8000 ? 8000 : 16000) : g711Tone(law);
}

export interface TonePlayerOptions {
  /** Where the packets go. */
  readonly session: Pick<RtpSession, "send" | "anchor">;
  readonly format: Pick<AgreedFormat, "clockRate" | "sendPayloadType">;
  readonly sound: ToneSound;
  /** Wakes the player every 20 ms. */
  readonly ticker: Ticker;
}

/** One call's sound. Timestamps follow the clock, so a later player of the same session goes on where this ended. */
export class TonePlayer implements Disposable {
  readonly #options: TonePlayerOptions;
  readonly #pacer: Pacer;
  #startTimestamp = 0;

  /** The first packet leaves with the next tick. */
  constructor(options: TonePlayerOptions) {
    this.#options = options;
    this.#pacer = new Pacer({
      ticker: options.ticker,
      periodMs: TONE_BLOCK_MS,
      earlyMs: TONE_BLOCK_MS / 2, // the tick has the same period, and is never exactly on time
      maxLateMs: MAX_LATE_MS,
      run: (index, resumed) => this.#send(index, resumed),
    });
  }

  [Symbol.dispose](): void {
    this.#pacer[Symbol.dispose]();
  }

  #start(nowMs: number): void {
    const { session, format } = this.#options;
    this.#startTimestamp = Math.round(nowMs * format.clockRate / 1000);
    session.anchor(this.#startTimestamp, nowMs);
  }

  #send(index: number, marker: boolean): void {
    if (index === 0) this.#start(this.#pacer.startMs);
    const { session, format, sound } = this.#options;
    const block = sound.blocks[index % sound.blocks.length]!;
    const timestamp = this.#startTimestamp + index * format.clockRate * TONE_BLOCK_MS / 1000;
    session.send(block, timestamp, marker, format.sendPayloadType);
  }
}

/** Puts the number into service. */
export function openToneLine(options: {
  readonly agent: UserAgent;
  readonly services: NumberServices;
}): BuiltInNumber {
  const { agent, services } = options;
  const log = services.log.category("call").child("number tone");
  return new BuiltInNumber({ agent, services, treatment: new ToneTreatment(services.ticker, log) });
}
