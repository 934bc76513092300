// The servers that a user's password is for: its registrar and what that names as the way of requests (Service-Route),
// its proxy, its domain, and what their names resolve to.
// A request counts as theirs by the address and port it really went to, whatever the names in it.
// Role: edge

import type { Clock } from "../../base/clock.ts";
import { decodeIp, formatEndpoint, formatIp, unmapAddress } from "../../net/endpoint.ts";
import { hopOptions, type Identity, registrarUri } from "./identity.ts";
import type { SipRouter } from "../transport/routing.ts";
import { proxyRoute, type ServiceRoute } from "./service_route.ts";
import type { Target } from "../message/target.ts";
import { type SipUri, sipUri } from "../message/uri.ts";

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

/** Knows which addresses are the servers of one user. */
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
