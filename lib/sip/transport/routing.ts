// Where requests go and which of our addresses the peer is told.
// RFC 3263 through resolve.ts; RFC 3261 section 8.1.2 (outbound proxy as a preloaded loose route).
// Role: edge

import type { Clock } from "../../base/clock.ts";
import { messageOf, TransportError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { DnsResolver } from "../../net/dns.ts";
import { type Endpoint, isLoopback, type TargetGuard } from "../../net/endpoint.ts";
import type { AddressPolicy } from "../../net/route.ts";
import { findTransport, type TransportName, transportNames, transportRow } from "../message/transports.ts";
import { formatTarget, type Target } from "../message/target.ts";
import { formatSipUri, type SipUri } from "../message/uri.ts";
import { resolveTargets } from "./resolve.ts";

const MAX_SHOWN = 16;

/** Where a request goes: at least one target, and the address we are known by on the way to the first. */
export interface Hop {
  /** In the order of RFC 3263 failover, those that failed lately last; never empty. */
  readonly targets: readonly [Target, ...Target[]];
  /** Our address towards the first target, for Contact and SDP. */
  readonly localAddress: string;
}

export interface Unreachable {
  readonly type: "unreachable";
  /** It is not allowed; absent: it cannot be done (503). */
  readonly status?: 403;
  readonly reason: string;
}

export interface HopOptions {
  /** Transport to use unless the URI names one; by DNS when left out. */
  readonly transport?: TransportName;
  /** IP address of who named the URI: an RTMP client, a SIP peer; null: the operator. */
  readonly askedBy: string | null;
}

interface SipRouterOptions {
  readonly addresses: Pick<AddressPolicy, "addressFor">;
  readonly dns: DnsResolver;
  /** Spreads load over servers of equal rank. */
  readonly random: Random;
  /** Where may be sent to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Puts servers that failed lately last. */
  readonly failed: Pick<FailedTargets, "order">;
  readonly port: number;
  /** Where the loopback warning goes. */
  readonly log: Logger;
}

export class SipRouter {
  readonly port: number;
  readonly #options: SipRouterOptions;
  #warned = false;

  /** No I/O yet. */
  constructor(options: SipRouterOptions) {
    this.port = options.port;
    this.#options = options;
  }

  /**
   * Resolves the next hop of a request; never throws for names or networks that fail. What a name resolves to is
   * judged here, where the addresses are those that will be used: a name can mean something else a moment later.
   */
  async hopTo(uri: SipUri, { transport, askedBy }: HopOptions): Promise<Hop | Unreachable> {
    const objection = unspoken(uri);
    if (objection !== null) return unreachable(objection);
    try {
      const { dns, random } = this.#options;
      const targets = await resolveTargets(uri, dns, { random, ...(transport && { transport }) });
      const { allowed, denial } = this.#judge(targets, askedBy);
      if (allowed.length === 0 && denial !== null) {
        return { type: "unreachable", status: 403, reason: denial };
      }
      const reachable = allowed.filter((target) => this.#reachable(target));
      const [first, ...others] = this.#options.failed.order(reachable);
      if (first === undefined) {
        return unreachable(`no address found for ${formatSipUri({ ...uri, password: null })}`);
      }
      return { targets: [first, ...others], localAddress: this.addressTowards(first.endpoint) };
    } catch (error) {
      if (error instanceof TransportError) return unreachable(messageOf(error));
      throw error;
    }
  }

  #judge(
    targets: readonly Target[],
    askedBy: string | null,
  ): { allowed: Target[]; denial: string | null } {
    const allowed: Target[] = [];
    let denial: string | null = null;
    for (const target of targets) {
      const refusal = this.#options.guard?.refusal(target.endpoint, askedBy) ?? null;
      if (refusal === null) allowed.push(target);
      denial ??= refusal;
    }
    return { allowed, denial };
  }

  #reachable(target: Target): boolean {
    try {
      return this.#options.addresses.addressFor(target.endpoint) !== "";
    } catch (error) {
      if (error instanceof TransportError) return false;
      throw error;
    }
  }

  /**
   * Our address as the peer is to use it.
   * @throws TransportError when nothing of ours faces it
   */
  addressTowards(remote: Endpoint): string {
    const address = this.#options.addresses.addressFor(remote);
    if (!this.#warned && isLoopback(address) && !isLoopback(remote.hostname)) {
      this.#warned = true;
      this.#options.log.warn(
        `ADVERTISING LOOPBACK ADDRESS ${address} TO ${remote.hostname}: it cannot answer or send audio there. ` +
          "Give the address others reach this machine by with -e ADDRESS.",
      );
    }
    return address;
  }

  /** What our Via says towards a target; a network that went away meanwhile still gets a syntactic answer. */
  sentBy(target: Target): { host: string; port: number } {
    try {
      return { host: this.addressTowards(target.endpoint), port: this.port };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#options.log.warn(`No address of ours faces ${target.endpoint.hostname}: ${messageOf(error)}`);
      return { host: "0.0.0.0", port: this.port };
    }
  }
}

/** What of a URI asks for a transport that is not spoken here; null: nothing. */
function unspoken({ scheme, params }: SipUri): string | null {
  const spoken = `spoken are ${transportNames.map((name) => transportRow(name).via).join(" and ")}`;
  if (scheme === "sips") return `sips: addresses need TLS, which is not spoken here: ${spoken}`;
  const named = params.get("transport")?.toLowerCase().slice(0, MAX_SHOWN) ?? null;
  if (named === null || findTransport(named) !== null) return null;
  const plain = /^[a-z0-9-]+$/.test(named) ? named.toUpperCase() : "that transport";
  return `the address asks for ${plain}, which is not spoken here: ${spoken}`;
}

function unreachable(reason: string): Unreachable {
  return { type: "unreachable", reason };
}

/** How long a server that did not answer is asked last, in milliseconds. */
export const AVOID_MS = 300_000;
/** Failed servers remembered; the one that failed longest ago is forgotten first. */
export const MAX_FAILED = 256;

/** The servers that failed lately. */
export class FailedTargets {
  readonly #clock: Clock;
  readonly #failedMs = new Map<string, number>();

  /** Nothing has failed yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request to `target` was answered, or was not. */
  note(target: Target, answered: boolean): void {
    const key = formatTarget(target);
    this.#failedMs.delete(key);
    if (answered) return;
    this.#failedMs.set(key, this.#clock.now());
    if (this.#failedMs.size > MAX_FAILED) this.#failedMs.delete(this.#failedMs.keys().next().value!);
  }

  /** The same targets, those that failed lately behind the others; the order is kept otherwise. */
  order(targets: readonly Target[]): Target[] {
    if (this.#failedMs.size === 0) return [...targets];
    const [good, failed]: [Target[], Target[]] = [[], []];
    for (const target of targets) (this.#hasFailed(target) ? failed : good).push(target);
    return [...good, ...failed];
  }

  #hasFailed(target: Target): boolean {
    const failedMs = this.#failedMs.get(formatTarget(target)) ?? -Infinity;
    return this.#clock.now() - failedMs < AVOID_MS;
  }
}
