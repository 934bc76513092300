// All live streams by path. RTMP clients publish and play through it, and so may any part of this
// program: the two sides of a call, a recording, a meter.
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Runtime } from "../base/runtime.ts";
import { PictureMender } from "../codecs/h264/picture_mender.ts";
import { ByteBudget, GopCache } from "./gop_cache.ts";
import {
  type LiveHeaders,
  type LiveSink,
  NO_HEADERS,
  PAST_MS,
  type SubscribedStream,
  Subscription,
  withHeader,
} from "./subscription.ts";
import type { Publisher } from "./publisher.ts";
import { createTag, FirstTrack, readTag, type Tag } from "../media/tag.ts";

/** Bounds of all streams together. */
export interface LiveLimits {
  readonly streams: number;
  readonly players: number;
  /** Bytes cached for late joiners of one stream; 0 turns the cache off. */
  readonly cacheBytes: number;
  /** Bytes cached for all streams. */
  readonly cacheBytesTotal: number;
}

export const defaultLiveLimits: LiveLimits = {
  streams: 1000,
  players: 10_000,
  cacheBytes: 4 * 1024 * 1024,
  cacheBytesTotal: 256 * 1024 * 1024,
};

type PublishOutcome =
  | { readonly type: "publishing"; readonly publication: Publication }
  | {
    readonly type: "refused";
    readonly reason: string;
    /** The client that publishes it, and may be replaced; null: there is none. */
    readonly publisher: Publisher | null;
  };

type SubscribeOutcome =
  | { readonly type: "playing"; readonly subscription: Subscription }
  | { readonly type: "refused"; readonly reason: string };

/** One publisher's hold of a stream, from publish() to its end. */
export class Publication implements Disposable {
  readonly stream: LiveStream;
  #ended = false;

  /** Made by {@linkcode LiveStreams.publish}. */
  constructor(stream: LiveStream, publisher: Publisher | null) {
    this.stream = stream;
    stream.begin(publisher);
  }

