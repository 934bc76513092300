// The audio of a call whose sides speak different codecs: RTMP frames become RTP payloads, and back, both at the
// pace of one shared tick. Either direction may rest while its audio passes through as it is.
// RFC 3550 5.1 (timestamps), RFC 3389 (comfort noise).
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { Ticker } from "../base/ticker.ts";
import type { Random } from "../base/random.ts";
import type { AudioFormat, Codec, TagFrames } from "../codecs/codec.ts";
import type { Codecs } from "../codecs/codecs.ts";
import type { Frame } from "../media/frame.ts";
import { formatOfFrame, type PeerAudio } from "./audio_passthrough.ts";
import { Transcoder } from "./transcoder.ts";

export interface TranscodeServices {
  readonly codecs: Codecs;
  readonly random: Random;
  readonly ticker: Ticker;
}

/**
 * Takes a payload for the peer with its timestamp and marker; `mediaMs` is where it begins in the client's RTMP
 * time, NaN when it is nothing of the client's.
 */
type PeerSink = (payload: Uint8Array, timestamp: number, marker: boolean, mediaMs: number) => void;

type PacketSink = (packet: Uint8Array, timeMs: number) => void;

interface TranscodeBridgeOptions {
  readonly services: TranscodeServices;
  readonly clock: Clock;
  /** What clock.now() was at RTMP time 0 of the client's connection. */
  readonly originMs: number;
  readonly toSip: AudioFormat;
  readonly clockRate: number;
  readonly toRtmp: AudioFormat;
  /** Takes payloads; timestamps start near 0 and go on while the direction runs. */
  readonly emitPayload: PeerSink;
  readonly emitPacket: PacketSink;
  /** Told in words of each kind of warning, once; `refused`: nothing of the client can be heard. */
  readonly onWarning: (text: string, refused: boolean) => void;
}

export class TranscodeBridge implements Disposable {
  readonly #options: TranscodeBridgeOptions;
  /** Made when something is to be transcoded: in most calls everything passes. */
  #up: Transcoder | null = null;
  #down: Transcoder | null = null;
  #ticking: Disposable | null = null;
  /** What the client's last frame was, and what takes frames out of its tags; null: each is one as it is. */
  #source: Codec | null = null;
  #frames: TagFrames | null = null;
  readonly #framesBySource = new Map<Codec, TagFrames | null>();
  #expected = NaN;
  /** RTMP time of what the player gets, minus its time on the peer's scale. */
  #playedOffsetMs = NaN;

  constructor(options: TranscodeBridgeOptions) {
    this.#options = options;
  }

