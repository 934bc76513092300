// What the parts of one endpoint share, handed down explicitly.
// Role: edge

import type { Logger } from "../../base/log.ts";
import type { DigestCredentials } from "./credentials.ts";
import type { DialogTable } from "./dialog.ts";
import { contactAddress, hopOptions, type Identity } from "./identity.ts";
import type { KeepAlives } from "../transport/keep_alive.ts";
import type { SipRequest } from "../message/message.ts";
import type { NameAddr } from "../message/name_addr.ts";
import type { SipWorkerEvents } from "./worker_events.ts";
import type { Hop, SipRouter, Unreachable } from "../transport/routing.ts";
import { isSameHop, routeSet, type ServiceRoute } from "./outgoing_request.ts";
import type { TransportName } from "../message/transports.ts";
import type { Target } from "../message/target.ts";
import type { TimerValues } from "../transaction/timers.ts";
import type { TransactionLayer } from "../transaction/transaction_layer.ts";
import type { SipUri } from "../message/uri.ts";
import type { Runtime } from "../../base/runtime.ts";

/** Shared by everything behind one SIP port. */
export interface SipCore extends Runtime {
  /** T1, T2, T4. */
  readonly timers: TimerValues;
  readonly userAgent: string;
  readonly layer: Pick<TransactionLayer, "request" | "sendAck">;
  /** Where requests go. */
  readonly router: SipRouter;
  readonly dialogs: DialogTable;
  readonly keepAlives: Pick<KeepAlives, "hold">;
  /** Proxy for requests outside dialogs of users without a proxy of their own; null: none. */
  readonly outboundProxy: SipUri | null;
  /** Expiry asked for in REGISTER, in seconds. */
  readonly expiresSeconds: number;
  readonly workerEvents?: SipWorkerEvents;
  /** Remembers an INVITE of ours, for 2xx of forks that come after its transaction. */
  readonly rememberInvite: (agent: AgentContext, invite: SipRequest, target: Target) => void;
}

/** Ends with its user agent: a call, an attempt, an unanswered invitation. */
export interface Ending {
  /** Ends politely: BYE, CANCEL or a refusal. Settles when the peer answered or gave up on. */
  end(): Promise<void>;
}

/** Shared by everything that belongs to one user agent. */
export interface AgentContext {
  readonly core: SipCore;
  readonly identity: Identity;
  /** Where its requests outside dialogs go first; null: straight to their targets. */
  readonly proxy: SipUri | null;
  /** Where they go next, REGISTER excepted. */
  readonly serviceRoute: ServiceRoute;
  /** Token in our Contact URIs by which requests find this user agent. */
  readonly line: string;
  readonly log: Logger;
  /** Answers challenges; null without a password. */
  readonly credentials: DigestCredentials | null;
  /** What must end with the user agent. */
  readonly endings: Set<Ending>;
}

/** Our Contact towards somebody who will reach us at `host` by `transport`. */
export function contactOf(agent: AgentContext, host: string, transport: TransportName): NameAddr {
  return contactAddress(agent.identity, { host, port: agent.core.router.port, transport, line: agent.line });
}

/** The hops that a user's requests outside dialogs go by, REGISTER excepted. */
export function routesOf(agent: AgentContext): readonly NameAddr[] {
  return routeSet(agent.proxy, agent.serviceRoute.hops);
}

/** The next hop of a request outside dialogs: the first of its routes if there is one, else where `uri` leads. */
export async function firstHop(
  agent: AgentContext,
  uri: SipUri,
  routes: readonly NameAddr[] = routesOf(agent),
): Promise<Hop | Unreachable> {
  const { proxy, identity } = agent;
  const next = routes[0]?.uri ?? uri;
  const options = hopOptions(identity);
  const isProxy = proxy !== null && isSameHop(next, proxy); // the operator's choice
  const hop = await agent.core.router.hopTo(next, isProxy ? { ...options, askedBy: null } : options);
  if (!("type" in hop)) agent.credentials?.note(next, hop.targets, routes.length > 0);
  return hop;
}

/** Runs what nobody waits for; a failure is our bug and is logged, nothing else falls. */
export async function inBackground(
  agent: AgentContext,
  what: string,
  run: () => Promise<unknown>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    agent.log.error(`${what} failed`, error);
  }
}
