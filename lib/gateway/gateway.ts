// The gateway: accepts RTMP clients, gives each a SIP user agent and a Context, and keeps the rule of who
// replaces whom. The only place where the RTMP and SIP sides meet.
// Role: edge
// Answers to: the App and Gateway classes of siprtmp.py and the accept loop of rtmp.py.

import type { AmfValue } from "../amf/value.ts";
import { type Clock, delay } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Scope } from "../base/scope.ts";
import type { DnsResolver } from "../net/dns.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { AddressPolicy } from "../net/route.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import { listenRtmp } from "../rtmp/listen.ts";
import { SipEndpoint } from "../sip/endpoint.ts";
import { parseAppPath } from "./app_path.ts";
import { identityOf } from "./client_identity.ts";
import type { Config } from "./config.ts";
import { Context } from "./context.ts";
import { type ClientLink, statusText } from "./line.ts";
import { MediaRoom } from "./media_room.ts";
import { dialledByUrl } from "./url_dial.ts";

/** How often the default route is looked at again. */
const ROUTES_EVERY_MS = 60_000;

/** What the gateway takes from outside; tests inject their own. */
export interface GatewayEnvironment {
  /** Every timer. */
  readonly clock: Clock;
  /** Where lines go. */
  readonly log: Logger;
  /** Tags, ports, SSRCs. */
  readonly random: Random;
  /** Names of SIP domains. */
  readonly dns: DnsResolver;
}

/** A running gateway. Disposing it hangs up, unregisters and closes everything, in that order. */
export class Gateway implements AsyncDisposable {
  readonly #config: Config;
  readonly #environment: GatewayEnvironment;
  readonly #scope: Scope;
  readonly #addresses: AddressPolicy;
  readonly #sip: SipEndpoint;
  readonly #media: MediaRoom;
  readonly #clients = new Map<string, RtmpConnection>();
  readonly #listening = Promise.withResolvers<Endpoint>();
  #rtmp: Endpoint;
  #accepting = false;
  #connections = 0;

  private constructor(config: Config, environment: GatewayEnvironment) {
    this.#config = config;
    this.#environment = environment;
    this.#rtmp = config.rtmp.listen;
    this.#addresses = new AddressPolicy({ bind: config.sip.bind, advertise: config.sip.advertise });
    this.#media = new MediaRoom(config, environment, this.#addresses);
    this.#scope = new Scope("gateway", { log: environment.log });
    this.#sip = SipEndpoint.open({ ...config.sip, addresses: this.#addresses }, environment); // the last: it binds
  }

  /** Binds both sides and starts to accept. Errors: TransportError when a port cannot be had. */
  static async start(config: Config, environment: GatewayEnvironment): Promise<Gateway> {
    const gateway = new Gateway(config, environment);
    gateway.#scope.spawn("routes", (signal) => gateway.#watchRoutes(signal));
    gateway.#scope.spawn("rtmp listener", (signal) => gateway.#acceptClients(signal));
    try {
      gateway.#rtmp = await gateway.#listening.promise;
    } catch (error) {
      await gateway[Symbol.asyncDispose]();
      throw error;
    }
    environment.log.info(
      `RTMP clients connect to ${formatEndpoint(gateway.#rtmp)}; SIP uses port ${gateway.sipPort}`,
    );
    return gateway;
  }

  /** Where RTMP clients connect; the real port when 0 was asked for. */
  get rtmp(): Endpoint {
    return this.#rtmp;
  }

  /** The shared SIP port, UDP and TCP. */
  get sipPort(): number {
    return this.#sip.port;
  }

