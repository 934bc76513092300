// One live stream by its name: a publisher or none, and its players. Each tag goes to every player at once,
// uncopied; one copy is kept in the cache for those who join later.
// States: waiting (players only) -> publishing -> waiting.
// Role: machine

import { PictureMender } from "../codecs/h264/picture_mender.ts";
import { createTag, FirstTrack, readTag, type Tag } from "../media/tag.ts";
import { type ByteBudget, GopCache } from "./gop_cache.ts";
import {
  type LiveHeaders,
  NO_HEADERS,
  PAST_MS,
  type SubscribedStream,
  Subscription,
  withHeader,
} from "./subscription.ts";
import type { LiveSink } from "./player_sink.ts";
import type { Publisher } from "./publisher.ts";
import type { Runtime } from "../base/runtime.ts";

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
