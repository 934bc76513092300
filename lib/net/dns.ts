// DNS as RFC 3263 needs it: A, AAAA, SRV (RFC 2782), NAPTR (RFC 3403). Addresses come from the operating system's
// resolver, which also knows its hosts file; SRV and NAPTR are asked of the name server. "localhost" and IP addresses
// are answered without asking (RFC 6761 6.3).
// Role: edge

import { lookup } from "node:dns";
import { type Clock, delay, systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import { isIpAddress, isIpv6, isUnspecified } from "./endpoint.ts";
import { transportError } from "./out_buffer.ts";

/** Longest wait for one answer. */
const TIMEOUT_MS = 5_000;

export interface SrvRecord {
  /** Smaller first. */
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** Host name without trailing dot; empty: the service does not exist. */
  readonly target: string;
}

export interface NaptrRecord {
  /** Smaller first. */
  readonly order: number;
  /** Smaller first among equal orders. */
  readonly preference: number;
  /** "s": look up SRV next. */
  readonly flags: string;
  /** For SIP "SIP+D2U", "SIP+D2T", "SIPS+D2T". */
  readonly services: string;
  /** Not used by SIP. */
  readonly regexp: string;
  /** Name to look up next, without trailing dot. */
  readonly replacement: string;
}

/** Looks names up. Empty lists mean "not found"; trouble with the server is a {@link TransportError}. */
export interface DnsResolver {
  /** IPv4 addresses of a host. */
  a(name: string): Promise<string[]>;
  /** IPv6 addresses of a host. */
  aaaa(name: string): Promise<string[]>;
  /** Servers of a service such as _sip._udp.example.com, unsorted. */
  srv(name: string): Promise<SrvRecord[]>;
  /** Service pointers of a domain, unsorted. */
  naptr(name: string): Promise<NaptrRecord[]>;
}

export const systemDns: DnsResolver = {
  a: (name) => addresses(name, 4),
  aaaa: (name) => addresses(name, 6),
  srv: async (name) => {
    const records = await query(name, (plain, signal) => Deno.resolveDns(plain, "SRV", { signal }));
    return records.map((record) => ({ ...record, target: withoutDot(record.target) }));
  },
  naptr: async (name) => {
    const records = await query(name, (plain, signal) => Deno.resolveDns(plain, "NAPTR", { signal }));
    return records.map((record) => ({ ...record, replacement: withoutDot(record.replacement) }));
  },
};

function addresses(name: string, family: 4 | 6): Promise<string[]> {
  const plain = withoutDot(name).toLowerCase();
  if (isIpAddress(plain)) return Promise.resolve(isIpv6(plain) === (family === 6) ? [plain] : []);
  if (isLocalName(plain)) return Promise.resolve([family === 4 ? "127.0.0.1" : "::1"]);
  if (plain === "") return Promise.resolve([]);
  return lookUpAddresses(plain, family);
}

/** The system's resolver cannot be interrupted; when time is up its late answer is ignored. */
function lookUpAddresses(name: string, family: 4 | 6): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const timer = systemClock.after(TIMEOUT_MS, () => reject(timeout(name)));
    lookup(name, { all: true, family }, (error, found) => {
      timer[Symbol.dispose]();
      if (error === null) return resolve(found.map((entry) => entry.address));
      if (error.code === "ENOTFOUND" || error.code === "ENODATA") return resolve([]);
      reject(transportError(`Cannot look up ${name}`, error));
    });
  });
}

async function query<T>(
  name: string,
  run: (plain: string, signal: AbortSignal) => Promise<T[]>,
): Promise<T[]> {
  const plain = withoutDot(name);
  if (plain === "" || isIpAddress(plain) || isLocalName(plain.toLowerCase())) return [];
  const limit = new AbortController();
  using _timer = systemClock.after(TIMEOUT_MS, () => limit.abort());
  try {
    return await run(plain, limit.signal);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw limit.signal.aborted ? timeout(plain) : transportError(`Cannot look up ${plain}`, error);
  }
}

function timeout(name: string): TransportError {
  return new TransportError(`Cannot look up ${name}: no answer within ${TIMEOUT_MS / 1000} s`, "timeout");
}

function withoutDot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/** Also service names below localhost: they have no records. */
function isLocalName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

interface LookUpOptions {
  readonly dns: Pick<DnsResolver, "a" | "aaaa">;
  readonly clock: Clock;
  readonly withinMs: number;
}

/**
 * An address of the family if there is one, else of the other; null when nobody says one in time.
 *
 * Deno permissions: --allow-net (the names, and the name server).
 */
export async function lookUpAddress(
  name: string,
  family: 4 | 6,
  { dns, clock, withinMs }: LookUpOptions,
): Promise<string | null> {
  const over = new AbortController();
  const limit = delay(clock, withinMs, over.signal).then(() => null);
  const [v4, v6] = [firstOf(dns.a(name)), firstOf(dns.aaaa(name))];
  const both = family === 6 ? [v6, v4] as const : [v4, v6] as const;
  const address = await Promise.race([both[0].then(async (found) => found ?? await both[1]), limit]);
  over.abort();
  await limit;
  return address;
}

/** A name server that fails knows nothing, and one that says "everywhere" says nothing. */
async function firstOf(answer: Promise<string[]>): Promise<string | null> {
  try {
    return (await answer).find((address) => isIpAddress(address) && !isUnspecified(address)) ?? null;
  } catch (error) {
    if (error instanceof TransportError) return null;
    throw error;
  }
}
