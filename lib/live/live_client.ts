// One RTMP client of the streams application: its publishes and plays, from its first event to its last.
// Events are handled at once, because the socket is read only between them; what has to wait (files) runs in
// tasks of the client and finds out afterwards whether it is still wanted.
// Role: edge

import type { Clock } from "../base/clock.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Scope } from "../base/scope.ts";
import type { FlvSeekReader } from "../flv/seek_reader.ts";
import type { RtmpEvent } from "../rtmp/stream_commands.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { NetStream } from "../rtmp/net_stream.ts";
import { FilePlayer } from "./file_player.ts";
import { PlayerSink } from "./player_sink.ts";
import type { Recordings } from "./recordings.ts";
import { parseStreamPath } from "./media_folder.ts";
import {
  mayReplace,
  type OnBusyPolicy,
  type Publisher,
  type PublisherConnection,
  REPLACED,
} from "./publisher.ts";
import type { LiveStreams, Publication } from "./streams.ts";
import type { Subscription } from "./subscription.ts";

export interface LiveServices {
  readonly streams: LiveStreams;
  readonly recordings: Recordings;
  /** Later than this nothing should arrive at a live player. */
  readonly latencyMs: number;
  /** Players of files get so much in advance at most. */
  readonly readAheadMs: number;
  readonly clock: Clock;
  /** What happens to who publishes what another client publishes. */
  readonly onBusy: OnBusyPolicy;
}

interface LiveConnection extends PublisherConnection {
  close(code: string, description: string): Promise<void>;
}

/** Why a stream is refused before anybody looks for it. */
const NO_NAME = "This is no name for a stream";

type PublishEvent = Extract<RtmpEvent, { type: "publish" }>;
type PlayEvent = Extract<RtmpEvent, { type: "play" }>;

/** What a stream of the client is doing; `waiting` while its file is looked for. */
type Activity =
  | {
    readonly type: "publishing";
    readonly publication: Publication;
    readonly ended: PromiseWithResolvers<void>;
  }
  | { readonly type: "playing live"; readonly subscription: Subscription }
  | { readonly type: "playing file"; readonly player: FilePlayer }
  | { readonly type: "waiting" };

/** One client, while it is connected. */
export class LiveClient implements AsyncDisposable {
  readonly #app: string;
  readonly #connection: LiveConnection;
  readonly #services: LiveServices;
  readonly #log: Logger;
  readonly #scope: Scope;
  readonly #activities = new Map<NetStream, Activity>();

  /** Does nothing yet. @param app of its connect */
  constructor(app: string, connection: LiveConnection, services: LiveServices, log: Logger) {
    this.#app = app;
    this.#connection = connection;
    this.#services = services;
    this.#log = log;
    this.#scope = new Scope("streams", { log });
  }

  /** Handles one event of the connection; never waits. */
  handle(event: RtmpEvent): void {
    switch (event.type) {
      case "publish":
        return this.#publish(event);
      case "play":
        return this.#play(event);
      case "ended":
        return this.#end(event.stream);
      case "pause":
        return this.#pause(event.stream, event.paused, event.timeMs);
      case "seek":
        return this.#seek(event.stream, event.timeMs);
      case "receive":
        return; // the stream itself stops and resumes what it sends
      case "command":
        return event.reply.result(); // as siprtmp answered whatever programs say to streaming servers
    }
  }

  /** One media message of a publishing stream; synchronous, borrowed. */
  media(stream: NetStream, { type, timeMs, body }: MediaMessage): void {
    const activity = this.#activities.get(stream);
    if (activity?.type === "publishing") activity.publication.put(type, timeMs, body);
  }

