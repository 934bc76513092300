// One RTMP client of the streams application: what it publishes, records and plays, live and from files.
// Role: edge

import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { FlvSeekReader } from "../flv/seek_reader.ts";
import { FilePlayer } from "./file_player.ts";
import { isAppName, parseStreamPath, Recordings } from "./recordings.ts";
import {
  type CommandEvent,
  NetStreamClient,
  type PlayEvent,
  type PlaySettings,
  type PublishEvent,
  serveConnection,
  type StreamActivity,
} from "./net_stream_client.ts";
import {
  mayReplace,
  type OnBusyPolicy,
  type Publisher,
  type PublisherConnection,
  REPLACED,
} from "./publisher.ts";
import {
  defaultLiveLimits,
  type LiveLimits,
  LiveStreams,
  type LiveUsage,
  type Publication,
} from "./streams.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import type { NetStream } from "../rtmp/net_stream.ts";
import type { Runtime } from "../base/runtime.ts";

interface LiveServices extends PlaySettings {
  readonly streams: LiveStreams;
  readonly recordings: Recordings;
  /** Players of files get so much in advance at most. */
  readonly readAheadMs: number;
}

interface LiveConnection extends PublisherConnection {
  close(code: string, description: string): Promise<void>;
}

/** Why a stream is refused before anybody looks for it. */
const NO_NAME = "This is no name for a stream";

export class LiveClient extends NetStreamClient {
  readonly #app: string;
  readonly #connection: LiveConnection;
  readonly #services: LiveServices;

  /** Does nothing yet. @param app of its connect */
  constructor(app: string, connection: LiveConnection, services: LiveServices, log: Logger) {
    super(services, log);
    this.#app = app;
    this.#connection = connection;
    this.#services = services;
  }

