// One player of a live stream: what it is sent and what it loses, how much it lags, what it is told, when it has seen enough.
// A player that is slow costs the others nothing: nothing is kept for it alone.
// Role: machine

import { equalBytes } from "../base/bytes.ts";
import type { Runtime } from "../base/runtime.ts";
import type { GopCache } from "./gop_cache.ts";
import { createTag, headerSlot, isFrame, isHeader, readTag, type Tag } from "../media/tag.ts";
import type { Congestion } from "../rtmp/drop_policy.ts";
import type { NetStream } from "../rtmp/net_stream.ts";

/** Sound, and data beside it, that is older than this is nothing to begin with; older pictures are shown in fast motion. */
export const PAST_MS = 1_000;

export interface SubscribedStream {
  /** Tags since the last key frame. */
  readonly cache: GopCache;
  readonly cachedHeaders: LiveHeaders;
  readonly headers: LiveHeaders;
  /** True when the stream has pictures. */
  readonly hasVideo: boolean;
  readonly lastTimeMs: number;
  /** True for sound or data of the cache that is not of now any more. */
  isPast(type: 8 | 18, timeMs: number, arrivedMs: number): boolean;
  unsubscribe(subscription: Subscription): void;
}

/**
 *   catching up  it joined late: tags come from the cache, from a key frame on, as fast as it takes them
 *   following    tags come as they are published; after a loss pictures wait for the next key frame
 */
export class Subscription implements Disposable {
  sent = 0;
  /** Pictures left out because the player was slow. */
  droppedVideo = 0;
  /** Sound left out because the player was slow. */
  droppedAudio = 0;
  readonly #stream: SubscribedStream;
  readonly #sink: LiveSink;
  readonly #now: () => number;
  readonly #tag = createTag();
  readonly #folded = new FoldedPast();
  #closed = false;
  #catchingUp = false;
  #cursor = 0;
  #awaitingKey = true;
  #losing = false;
  #sentHeaders: LiveHeaders | null = null;
  /** Added to the publisher's times, so that those of a second publisher go on where the first one's ended. */
  #shiftMs: number | null = 0;
  #lastSentMs: number | null = null;
  #lastSentAtMs = 0;

  /** Made by the stream. @param now monotonic milliseconds */
  constructor(stream: SubscribedStream, sink: LiveSink, now: () => number) {
    this.#stream = stream;
    this.#sink = sink;
    this.#now = now;
  }