  /** Length of a stream for players: 0 when it is live, or not there. */
  async lengthSeconds(name: string): Promise<number> {
    const path = parseStreamPath(this.#app, name);
    if (path === null || this.#services.streams.find(path)?.publishing === true) return 0;
    return await this.#services.recordings.durationSeconds(path);
  }

  /** The client has left: ends everything, waits until recordings are finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#activities.keys()) this.#end(stream);
    await this.#scope.close();
  }

  #publish(event: PublishEvent): void {
    const { stream, name } = event;
    this.#end(stream);
    const path = parseStreamPath(this.#app, name);
    if (path === null) return this.#refuse(stream, "NetStream.Publish.BadName", NO_NAME);
    const publisher = this.#publisherOf(stream);
    const outcome = this.#services.streams.publish(path, publisher);
    if (outcome.type === "publishing") return this.#begin(event, outcome.publication);
    const { publisher: there } = outcome;
    if (there === null) return this.#refuse(stream, "NetStream.Publish.BadName", outcome.reason, path);
    const waiting: Activity = { type: "waiting" };
    this.#activities.set(stream, waiting);
    this.#scope.spawn(`publish ${path}`, async () => {
      const replaces = await mayReplace(this.#services.onBusy, there, publisher);
      if (this.#activities.get(stream) !== waiting) return; // it has left, or does something else
      this.#activities.delete(stream);
      if (replaces) this.#replace(path, there);
      this.#publishNow(event, path, publisher);
    });
  }

  #replace(path: string, there: Publisher): void {
    if (this.#services.streams.find(path)?.publisher !== there) return; // it has left meanwhile
    this.#log.info(`${path}: a newer connection replaces its publisher`);
    there.replaced();
  }

  #publishNow(event: PublishEvent, path: string, publisher: Publisher): void {
    const outcome = this.#services.streams.publish(path, publisher);
    if (outcome.type === "publishing") return this.#begin(event, outcome.publication);
    this.#refuse(event.stream, "NetStream.Publish.BadName", outcome.reason, path);
  }

  #publisherOf(stream: NetStream): Publisher {
    const connection = this.#connection;
    return {
      proof: connection.proof,
      answers: () => connection.answers(),
      replaced: () => this.#replaced(stream),
    };
  }

  /** Programs that hear no status events understand the end of their connection. */
  #replaced(stream: NetStream): void {
    this.#end(stream);
    if (stream.state === "publishing") stream.stop(undefined, REPLACED);
    if (this.#activities.size === 0) void this.#connection.close("NetConnection.Connect.Closed", REPLACED);
  }

  #begin({ stream, mode }: PublishEvent, publication: Publication): void {
    const { path } = publication.stream;
    const ended = Promise.withResolvers<void>();
    this.#activities.set(stream, { type: "publishing", publication, ended });
    this.#log.info(`publishes ${path} (${mode})`);
    if (mode === "live") return stream.started();
    this.#scope.spawn(`record ${path}`, () => this.#record(stream, publication, mode, ended.promise));
  }

  async #record(
    stream: NetStream,
    publication: Publication,
    mode: "record" | "append",
    ended: Promise<void>,
  ): Promise<void> {
    const { path } = publication.stream;
    const { name } = stream;
    const outcome = await this.#services.recordings.record(path, mode);
    if (outcome.type === "refused") {
      if (publication.ended) return;
      this.#end(stream);
      return stream.failed("NetStream.Record.NoAccess", outcome.reason);
    }
    const { recording, close } = outcome.opened;
    if (publication.ended) return await close();
    try {
      recording.onFailure = (reason) => {
        this.#log.error(`Recording of ${name} stops, it goes on live: ${reason}`);
        stream.status("error", "NetStream.Record.Failed", `${name} is not recorded any more.`, {
          details: name,
        });
      };
      using _subscription = publication.stream.subscribe(recording);
      stream.started();
      stream.status("status", "NetStream.Record.Start", `Recording ${name}.`, { details: name });
      await ended;
    } finally {
      await close();
    }
    stream.status("status", "NetStream.Record.Stop", `${name} was recorded.`, { details: name });
  }