  /** Length of a stream for players: 0 when it is live, or not there. */
  async lengthSeconds(name: string): Promise<number> {
    const path = parseStreamPath(this.#app, name);
    if (path === null || this.#services.streams.find(path)?.publishing === true) return 0;
    return await this.#services.recordings.durationSeconds(path);
  }

  /** As siprtmp answered whatever programs say to streaming servers. */
  protected command({ reply }: CommandEvent): void {
    reply.result();
  }

  protected publish(event: PublishEvent): void {
    const { stream, name } = event;
    const path = parseStreamPath(this.#app, name);
    if (path === null) return this.refuse(event, "NetStream.Publish.BadName", NO_NAME);
    const publisher = this.#publisherOf(stream);
    const outcome = this.#services.streams.publish(path, publisher);
    if (outcome.type === "publishing") return this.#begin(event, outcome.publication);
    const { publisher: there } = outcome;
    if (there === null) return this.refuse(event, "NetStream.Publish.BadName", outcome.reason, path);
    const decide = (): Promise<boolean> => mayReplace(this.#services.onBusy, there, publisher);
    this.later(stream, `publish ${path}`, decide, (replaces) => {
      if (replaces) this.#replace(path, there);
      this.#publishNow(event, path, publisher);
    });
  }

  #replace(path: string, there: Publisher): void {
    if (this.#services.streams.find(path)?.publisher !== there) return; // it has left meanwhile
    this.log.info(`${path}: a newer connection replaces its publisher`);
    there.replaced();
  }

  #publishNow(event: PublishEvent, path: string, publisher: Publisher): void {
    const outcome = this.#services.streams.publish(path, publisher);
    if (outcome.type === "publishing") return this.#begin(event, outcome.publication);
    this.refuse(event, "NetStream.Publish.BadName", outcome.reason, path);
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
    this.end(stream);
    if (stream.state === "publishing") stream.stop(undefined, REPLACED);
    if (this.active === 0) void this.#connection.close("NetConnection.Connect.Closed", REPLACED);
  }

  #begin({ stream, mode }: PublishEvent, publication: Publication): void {
    const { path } = publication.stream;
    const ended = Promise.withResolvers<void>();
    this.begin(stream, {
      media: ({ type, timeMs, body }) => publication.put(type, timeMs, body),
      end: () => {
        publication.end();
        ended.resolve();
        this.log.info(`stopped publishing ${path}`);
      },
    });
    this.log.info(`publishing ${path} (${mode})`);
    if (mode === "live") return stream.started();
    this.scope.spawn(`record ${path}`, () => this.#record(stream, publication, mode, ended.promise));
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
      this.end(stream);
      return stream.failed("NetStream.Record.NoAccess", outcome.reason);
    }
    const { recording, close } = outcome.opened;
    if (publication.ended) return await close();
    try {
      recording.onFailure = (reason) => {
        this.log.error(`recording of ${name} stopped, live goes on: ${reason}`);
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

  protected play(event: PlayEvent): void {
    const { stream, name, start } = event;
    const path = parseStreamPath(this.#app, name);
    if (path === null) return this.refuse(event, "NetStream.Play.StreamNotFound", NO_NAME);
    const live = this.#services.streams.find(path)?.publishing === true;
    if (start === -1 || start === -2 && live) return this.#playStream(event, path);
    const open = (): Promise<FlvSeekReader | null> => this.#services.recordings.play(path);
    const go = (reader: FlvSeekReader | null): Promise<void> => this.#playFile(event, path, reader);
    this.later(stream, `play ${path}`, open, go, (reader) => reader?.close());
  }

  #playStream(event: PlayEvent, path: string): void {
    const plays = this.playLive(event, (sink) => this.#services.streams.play(path, sink), path);
    if (plays) this.log.info(`playing ${path} live`);
  }

  async #playFile(event: PlayEvent, path: string, reader: FlvSeekReader | null): Promise<void> {
    const { stream, name, start, duration } = event;
    if (reader === null) {
      if (start < 0) return this.#playStream(event, path);
      return this.refuse(event, "NetStream.Play.StreamNotFound", `There is no recording ${name}.`);
    }
    const { readAheadMs, clock } = this.#services;
    const options = { startMs: Math.max(0, start), durationMs: duration, readAheadMs };
    const player = new FilePlayer(reader, stream, options, clock);
    const activity: StreamActivity = {
      pause: (paused, timeMs) => player.pause(paused, timeMs),
      seek: (timeMs) => player.seek(timeMs),
      end: () => player.stop(),
    };
    this.begin(stream, activity);
    this.log.info(`playing ${path} from its recording`);
    stream.started(true);
    await this.#run(player, reader, stream);
    if (this.isDoing(stream, activity)) this.end(stream);
  }

  async #run(player: FilePlayer, reader: FlvSeekReader, stream: NetStream): Promise<void> {
    const { name } = stream;
    try {
      using _reader = reader;
      await player.run();
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof TransportError)) throw error;
      this.log.warn(`playing ${name} ended early: ${messageOf(error)}`);
      stream.stop("NetStream.Play.Failed", `The recording ${name} is damaged.`);
    }
  }

  protected override cannotSeek(stream: NetStream): void {
    const text = "Only a recording that is being played can be sought in.";
    stream.status("error", "NetStream.Seek.Failed", text, { details: stream.name });
  }
}

export interface LiveOptions {
  /** Folder of recordings (-r); nothing outside of it is read or written. */
  readonly root: string;
  /** False: files are played and none is written. */
  readonly record: boolean;
  /** A live player that gets its media later than this loses pictures up to the next key frame. */
  readonly latencyMs: number;
  /** A player of a file is given so much in advance at most; default 10 s. */
  readonly readAheadMs?: number;
  /** What happens to who publishes what another client publishes; default replace. */
  readonly onBusy?: OnBusyPolicy;
  /** Bounds of all streams; see {@linkcode defaultLiveLimits}. */
  readonly limits?: Partial<LiveLimits>;
}

const READ_AHEAD_MS = 10_000;

/** The application. One for the whole process; it has no sockets of its own. */
export class LiveApp {
  /** Live streams by path and name, for parts of this program that publish or play. */
  readonly streams: LiveStreams;
  readonly #recordings: Recordings;
  readonly #services: LiveServices;
  readonly #log: Logger;

  /** Nothing is opened yet. */
  constructor(options: LiveOptions, environment: Pick<Runtime, "clock" | "log">) {
    const { clock } = environment;
    this.#log = environment.log.category("rtmp");
    this.streams = new LiveStreams({ ...defaultLiveLimits, ...options.limits }, { clock, log: this.#log });
    this.#recordings = new Recordings(options, this.#log);
    this.#services = {
      streams: this.streams,
      recordings: this.#recordings,
      latencyMs: options.latencyMs,
      readAheadMs: options.readAheadMs ?? READ_AHEAD_MS,
      clock,
      onBusy: options.onBusy ?? "replace",
    };
  }

  /** What is in use now; all zero when every client has left. */
  get usage(): LiveUsage & { readonly recordings: number } {
    return { ...this.streams.usage, recordings: this.#recordings.size };
  }

  /**
   * Serves a client that has said connect and was not answered yet, until it leaves; its recordings are finished when
   * this returns. Never throws for what a client does.
   * @param proof what the client has shown; null: nobody is asked
   */
  async serve(
    connection: RtmpConnection,
    { app }: Pick<ConnectRequest, "app">,
    proof: string | null,
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) return; // its owner has closed it
    if (!isAppName(app)) return await connection.reject("the path cannot be used");
    const log = this.#log.child(`client ${connection.id} ${app}`);
    const publisher = {
      proof,
      answers: () => connection.answers(),
      close: (code: string, description: string) => connection.close(code, description),
    };
    await using client = new LiveClient(app, publisher, this.#services, log);
    connection.streamLength = (name) => client.lengthSeconds(name);
    await serveConnection(connection, client);
  }
}
