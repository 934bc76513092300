// The streams application and its clients over pipes, under a clock turned by hand: only the disk is real.

import { type AmfObject, getProperty, propertiesOf, textOf } from "../../lib/amf/value.ts";
import { silentLog } from "../../lib/base/log.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import { LiveApp, type LiveOptions } from "../../lib/live/live_client.ts";
import { type ClientStream, RtmpClient } from "../../lib/rtmp/client.ts";
import { defaultRtmpOptions, RtmpConnection, type RtmpOptions } from "../../lib/rtmp/connection.ts";
import { FakeClock } from "./fake_clock.ts";
import type { TestTag } from "./live_flv.ts";
import { STOPPING, until, whenAborted } from "./live_server.ts";
import { nameOf } from "./live_sink.ts";
import { type PipeEnd, type PipeOptions, pipePair } from "./pipe.ts";
import { RecordLog } from "./record_log.ts";

/** A client's stream that keeps what it is told and sent. */
export class Viewer {
  readonly stream: ClientStream;
  /** Status codes without "NetStream.", media as in nameOf(). */
  readonly lines: string[] = [];
  readonly tags: TestTag[] = [];

  constructor(stream: ClientStream) {
    this.stream = stream;
    stream.onStatus = (info: AmfObject) =>
      this.lines.push(textOf(getProperty(info, "code")).replace("NetStream.", ""));
    stream.onMedia = ({ type, timeMs, body }) => {
      const text = new TextDecoder().decode(body.subarray(3, 40));
      if (type === 18 && /RtmpSampleAccess|^onStatus/.test(text)) return; // said before every stream
      this.tags.push({ type, timeMs, body: body.slice() });
      this.lines.push(nameOf(type, timeMs, body));
    };
  }

  /** What has come since the last call, once `last` has come. */
  async takeUpTo(last: string): Promise<string[]> {
    await until(`"${last}" after ${this.lines}`, () => this.lines.includes(last));
    return this.lines.splice(0, this.lines.indexOf(last) + 1);
  }

  /** Sends tags as a publisher. */
  send(...tags: readonly TestTag[]): void {
    for (const { type, timeMs, body } of tags) this.stream.send(type, timeMs, body);
  }
}

/** One client and the server's end of its pipe. */
export interface Guest {
  readonly client: RtmpClient;
  readonly server: RtmpConnection;
  readonly clientEnd: PipeEnd;
  /** Codes of status events of the connection. */
  readonly told: string[];
  view(): Promise<Viewer>;
}

/** A server without a network. */
export class LiveHouse implements AsyncDisposable {
  readonly clock = new FakeClock(1000);
  readonly log = new RecordLog("info");
  readonly app: LiveApp;
  readonly scope: Scope;
  readonly #guests: Guest[] = [];
  readonly #rtmp: RtmpOptions;
  readonly #pipe: PipeOptions;

  constructor(options: Partial<LiveOptions> = {}, rtmp: Partial<RtmpOptions> = {}, pipe: PipeOptions = {}) {
    this.#rtmp = { ...defaultRtmpOptions, ...rtmp };
    this.#pipe = pipe;
    this.app = new LiveApp({ root: "/no/such/folder", record: true, latencyMs: 1000, ...options }, {
      clock: this.clock,
      log: this.log,
    });
    this.scope = new Scope("house", { log: this.log });
  }

  /** Connects a client to a path; throws RtmpRefused when it is rejected. */
  async enter(app = "live", proof: string | null = null): Promise<Guest> {
    const [clientEnd, serverEnd] = pipePair(this.#pipe);
    const random = seededRandom(this.#guests.length);
    const environment = { clock: this.clock, log: this.log, random };
    const server = new RtmpConnection(serverEnd, this.#rtmp, environment, this.#guests.length + 1);
    this.scope.spawn(`guest ${server.id}`, async (signal) => {
      await using connection = server;
      using _closing = whenAborted(signal, () => void connection.close(...STOPPING));
      const request = await connection.open();
      if (request !== null) await this.app.serve(connection, request, proof, signal);
    });
    const told: string[] = [];
    const client = await RtmpClient.over(clientEnd, { app, tcUrl: `rtmp://house/${app}` }, {
      clock: new FakeClock(),
      log: silentLog,
      random,
      onCall: (_name, args) => told.push(textOf(getProperty(propertiesOf(args[0]), "code"))),
    });
    const guest = {
      client,
      server,
      clientEnd,
      told,
      view: async () => new Viewer(await client.createStream()),
    };
    this.#guests.push(guest);
    return guest;
  }

  /** Everybody leaves. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#guests.map(({ client }) => client.close()));
    await this.stop();
  }

  /** The server stops. */
  async stop(): Promise<void> {
    let closed = false;
    const closing = this.scope.close().then(() => closed = true);
    // The connections wait a moment for their last words; the clock has to let it pass.
    while (!closed) {
      this.clock.advance(1000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await closing;
  }
}
