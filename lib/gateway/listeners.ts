// The listeners of RTMP, RTMPS, RTMPT and RTMPTS: opens the ports, admits and authenticates clients, loads certificate
// and users and reloads them when told; the gateway gets connections, whatever their transport.
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import type { Runtime } from "../base/runtime.ts";
import { ConfigError, messageOf, TransportError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Config } from "../config/config.ts";
import { reloadedSettings } from "../config/setting.ts";
import { settings } from "../config/settings.ts";
import type { EntranceConfig, TlsConfig } from "../config/config.ts";
import { AccessPolicy } from "./access/access_policy.ts";
import {
  BadTraffic,
  type BadTrafficOptions,
  HalfOpen,
  halfOpenLimits,
  OffenderLog,
} from "./access/bad_traffic.ts";
import type { LoginOutcome, LoginRules } from "./access/login_guard.ts";
import { parseUsers } from "./access/users_file.ts";
import { credentialsOf, isNothing } from "./commands.ts";
import type { StreamsWorker, Team } from "./team.ts";
import type { AppPath } from "./urls.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { denoSockets, type Sockets } from "../net/sockets.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import { type ListenOptions, listenTcp } from "../net/tcp.ts";
import { readTextFile } from "../net/text_file.ts";
import { type TlsPem, validityProblem } from "../net/tls_pem.ts";
import { listenTls, TlsIdentity } from "../net/tls.ts";
import { ReadBudget } from "../net/udp.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import type { RtmpConnection, RtmpOffence } from "../rtmp/connection.ts";
import { RtmpAcceptor } from "../rtmp/listen.ts";
import type { RtmpEvent } from "../rtmp/stream_commands.ts";
import { listenRtmpt } from "../rtmp/tunnel/listen.ts";

interface ListenersEnvironment extends Runtime {
  /** Whose sockets plain RTMP comes through; absent: those of the runtime. */
  readonly sockets?: Pick<Sockets, "listenTcp">;
  /** The other gateways of the process: they listen on the same port. */
  readonly team?: Pick<Team, "nextConnectionId" | "addresses" | "streams">;
}

type ListenersConfig = Pick<Config, "rtmp" | "entrance" | "limit">;

/** Where clients connect; the real ports when 0 was asked for. */
export interface ListenerAddresses {
  readonly rtmp: Endpoint;
  /** Null: not open. */
  readonly rtmps: Endpoint | null;
  readonly rtmpt: Endpoint | null;
  readonly rtmpts: Endpoint | null;
}

type ListenerName = keyof ListenerAddresses;

/** Connections that never become clients: so many are logged one by one. */
const INVALID: Partial<BadTrafficOptions> = {
  perSecond: 0.5,
  burst: 20,
  totalPerSecond: 5,
  totalBurst: 100,
};

/** So many connections in less than this are a flood, and wait: running calls come first. */
const ACCEPTS = 16;
const ACCEPTS_MS = 16;
const ACCEPT_PAUSE_MS = 4;

const NOTHING_TO_READ = `nothing to reload: none of ${reloadedSettings(settings).join(", ")} is set; ` +
  "all other settings are read at the start";

/** Takes over a client; `place` is to be disposed when it has left. */
type OnClient = (client: RtmpConnection, place: Disposable) => void;

/** The byte streams of one listener, told where it listens. */
type Listen = (signal: AbortSignal, onListening: (local: Endpoint) => void) => AsyncIterable<ByteStream>;

export class RtmpListeners {
  readonly access: AccessPolicy;
  readonly offenders: OffenderLog;
  readonly #halfOpen: HalfOpen;
  readonly #invalid: BadTraffic;
  readonly #config: ListenersConfig;
  readonly #environment: ListenersEnvironment;
  readonly #log: Logger;
  readonly #identity: TlsIdentity | null;
  readonly #acceptor: RtmpAcceptor;
  readonly #opened = Promise.withResolvers<ListenerAddresses>();