  #upwards(): Transcoder {
    return this.#up ??= this.#createUp();
  }

  #createUp(): Transcoder {
    const { services, clock, toSip, clockRate, emitPayload, onWarning } = this.#options;
    const ticksPerMs = clockRate / 1000;
    return new Transcoder({
      ...services,
      clock,
      to: toSip,
      sink: (packet, elapsedMs, resumed, mediaMs) =>
        emitPayload(packet, Math.round(elapsedMs * ticksPerMs), resumed, mediaMs),
      onWarning: (text, refused) => onWarning(`client: ${text}`, refused),
    });
  }

  #downwards(): Transcoder {
    return this.#down ??= this.#createDown();
  }

  #createDown(): Transcoder {
    const { services, clock, originMs, toRtmp, emitPacket, onWarning } = this.#options;
    return new Transcoder({
      ...services,
      clock,
      to: toRtmp,
      sink: (packet, elapsedMs, _resumed, mediaMs) => {
        const timeMs = Math.max(0, Math.round(this.#downwards().playout!.startMs + elapsedMs - originMs));
        if (!Number.isNaN(mediaMs)) this.#playedOffsetMs = timeMs - mediaMs;
        emitPacket(packet, timeMs);
      },
      onWarning: (text) => onWarning(`remote party: ${text}`, false),
    });
  }

  get brokenFromRtmp(): number {
    return this.#up?.broken ?? 0;
  }

  get brokenFromRtp(): number {
    return this.#down?.broken ?? 0;
  }

  /** Decoded audio that waits, in milliseconds: the client's and the peer's. */
  get bufferedMs(): { readonly fromRtmp: number; readonly fromRtp: number } {
    return { fromRtmp: this.#up?.bufferedMs ?? 0, fromRtp: this.#down?.bufferedMs ?? 0 };
  }

  /** The configuration the player must have before the next packet; null: none. */
  get playerConfig(): Uint8Array | null {
    return this.#downwards().outputConfig;
  }

  /** Sends silence to the peer until the client is heard. @param format what the client will send */
  startUp(format: AudioFormat): void {
    const up = this.#upwards();
    if (!up.takes(format)) return;
    up.start(format);
    this.#run();
  }

  /** Sends silence to the player until the peer is heard. */
  startDown(format: AudioFormat): void {
    const down = this.#downwards();
    if (!down.takes(format)) return;
    down.start(format);
    this.#run();
  }

  /** The client's audio passes through from now on. */
  stopUp(): void {
    if (this.#up?.active !== true) return;
    this.#up.stop();
    this.#rest();
  }

  /** The peer's audio passes through from now on. */
  stopDown(): void {
    if (this.#down?.active !== true) return;
    this.#down.stop();
    this.#rest();
  }

  /** A configuration of the client: of no meaning to codecs that need none. */
  configure(codec: Codec, config: Uint8Array): void {
    const configured = codec.transcode?.configured;
    if (configured !== undefined) this.#upwards().configure(configured.configOf(config));
  }

  /** One frame of the client; false when it cannot be transcoded. */
  fromRtmp(codec: Codec, frame: Frame): boolean {
    const format = formatOfFrame(codec, frame);
    const up = this.#upwards();
    if (format === null || !up.takes(format)) return false;
    if (codec !== this.#source) this.#changeSource(codec);
    const frames = this.#frames;
    if (frames === null) up.push(format, frame.data, frame.timeMs);
    else this.#pushFramed(up, format, frames, frame);
    this.#run();
    return true;
  }

  #changeSource(codec: Codec): void {
    if (!this.#framesBySource.has(codec)) {
      this.#framesBySource.set(codec, codec.transcode?.configured?.createFrames() ?? null);
    }
    this.#source = codec;
    this.#frames = this.#framesBySource.get(codec)!;
  }

  /** A tag may hold frames that each say how they are coded (ADTS). */
  #pushFramed(up: Transcoder, format: AudioFormat, frames: TagFrames, { data, timeMs }: Frame): void {
    const refusal = frames.refusal(data);
    if (refusal !== null) return up.refuse(refusal);
    if (!frames.open(data)) return up.push(format, data, timeMs);
    let placedMs = timeMs;
    while (frames.next()) {
      if (frames.changed) up.configure(frames.config);
      up.push(format, data.subarray(frames.start, frames.end), placedMs);
      placedMs += up.receivedMs;
    }
  }

  /** One payload of the peer, in order; false when it cannot be transcoded. */
  fromRtp(audio: PeerAudio, payload: Uint8Array, timestamp: number, lost: number): boolean {
    const { format, clockRate } = audio;
    const down = this.#downwards();
    if (!down.takes(format)) return false;
    const ticksPerMs = clockRate / 1000;
    if (lost > 0) down.lost(format, (timestamp - this.#expected) / ticksPerMs);
    down.push(format, payload, timestamp / ticksPerMs);
    this.#expected = timestamp + down.receivedMs * ticksPerMs;
    this.#run();
    return true;
  }

  /** RTMP time at which the player hears a moment of the peer's scale (timestamp as ms); null before its first audio. */
  peekMs(mediaMs: number): number | null {
    return Number.isNaN(this.#playedOffsetMs) ? null : mediaMs + this.#playedOffsetMs;
  }

  comfortNoise(payload: Uint8Array): void {
    this.#downwards().comfortNoise(payload);
  }

  publisherChanged(): void {
    this.#up?.sourceChanged();
  }

  sourceChanged(): void {
    this.#expected = NaN;
    this.#down?.sourceChanged();
  }

  /** What was concealed and skipped, for the log; "" when nothing was sent. */
  summary(): string {
    const parts: string[] = [];
    for (
      const [name, transcoder] of [["to the remote party", this.#up], ["to the player", this.#down]] as const
    ) {
      const playout = transcoder?.playout ?? null;
      if (playout === null) continue;
      const { underruns, skippedMs, jitter } = playout;
      parts.push(
        `${name}: ${underruns} underruns, ${Math.round(skippedMs)} ms skipped, target ${
          Math.round(jitter.targetMs)
        } ms`,
      );
    }
    return parts.join(", ");
  }

  [Symbol.dispose](): void {
    this.#ticking?.[Symbol.dispose]();
    this.#ticking = null;
    this.#up?.[Symbol.dispose]();
    this.#down?.[Symbol.dispose]();
  }

  #run(): void {
    this.#ticking ??= this.#options.services.ticker.add((nowMs) => {
      this.#up?.tick(nowMs);
      this.#down?.tick(nowMs);
    });
  }

  #rest(): void {
    if (this.#up?.active === true || this.#down?.active === true) return;
    this.#ticking?.[Symbol.dispose]();
    this.#ticking = null;
  }
}
