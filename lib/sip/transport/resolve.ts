// From a URI to the addresses to try, in order (RFC 3263 4): NAPTR, SRV with weights (RFC 2782), A and AAAA.
// IP addresses, explicit ports, `;transport=` and `;maddr` cut the way short. sips: and TLS give nothing yet.
// Role: edge

import { messageOf, TransportError } from "../../base/errors.ts";
import { type Random, systemRandom } from "../../base/random.ts";
import type { DnsResolver, NaptrRecord, SrvRecord } from "../../net/dns.ts";
import { isIpAddress } from "../../net/endpoint.ts";
import {
  DEFAULT_TRANSPORT,
  findTransport,
  type TransportName,
  transportNames,
  transportRow,
} from "../message/transports.ts";
import { formatTarget, type Target } from "../message/target.ts";
import type { SipUri } from "../message/uri.ts";

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
