// The gateway: accepts RTMP clients and hands each to the application of its path. Owns everything that runs.
// Role: edge

import { BadTraffic } from "./access/bad_traffic.ts";
import { TargetPolicy } from "./access/target_policy.ts";
import { delay } from "../base/clock.ts";
import type { Runtime } from "../base/runtime.ts";
import { Scope } from "../base/scope.ts";
import { type Counter, LocalCounter } from "../base/counter.ts";
import type { Codecs } from "../codecs/codecs.ts";
import { builtInCodecs } from "../codecs/registry.ts";
import type { DnsResolver } from "../net/dns.ts";
import { LiveApp } from "../live/live_client.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { residentBytes } from "../net/text_file.ts";
import { PublicAddress } from "../net/public_address.ts";
import { AddressPolicy } from "../net/route.ts";
import type { Sockets } from "../net/sockets.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import { SipEndpoint, type SipEnvironment } from "../sip/ua/endpoint.ts";
import type { DialogRecord } from "../sip/ua/worker_events.ts";
import { AccountRegistry } from "./accounts.ts";
import { AccountApps } from "./apps/account_apps.ts";
import { type AppPath, parseAppPath } from "./urls.ts";
import { mayPublishCalls } from "../config/accounts.ts";
import type { Config } from "../config/config.ts";
import { type FirstStream, isToldLater, type ListenerAddresses, RtmpListeners } from "./listeners.ts";
import { LoadGuard } from "./load_guard.ts";
import { CallMediaPool } from "../call/call_media_pool.ts";
import { CallRegistry } from "../call/registry.ts";
import { SipApp } from "./apps/sip_app.ts";
import type { Team } from "./team.ts";

const ROUTES_EVERY_MS = 60_000;

/** A player of a live stream that lags more than this loses pictures up to the next key frame. */
const LIVE_LATENCY_MS = 2000;

export interface GatewayEnvironment extends Runtime {
  readonly dns: DnsResolver;
  /** Absent: a registry of its own. */
  readonly calls?: CallRegistry;
  /** Memory of the process in bytes; absent: as the system counts it. */
  readonly memoryBytes?: () => number;
  /** Absent: audio is not transcoded. */
  readonly codecs?: Codecs;
  /** Whose sockets carry RTMP and media; they outlive the gateway. */
  readonly sockets: Sockets;
  readonly team?: Team;
}

/** A running gateway. Disposing it hangs up, unregisters and closes everything, in that order. */
export class Gateway implements AsyncDisposable {
  /** Every call of this gateway, and what else is in the registry it was given. */
  readonly calls: CallRegistry;
  readonly #config: Config;
  readonly #environment: GatewayEnvironment;
  readonly #scope: Scope;
  readonly #addresses: AddressPolicy;
  readonly #sip: SipEndpoint;
  readonly #accounts: AccountRegistry;
  readonly #media: CallMediaPool;
  readonly #sipApp: SipApp;
  readonly #accountApps: AccountApps;
  readonly #live: LiveApp;
  readonly #listeners: RtmpListeners;
  readonly #guard: LoadGuard;
  #rtmp: Endpoint;
  #opened = false;
  readonly #connections: Counter;

