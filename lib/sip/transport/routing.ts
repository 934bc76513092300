// Where requests go and which of our addresses the peer is told.
// RFC 3263 through net/dns.ts; RFC 3261 section 8.1.2 (outbound proxy as a preloaded loose route).
// Role: edge

import type { Clock } from "../../base/clock.ts";
import { messageOf, TransportError } from "../../base/errors.ts";
import { type Random, systemRandom } from "../../base/random.ts";
import type { DnsResolver, NaptrRecord, SrvRecord } from "../../net/dns.ts";
import { type Endpoint, isIpAddress, isLoopback, type TargetGuard } from "../../net/endpoint.ts";
import type { AddressPolicy } from "../../net/route.ts";
import { formatTarget, type Target } from "../message/target.ts";
import {
  DEFAULT_TRANSPORT,
  findTransport,
  type TransportName,
  transportNames,
  transportRow,
} from "../message/transports.ts";
import { formatSipUri, type SipUri } from "../message/uri.ts";
import type { Runtime } from "../../base/runtime.ts";

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

interface SipRouterOptions extends Pick<Runtime, "log" | "random"> {
  readonly addresses: Pick<AddressPolicy, "addressFor">;
  readonly dns: DnsResolver;
  /** Where may be sent to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Puts servers that failed lately last. */
  readonly failed: Pick<FailedTargets, "order">;
  readonly port: number;
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
      this.#options.log.warn(`no local address for ${target.endpoint.hostname}: ${messageOf(error)}`);
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

export interface ResolveOptions {
  /** Transport to use whatever DNS prefers; the URI's own `;transport=` comes before it. */
  readonly transport?: TransportName;
  /** Spreads load over SRV records of one priority; default the system's. */
  readonly random?: Random;
}

/** Targets of one request at most. */
const MAX_TARGETS = 16;
/** SRV and NAPTR records followed at most. */
const MAX_RECORDS = 16;

const SERVICES: ReadonlyMap<string, TransportName> = new Map(
  transportNames.map((name) => [transportRow(name).naptrService.toLowerCase(), name]),
);

/** A host and port to be reached by a transport. */
interface Place {
  readonly host: string;
  readonly port: number;
  readonly transport: TransportName;
}

/**
 * The targets of a SIP URI in failover order; empty when there is none, as for sips: and unknown transports.
 * @throws TransportError when nothing was found because DNS itself failed
 */
export async function resolveTargets(
  uri: SipUri,
  dns: DnsResolver,
  options: ResolveOptions = {},
): Promise<Target[]> {
  const wanted = wantedTransport(uri, options);
  if (uri.scheme !== "sip" || wanted === "unknown") return [];
  const questions = new Questions(dns);
  const places = await placesOf(uri, wanted, questions, options.random ?? systemRandom);
  const targets = new Map<string, Target>();
  for (const place of places.slice(0, MAX_RECORDS)) {
    for (const target of await questions.targets(place)) targets.set(formatTarget(target), target);
  }
  if (targets.size === 0 && questions.failure !== null) throw questions.failure;
  return [...targets.values()].slice(0, MAX_TARGETS);
}

function wantedTransport(uri: SipUri, options: ResolveOptions): TransportName | null | "unknown" {
  const named = uri.params.get("transport")?.toLowerCase() ?? options.transport ?? null;
  return named === null ? null : findTransport(named) ?? "unknown";
}

/** 4.1 and 4.2: what to look addresses up for. */
async function placesOf(
  uri: SipUri,
  wanted: TransportName | null,
  questions: Questions,
  random: Random,
): Promise<Place[]> {
  const host = unbracketed(uri.params.get("maddr") ?? uri.host);
  const transport = wanted ?? DEFAULT_TRANSPORT;
  const direct = { host, port: uri.port ?? transportRow(transport).defaultPort, transport };
  if (isIpAddress(host) || uri.port !== null) return [direct];
  const usual = (wanted === null ? transportNames : [wanted])
    .map((name) => ({ name: `${transportRow(name).srvPrefix}${host}`, transport: name }));
  // Asked together, so that a name server which never answers one kind of question costs its time only once.
  const [named] = await Promise.all([
    wanted === null ? naptrServices(host, questions) : [],
    ...usual.map(({ name }) => questions.srv(name)),
  ]);
  const services = named.length > 0 ? named : usual;
  const places: Place[] = [];
  for (const { name, transport } of services) {
    const records = await questions.srv(name);
    // 2782: a lone "." says that there is no such service.
    for (const record of orderSrv(records, random)) {
      if (record.target !== "" && record.target !== ".") {
        places.push({ host: record.target, port: record.port, transport });
      }
    }
  }
  return places.length === 0 ? [direct] : places;
}

/** The SRV names of the services we speak, best first. */
async function naptrServices(
  host: string,
  questions: Questions,
): Promise<{ name: string; transport: TransportName }[]> {
  const records = (await questions.naptr(host)).filter((record) => record.flags.toLowerCase() === "s");
  records.sort((a, b) => a.order - b.order || a.preference - b.preference);
  const services: { name: string; transport: TransportName }[] = [];
  for (const record of records.slice(0, MAX_RECORDS)) {
    const transport = SERVICES.get(record.services.toLowerCase());
    if (transport) services.push({ name: record.replacement, transport });
  }
  return services;
}

/** DNS of one resolution: a question that fails counts as not found, and is remembered. */
class Questions {
  failure: TransportError | null = null;
  readonly #dns: DnsResolver;
  readonly #srv = new Map<string, Promise<SrvRecord[]>>();

  constructor(dns: DnsResolver) {
    this.#dns = dns;
  }

  naptr(name: string): Promise<NaptrRecord[]> {
    return this.#ask(this.#dns.naptr(name));
  }

  srv(name: string): Promise<SrvRecord[]> {
    const answer = this.#srv.get(name) ?? this.#ask(this.#dns.srv(name));
    this.#srv.set(name, answer);
    return answer;
  }

  async targets({ host, port, transport }: Place): Promise<Target[]> {
    if (isIpAddress(host)) return [{ transport, endpoint: { hostname: host, port } }];
    const [a, aaaa] = await Promise.all([this.#ask(this.#dns.a(host)), this.#ask(this.#dns.aaaa(host))]);
    return [...a, ...aaaa].map((hostname) => ({ transport, endpoint: { hostname, port } }));
  }

  async #ask<T>(answer: Promise<T[]>): Promise<T[]> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.failure = new TransportError(messageOf(error), error.code, { cause: error });
      return [];
    }
  }
}

function unbracketed(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

interface SrvWeight {
  /** Smaller first. */
  readonly priority: number;
  readonly weight: number;
}

/** Sorts SRV records for one attempt. */
export function orderSrv<T extends SrvWeight>(records: readonly T[], random: Random): T[] {
  const priorities = [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b);
  return priorities.flatMap((priority) =>
    orderByWeight(records.filter((record) => record.priority === priority), random)
  );
}

function orderByWeight<T extends SrvWeight>(records: readonly T[], random: Random): T[] {
  // Weight 0 comes first, so that it has its small chance when the random sum is 0.
  const left = records.filter((record) => record.weight === 0).concat(
    records.filter((record) => record.weight > 0),
  );
  const ordered: T[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, record) => sum + record.weight, 0);
    const chosen = Math.floor(random.float() * (total + 1));
    let sum = 0;
    const at = left.findIndex((record) => (sum += record.weight) >= chosen);
    ordered.push(...left.splice(at, 1));
  }
  return ordered;
}
