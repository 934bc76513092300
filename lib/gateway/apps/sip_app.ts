// The sip application: an RTMP client that connected to sip/user@domain gets a SIP user agent and a Context, and
// the rule of who replaces whom on one path is kept.
// Role: edge

import type { AmfValue } from "../../amf/value.ts";
import type { Logger } from "../../base/log.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Scope } from "../../base/scope.ts";
import type { CallMediaPool } from "../../call/call_media_pool.ts";
import { type CallServices, type CallShared, type ClientLink, statusText } from "../../call/leg.ts";
import { mayPublishCalls } from "../../config/accounts.ts";
import type { Config } from "../../config/config.ts";
import type { AccessPolicy } from "../access/access_policy.ts";
import { refusalText } from "../accounts.ts";
import { NO_ANSWER } from "./published_call.ts";
import { SharedAgents } from "./shared_agent.ts";
import { connectOptionsOf, identityOf } from "../commands.ts";
import { Context } from "../context.ts";
import { AddressRegistry, type SharedAddresses } from "../shared_address.ts";
import { dialledByUrl, type UrlDial } from "../urls.ts";
import { serveConnection } from "../../live/net_stream_client.ts";
import { formatEndpoint } from "../../net/endpoint.ts";
import type { ConnectRequest } from "../../rtmp/command.ts";
import type { RtmpConnection } from "../../rtmp/connection.ts";
import type { SipEndpoint } from "../../sip/ua/endpoint.ts";

/** What the application is made of; everything belongs to the gateway. */
interface SipAppParts extends Runtime, CallShared {
  readonly config: Config;
  readonly sip: Pick<SipEndpoint, "createUserAgent">;
  readonly media: CallMediaPool;
  readonly access: AccessPolicy;
  readonly scope: Scope;
  /** Who is where, when this gateway is not alone. */
  readonly sipAddresses?: SharedAddresses<RtmpConnection>;
}

interface SipPath {
  readonly address: string;
  /** Under which clients replace each other. */
  readonly key: string;
}

export class SipApp {
  readonly #parts: SipAppParts;
  readonly #sipAddresses: SharedAddresses<RtmpConnection>;
  readonly #sharedAgents: SharedAgents;

  constructor(parts: SipAppParts) {
    this.#parts = parts;
    this.#sipAddresses = parts.sipAddresses ?? new AddressRegistry(parts.config.sameAddress);
    this.#sipAddresses.onReplaced = (client, path) => this.#sayGoodbye(client, path.key);
    this.#sharedAgents = new SharedAgents(parts);
  }

  get clients(): number {
    return this.#sipAddresses.size;
  }