  /** @param name of the stream, where the reason does not say it; checked before, so that it may be logged */
  #refuse(stream: NetStream, code: string, reason: string, name = ""): void {
    const what = code.startsWith("NetStream.Play") ? "play" : "publish";
    this.#log.info(`${what}${name === "" ? "" : ` of ${name}`} refused: ${reason}`);
    stream.failed(code, reason);
  }

  #play(event: PlayEvent): void {
    const { stream, name, start } = event;
    this.#end(stream);
    const path = parseStreamPath(this.#app, name);
    if (path === null) return this.#refuse(stream, "NetStream.Play.StreamNotFound", NO_NAME);
    const live = this.#services.streams.find(path)?.publishing === true;
    if (start === -1 || start === -2 && live) return this.#playLive(event, path);
    const waiting: Activity = { type: "waiting" };
    this.#activities.set(stream, waiting);
    this.#scope.spawn(`play ${path}`, () => this.#playFile(event, path, waiting));
  }

  #playLive({ stream, duration }: PlayEvent, path: string): void {
    const { latencyMs, clock, streams } = this.#services;
    const sink = new PlayerSink(stream, {
      latencyMs,
      durationMs: duration,
      clock,
      log: this.#log,
      onFinished: () => this.#end(stream),
    });
    const outcome = streams.play(path, sink);
    if (outcome.type === "refused") {
      return this.#refuse(stream, "NetStream.Play.Failed", outcome.reason, path);
    }
    const { subscription } = outcome;
    if (stream.state !== "playing") return subscription[Symbol.dispose](); // its duration was over at once
    this.#activities.set(stream, { type: "playing live", subscription });
    this.#log.info(`plays ${path} live`);
  }

  async #playFile(event: PlayEvent, path: string, waiting: Activity): Promise<void> {
    const { stream, name, start, duration } = event;
    const reader = await this.#services.recordings.play(path);
    if (this.#activities.get(stream) !== waiting) return reader?.close();
    if (reader === null) {
      this.#activities.delete(stream);
      if (start < 0) return this.#playLive(event, path);
      return this.#refuse(stream, "NetStream.Play.StreamNotFound", `There is no recording ${name}.`);
    }
    const { readAheadMs, clock } = this.#services;
    const options = { startMs: Math.max(0, start), durationMs: duration, readAheadMs };
    const player = new FilePlayer(reader, stream, options, clock);
    const activity: Activity = { type: "playing file", player };
    this.#activities.set(stream, activity);
    this.#log.info(`plays ${path} from its recording`);
    stream.started(true);
    await this.#run(player, reader, stream);
    if (this.#activities.get(stream) === activity) this.#activities.delete(stream);
  }

  async #run(player: FilePlayer, reader: FlvSeekReader, stream: NetStream): Promise<void> {
    const { name } = stream;
    try {
      using _reader = reader;
      await player.run();
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof TransportError)) throw error;
      this.#log.warn(`Playing ${name} ends early: ${messageOf(error)}`);
      stream.stop("NetStream.Play.Failed", `The recording ${name} is damaged.`);
    }
  }

  #pause(stream: NetStream, paused: boolean, timeMs: number): void {
    const activity = this.#activities.get(stream);
    if (activity?.type === "playing file") activity.player.pause(paused, timeMs);
  }

  #seek(stream: NetStream, timeMs: number): void {
    const activity = this.#activities.get(stream);
    if (activity?.type === "playing file") return activity.player.seek(timeMs);
    const text = "Only a recording that is being played can be sought in.";
    stream.status("error", "NetStream.Seek.Failed", text, { details: stream.name });
  }

  #end(stream: NetStream): void {
    const activity = this.#activities.get(stream);
    this.#activities.delete(stream);
    switch (activity?.type) {
      case "publishing":
        activity.publication.end();
        activity.ended.resolve();
        return this.#log.info(`has published ${activity.publication.stream.path}`);
      case "playing live":
        return activity.subscription[Symbol.dispose]();
      case "playing file":
        return activity.player.stop();
    }
  }
}
