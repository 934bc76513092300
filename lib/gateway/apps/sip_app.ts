// The sip application: an RTMP client that connected to sip/user@domain gets a SIP user agent and a Context, and
// the rule of who replaces whom on one path is kept.
// Role: edge

import type { AmfValue } from "../../amf/value.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Scope } from "../../base/scope.ts";
import { CallBroadcast } from "../../call/call_broadcast.ts";
import type { CallMediaPool } from "../../call/call_media_pool.ts";
import type { MediaFactory } from "../../call/call_media.ts";
import { type CallRoom, type CallServices, type ClientLink, statusText } from "../../call/leg.ts";
import type { CallRegistry, RtmpPeer } from "../../call/registry.ts";
import { mayPublishCalls } from "../../config/accounts.ts";
import type { DtmfMode } from "../../config/config_settings.ts";
import type { SameAddressConfig } from "../../config/config.ts";
import type { DialPlan } from "../../config/dial_plan.ts";
import type { AccessPolicy } from "../access/access_policy.ts";
import type { Decision, DialTarget } from "../access/dial_rules.ts";
import { refusalText } from "../accounts.ts";
import { NO_ANSWER } from "./published_call.ts";
import { SharedAgents } from "./shared_agent.ts";
import { connectOptionsOf, identityOf, type SpeexRate } from "../connect.ts";
import { Context } from "../context.ts";
import { AddressRegistry, type SharedAddresses } from "../shared_address.ts";
import { dialledByUrl, type UrlDial } from "../urls.ts";
import { serveConnection } from "../../live/net_stream_client.ts";
import type { LiveStreams } from "../../live/streams.ts";
import { formatEndpoint } from "../../net/endpoint.ts";
import type { ConnectRequest } from "../../rtmp/command.ts";
import type { RtmpConnection } from "../../rtmp/connection.ts";
import type { CallerFields } from "../../sip/message/extra_headers.ts";
import type { SipEndpoint } from "../../sip/ua/endpoint.ts";

/** What the application is made of; everything belongs to the gateway. */
export interface SipAppParts extends SharedServices {
  /** Where lines go. */
  readonly log: Logger;
  /** Makes user agents. */
  readonly sip: SipEndpoint;
  /** Makes the media of calls. */
  readonly media: CallMediaPool;
  /** Runs the good-byes to replaced clients. */
  readonly scope: Scope;
  readonly access: AccessPolicy;
  /** Several clients of one address. */
  readonly sameAddress: SameAddressConfig;
  /** Who is where, when this gateway is not alone. */
  readonly sipAddresses?: SharedAddresses<RtmpConnection>;
  /** Whether calls are published, unless an account's rule says otherwise. */
  readonly publishCalls: boolean;
}

/** What a path asks for: the SIP address, and the key under which clients replace each other. */
export interface SipPath {
  readonly address: string;
  readonly key: string;
}

/** Serves the clients of all SIP addresses. */
export class SipApp {
  readonly #parts: SipAppParts;
  readonly #sipAddresses: SharedAddresses<RtmpConnection>;
  readonly #sharedLines: SharedAgents;

  constructor(parts: SipAppParts) {
    const { sip, log, sameAddress } = parts;
    this.#parts = parts;
    this.#sipAddresses = parts.sipAddresses ?? new AddressRegistry(sameAddress);
    this.#sipAddresses.onReplaced = (client, path) => this.#sayGoodbye(client, path.key);
    this.#sharedLines = new SharedAgents({
      createUserAgent: (identity) => sip.createUserAgent(identity),
      log,
    });
  }

  get clients(): number {
    return this.#sipAddresses.size;
  }

  /**
   * Serves a client that has said connect, until it leaves; every early return is one `_error` and its end.
   * @param path what its `app` asked for: the SIP address, and the key under which clients replace each other
   */
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
    if (arrival.type === "rejected") return await this.#turnAway(client, path, arrival.reason);
    const agent = arrival.shared
      ? this.#sharedLines.join(identity.identity)
      : this.#parts.sip.createUserAgent(identity.identity);
    const wanted = dialledByUrl(request.query);
    const services = this.#servicesFor(client, path, {
      ...options,
      rate: identity.rate,
      dialsByUrl: wanted !== null,
    });
    const { clock, log } = services;
    using dialled = wanted === null ? null : new UrlDialLink({ clock, log, client, limits: wanted });
    await using context = new Context(dialled ?? client, agent, services, wanted);
    const outcome = await context.register(signal);
    if (outcome.type === "refused") {
      const { status, reason } = outcome;
      log.info(`client rejected: ${refusalText(identity.identity, status, reason)}`);
      return await client.close("NetConnection.Connect.Rejected", statusText(status, reason));
    }
    const entry = await this.#sipAddresses.enter(path, client, outcome.type === "registered");
    if (entry.type === "rejected") return await this.#turnAway(client, path, entry.reason);
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

  async #turnAway(client: RtmpConnection, { key }: SipPath, reason: string): Promise<void> {
    this.#logOf(key).info(`client ${formatEndpoint(client.peer)} rejected: ${reason}`);
    await client.reject(reason);
  }

  /** Programs written for siprtmp get no metadata: many have nothing that takes it. */
  #servicesFor(
    client: RtmpConnection,
    { address, key }: SipPath,
    wanted: Required<Pick<ClientServicesParts, "fields" | "tellsCallerHeaders">> & {
      readonly rate: SpeexRate;
      readonly dialsByUrl: boolean;
    },
  ): ClientServices {
    const { rate, dialsByUrl, fields, tellsCallerHeaders } = wanted;
    const { media, publishCalls: everywhere, sameAddress: { accounts } } = this.#parts;
    const log = this.#logOf(key);
    return new ClientServices({
      shared: this.#parts,
      log,
      media: media.factory(rate, log, dialsByUrl),
      fields,
      tellsCallerHeaders,
      peer: { address: client.peer.hostname, connection: client.id, path: key },
      published: mayPublishCalls({ everywhere, accounts }, address) ? address : null,
    });
  }

  /** Two clients of one address are told apart. */
  #logOf(key: string): Logger {
    return this.#parts.log.child(key.replace(/^sip\//, ""));
  }

  /** The client whose place a newer one took is told and closed. */
  #sayGoodbye(replaced: RtmpConnection, key: string): void {
    this.#logOf(key).info(`a newer client replaces the one at ${formatEndpoint(replaced.peer)}`);
    const why = "a newer client connected to the same address";
    this.#parts.scope.spawn("replace", () => replaced.close("NetConnection.Connect.Closed", why));
  }
}

