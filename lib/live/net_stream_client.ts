// One RTMP client of streams, whatever they are: what its streams do, from its first event to its last. Events are
// handled at once, because the socket is read only between them; what has to wait runs in tasks and finds out
// afterwards whether it is still wanted.
// Role: edge

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Scope } from "../base/scope.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { NetStream } from "../rtmp/net_stream.ts";
import type { RtmpEvent } from "../rtmp/stream_commands.ts";
import { type LiveSink, PlayerSink } from "./subscription.ts";
import type { OnBusyPolicy } from "./publisher.ts";

export type PublishEvent = Extract<RtmpEvent, { type: "publish" }>;
export type PlayEvent = Extract<RtmpEvent, { type: "play" }>;
export type CommandEvent = Extract<RtmpEvent, { type: "command" }>;

export interface StreamActivity {
  /** Of a publisher: one message; synchronous, borrowed. */
  media?(message: MediaMessage): void;
  pause?(paused: boolean, timeMs: number): void;
  seek?(timeMs: number): void;
  /** Called once, from whichever side it ends. */
  end(): void;
}

export type PlayOutcome =
  | { readonly type: "playing"; readonly subscription: Disposable }
  | { readonly type: "refused"; readonly reason: string };

export interface PlaySettings {
  /** Later than this nothing should arrive at a live player. */
  readonly latencyMs: number;
  readonly clock: Clock;
  /** What happens to who publishes what another client publishes. */
  readonly onBusy: OnBusyPolicy;
}

export interface ConnectionClient {
  /** Handles one event; never waits. */
  handle(event: RtmpEvent): void;
  /** One media message of a publishing stream; synchronous, borrowed. Called without `this`: a hop less per packet. */
  readonly media: (stream: NetStream, message: MediaMessage) => void;
}

/**
 * Accepts a client that has said connect and serves it until it leaves. The connection stays its owner's to dispose of.
 * @param accepted called once it is
 */
export async function serveConnection(
  connection: RtmpConnection,
  client: ConnectionClient,
  accepted?: () => void,
): Promise<void> {
  connection.onMedia = client.media;
  connection.accept();
  accepted?.();
  for await (const event of connection.events()) client.handle(event);
}

export abstract class NetStreamClient implements ConnectionClient, AsyncDisposable {
  protected readonly log: Logger;
  protected readonly scope: Scope;
  readonly #settings: PlaySettings;
  readonly #activities = new Map<NetStream, StreamActivity>();

  constructor(settings: PlaySettings, log: Logger) {
    this.#settings = settings;
    this.log = log;
    this.scope = new Scope("streams", { log });
  }

  protected abstract publish(event: PublishEvent): void;
  protected abstract play(event: PlayEvent): void;
  protected abstract command(event: CommandEvent): void;

  handle(event: RtmpEvent): void {
    switch (event.type) {
      case "publish":
        this.end(event.stream);
        return this.publish(event);
      case "play":
        this.end(event.stream);
        return this.play(event);
      case "ended":
        return this.end(event.stream);
      case "pause":
        return this.#activities.get(event.stream)?.pause?.(event.paused, event.timeMs);
      case "seek":
        return this.#seek(event.stream, event.timeMs);
      case "receive":
        return; // the stream itself stops and resumes what it sends
      case "command":
        return this.command(event);
    }
  }

  readonly media = (stream: NetStream, message: MediaMessage): void => {
    this.#activities.get(stream)?.media?.(message);
  };

  /** The client has left: ends everything, waits for every task. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#activities.keys()) this.end(stream);
    await this.scope.close();
  }

  /** Streams that do something, or wait for it. */
  protected get active(): number {
    return this.#activities.size;
  }

  protected begin(stream: NetStream, activity: StreamActivity): void {
    this.#activities.set(stream, activity);
  }

  protected isDoing(stream: NetStream, activity: StreamActivity): boolean {
    return this.#activities.get(stream) === activity;
  }

  /** It does nothing any more: what it did has ended by itself. */
  protected forget(stream: NetStream): void {
    this.#activities.delete(stream);
  }

  /** Whatever the stream is doing ends, on our side. */
  protected end(stream: NetStream): void {
    const activity = this.#activities.get(stream);
    this.#activities.delete(stream);
    activity?.end();
  }

  /** Told of what cannot be sought in. */
  protected cannotSeek(_stream: NetStream): void {}

  #seek(stream: NetStream, timeMs: number): void {
    const activity = this.#activities.get(stream);
    if (activity?.seek === undefined) this.cannotSeek(stream);
    else activity.seek(timeMs);
  }

  /** What the stream is to do is known later. @param unwanted told what it was when nobody waits for it by then */
  protected later<T>(
    stream: NetStream,
    task: string,
    wait: () => Promise<T>,
    go: (value: T) => void | Promise<void>,
    unwanted?: (value: T) => void,
  ): void {
    const waiting: StreamActivity = { end: () => {} };
    this.begin(stream, waiting);
    this.scope.spawn(task, async () => {
      const value = await wait();
      if (!this.isDoing(stream, waiting)) return unwanted?.(value);
      this.#activities.delete(stream);
      await go(value);
    });
  }

  /** @param name of the stream, where the reason does not say it; checked before, so that it may be logged */
  protected refuse(
    { type, stream }: PublishEvent | PlayEvent,
    code: string,
    reason: string,
    name = "",
  ): void {
    this.log.info(`${type}${name === "" ? "" : ` of ${name}`} refused: ${reason}`);
    stream.failed(code, reason);
  }

  /** Starts a player of something live; false when it does not play. */
  protected playLive(event: PlayEvent, play: (sink: LiveSink) => PlayOutcome, name = ""): boolean {
    const { stream, duration } = event;
    const { latencyMs, clock } = this.#settings;
    const sink = new PlayerSink(stream, {
      latencyMs,
      durationMs: duration,
      clock,
      log: this.log,
      onFinished: () => this.end(stream),
    });
    const outcome = play(sink);
    if (outcome.type === "refused") {
      this.refuse(event, "NetStream.Play.Failed", outcome.reason, name);
      return false;
    }
    const { subscription } = outcome;
    const plays = stream.state === "playing"; // else its duration was over at once
    if (plays) this.begin(stream, { end: () => subscription[Symbol.dispose]() });
    else subscription[Symbol.dispose]();
    return plays;
  }
}
