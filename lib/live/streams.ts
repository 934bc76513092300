// All live streams by path. RTMP clients publish and play through it, and so may any part of this
// program: the two sides of a call, a recording, a meter.
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { ByteBudget } from "./gop_cache.ts";
import type { LiveSink } from "./player_sink.ts";
import { LiveStream } from "./live_stream.ts";
import type { Publisher } from "./publisher.ts";
import type { Subscription } from "./subscription.ts";

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

type PlayOutcome =
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
  play(path: string, sink: LiveSink): PlayOutcome {
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
