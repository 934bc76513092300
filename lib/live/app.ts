// The streams application: what every RTMP path but `sip` is, as it was in siprtmp. Clients publish, record and
// play under names that belong to their whole path; nothing of it knows SIP. `wirecast` was an application of
// its own with headers kept for late joiners; now every path keeps them.
// Role: edge

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import { serveConnection } from "./net_stream_client.ts";
import { LiveClient, type LiveServices } from "./live_client.ts";
import { isAppName, MediaFolder } from "./media_folder.ts";
import type { OnBusyPolicy } from "./publisher.ts";
import { Recordings } from "./recordings.ts";
import { defaultLiveLimits, type LiveLimits, LiveStreams, type LiveUsage } from "./streams.ts";

export interface LiveOptions {
  /** Folder of recordings (-r); nothing outside of it is read or written. */
  readonly root: string;
  /** A live player that gets its media later than this loses pictures up to the next key frame. */
  readonly latencyMs: number;
  /** A player of a file is given so much in advance at most; default 10 s. */
  readonly readAheadMs?: number;
  /** What happens to who publishes what another client publishes; default replace. */
  readonly onBusy?: OnBusyPolicy;
  /** Bounds of all streams; see {@linkcode defaultLiveLimits}. */
  readonly limits?: Partial<LiveLimits>;
}

interface LiveEnvironment {
  readonly clock: Clock;
  readonly log: Logger;
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
  constructor(options: LiveOptions, environment: LiveEnvironment) {
    const { clock } = environment;
    this.#log = environment.log.category("rtmp");
    this.streams = new LiveStreams({ ...defaultLiveLimits, ...options.limits }, { clock, log: this.#log });
    this.#recordings = new Recordings(new MediaFolder(options.root), this.#log);
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
