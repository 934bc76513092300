// The number `tone`: plays 1004 Hz at -16 dBm0 in G.711, or, to callers who know Speex only, the built-in speech sample,
// since Speex needs an encoder. RFC 3551 4.2 (packets of 20 ms), 4.1 (marker on the first packet); ITU-T G.711 table 5.
// Role: edge

import type { Logger } from "../../base/log.ts";
import { Pacer } from "../../base/pacer.ts";
import type { Ticker } from "../../base/ticker.ts";
import type { MediaKind } from "../../call/call_streams.ts";
import { encodeG711, type G711Law } from "../../codecs/g711_tables.ts";
import { speexSample } from "../../codecs/sample.ts";
import { stripWidebandLayer } from "../../codecs/speex_bits.ts";
import type { RtpSession } from "../../rtp/session.ts";
import type { AgreedFormat, AgreedMedia } from "../../sdp/agreed_media.ts";
import { isNamed, type MediaFormat, mediaFormat } from "../../sdp/media_format.ts";
import type { UserAgent } from "../../sip/ua/user_agent.ts";
import { BuiltInNumber } from "./built_in_number.ts";
import type { MediaTreatment, NumberServices } from "./number_media.ts";

/** A busy moment is made up for, at most 5 packets at once; what is missing beyond is left out. */
const MAX_LATE_MS = 90;

const OFFERED: readonly MediaFormat[] = [
  mediaFormat(0, "PCMU", 8000),
  mediaFormat(8, "PCMA", 8000),
  mediaFormat(96, "speex", 16000),
  mediaFormat(98, "speex", 8000),
];

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

  /** One codec, G.711 first, and the DTMF that go with it. */
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
    this.#log.info(`playing ${sound.description} (${format.name}/${format.clockRate})`);
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
function preferred<F extends ToneCodec>(formats: readonly F[]): F | undefined {
  return formats.find((format) => lawOf(format) !== null) ?? formats.find((format) => isSpeex(format));
}

interface ToneCodec {
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
}

function lawOf(format: ToneCodec): G711Law | null {
  if (format.clockRate !== 8000 || format.channels !== 1) return null;
  return isNamed(format, "pcmu") ? "pcmu" : isNamed(format, "pcma") ? "pcma" : null;
}

function isSpeex(format: ToneCodec): boolean {
  const { clockRate, channels } = format;
  return isNamed(format, "speex") && channels === 1 && (clockRate === 8000 || clockRate === 16000);
}

function soundFor(format: ToneCodec): ToneSound {
  const law = lawOf(format);
  return law === null ? speexSpeech(format.clockRate === 8000 ? 8000 : 16000) : g711Tone(law);
}

interface TonePlayerOptions {
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

export function openToneNumber(options: {
  readonly agent: UserAgent;
  readonly services: NumberServices;
}): BuiltInNumber {
  const { agent, services } = options;
  const log = services.log.category("call").child("number tone");
  return new BuiltInNumber({ agent, services, treatment: new ToneTreatment(services.ticker, log) });
}

export const TONE_BLOCK_MS = 20;
/** Frequency of test tones: not a divisor of the sample rate, so that every code is heard. */
export const TONE_HZ = 1004;

const LEVEL_DBM0 = -16;
const RATE = 8000;
const BLOCK_SAMPLES = RATE * TONE_BLOCK_MS / 1000;
/** 251 periods of 1004 Hz are 2000 samples; twice that is a whole number of blocks. */
const LOOP_SAMPLES = 4000;
/** Largest sine: its amplitude in 16 bits and its level. */
const OVERLOAD: Readonly<Record<G711Law, readonly [amplitude: number, dbm0: number]>> = {
  pcmu: [32636, 3.17],
  pcma: [32768, 3.14],
};

interface ToneSound {
  readonly description: string;
  /** One round; each block is 20 ms. Shared: not to be written into. */
  readonly blocks: readonly Uint8Array[];
}

export function g711Tone(law: G711Law): ToneSound {
  const [overload, overloadDbm0] = OVERLOAD[law];
  const amplitude = overload * 10 ** ((LEVEL_DBM0 - overloadDbm0) / 20);
  const samples = new Int16Array(LOOP_SAMPLES);
  for (let i = 0; i < LOOP_SAMPLES; i++) {
    samples[i] = Math.round(amplitude * Math.sin(2 * Math.PI * TONE_HZ * i / RATE));
  }
  const octets = new Uint8Array(LOOP_SAMPLES);
  encodeG711(law, samples, octets);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < LOOP_SAMPLES; at += BLOCK_SAMPLES) {
    blocks.push(octets.subarray(at, at + BLOCK_SAMPLES));
  }
  return { description: `a tone of ${TONE_HZ} Hz`, blocks };
}

/** The built-in speech sample in Speex, wideband (16000) or narrowband (8000). */
export function speexSpeech(clockRate: 8000 | 16000): ToneSound {
  const wideband = speexSample();
  const blocks = clockRate === 16000 ? wideband : wideband.map(stripWidebandLayer);
  return {
    description: "the built-in speech sample, because Speex needs an encoder to carry a tone",
    blocks,
  };
}
