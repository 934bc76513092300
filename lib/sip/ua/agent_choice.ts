// Which of several users of one name a request outside dialogs is for, when no line says it.
//
//   best   has shown that the address is its own, and the domain is the request's
//          has not, but the domain, a name, is the request's
//          has shown that it has its own address, in another domain
//          the domain, an address such as ours, is the request's
//   least  the name is the same
//
// Of equals the newest; of those in other domains the one that was there first, so that nobody gets calls by
// registering the same name somewhere else. RFC 3261 section 8.2.2.1.
// Role: wire

import { isIpAddress, isLoopback } from "../../net/endpoint.ts";

/** A user as far as the choice goes. */
export interface AgentCandidate {
  /** Domain of its address of record. */
  readonly host: string;
  /** Its port: another one may be another registrar. */
  readonly port: number | null;
  /** Whether a registrar has taken its password, or the gateway itself is this user. */
  readonly ownsAddress: boolean;
}

/** The one that a request with this host in its URI is for; null for an empty list. Oldest first. */
export function chooseAgent<T>(
  agents: Iterable<T>,
  host: string,
  read: (agent: T) => AgentCandidate & { readonly closing: boolean },
): T | null {
  const wanted = host.toLowerCase();
  const isName = !isIpAddress(wanted) && !isLoopback(wanted);
  let best = null as { readonly agent: T; readonly domain: string; readonly rank: number } | null;
  for (const agent of agents) {
    const { closing, ownsAddress, host, port } = read(agent);
    const domain = `${host.toLowerCase()}:${port ?? ""}`;
    const rank = rankOf(ownsAddress, host.toLowerCase() === wanted, isName) - (closing ? LIVING : 0);
    const isLate = best?.rank === rank && ownsAddress && best.domain !== domain;
    if (best === null || rank > best.rank || rank === best.rank && !isLate) best = { agent, domain, rank };
  }
  return best?.agent ?? null;
}

/** Who is about to end comes after all others. */
const LIVING = 10;

function rankOf(ownsAddress: boolean, sameHost: boolean, isName: boolean): number {
  if (ownsAddress) return sameHost ? 4 : 2;
  if (!sameHost) return 0;
  return isName ? 3 : 1;
}