  /** True once it is over. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The stream's: the player joins while there is a publisher. */
  join(): void {
    const { cache, lastTimeMs, cachedHeaders, headers } = this.#stream;
    this.#catchingUp = cache.open && cache.size > 0;
    this.#cursor = 0;
    if (this.#catchingUp) this.#folded.begin(cache.timeMsAt(0), lastTimeMs - PAST_MS, PAST_MS);
    this.#sendHeaders(
      this.#catchingUp ? cachedHeaders : headers,
      this.#catchingUp ? this.#folded.timeMs(cache.timeMsAt(0)) : lastTimeMs,
    );
    if (this.#catchingUp) this.#catchUp();
  }

  /** The stream's: a publisher has come. */
  begin(): void {
    this.#catchingUp = false;
    this.#awaitingKey = true;
    this.#losing = false;
    if (this.#lastSentMs !== null) this.#shiftMs = null; // known with its first tag
    this.#sink.published?.();
  }

  /** The stream's: the publisher has gone. */
  end(): void {
    this.#catchingUp = false;
    this.#sink.unpublished?.();
  }

  /** The stream's: the cache is about to start anew, or to be closed; what is left in it is lost to us. */
  cacheEnds(): void {
    if (!this.#catchingUp) return;
    const { cache } = this.#stream;
    this.#folded.end();
    for (; this.#cursor < cache.size; this.#cursor++) this.#countLost(cache.typeAt(this.#cursor));
    this.#cursor = 0;
    this.#awaitingKey = true;
    this.#losing = true;
    this.#tellDropped();
  }

  /**
   * The stream's: a tag, borrowed.
   * @param starts pictures can be started with it
   * @param cached it is the last one in the cache
   */
  take(tag: Tag, starts: boolean, timeMs: number, body: Uint8Array, cached: boolean): void {
    if (this.#catchingUp && cached) return this.#catchUp();
    this.#catchingUp = false;
    this.#follow(tag, starts, timeMs, body);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.unsubscribe(this);
  }

  /** Sends what the player takes of the cache; at its end it follows. */
  #catchUp(): void {
    const { cache, cachedHeaders } = this.#stream;
    const restarted = this.#cursor === 0 && this.#sentHeaders !== cachedHeaders;
    if (restarted) this.#sendHeaders(cachedHeaders, cache.timeMsAt(0));
    while (this.#cursor < cache.size) {
      if (this.#closed || this.#sink.congestion() > 0) return;
      const type = cache.typeAt(this.#cursor);
      const timeMs = cache.timeMsAt(this.#cursor);
      if (this.#isPast(type, timeMs)) {
        this.#cursor++;
        continue;
      }
      const taken = this.#sendCached(type, timeMs, cache.bodyAt(this.#cursor++));
      if (!taken && type === 9) return this.#giveUpCatchingUp();
      if (type === 9) this.#awaitingKey = false;
    }
    this.#catchingUp = false;
    this.#losing = false;
    this.#folded.end();
    this.#sentHeaders = this.#stream.headers; // those that changed were in the cache
  }

  #sendCached(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    const folded = this.#folded;
    const shown = type === 9 ? folded.body(readTag(9, body, this.#tag), timeMs, body) : body;
    return this.#send(type, folded.timeMs(timeMs), shown);
  }

  /** Pictures are needed from the key frame on; sound of then would only be heard late, and for ever after. */
  #isPast(type: 8 | 9 | 18, timeMs: number): boolean {
    const { cache } = this.#stream;
    if (type === 9 || !this.#stream.isPast(type, timeMs, cache.arrivedMsAt(this.#cursor))) return false;
    const { content } = readTag(type, cache.bodyAt(this.#cursor), this.#tag);
    return content === "frame" || content === "data" || content === "other";
  }

  /** A picture of the cache was not taken, so those that follow it are of no use. */
  #giveUpCatchingUp(): void {
    this.cacheEnds();
    this.#catchingUp = false;
  }

  #follow(tag: Tag, starts: boolean, timeMs: number, body: Uint8Array): void {
    const type = typeOf(tag);
    if (!isFrame(tag)) this.#sentHeaders = this.#stream.headers;
    else if (type === 8) {
      const congestion = this.#sink.congestion();
      if (congestion === 2 || congestion === 1 && !this.#stream.hasVideo) return this.#lose(type);
    } else {
      if (this.#sink.congestion() > 0) {
        this.#awaitingKey = true;
        this.#losing = true;
      } else if (starts) {
        this.#awaitingKey = false;
        this.#losing = false;
      }
      if (this.#awaitingKey) return this.#losing ? this.#lose(type) : undefined;
    }
    this.#send(type, timeMs, body);
  }

  /** Those that the player has not had. */
  #sendHeaders(headers: LiveHeaders, timeMs: number): void {
    const had = this.#sentHeaders;
    this.#sentHeaders = headers;
    if (headers.metadata !== null && headers.metadata !== had?.metadata) {
      this.#sendMetadata(timeMs, headers.metadata);
    }
    for (const config of headers.configs) {
      if (had?.configs.includes(config) !== true) this.#send(config.type, timeMs, config.body);
    }
  }

  /** Before anything else it has time 0: programs like ffmpeg take it for a stream of its own later on. */
  #sendMetadata(timeMs: number, body: Uint8Array): void {
    if (this.#lastSentMs !== null) this.#send(18, timeMs, body);
    else if (this.#sink.media(18, 0, body)) this.sent++;
  }

  #send(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    const nowMs = this.#now();
    // Metadata has a time of its own, often 0: where a publisher's times begin is seen by its sound and pictures.
    if (type !== 18) this.#shiftMs ??= this.#continuation(timeMs, nowMs);
    const shiftMs = this.#shiftMs ?? this.#continuation(timeMs, nowMs);
    const shiftedMs = Math.max(0, timeMs + shiftMs);
    this.#lastSentMs = shiftedMs;
    this.#lastSentAtMs = nowMs;
    const taken = this.#sink.media(type, shiftedMs, body);
    if (taken) this.sent++;
    else this.#lose(type);
    return taken;
  }

  /** The time without a publisher passes in the player's time as well. */
  #continuation(timeMs: number, nowMs: number): number {
    const elapsedMs = Math.max(1, Math.round(nowMs - this.#lastSentAtMs));
    return (this.#lastSentMs ?? 0) + elapsedMs - timeMs;
  }

  #lose(type: 8 | 9 | 18): void {
    this.#countLost(type);
    if (type === 9) {
      this.#awaitingKey = true;
      this.#losing = true;
    }
    this.#tellDropped();
  }

  #countLost(type: 8 | 9 | 18): void {
    if (type === 9) this.droppedVideo++;
    else if (type === 8) this.droppedAudio++;
  }

  #tellDropped(): void {
    this.#sink.dropped?.(this.droppedVideo, this.droppedAudio);
  }
}

function typeOf({ kind }: Tag): 8 | 9 | 18 {
  return kind === "audio" ? 8 : kind === "video" ? 9 : 18;
}

const COMPOSITION_OCTETS = 3;

/** Folds what is between two times into the end of it; before it is used nothing is folded. */
export class FoldedPast {
  #fromMs = 0;
  #toMs = 0;
  #scale = 1;
  #copy = new Uint8Array(0);

  /** From now on times from `fromMs` to `toMs` are folded into `lengthMs` before `toMs`, when they are longer. */
  begin(fromMs: number, toMs: number, lengthMs: number): void {
    this.#fromMs = fromMs;
    this.#toMs = toMs;
    this.#scale = toMs - fromMs > lengthMs ? lengthMs / (toMs - fromMs) : 1;
  }

  end(): void {
    this.#scale = 1;
  }

  /** Where a time goes; never back behind an earlier one. */
  timeMs(timeMs: number): number {
    if (this.#scale === 1 || timeMs >= this.#toMs || timeMs < this.#fromMs) return timeMs;
    return Math.round(this.#toMs - (this.#toMs - timeMs) * this.#scale);
  }

  /** A picture's tag body with its composition time folded: itself, or a copy that is valid until the next call. */
  body({ compositionMs, start }: Tag, timeMs: number, body: Uint8Array): Uint8Array {
    if (compositionMs === 0 || this.timeMs(timeMs) === timeMs) return body;
    const folded = this.timeMs(Math.max(this.#fromMs, timeMs + compositionMs)) - this.timeMs(timeMs);
    if (this.#copy.length < body.length) this.#copy = new Uint8Array(body.length);
    const copy = this.#copy.subarray(0, body.length);
    copy.set(body);
    const at = start - COMPOSITION_OCTETS;
    for (let i = 0; i < COMPOSITION_OCTETS; i++) copy[at + i] = folded >> 8 * (COMPOSITION_OCTETS - 1 - i);
    return copy;
  }
}

/** More than this is no header: metadata of a few values, configuration of a few hundred bytes. */
export const MAX_LIVE_HEADER_BYTES = 64 * 1024;
/** Configurations of one stream: of pictures and sound of some tracks. What comes when it is full is not kept. */
export const MAX_LIVE_HEADERS = 32;
const MAX_BYTES = 256 * 1024;

interface LiveHeader {
  /** 8 sound, 9 pictures. */
  readonly type: 8 | 9;
  readonly slot: number;
  /** Tag body, as 17 00 or AF 00; its own copy. */
  readonly body: Uint8Array;
}

/** What came so far. */
export interface LiveHeaders {
  /** onMetaData; null before the first. */
  readonly metadata: Uint8Array | null;
  /** Configurations, those of pictures first, else in the order in which they came. */
  readonly configs: readonly LiveHeader[];
}

/** Nothing yet. */
export const NO_HEADERS: LiveHeaders = { metadata: null, configs: [] };

/** The headers with a tag in its place; the same object when nothing changes. */
export function withHeader(headers: LiveHeaders, tag: Tag, body: Uint8Array): LiveHeaders {
  if (tag.content === "metadata") return withMetadata(headers, body);
  if (!isHeader(tag) || body.length > MAX_LIVE_HEADER_BYTES) return headers;
  const slot = headerSlot(tag);
  const known = headers.configs.find((config) => config.slot === slot);
  if (known !== undefined && equalBytes(known.body, body)) return headers;
  if (known === undefined && headers.configs.length >= MAX_LIVE_HEADERS) return headers;
  const others = headers.configs.filter((config) => config !== known);
  if (others.reduce((sum, config) => sum + config.body.length, body.length) > MAX_BYTES) return headers;
  const fresh: LiveHeader = { type: tag.kind === "audio" ? 8 : 9, slot, body: body.slice() };
  const configs = [...others, fresh].sort((a, b) => b.type - a.type);
  return { ...headers, configs };
}

function withMetadata(headers: LiveHeaders, body: Uint8Array): LiveHeaders {
  if (body.length > MAX_LIVE_HEADER_BYTES) return headers;
  const known = headers.metadata;
  return known !== null && equalBytes(known, body) ? headers : { ...headers, metadata: body.slice() };
}

export type LivePlayer = Pick<
  NetStream,
  "name" | "send" | "congestion" | "lagMs" | "started" | "published" | "stop"
>;

interface PlayerSinkOptions extends Pick<Runtime, "clock" | "log"> {
  /** Later than this nothing should arrive: pictures are left out, and from twice as much on sound. */
  readonly latencyMs: number;
  /** Of the stream's time that is played; -1 for all. */
  readonly durationMs: number;
  /** Told when the duration is over and the player has been told so. */
  readonly onFinished: () => void;
}

const TELL_EVERY_MS = 1_000;

export class PlayerSink implements LiveSink {
  readonly #player: LivePlayer;
  readonly #options: PlayerSinkOptions;
  #firstMs: number | null = null;
  #finished = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #toldVideo = 0;
  #toldAudio = 0;

  /** Nothing is said before started(). */
  constructor(player: LivePlayer, options: PlayerSinkOptions) {
    this.#player = player;
    this.#options = options;
  }

  congestion(): Congestion {
    const { latencyMs } = this.#options;
    const { congestion, lagMs } = this.#player;
    if (congestion === 2 || lagMs >= 2 * latencyMs) return 2;
    return congestion === 1 || lagMs >= latencyMs ? 1 : 0;
  }

  media(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    if (this.#finished) return true;
    if (type !== 18) this.#firstMs ??= timeMs;
    const { durationMs } = this.#options;
    if (durationMs >= 0 && this.#firstMs !== null && timeMs > this.#firstMs + durationMs) {
      this.#finish();
      return true;
    }
    return this.#player.send(type, timeMs, body);
  }

  started(): void {
    this.#player.started(false);
  }

  published(): void {
    this.#player.published();
  }

  unpublished(): void {
    if (this.#finished) return;
    this.#player.stop("NetStream.Play.UnpublishNotify", `${this.#player.name} is now unpublished.`);
  }

  dropped(video: number, audio: number): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    this.#options.log.warn(
      `"${this.#player.name}" arrives ${Math.round(this.#player.lagMs)} ms late: ` +
        `${video - this.#toldVideo} video and ${audio - this.#toldAudio} audio messages left out`,
    );
    this.#toldVideo = video;
    this.#toldAudio = audio;
  }

  #finish(): void {
    this.#finished = true;
    this.#player.stop();
    this.#options.onFinished();
  }
}

/** Takes tags of one stream. Nothing here may wait, nor end the stream it is called from. */
export interface LiveSink {
  /** Asked before a frame: 0 send all, 1 no pictures before the next key frame, 2 no sound either. */
  congestion(): Congestion;
  /** One tag, its body borrowed. False when it was not taken, which is counted. */
  media(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean;
  /** It is a player now; comes once, before everything else. */
  started?(): void;
  /** A publisher has come; not told when it was there before. */
  published?(): void;
  /** The publisher has gone; another one may come. */
  unpublished?(): void;
  /** Frames have been left out; so many in all so far. */
  dropped?(video: number, audio: number): void;
}
