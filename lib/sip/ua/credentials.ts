// A user's password, and whose challenges it answers: those of the user's registrar, proxy and domain, for realms
// learned from them. RFC 3261 22.1 and 22.3, RFC 7616 5.8 (chosen nonces), 5.12.
// Role: edge

import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { decodeIp, formatEndpoint, formatIp, unmapAddress } from "../../net/endpoint.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { Target } from "../message/target.ts";
import { type SipUri, sipUri } from "../message/uri.ts";
import type { SipRouter } from "../transport/routing.ts";
import type { AuthorizationHeader, DigestChallenge, DigestClient } from "./digest.ts";
import { hopOptions, type Identity, registrarUri } from "./identity.ts";
import { proxyRoute, type ServiceRoute } from "./outgoing_request.ts";

export interface CredentialsOptions {
  readonly digest: DigestClient;
  readonly servers: AccountServers;
  /** Whether MD5 without qop is answered. */
  readonly md5WithoutQop: boolean;
  /** Challenges that are not answered are told here. */
  readonly log: Logger;
}

/** Answers for a repetition of the request; null: the refusal stands. */
export type Answers = AuthorizationHeader[] | null;

type Header = AuthorizationHeader["header"];

/** Realms remembered of each kind. */
const MAX_REALMS = 32;
const MAX_TOLD = 64;

const BOTH: readonly Header[] = ["Authorization", "Proxy-Authorization"];

/**
 *   challenge of                           realm                                            answered
 *   registrar, proxy or domain             in a REGISTER: any                               yes, and learned
 *                                          known from a REGISTER, or from before            yes
 *                                          the first of its kind (401 or 407)               yes, and learned
 *                                          another: a far host's, relayed by the proxy      no
 *   anybody else                           any                                              no
 *
 * MD5 without qop only if the user allows it. What is not answered stays a refusal, and is told in the log.
 */
export class DigestCredentials {
  readonly #options: CredentialsOptions;
  /** Realms by the header that answers them; made by the first challenge. */
  #realms: Record<Header, Set<string>> | null = null;
  #registrarRealms: Set<string> | null = null;

  /** Knows no realm yet. */
  constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  /** A URI was resolved for a request: see {@link AccountServers.note}. */
  note(uri: SipUri, targets: readonly Target[], isRoute = false): void {
    this.#options.servers.note(uri, targets, isRoute);
  }

  mayGoTo(target: Target): boolean {
    return this.#options.servers.includes(target);
  }

  /** Answers the challenge of the server at `target`; null when it is not to be answered, or was before. */
  authorize(response: SipResponse, request: SipRequest, target: Target): Answers | Promise<Answers> {
    if (this.mayGoTo(target)) return this.#answer(response, request, target);
    const lookUp = this.#options.servers.lookUp();
    if (lookUp === null) return this.#refuse(response, request, target, UNKNOWN_SERVER);
    return this.#answerLater(lookUp, response, request, target);
  }

  /** Credentials to send unasked: only where every target of the request is one of the user's servers. */
  reuse({ method, uri, body }: SipRequest, targets: readonly Target[]): AuthorizationHeader[] {
    if (!targets.every((target) => this.mayGoTo(target))) return [];
    return this.#options.digest.reuse(method, uri, body);
  }

  accepted(method: string, callId: string | null): void {
    this.#options.digest.accepted(method, callId);
  }

  /** Forgets all challenges, not the realms: see {@link DigestClient.forget}. */
  forget(): void {
    this.#options.digest.forget();
  }

  async #answerLater(
    lookUp: Promise<void>,
    response: SipResponse,
    request: SipRequest,
    target: Target,
  ): Promise<Answers> {
    try {
      await lookUp;
      if (this.mayGoTo(target)) return this.#answer(response, request, target);
      return this.#refuse(response, request, target, UNKNOWN_SERVER);
    } catch (error) {
      this.#options.log.error("internal error: answering a challenge", error);
      return null;
    }
  }

  #answer(response: SipResponse, request: SipRequest, target: Target): Answers {
    const { digest } = this.#options;
    const isOpen = this.#openKinds(request.method);
    let objection: string | null = null;
    const mayAnswer = (header: Header, challenge: DigestChallenge): boolean => {
      const against = this.#objectionTo(challenge, request.method, header, isOpen[header]);
      objection ??= against;
      return against === null;
    };
    const answers = digest.authorize(response, request, mayAnswer);
    if (answers === null && objection !== null) this.#refuse(response, request, target, objection);
    return answers;
  }

  /** For which headers a realm that is not known is learned. */
  #openKinds(method: string): Record<Header, boolean> {
    const isFirst = (header: Header): boolean => (this.#realms?.[header].size ?? 0) === 0;
    const [www, proxy] = BOTH.map((header) => method === "REGISTER" || isFirst(header));
    return { "Authorization": www!, "Proxy-Authorization": proxy! };
  }

  /** Null: it is to be answered, and its realm is known from now on. */
  #objectionTo(challenge: DigestChallenge, method: string, header: Header, isOpen: boolean): string | null {
    const { realm, algorithm, qop } = challenge;
    const realms = this.#realms ??= { "Authorization": new Set(), "Proxy-Authorization": new Set() };
    const isKnown = realms[header].has(realm) || this.#registrarRealms?.has(realm) === true;
    if (!isKnown && !isOpen) return `the realm ${told(realm)} is not one of the user's own servers`;
    if (qop.length === 0 && algorithm.startsWith("MD5") && !this.#options.md5WithoutQop) {
      return MD5_WITHOUT_QOP;
    }
    learn(realms[header], realm);
    if (method === "REGISTER") learn(this.#registrarRealms ??= new Set(), realm);
    return null;
  }

  #refuse(response: SipResponse, { method }: SipRequest, { endpoint }: Target, why: string): null {
    const whose = `${response.status} of ${formatEndpoint(endpoint)} to ${method}`;
    this.#options.log.warn(`the challenge in the ${whose} is not answered: ${why}`);
    return null;
  }
}