  /** What is in use now, for tests and the log: all zero when every client has left. */
  get usage(): { connections: number; clients: number; calls: number; rtpPorts: number } {
    const { calls, rtpPorts } = this.#media;
    return { connections: this.#connections, clients: this.#clients.size, calls, rtpPorts };
  }

  /** The default route can change while we run: a laptop moves, an address is renewed. */
  async #watchRoutes(signal: AbortSignal): Promise<void> {
    await this.#addresses.refresh();
    while (await delay(this.#environment.clock, ROUTES_EVERY_MS, signal)) await this.#addresses.refresh();
  }

  async #acceptClients(signal: AbortSignal): Promise<void> {
    const { rtmp } = this.#config;
    const clients = listenRtmp(rtmp.listen, rtmp.options, this.#environment, signal, (local) => {
      this.#accepting = true;
      this.#listening.resolve(local);
    });
    try {
      for await (const connection of clients) {
        this.#scope.spawn(`rtmp ${formatEndpoint(connection.peer)}`, (stop) => this.#serve(connection, stop));
      }
    } catch (error) {
      if (this.#accepting) throw error; // the port broke later: this task's failure, said in the log
      this.#listening.reject(error); // start() waits for it
    }
  }

  async #serve(connection: RtmpConnection, signal: AbortSignal): Promise<void> {
    await using client = connection;
    const onAbort = () => void client.close("NetConnection.Connect.AppShutdown", "the gateway is stopping");
    signal.addEventListener("abort", onAbort, { once: true });
    this.#connections++;
    try {
      await this.#admit(client, signal);
    } finally {
      this.#connections--;
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** From connect to disconnect; every early return is one `_error` and the end of the connection. */
  async #admit(client: RtmpConnection, signal: AbortSignal): Promise<void> {
    if (this.#connections > this.#config.limit.connections) {
      return await client.reject("too many connections");
    }
    const request = await client.open();
    if (request === null || signal.aborted) return;
    const path = parseAppPath(request.app);
    if (path.type === "rejected") return await client.reject(path.reason);
    const identity = identityOf(path.address, request.args);
    if (identity.type === "rejected") return await client.reject(identity.reason);
    const log = this.#environment.log.child(path.address);
    const agent = this.#sip.createUserAgent(identity.identity);
    const media = this.#media.factory(identity.rate, log);
    const destination = dialledByUrl(request.query);
    const link = destination === null ? client : new UrlDialLink(client, log);
    const services = { clock: this.#environment.clock, log, media };
    await using context = new Context(link, agent, services, destination);
    const outcome = await context.register(signal);
    if (outcome.type === "refused") return await client.reject(statusText(outcome.status, outcome.reason));
    if (!this.#occupy(path.key, client)) {
      return await client.reject("a newer client connected to the same address");
    }
    try {
      await this.#converse(client, context);
    } finally {
      if (this.#clients.get(path.key) === client) this.#clients.delete(path.key);
    }
  }

  /**
   * A newer client on the same path takes the place of the older one, which is told and closed. False when the
   * newer one was faster to register.
   */
  #occupy(key: string, client: RtmpConnection): boolean {
    const other = this.#clients.get(key);
    if (other !== undefined && other.id > client.id) return false;
    this.#clients.set(key, client);
    if (other === undefined) return true;
    this.#environment.log.info(`${key}: a newer client replaces the one at ${formatEndpoint(other.peer)}`);
    const why = "a newer client connected to the same address";
    this.#scope.spawn("replace", () => other.close("NetConnection.Connect.Closed", why));
    return true;
  }

  async #converse(client: RtmpConnection, context: Context): Promise<void> {
    client.onMedia = (stream, message) => context.rtmpMedia(stream, message);
    client.accept();
    context.start();
    context.log.info(`client ${formatEndpoint(client.peer)} is connected`);
    for await (const event of client.events()) context.rtmpEvent(event);
    context.log.info(`client ${formatEndpoint(client.peer)} has left`);
  }

  /** Stops accepting, ends every call and registration, closes both sides. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    await this.#sip[Symbol.asyncDispose]();
    await this.#media[Symbol.asyncDispose]();
  }
}

/** A client that dialled by URL understands no callbacks: they are logged, and the end of the call is the end. */
class UrlDialLink implements ClientLink {
  readonly #client: RtmpConnection;
  readonly #log: Logger;

  constructor(client: RtmpConnection, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  call(method: string, ...args: AmfValue[]): void {
    this.#log.info(`dialled by URL: ${method} ${args.join(", ")}`.trimEnd());
    if (method !== "rejected" && method !== "byed") return;
    void this.#client.close("NetConnection.Connect.Closed", `${method} ${args.join(", ")}`.trimEnd());
  }
}