  private constructor(
    config: ListenersConfig,
    environment: ListenersEnvironment,
    files: { identity: TlsIdentity | null; logins: LoginRules },
  ) {
    this.#config = config;
    this.#environment = environment;
    this.#log = environment.log.category("rtmp");
    this.#identity = files.identity;
    const { team, clock, log } = environment;
    const nextId = team === undefined ? undefined : (): number => team.nextConnectionId();
    this.offenders = new OffenderLog(environment);
    this.#halfOpen = new HalfOpen(halfOpenLimits(config.limit.halfOpen), this.offenders);
    this.#invalid = new BadTraffic(environment, this.offenders, INVALID);
    const onOffence = (peer: Endpoint, offence: RtmpOffence): boolean => this.#offended(peer, offence);
    this.#acceptor = new RtmpAcceptor(config.rtmp.options, { ...environment, onOffence }, nextId);
    this.access = new AccessPolicy({ ...config.entrance, ...files.logins }, {
      clock,
      log,
      ...(team !== undefined && { onChange: (change) => team.addresses.tell(change) }),
    });
    if (team !== undefined) team.addresses.onChange = (change) => this.access.apply(change);
    this.#opened.promise.catch(() => {}); // run() throws it as well
  }

  /** Reads certificate and users; opens no port yet. Throws TransportError and ConfigError, in words. */
  static async create(config: ListenersConfig, environment: ListenersEnvironment): Promise<RtmpListeners> {
    const { tls } = config.entrance;
    const identity = tls === null ? null : await openTlsFiles(tls, environment.log.category("rtmp"));
    return new RtmpListeners(config, environment, { identity, logins: await readLogins(config.entrance) });
  }

  /** Resolves when every port is open; rejects when one cannot be had, as run() does. */
  get opened(): Promise<ListenerAddresses> {
    return this.#opened.promise;
  }