const UNKNOWN_SERVER = "it is not the user's registrar, proxy or domain, and the password is for these only";
const MD5_WITHOUT_QOP =
  "MD5 without qop protects the password poorly; md5-without-qop = true in the [[account]] allows it";

function learn(realms: Set<string>, realm: string): void {
  if (realms.size < MAX_REALMS) realms.add(realm);
}

function told(realm: string): string {
  return `"${realm.slice(0, MAX_TOLD)}"`;
}

export interface AccountServersOptions {
  readonly identity: Identity;
  /** Where its requests outside dialogs go first; null: straight to their targets. */
  readonly proxy: SipUri | null;
  /** Where its registrar sends its requests; nowhere when left out. */
  readonly serviceRoute?: Pick<ServiceRoute, "hops">;
  readonly router: Pick<SipRouter, "hopTo">;
  readonly clock: Clock;
}

/** Names are resolved again for a challenge from elsewhere, but not more often than this. */
const LOOK_UP_EVERY_MS = 10_000;
/** Addresses that are remembered; the oldest goes. */
const MAX_ADDRESSES = 64;

export class AccountServers {
  readonly #options: AccountServersOptions;
  /** Made when the first name is resolved: thousands of users may never need it. */
  #addresses: Set<string> | null = null;
  #lookedUpAtMs = -Infinity;
  #lookUp: Promise<void> | null = null;

  /** No I/O yet. */
  constructor(options: AccountServersOptions) {
    this.#options = options;
  }

  /**
   * A URI was resolved for a request; what it leads to is remembered when it names one of the servers.
   * @param isRoute the user's proxy, or the registrar, has named it as the way of all requests (RFC 3608)
   */
  note(uri: SipUri, targets: readonly Target[], isRoute = false): void {
    if (!isRoute && !this.#uris().some((server) => isSamePlace(server, uri))) return;
    const addresses = this.#addresses ??= new Set();
    for (const target of targets) {
      const key = addressOf(target);
      addresses.delete(key);
      addresses.add(key);
      if (addresses.size > MAX_ADDRESSES) addresses.delete(addresses.values().next().value!);
    }
  }

  /** Whether a request that went there went to one of the servers. */
  includes(target: Target): boolean {
    return this.#addresses?.has(addressOf(target)) ?? false;
  }

  /** Resolves the names again; null: they were a moment ago. */
  lookUp(): Promise<void> | null {
    const { clock } = this.#options;
    if (this.#lookUp !== null) return this.#lookUp;
    if (clock.now() - this.#lookedUpAtMs < LOOK_UP_EVERY_MS) return null;
    this.#lookedUpAtMs = clock.now();
    this.#lookUp = this.#resolve().finally(() => this.#lookUp = null);
    return this.#lookUp;
  }

  async #resolve(): Promise<void> {
    const { router, identity } = this.#options;
    await Promise.all(
      this.#uris().map(async (uri) => {
        const hop = await router.hopTo(uri, hopOptions(identity));
        if (!("type" in hop)) this.note(uri, hop.targets);
      }),
    );
  }

  #uris(): SipUri[] {
    const { identity, proxy, serviceRoute } = this.#options;
    const { host, port } = identity.aor;
    const routes = [...proxyRoute(proxy), ...serviceRoute?.hops ?? []].map(({ uri }) => uri);
    return [registrarUri(identity), sipUri(host, { port }), ...routes];
  }
}

/** Whether a URI names the registrar or the domain of a user: what its owner has set is not asked for by anybody. */
export function isOwnServer(uri: SipUri, identity: Identity): boolean {
  const { host, port } = identity.aor;
  return isSamePlace(uri, registrarUri(identity)) || isSamePlace(uri, sipUri(host, { port }));
}

/** Same name and port; `maddr` leads elsewhere, whatever the name. */
function isSamePlace(a: SipUri, b: SipUri): boolean {
  const same = plainHost(a.host) === plainHost(b.host) && a.port === b.port;
  return same && plainHost(a.params.get("maddr") ?? "") === plainHost(b.params.get("maddr") ?? "");
}

/** Without case and the dot at the end of a full name. */
function plainHost(host: string): string {
  return plainAddress(host.toLowerCase().replace(/\.$/, ""));
}

/** One spelling of each IP address. */
function plainAddress(hostname: string): string {
  if (!hostname.includes(":")) return hostname;
  const plain = unmapAddress(hostname.replace(/^\[|\]$/g, ""));
  const bytes = decodeIp(plain);
  return bytes === null ? plain : formatIp(bytes);
}

/** Whatever the transport: a large request of UDP goes by TCP to the same port. */
function addressOf({ endpoint: { hostname, port } }: Target): string {
  return formatEndpoint({ hostname: plainAddress(hostname), port });
}