  /** Serves a client that has said connect, until it leaves; every early return is one `_error` and its end. */
  async serve(
    client: RtmpConnection,
    request: ConnectRequest,
    path: SipPath,
    signal: AbortSignal,
  ): Promise<void> {
    const identity = identityOf(path.address, request.args, client.peer.hostname);
    if (identity.type === "rejected") return await client.reject(identity.reason);
    const options = connectOptionsOf(request);
    if (options.type === "rejected") return await client.reject(options.reason);
    const permission = this.#parts.access.mayUse(identity.identity.aor.host);
    if (permission.type === "refused") return await client.reject(permission.reason);
    const arrival = await this.#sipAddresses.arrive(path, identity.identity.password !== null);
    if (arrival.type === "rejected") return await this.#reject(client, path, arrival.reason);
    const agent = arrival.shared
      ? this.#sharedAgents.join(identity.identity)
      : this.#parts.sip.createUserAgent(identity.identity);
    const wanted = dialledByUrl(request.query, this.#parts.media.registry);
    const { clock } = this.#parts;
    const log = this.#logOf(path.key);
    using dialled = wanted === null ? null : new UrlDialLink({ clock, log, client, limits: wanted });
    await using context = new Context({
      link: dialled ?? client,
      agent,
      services: {
        shared: this.#parts,
        log,
        media: this.#parts.media.factory(identity.rate, log, wanted !== null), // others have nothing that takes metadata
        askedBy: client.peer.hostname,
        fields: options.fields,
        tellsCallerHeaders: options.tellsCallerHeaders,
        ...this.#publishing(path),
      },
      dialByUrl: wanted,
      rtmpPeer: { address: client.peer.hostname, connection: client.id, path: path.key },
    });
    const outcome = await context.register(signal);
    if (outcome.type === "refused") {
      const { status, reason } = outcome;
      log.info(`client rejected: ${refusalText(identity.identity, status, reason)}`);
      return await client.close("NetConnection.Connect.Rejected", statusText(status, reason));
    }
    const entry = await this.#sipAddresses.enter(path, client, outcome.type === "registered");
    if (entry.type === "rejected") return await this.#reject(client, path, entry.reason);
    if (entry.replaced !== null) this.#sayGoodbye(entry.replaced, path.key);
    try {
      await serveConnection(client, context, () => {
        context.start();
        log.info(`client ${formatEndpoint(client.peer)} connected`);
      });
      log.info(`client ${formatEndpoint(client.peer)} disconnected`);
    } finally {
      this.#sipAddresses.leave(path, client);
    }
  }

  async #reject(client: RtmpConnection, { key }: SipPath, reason: string): Promise<void> {
    this.#logOf(key).info(`client ${formatEndpoint(client.peer)} rejected: ${reason}`);
    await client.reject(reason);
  }

  #publishing({ address }: SipPath): Pick<CallServices, "publishedAs"> {
    return mayPublishCalls(this.#parts.config, address) ? { publishedAs: address } : {};
  }

  #logOf(key: string): Logger {
    return this.#parts.log.category("rtmp").child(key.replace(/^sip\//, ""));
  }

  /** The client whose place a newer one took is told and closed. */
  #sayGoodbye(replaced: RtmpConnection, key: string): void {
    this.#logOf(key).info(`client ${formatEndpoint(replaced.peer)} replaced by a newer one`);
    const why = "a newer client connected to the same address";
    this.#parts.scope.spawn("replace", () => replaced.close("NetConnection.Connect.Closed", why));
  }
}

interface UrlDialLinkParts extends Pick<Runtime, "clock" | "log"> {
  readonly client: Pick<RtmpConnection, "close">;
  readonly limits: Pick<UrlDial, "answerTimeoutSeconds" | "maxDurationSeconds">;
}

/**
 * What a client that dialled by URL without an account is told: nothing it would not understand. Its callbacks are
 * logged; the end of the call is the end of its connection, and so is ringing or talking for longer than its URL says.
 */
export class UrlDialLink implements ClientLink, Disposable {
  readonly #parts: UrlDialLinkParts;
  #timer: Disposable | null = null;

  constructor(parts: UrlDialLinkParts) {
    this.#parts = parts;
  }

  call(method: string, ...args: AmfValue[]): void {
    const { limits, log } = this.#parts;
    const said = [method, args.filter((arg) => arg !== null).join(", ")].join(" ").trimEnd();
    log.debug(`dialled by URL: ${said}`); // the call itself has told the log
    if (method === "dialing") this.#endIn(limits.answerTimeoutSeconds, NO_ANSWER);
    if (method === "accepted") {
      this.#endIn(
        limits.maxDurationSeconds,
        `the call has lasted ${limits.maxDurationSeconds} s, as asked for`,
      );
    }
    if (method === "rejected" || method === "byed") this.#end(said);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #endIn(seconds: number | null, why: string): void {
    this[Symbol.dispose]();
    if (seconds !== null) this.#timer = this.#parts.clock.after(seconds * 1000, () => this.#tooLong(why));
  }

  #tooLong(why: string): void {
    this.#parts.log.info(`hanging up: ${why}`);
    this.#end(why);
  }

  #end(why: string): void {
    this[Symbol.dispose]();
    void this.#parts.client.close("NetConnection.Connect.Closed", why);
  }
}
