// The sip application: an RTMP client that connected to sip/user@domain gets a SIP user agent and a Context, and
// the rule of who replaces whom on one path is kept.
// Role: edge
// Answers to: class Gateway of siprtmp.py (behaviour.md 1.3).

import type { AmfValue } from "../amf/value.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Scope } from "../base/scope.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import type { SipEndpoint } from "../sip/endpoint.ts";
import { identityOf } from "./client_identity.ts";
import { Context } from "./context.ts";
import { type ClientLink, statusText } from "./line.ts";
import type { MediaRoom } from "./media_room.ts";
import { dialledByUrl } from "./url_dial.ts";

/** What the application is made of; everything belongs to the gateway. */
export interface SipAppParts {
  /** Call times. */
  readonly clock: Clock;
  /** Where lines go. */
  readonly log: Logger;
  /** Makes user agents. */
  readonly sip: SipEndpoint;
  /** Makes the media of calls. */
  readonly media: MediaRoom;
  /** Runs the good-byes to replaced clients. */
  readonly scope: Scope;
}

/** Serves the clients of all SIP addresses. */
export class SipApp {
  readonly #parts: SipAppParts;
  readonly #clients = new Map<string, RtmpConnection>();

  /** Nobody yet. */
  constructor(parts: SipAppParts) {
    this.#parts = parts;
  }

  /** Clients in service. */
  get clients(): number {
    return this.#clients.size;
  }

  /**
   * Serves a client that has said connect, until it leaves; every early return is one `_error` and its end.
   * @param path what its `app` asked for: the SIP address, and the key under which clients replace each other
   */
  async serve(
    client: RtmpConnection,
    request: ConnectRequest,
    path: { readonly address: string; readonly key: string },
    signal: AbortSignal,
  ): Promise<void> {
    const identity = identityOf(path.address, request.args);
    if (identity.type === "rejected") return await client.reject(identity.reason);
    const log = this.#parts.log.child(path.address);
    const agent = this.#parts.sip.createUserAgent(identity.identity);
    const media = this.#parts.media.factory(identity.rate, log);
    const dial = dialledByUrl(request.query);
    const link = dial === null ? client : new UrlDialLink(client, log);
    const services = { clock: this.#parts.clock, log, media };
    await using context = new Context(link, agent, services, dial);
    const outcome = await context.register(signal);
    if (outcome.type === "refused") return await client.reject(statusText(outcome.status, outcome.reason));
    if (!this.#occupy(path.key, client)) {
      return await client.reject("a newer client connected to the same address");
    }
    try {
      await converse(client, context);
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
    this.#parts.log.info(`${key}: a newer client replaces the one at ${formatEndpoint(other.peer)}`);
    const why = "a newer client connected to the same address";
    this.#parts.scope.spawn("replace", () => other.close("NetConnection.Connect.Closed", why));
    return true;
  }
}

async function converse(client: RtmpConnection, context: Context): Promise<void> {
  client.onMedia = (stream, message) => context.rtmpMedia(stream, message);
  client.accept();
  context.start();
  context.log.info(`client ${formatEndpoint(client.peer)} is connected`);
  for await (const event of client.events()) context.rtmpEvent(event);
  context.log.info(`client ${formatEndpoint(client.peer)} has left`);
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
