// The call and line applications over pipes, under a clock turned by hand: clients are real RTMP, SIP is scripted.

import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { getProperty, propertiesOf, textOf } from "../../lib/amf/value.ts";
import { AccessPolicy } from "../../lib/gateway/access/access_policy.ts";
import { TransportError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { CallRegistry } from "../../lib/call/registry.ts";
import { Scope } from "../../lib/base/scope.ts";
import type { SipAccount } from "../../lib/config/accounts.ts";
import { AccountApps } from "../../lib/gateway/apps/account_apps.ts";
import { parseAppPath } from "../../lib/gateway/urls.ts";
import type { OnBusyPolicy } from "../../lib/live/publisher.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import { type ClientStream, RtmpClient } from "../../lib/rtmp/client.ts";
import { defaultRtmpOptions, RtmpConnection } from "../../lib/rtmp/connection.ts";
import { FakeClock } from "./fake_clock.ts";
import { RecordingFactory, ScriptedAgent } from "./gateway_fakes.ts";
import { until } from "./live_server.ts";
import { type PipeEnd, pipePair } from "./pipe.ts";
import { RecordLog } from "./record_log.ts";
import { sipAccount } from "./stream_line_bench.ts";

/** One client of the house. */
export class AccountGuest {
  readonly client: RtmpClient;
  /** "CODE: description" of the connection, and calls as "receivedDTMF 5, 160". */
  readonly told: string[];
  /** "CODE: description" of its streams without "NetStream.", and media as "8@20". */
  readonly lines: string[] = [];
  ended = false;
  readonly #end: PipeEnd;

  constructor(client: RtmpClient, told: string[], end: PipeEnd) {
    this.client = client;
    this.#end = end;
    this.told = told;
    void client.closed.then(() => this.ended = true);
  }

  /** Its network breaks. */
  cut(): void {
    this.#end.fail(new TransportError("the network broke", "closed"));
  }

  /** Its network is gone, and nobody is told. */
  unplug(): void {
    this.#end.unplugged = true;
  }

  /** A new stream that notes what it is told. */
  async stream(): Promise<ClientStream> {
    const stream = await this.client.createStream();
    stream.onStatus = (info) => this.lines.push(words(info).replace("NetStream.", ""));
    stream.onMedia = ({ type, timeMs, body }) => {
      const control = type === 18 && /RtmpSampleAccess|onStatus/.test(new TextDecoder().decode(body));
      if (!control) this.lines.push(`${type}@${timeMs}`);
    };
    return stream;
  }

  /** A stream that publishes; throws RtmpRefused with the reason. */
  async publish(name: string): Promise<ClientStream> {
    const stream = await this.stream();
    await stream.publish(name);
    return stream;
  }

  /** A stream that plays; throws RtmpRefused with the reason. */
  async play(name: string): Promise<ClientStream> {
    const stream = await this.stream();
    await stream.play(name);
    return stream;
  }

  /** Waits until a line begins so. */
  async hears(start: string): Promise<void> {
    await until(`"${start}" after ${this.lines}`, () => this.lines.some((line) => line.startsWith(start)));
  }
}

function words(info: Parameters<typeof propertiesOf>[0]): string {
  const status = propertiesOf(info);
  return `${textOf(getProperty(status, "code"))}: ${textOf(getProperty(status, "description"))}`;
}

/** What is different in a house. */
export interface AccountHouseOptions {
  readonly accounts?: readonly Partial<SipAccount>[];
  readonly failedLogins?: number;
  /** The only number that may be called; absent: any. */
  readonly onlyNumber?: string;
  readonly onBusy?: OnBusyPolicy;
}

/** The applications without a network. */
export class AccountHouse {
  readonly clock = new FakeClock(1000);
  readonly log = new RecordLog("info");
  readonly factory = new RecordingFactory();
  readonly calls = new CallRegistry({ clock: this.clock, random: seededRandom(1) });
  readonly streams = new LiveStreams(defaultLiveLimits, this);
  readonly agents = new Map<string, ScriptedAgent>();
  readonly apps: AccountApps;
  readonly access: AccessPolicy;
  /** Calls that are refused for want of room. */
  full: string | null = null;
  readonly #scope = new Scope("house", { log: this.log });
  readonly #guests: AccountGuest[] = [];

  constructor(
    { accounts = [{}], failedLogins = 10, onlyNumber, onBusy = "replace" }: AccountHouseOptions = {},
  ) {
    this.access = new AccessPolicy({
      users: null,
      token: null,
      domains: null,
      dials: onlyNumber === undefined
        ? null
        : [{ wantsHost: false, match: (text) => text === onlyNumber ? text : null }],
      connectionsPerAddress: 0,
      failedLogins,
      callsPerAddress: 0,
    }, this);
    const served = accounts.map((more) => {
      const config = sipAccount(more);
      const agent = new ScriptedAgent(`sip:${config.name}@10.0.0.1`);
      this.agents.set(config.name, agent);
      return { config, agent, log: this.log.child(`account ${config.name}`) };
    });
    this.apps = new AccountApps({
      accounts: {
        get: (name) => served.find(({ config }) => config.name === name),
        all: () => served,
      },
      access: this.access,
      clock: this.clock,
      log: this.log,
      random: { ...seededRandom(1), float: () => 0.5 },
      media: { factory: () => this.factory },
      registry: builtInCodecs,
      transcodable: new Set(["aac"]),
      calls: this.calls,
      admission: { refusal: () => this.full, retryAfterSeconds: () => 1 },
      config: { dialPlan: [], redirect: true, dtmf: "auto" },
      onBusy,
      streams: this.streams,
      latencyMs: 1000,
    });
    this.apps.start();
  }

  /** The SIP side of the account. */
  get agent(): ScriptedAgent {
    return [...this.agents.values()][0]!;
  }

  /** Connects a client to a path. @param proof what its login has shown */
  async enter(app: string, proof: string | null = null): Promise<AccountGuest> {
    const [clientEnd, serverEnd] = pipePair();
    const random = seededRandom(this.#guests.length);
    const environment = { clock: this.clock, log: this.log, random };
    const server = new RtmpConnection(serverEnd, defaultRtmpOptions, environment, this.#guests.length + 1);
    this.#scope.spawn(`guest ${server.id}`, async (signal) => {
      await using connection = server;
      signal.addEventListener("abort", () => void connection.close());
      const request = await connection.open();
      const path = request === null ? null : parseAppPath(request.app);
      if (path?.type !== "call" && path?.type !== "line") return;
      await this.apps.serve(connection, request!, { application: path.type, proof }, signal);
    });
    const told: string[] = [];
    const client = await RtmpClient.over(clientEnd, { app, tcUrl: `rtmp://house/${app}` }, {
      clock: new FakeClock(),
      log: silentLog,
      random,
      onCall: (name, args) => told.push(name === "onStatus" ? words(args[0]) : `${name} ${args.join(", ")}`),
    });
    const guest = new AccountGuest(client, told, clientEnd);
    this.#guests.push(guest);
    return guest;
  }

  /** Waits for something, letting the clock pass by what linger and refusals take. */
  async until(what: string, condition: () => boolean, stepMs = 0): Promise<void> {
    await until(what, () => {
      if (condition()) return true;
      if (stepMs > 0) this.clock.advance(stepMs);
      return false;
    });
  }

  /** Everybody leaves, the house closes; says what is left. */
  async close(): Promise<string[]> {
    await Promise.all(this.#guests.map(({ client }) => client.close()));
    await this.#pass(this.#scope.close());
    await Promise.all([...this.agents.values()].map((agent) => agent[Symbol.asyncDispose]()));
    await this.#pass(this.apps[Symbol.asyncDispose]());
    const left: string[] = [];
    const { publishers, players } = this.streams.usage;
    if (publishers + players > 0) left.push(`${publishers} publishers, ${players} players`);
    if (this.factory.openCount > 0) left.push(`${this.factory.openCount} media`);
    if (this.clock.pending > 0) left.push(`${this.clock.pending} timers`);
    left.push(...this.log.lines.filter((line) => line.startsWith("error")));
    return left;
  }

  /** Waits while the clock goes on, for goodbyes that take a moment. */
  async #pass(closing: Promise<unknown>): Promise<void> {
    let closed = false;
    void closing.finally(() => closed = true);
    while (!closed) {
      this.clock.advance(100);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await closing;
  }
}
