// Which user agent a request outside dialogs is for.
// RFC 3261 section 8.2.2.1: our Contact names the user agent by its `line`; other Request-URIs by user and domain.
// Role: machine

import { isIpAddress, isLoopback } from "../../net/endpoint.ts";
import type { SipUri } from "../message/uri.ts";
import type { UserAgent } from "./user_agent.ts";

/** The outcome of a search. "gone": a Contact of ours whose user agent has ended. */
type AgentSearch =
  | { readonly type: "agent"; readonly agent: UserAgent }
  | { readonly type: "gone" }
  | { readonly type: "unknown" };

/** The user agents of one endpoint, oldest first. */
export class AgentDirectory {
  readonly #byLine = new Map<string, UserAgent>();
  /** Those of one user part, whatever their domains: a caller may know our address only. */
  readonly #byUser = new Map<string | null, Set<UserAgent>>();

  get size(): number {
    return this.#byLine.size;
  }

  add(agent: UserAgent): void {
    const { user } = agent.identity.aor;
    const namesakes = this.#byUser.get(user) ?? new Set();
    this.#byUser.set(user, namesakes.add(agent));
    this.#byLine.set(agent.line, agent);
  }

  remove(agent: UserAgent): void {
    const { user } = agent.identity.aor;
    const namesakes = this.#byUser.get(user);
    this.#byLine.delete(agent.line);
    if (namesakes?.delete(agent) && namesakes.size === 0) this.#byUser.delete(user);
  }

  all(): IterableIterator<UserAgent> {
    return this.#byLine.values();
  }

  /** By line; without a line the best of those with the user, as chooseAgent() says. */
  find(uri: SipUri): AgentSearch {
    const line = uri.params.get("line");
    if (typeof line === "string") {
      const agent = this.#byLine.get(line);
      return agent === undefined ? { type: "gone" } : { type: "agent", agent };
    }
    const found = chooseAgent(this.#byUser.get(uri.user) ?? [], uri.host, (agent) => ({
      host: agent.identity.aor.host,
      port: agent.identity.aor.port,
      ownsAddress: agent.ownsAddress,
      closing: agent.closing,
    }));
    return found === null ? { type: "unknown" } : { type: "agent", agent: found };
  }
}

interface AgentCandidate {
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