  private constructor(
    config: Config,
    environment: GatewayEnvironment,
    listeners: RtmpListeners,
  ) {
    const { log, team } = environment;
    const withMedia = team?.calls ?? new LocalCounter();
    this.calls = environment.calls ?? new CallRegistry(environment);
    this.#connections = team?.connections ?? new LocalCounter();
    this.#config = config;
    this.#environment = environment;
    this.#listeners = listeners;
    this.#rtmp = config.rtmp.listen;
    this.#addresses = new AddressPolicy(config.sip);
    const guard = new TargetPolicy(config.entrance.targets);
    guard.onRefused = (askedBy) => listeners.offenders.note(askedBy, "requests to forbidden targets");
    this.#media = new CallMediaPool(config, { ...environment, guard }, this.#addresses, withMedia);
    this.#scope = new Scope("gateway", { log });
    this.#live = new LiveApp(
      { ...config.rtmp, latencyMs: LIVE_LATENCY_MS, onBusy: config.onBusy },
      environment,
    );
    this.#sip = SipEndpoint.open( // the last but the guard: it binds
      {
        ...config.sip,
        guard,
        addresses: this.#addresses,
        refuseNew: (method) => this.#guard.refuseSip(method),
      },
      { ...sipEnvironment(environment), traffic: new BadTraffic(environment, listeners.offenders) },
    );
    guard.openOwnPort(this.#sip.port);
    this.#accounts = new AccountRegistry({ ...environment, accounts: config.accounts, sip: this.#sip });
    const { memoryBytes = residentBytes } = environment;
    this.#guard = new LoadGuard(
      config.limit,
      { calls: () => withMedia.everywhere, memoryBytes },
      environment,
    );
    const shared = {
      ...environment,
      config,
      media: this.#media,
      registry: environment.codecs?.registry ?? builtInCodecs,
      transcodable: environment.codecs?.transcodable ?? new Set(),
      access: listeners.access,
      admission: this.#guard,
      calls: this.calls,
      streams: this.#live.streams,
    };
    this.#accountApps = new AccountApps({
      ...shared,
      accounts: this.#accounts,
      transcodable: environment.codecs?.transcodable ?? new Set(),
      latencyMs: LIVE_LATENCY_MS,
      onBusy: config.onBusy,
    });
    this.#sipApp = new SipApp({
      ...shared,
      sip: this.#sip,
      scope: this.#scope,
      ...(team !== undefined && { sipAddresses: team.sipAddresses }),
    });
  }

  /** Binds all ports and starts to accept. Errors: TransportError when a port or file cannot be had, ConfigError. */
  static async start(config: Config, environment: GatewayEnvironment): Promise<Gateway> {
    const listeners = await RtmpListeners.create(config, environment);
    const gateway = new Gateway(config, environment, listeners);
    gateway.#scope.spawn("routes", (signal) => gateway.#watchRoutes(signal));
    gateway.#scope.spawn("rtmp listener", (signal) => gateway.#acceptClients(signal));
    const streams = environment.team?.streams;
    if (streams?.type === "here") {
      const serve = (connection: RtmpConnection): void =>
        gateway.#spawnServing(connection, new LocalCounter());
      gateway.#scope.spawn("arrivals", (signal) => listeners.takeArrivals(streams, signal, serve));
    }
    try {
      await gateway.#learnPublicAddress();
      gateway.#rtmp = (await listeners.opened).rtmp;
      gateway.#opened = true;
      gateway.#accounts.start();
      gateway.#accountApps.start();
    } catch (error) {
      await gateway[Symbol.asyncDispose]();
      throw error;
    }
    const { log, team, sockets } = environment;
    const own = sockets.kind === "linux" ? "; sockets by system calls of Linux" : "";
    const at = formatEndpoint(gateway.#rtmp);
    const where = `RTMP clients connect to ${at}; SIP uses port ${gateway.sipPort}${own}`;
    log[team === undefined ? "info" : "debug"](where); // a team says it once for all
    return gateway;
  }

  /** Where RTMP clients connect; the real port when 0 was asked for. */
  get rtmp(): Endpoint {
    return this.#rtmp;
  }

  get sipPort(): number {
    return this.#sip.port;
  }

  get accounts(): AccountRegistry {
    return this.#accounts;
  }

  /** Where clients connect; resolved by the time start() returns. */
  get addresses(): Promise<ListenerAddresses> {
    return this.#listeners.opened;
  }

  /** Reads certificate, key and users again; what exists stays. Accounts not registered try again. */
  async reload(): Promise<void> {
    this.#accounts.retry();
    await this.#listeners.reload();
  }

  /** What is in use now, for tests and the log: all zero when every client has left. */
  get usage(): { connections: number; clients: number; calls: number; rtpPorts: number } {
    const { calls, rtpPorts } = this.#media;
    return { connections: this.#connections.here, clients: this.#sipApp.clients, calls, rtpPorts };
  }

  /** Ends calls that a gateway in this slot had before it crashed; how many BYEs were answered. */
  hangUpOrphans(records: readonly DialogRecord[]): Promise<number> {
    return this.#sip.hangUpOrphans(records);
  }

  /** The default route can change while we run: a laptop moves, an address is renewed. */
  async #watchRoutes(signal: AbortSignal): Promise<void> {
    await this.#addresses.refresh();
    while (await delay(this.#environment.clock, ROUTES_EVERY_MS, signal)) await this.#addresses.refresh();
  }

  /** With `-e auto` a STUN server tells the address; calls wait for its first word, 3 s at most. */
  async #learnPublicAddress(): Promise<void> {
    const { bind, stunServer } = this.#config.sip;
    if (stunServer === null) return;
    const onAddress = (address: string): void => {
      this.#addresses.publicAddress = address;
      this.#sip.refreshRegistrations(); // registrars hold the old address
    };
    const watch = new PublicAddress({ ...this.#environment, server: stunServer, bind, onAddress });
    this.#scope.spawn("public address", (signal) => watch.run(signal));
    await watch.settled;
  }

  async #acceptClients(signal: AbortSignal): Promise<void> {
    try {
      await this.#listeners.run(signal, (connection, place) => {
        this.#spawnServing(connection, this.#connections, place);
      });
    } catch (error) {
      if (this.#opened) throw error; // a port broke later: this task's failure, said in the log
    } // else start() hears of it by listeners.opened
  }

  /** @param count of the connections it is one of: those carried here are counted where they came in */
  #spawnServing(connection: RtmpConnection, count: Counter, place?: Disposable): void {
    const task = `rtmp ${formatEndpoint(connection.peer)}`;
    this.#scope.spawn(task, (stop) => this.#serve(connection, { count, place }, stop));
  }

  async #serve(
    connection: RtmpConnection,
    { count, place }: { count: Counter; place: Disposable | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    using _place = place;
    await using client = connection;
    const onAbort = () => void client.close("NetConnection.Connect.AppShutdown", "the gateway is stopping");
    signal.addEventListener("abort", onAbort, { once: true });
    count.add(1);
    try {
      await this.#admit(client, signal);
    } finally {
      count.add(-1);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** From connect to disconnect; every early return is one `_error` and the end of the connection. */
  async #admit(client: RtmpConnection, signal: AbortSignal): Promise<void> {
    if (this.#connections.everywhere > this.#config.limit.connections && !this.#listeners.makeRoom()) {
      return await client.reject("too many connections");
    }
    const request = await this.#listeners.greet(client);
    if (request === null || signal.aborted) return;
    const admission = this.#guard.admit("client");
    if (admission.type === "refused") {
      return await client.reject(
        `overloaded, ${admission.reason}: try again in ${admission.retryAfterSeconds} s`,
      );
    }
    const asked = parseAppPath(request.app);
    const streams = this.#environment.team?.streams;
    if (streams?.type === "elsewhere" && this.#needsStreams(asked)) {
      return await streams.carry(client.surrender(), signal); // who it is is asked there
    }
    const later = isToldLater(asked, request, this.#listeners.access.asksForLogin);
    const first = later ? await this.#listeners.firstStream(client) : null;
    if (later && first === null || signal.aborted) return;
    const path = asked.type === "unnamed" ? parseAppPath(first?.name ?? "") : asked;
    const login = await this.#listeners.login(client, request, first, signal);
    if (login.type === "refused") return await refuse(client, first, login.reason);
    if (path.type === "rejected") return await refuse(client, first, path.reason);
    // From here on it is theirs, for hours: handed over, not waited for.
    switch (path.type) {
      case "live":
        return this.#live.serve(client, request, login.proof, signal);
      case "call":
      case "line":
        return this.#accountApps.serve(
          client,
          request,
          { application: path.type, proof: login.proof },
          signal,
        );
      case "sip":
        if (first !== null) return await refuse(client, first, NO_PATH);
        return this.#sipApp.serve(client, request, path, signal);
      case "unnamed":
        return await refuse(client, first, NO_PATH);
    }
  }

  /** Whether a client cannot be served without the streams: it publishes or plays them, or its calls are published. */
  #needsStreams(path: AppPath): boolean {
    if (path.type !== "sip") return path.type !== "rejected";
    return mayPublishCalls(this.#config, path.address);
  }

  /** Stops accepting, ends every call and registration, closes the ports. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#guard[Symbol.dispose]();
    await this.#scope.close();
    await this.#accounts[Symbol.asyncDispose]();
    await this.#accountApps[Symbol.asyncDispose]();
    await this.#sip[Symbol.asyncDispose]();
    await this.#media[Symbol.asyncDispose]();
    this.#listeners.offenders[Symbol.dispose]();
  }
}

/** For who names neither an application nor a stream, or a SIP address where connect should. */
const NO_PATH =
  "the path of connect is missing: connect to rtmp://this-host/live or rtmp://this-host/sip/user@domain";

/** One `_error` when its connect waits for an answer; else its first stream is refused, and it is told why. */
async function refuse(client: RtmpConnection, first: FirstStream | null, reason: string): Promise<void> {
  const code = first?.type === "play" ? "NetStream.Play.Failed" : "NetStream.Publish.Denied";
  first?.stream.failed(code, reason);
  await client.close("NetConnection.Connect.Rejected", reason);
}

/** The SIP port of a gateway with a team tells the others, and hands them their messages. */
function sipEnvironment(environment: GatewayEnvironment): SipEnvironment {
  const { team } = environment;
  if (team === undefined) return environment;
  return {
    ...environment,
    workerEvents: team.sip,
    joinTransport: (transport) => team.joinTransport(transport),
  };
}