  /** True once it has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** One tag in the order of time; the body is consumed when it returns. Ignored once ended. */
  put(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (!this.#ended) this.stream.put(type, timeMs, body);
  }

  /** Ends it: players are told, and may wait for the next publisher. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.stream.end();
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

export interface LiveUsage {
  readonly streams: number;
  readonly publishers: number;
  readonly players: number;
  readonly cachedBytes: number;
}

export class LiveStreams {
  readonly #limits: LiveLimits;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #budget: ByteBudget;
  readonly #streams = new Map<string, LiveStream>();

  /** Empty. */
  constructor(limits: LiveLimits, environment: { readonly clock: Clock; readonly log: Logger }) {
    this.#limits = limits;
    this.#clock = environment.clock;
    this.#log = environment.log;
    this.#budget = new ByteBudget(limits.cacheBytesTotal);
  }

  get usage(): LiveUsage {
    let publishers = 0;
    let players = 0;
    for (const stream of this.#streams.values()) {
      players += stream.players;
      if (stream.publishing) publishers++;
    }
    return { streams: this.#streams.size, publishers, players, cachedBytes: this.#budget.used };
  }

  /** The stream of that path, when it has a publisher or players. */
  find(path: string): LiveStream | undefined {
    return this.#streams.get(path);
  }

  /** Takes a path to publish at, until the publication ends. @param publisher null: a part of this program */
  publish(path: string, publisher: Publisher | null = null): PublishOutcome {
    const there = this.find(path);
    if (there?.publishing === true) {
      return { type: "refused", reason: "Stream name already in use", publisher: there.publisher };
    }
    const stream = this.#open(path);
    if (stream === null) return { type: "refused", reason: "too many streams", publisher: null };
    return { type: "publishing", publication: new Publication(stream, publisher) };
  }

  /** Plays a path, whether or not it has a publisher yet, until the subscription is disposed. */
  play(path: string, sink: LiveSink): SubscribeOutcome {
    if (this.usage.players >= this.#limits.players) return { type: "refused", reason: "too many players" };
    const stream = this.#open(path);
    if (stream === null) return { type: "refused", reason: "too many streams" };
    return { type: "playing", subscription: stream.subscribe(sink) };
  }

  #open(path: string): LiveStream | null {
    const known = this.find(path);
    if (known !== undefined) return known;
    if (this.#streams.size >= this.#limits.streams) return null;
    const stream = new LiveStream({
      path,
      cacheBytes: this.#limits.cacheBytes,
      budget: this.#budget,
      clock: this.#clock,
      log: this.#log,
      onIdle: () => this.#remove(stream),
    });
    this.#streams.set(path, stream);
    return stream;
  }

  #remove(stream: LiveStream): void {
    if (this.#streams.get(stream.path) === stream) this.#streams.delete(stream.path);
  }
}

interface LiveStreamOptions extends Pick<Runtime, "clock" | "log"> {
  /** Its whole path: application and name. */
  readonly path: string;
  /** Cached bytes at most; 0 for no cache. */
  readonly cacheBytes: number;
  readonly budget: ByteBudget;
  /** Told when there is neither publisher nor player. */
  readonly onIdle: () => void;
}

export class LiveStream implements SubscribedStream {
  /** Its whole path: application and name. */
  readonly path: string;
  readonly cache: GopCache;
  readonly #options: LiveStreamOptions;
  readonly #now: () => number;
  /** Replaced, never changed: it may be walked while somebody joins or leaves. */
  #subscriptions: readonly Subscription[] = [];
  #publishing = false;
  #publisher: Publisher | null = null;
  #headers: LiveHeaders = NO_HEADERS;
  #cachedHeaders: LiveHeaders = NO_HEADERS;
  #hasVideo = false;
  #lastTimeMs = 0;
  #soundTimeMs = 0;
  readonly #tag = createTag();
  #firstTrack = new FirstTrack();
  #mender = new PictureMender();

  constructor(options: LiveStreamOptions) {
    this.path = options.path;
    this.#options = options;
    this.#now = () => options.clock.now();
    this.cache = new GopCache(options.cacheBytes, options.budget);
  }

  /** True while there is a publisher. */
  get publishing(): boolean {
    return this.#publishing;
  }

  get players(): number {
    return this.#subscriptions.length;
  }

  get headers(): LiveHeaders {
    return this.#headers;
  }

  get cachedHeaders(): LiveHeaders {
    return this.#cachedHeaders;
  }

  get hasVideo(): boolean {
    return this.#hasVideo;
  }

  get lastTimeMs(): number {
    return this.#lastTimeMs;
  }

  isPast(type: 8 | 18, timeMs: number, arrivedMs: number): boolean {
    const latestMs = type === 8 ? this.#soundTimeMs : this.#lastTimeMs;
    return Math.abs(latestMs - timeMs) > PAST_MS || this.#now() - arrivedMs > PAST_MS;
  }

  /** Who publishes; null: nobody, or a part of this program. */
  get publisher(): Publisher | null {
    return this.#publisher;
  }

  /** The publisher's: there is one now. */
  begin(publisher: Publisher | null = null): void {
    this.#publishing = true;
    this.#publisher = publisher;
    for (const each of this.#subscriptions) this.#guard(each, () => each.begin());
  }

  /** The publisher's: one tag; borrowed. */
  put(type: 8 | 9 | 18, timeMs: number, sent: Uint8Array): void {
    const tag = readTag(type, sent, this.#tag);
    if (type !== 9) return this.#relay(tag, type, timeMs, sent);
    const mender = this.#mender;
    const body = mender.mended(tag, sent);
    const { config } = mender;
    if (config !== null) this.#relay(readTag(9, config, createTag()), 9, timeMs, config);
    this.#relay(tag, 9, timeMs, body);
  }

  #relay(tag: Tag, type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    this.#headers = withHeader(this.#headers, tag, body);
    if (type !== 18) this.#lastTimeMs = timeMs;
    if (type === 8) this.#soundTimeMs = timeMs;
    if (type === 9) this.#hasVideo = true;
    const starts = this.#firstTrack.startsAt(tag);
    if (starts) this.#beginCache();
    else if (type !== 18) this.#expireCache(timeMs);
    const cached = this.#keep(type, timeMs, body);
    const subscriptions = this.#subscriptions;
    for (let i = 0; i < subscriptions.length; i++) {
      const each = subscriptions[i]!;
      if (each.closed) continue;
      try {
        each.take(tag, starts, timeMs, body, cached);
      } catch (error) {
        this.#failed(each, error);
      }
    }
  }

  /** The publisher's: it is gone. */
  end(): void {
    this.#publishing = false;
    this.#publisher = null;
    this.#headers = NO_HEADERS;
    this.#cachedHeaders = NO_HEADERS;
    this.#hasVideo = false;
    this.#lastTimeMs = this.#soundTimeMs = 0;
    this.#firstTrack = new FirstTrack();
    this.#mender = new PictureMender();
    this.cache.close();
    for (const each of this.#subscriptions) this.#guard(each, () => each.end());
    this.#tellIdle();
  }

  /** A new player; it gets what it needs at once when there is a publisher. */
  subscribe(sink: LiveSink): Subscription {
    const subscription = new Subscription(this, sink, this.#now);
    this.#subscriptions = [...this.#subscriptions, subscription];
    this.#guard(subscription, () => {
      sink.started?.();
      if (!this.#publishing) return;
      this.#expireCache(this.#lastTimeMs);
      subscription.join();
    });
    return subscription;
  }

  unsubscribe(subscription: Subscription): void {
    this.#subscriptions = this.#subscriptions.filter((each) => each !== subscription);
    this.#tellIdle();
  }

  #beginCache(): void {
    for (const each of this.#subscriptions) each.cacheEnds();
    this.#cachedHeaders = this.#headers;
    this.cache.begin();
  }

  #keep(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    if (!this.cache.open) return false;
    if (this.cache.add(type, timeMs, body, this.#now())) return true;
    this.#closeCache();
    return false;
  }

  #expireCache(timeMs: number): void {
    if (this.cache.open && this.cache.isStale(timeMs, this.#now())) this.#closeCache();
  }

  #closeCache(): void {
    for (const each of this.#subscriptions) each.cacheEnds();
    this.cache.close();
  }

  /** A player that fails is our own bug; it must not cost the publisher or the other players anything. */
  #guard(subscription: Subscription, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#failed(subscription, error);
    }
  }

  #failed(subscription: Subscription, error: unknown): void {
    this.#options.log.error(`${this.path}: a player failed and was removed`, error);
    subscription[Symbol.dispose]();
  }

  #tellIdle(): void {
    if (!this.#publishing && this.#subscriptions.length === 0) this.#options.onIdle();
  }
}