export interface SharedServices {
  readonly clock: Clock;
  /** How touch tones are sent. */
  readonly dtmf: DtmfMode;
  /** Whether a 3xx is followed. */
  readonly redirect: boolean;
  /** Where dialled numbers go. */
  readonly dialPlan: DialPlan;
  readonly room: CallRoom;
  /** Where calls are listed. */
  readonly calls: CallRegistry;
  /** Whom clients may call. */
  readonly access: Pick<AccessPolicy, "mayCall" | "mayDial">;
  /** Where the sides of calls are published. */
  readonly streams: LiveStreams;
}

/** What one client's services are made of. */
export interface ClientServicesParts {
  readonly shared: SharedServices;
  /** The client's log. */
  readonly log: Logger;
  /** Opens the media of its calls. */
  readonly media: MediaFactory;
  /** What is different about its calls; absent: nothing. */
  readonly fields?: CallerFields;
  /** Whether it is told more about callers; absent: it is not. */
  readonly tellsCallerHeaders?: boolean;
  /** Its connection; calls are counted by its address. */
  readonly peer: RtmpPeer;
  /** Its SIP address, under which its calls are published; null: they are not. */
  readonly published: string | null;
}

export class ClientServices implements CallServices {
  readonly log: Logger;
  readonly media: MediaFactory;
  readonly fields: CallerFields;
  readonly tellsCallerHeaders: boolean;
  readonly #shared: SharedServices;
  readonly #peer: RtmpPeer;
  readonly #published: string | null;

  /** Only keeps them. */
  constructor(parts: ClientServicesParts) {
    const { shared, log, media, peer, published, fields = {}, tellsCallerHeaders = false } = parts;
    this.log = log;
    this.media = media;
    this.fields = fields;
    this.tellsCallerHeaders = tellsCallerHeaders;
    this.#shared = shared;
    this.#peer = peer;
    this.#published = published;
  }

  get clock(): Clock {
    return this.#shared.clock;
  }

  get dtmf(): DtmfMode {
    return this.#shared.dtmf;
  }

  get redirect(): boolean {
    return this.#shared.redirect;
  }

  get dialPlan(): DialPlan {
    return this.#shared.dialPlan;
  }

  get room(): CallRoom {
    return this.#shared.room;
  }

  get askedBy(): string {
    return this.#peer.address;
  }

  get calls(): CallRegistry {
    return this.#shared.calls;
  }

  rtmpPeer(): RtmpPeer {
    return this.#peer;
  }

  mayCall(target: DialTarget): Decision {
    return this.#shared.access.mayCall(this.#peer.address, target);
  }

  mayMessage(target: DialTarget): Decision {
    return this.#shared.access.mayDial(target);
  }

  openBroadcast(): CallBroadcast | null {
    return this.#published === null ? null : new CallBroadcast(this.#shared.streams, this.#published);
  }
}

export interface UrlDialLinkParts {
  readonly client: Pick<RtmpConnection, "close">;
  /** How long it may ring and last. */
  readonly limits: Pick<UrlDial, "answerTimeoutSeconds" | "maxDurationSeconds">;
  readonly clock: Clock;
  /** Where callbacks go. */
  readonly log: Logger;
}

export class UrlDialLink implements ClientLink, Disposable {
  readonly #parts: UrlDialLinkParts;
  #timer: Disposable | null = null;

  /** Nothing is dialled yet. */
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

  /** The end of the connection cancels or hangs up. */
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