  /**
   * Opens the ports and hands every client to `onClient` until the signal aborts; clients handed over live on.
   * Throws TransportError when a port cannot be had; then none is open.
   */
  async run(signal: AbortSignal, onClient: OnClient): Promise<void> {
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const ports = this.#configured().map(([listener, name, listen]) => ({
      listener,
      ...this.#enter(name, listen, stop, onClient),
    }));
    const ended = ports.map((port) => port.ended);
    try {
      await Promise.race([this.#tellOpened(ports), Promise.all(ended)]);
      await Promise.all(ended);
      this.#opened.reject(new TransportError("the gateway was stopped before its ports were open", "closed"));
    } catch (error) {
      failed.abort();
      this.#opened.reject(error);
      await Promise.allSettled(ended);
      throw error;
    }
  }

  /** Hands over clients that came to other gateways of the process and want streams; they have their place there. */
  async takeArrivals(
    arrivals: StreamsWorker & { type: "here" },
    signal: AbortSignal,
    onClient: OnClient,
  ): Promise<void> {
    const noPlace = { [Symbol.dispose]: () => {} };
    for await (const stream of arrivals.arrivals(signal)) {
      onClient(this.#acceptor.accept(stream, "client"), noPlace);
    }
  }

  /** Handshake and connect: as `RtmpConnection.open`, and not too many at a time. */
  async greet(client: RtmpConnection): Promise<ConnectRequest | null> {
    using _place = this.#halfOpen.add(client.peer.hostname, () => client.drop());
    return await client.open();
  }

  /** Ends a connection that has not said who it is, or that waits for its refusal; false when there is none. */
  makeRoom(): boolean {
    return this.#halfOpen.makeRoom() || this.access.makeRoom();
  }

  /** The first publish or play of a client whose connect left something open; it is half open still. */
  async firstStream(client: RtmpConnection): Promise<FirstStream | null> {
    using _place = this.#halfOpen.add(client.peer.hostname, () => client.drop());
    const { clock } = this.#environment;
    return await firstStream(client, { clock, waitMs: this.#config.rtmp.options.openTimeoutMs });
  }

  /** Decides whether this client may use the RTMP side at all; a refusal comes late. */
  login(
    client: RtmpConnection,
    request: ConnectRequest,
    first: FirstStream | null,
    signal: AbortSignal,
  ): Promise<LoginOutcome> {
    const shown = credentialsOf(request);
    const used = first !== null && isNothing(shown) ? credentialsOf(first) : shown;
    return this.access.login(client.peer.hostname, used, signal);
  }

  /**
   * Reads certificate, key and users again. Connections and logins that exist stay; a file that cannot be used is
   * logged, and what it held before goes on.
   */
  async reload(): Promise<void> {
    const { tls, usersFile } = this.#config.entrance;
    const identity = this.#identity;
    if (tls !== null && identity !== null) {
      await this.#reloadOne(
        "certificate",
        tls.certificateFile,
        () => reloadTlsFiles(tls, identity, this.#log),
      );
    }
    if (usersFile !== null) {
      await this.#reloadOne(
        "users",
        usersFile,
        async () => this.access.replaceLogins(await readLogins(this.#config.entrance)),
      );
    }
    if (tls === null && usersFile === null) this.#log.info(NOTHING_TO_READ);
  }

  async #reloadOne(what: string, file: string, reload: () => Promise<void>): Promise<void> {
    try {
      await reload();
      this.#log.info(`${what} reloaded (${file})`);
    } catch (error) {
      if (!(error instanceof TransportError || error instanceof ConfigError)) throw error;
      this.#log.error(`${messageOf(error)}; keeping what was loaded before`);
    }
  }

  async #tellOpened(
    ports: readonly { listener: ListenerName; listening: Promise<Endpoint> }[],
  ): Promise<void> {
    const addresses: ListenerAddresses = {
      rtmp: this.#config.rtmp.listen,
      rtmps: null,
      rtmpt: null,
      rtmpts: null,
    };
    for (const { listener, listening } of ports) Object.assign(addresses, { [listener]: await listening });
    for (const listener of ["rtmps", "rtmpt", "rtmpts"] as const) {
      const at = addresses[listener];
      if (at !== null) this.#log.info(`${listener.toUpperCase()} clients connect to ${formatEndpoint(at)}`);
    }
    this.#opened.resolve(addresses);
  }

  /** Every listener that is configured, with the name of its clients in the log. */
  #configured(): [listener: ListenerName, name: string, listen: Listen][] {
    const { entrance: { tls, tunnel }, rtmp } = this.#config;
    const { team, sockets = denoSockets } = this.#environment;
    const reusePort = team !== undefined;
    const configured: [ListenerName, string, Listen][] = [
      [
        "rtmp",
        "client",
        (...how) => sockets.listenTcp(rtmp.listen, { ...this.#listenOptions(...how), reusePort }),
      ],
    ];
    const tcp = (at: Endpoint): Listen => (...how) => listenTcp(at, this.#listenOptions(...how));
    if (tls !== null && tls.listen !== null) configured.push(["rtmps", "TLS client", this.#tls(tls.listen)]);
    if (tunnel !== null) configured.push(["rtmpt", "RTMPT client", this.#tunnel(tcp(tunnel))]);
    if (tls !== null && tls.tunnel !== null) {
      configured.push(["rtmpts", "RTMPTS client", this.#tunnel(this.#tls(tls.tunnel))]);
    }
    return configured;
  }

  #tls(at: Endpoint): Listen {
    const identity = this.#identity!;
    return (...how) => listenTls(at, { ...this.#listenOptions(...how), identity });
  }

  /** @param http where the HTTP connections come from */
  #tunnel(http: Listen): Listen {
    const { softUnsent, hardUnsent } = this.#config.rtmp.options;
    const options = { softUnsent, hardUnsent, maxSessions: this.#config.limit.connections };
    return (signal, onListening) =>
      listenRtmpt(
        (inner) => http(AbortSignal.any([signal, inner]), onListening),
        options,
        this.#environment,
      );
  }

  #listenOptions(signal: AbortSignal, onListening: (local: Endpoint) => void): ListenOptions {
    const { softUnsent, hardUnsent } = this.#config.rtmp.options;
    // Ports are scanned all day: a failed handshake is no warning.
    const onError = (error: TransportError): void =>
      error.message.startsWith("TLS handshake")
        ? this.#log.debug(messageOf(error))
        : this.#log.warn(messageOf(error));
    return { signal, onListening, onError, softUnsent, hardUnsent };
  }

  #enter(
    name: string,
    listen: Listen,
    signal: AbortSignal,
    onClient: OnClient,
  ): { listening: Promise<Endpoint>; ended: Promise<void> } {
    const listening = Promise.withResolvers<Endpoint>();
    const { clock } = this.#environment;
    const turn = new ReadBudget(ACCEPTS, ACCEPTS_MS);
    const run = async (): Promise<void> => {
      for await (const stream of listen(signal, listening.resolve)) {
        this.#letIn(name, stream, onClient);
        if (turn.isOver(() => clock.now())) await delay(clock, ACCEPT_PAUSE_MS, signal);
      }
    };
    return { listening: listening.promise, ended: run() };
  }

  /** False: nothing more is to be said about it. */
  #offended({ hostname }: Endpoint, offence: RtmpOffence): boolean {
    if (offence === "greedy") {
      this.offenders.note(hostname, "reads paused (sending too fast)");
      return false;
    }
    const silent = offence === "silent";
    const what = silent ? "RTMP connections without a connect command" : "connections with invalid RTMP";
    return this.#invalid.bad(hostname, what);
  }

  #letIn(name: string, stream: ByteStream, onClient: OnClient): void {
    const { hostname } = stream.peer;
    const place = this.access.admit(hostname);
    const streams = this.#environment.team?.streams;
    const watched = streams?.type === "elsewhere" ? streams.watch(stream) : stream;
    if (place.type === "admitted") return onClient(this.#acceptor.accept(watched, name), place);
    stream.close();
    if (place.first) this.#log.warn(`rejecting RTMP connections from ${hostname}: ${place.reason}`);
  }
}

async function readLogins({ usersFile, token }: EntranceConfig): Promise<LoginRules> {
  if (usersFile === null) return { users: null, token };
  return { users: parseUsers({ name: usersFile, text: await readTextFile(usersFile) }), token };
}

type TlsFiles = Pick<TlsConfig, "certificateFile" | "keyFile">;

/** The certificate of these files. Throws TransportError and ConfigError, in words that name the files. */
export async function openTlsFiles(files: TlsFiles, log: Logger): Promise<TlsIdentity> {
  const pem = await readPem(files);
  const identity = named(files, () => new TlsIdentity(pem));
  warn(files, identity, log);
  return identity;
}

/** Reads them again: later connections are shown what is in them now. Throws as above, and keeps what it had. */
export async function reloadTlsFiles(files: TlsFiles, identity: TlsIdentity, log: Logger): Promise<void> {
  const pem = await readPem(files);
  named(files, () => identity.replace(pem));
  warn(files, identity, log);
}

async function readPem({ certificateFile, keyFile }: TlsFiles): Promise<TlsPem> {
  return { certificate: await readTextFile(certificateFile), privateKey: await readTextFile(keyFile) };
}

function named<T>({ certificateFile, keyFile }: TlsFiles, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${certificateFile} and ${keyFile}: ${error.message}`);
  }
}

function warn({ certificateFile }: TlsFiles, { pem }: TlsIdentity, log: Logger): void {
  const problem = validityProblem(pem, Date.now());
  if (problem !== null) log.warn(`certificate ${certificateFile} ${problem}: clients will reject it`);
}

export type FirstStream = Extract<RtmpEvent, { type: "publish" | "play" }>;

/** Whether connect leaves open which application is meant or, where that is asked, who it is. */
export function isToldLater({ type }: AppPath, request: ConnectRequest, asksForLogin: boolean): boolean {
  if (type === "unnamed") return true;
  return type !== "sip" && type !== "rejected" && asksForLogin && isNothing(credentialsOf(request));
}

/**
 * Accepts the connect and waits for the first publish or play, which is the first event again for whoever reads them
 * next. Null: the client has left, or said none within `waitMs` and was dropped.
 */
export async function firstStream(
  client: Pick<RtmpConnection, "accept" | "events" | "giveBack" | "drop">,
  { clock, waitMs }: { readonly clock: Clock; readonly waitMs: number },
): Promise<FirstStream | null> {
  using _timer = clock.after(waitMs, () => client.drop());
  client.accept();
  for await (const event of client.events()) {
    if (event.type === "publish" || event.type === "play") {
      client.giveBack(event);
      return event;
    }
    if (event.type === "command") event.reply.result(); // as siprtmp answered whatever programs say
  }
  return null;
}
