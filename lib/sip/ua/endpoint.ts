// One SIP port for all users of the process: transport, transactions, and who gets which request.
// RFC 3261 sections 8.2 and 12.2.2; requests find their user by the `line` parameter of our Contact, else by user.
// Role: edge

import { messageOf, WireError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { SharedTimers } from "../../base/shared_timers.ts";
import type { DnsResolver } from "../../net/dns.ts";
import type { TargetGuard } from "../../net/endpoint.ts";
import type { AddressPolicy } from "../../net/route.ts";
import { type SipMessage, type SipRequest, tagOf } from "../message/message.ts";
import type { Flow, SendOutcome, Target } from "../message/target.ts";
import type { SipUri } from "../message/uri.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";
import { defaultTimers, type TimerValues } from "../transaction/timers.ts";
import { TransactionLayer } from "../transaction/transaction_layer.ts";
import { KeepAlives, type KeepAliveSettings, NO_KEEP_ALIVE } from "../transport/keep_alive.ts";
import { FailedTargets, SipRouter } from "../transport/routing.ts";
import { type DatagramFilter, type KeepAliveAnswer, SipTransport } from "../transport/transport.ts";
import { AgentDirectory } from "./agent_directory.ts";
import { CallDialog } from "./call_dialog.ts";
import { refusalOf } from "./capabilities.ts";
import { Dialog, DialogTable } from "./dialog.ts";
import { statusOf } from "./challenged_request.ts";
import type { Identity } from "./identity.ts";
import { LateForks } from "./early_calls.ts";
import type { DialogRecord, SipWorkerEvents } from "./worker_events.ts";
import { RequestFilter, type SipTraffic, UNLIMITED } from "./request_filter.ts";
import { ServiceRoute } from "./outgoing_request.ts";
import { type AgentContext, type Ending, inBackground, type SipCore } from "./sip_core.ts";
import { UserAgent } from "./user_agent.ts";
import type { Runtime } from "../../base/runtime.ts";

export type { Identity } from "./identity.ts";

export interface SipEndpointOptions {
  readonly bind: string;
  /** Port to bind; 0: any. */
  readonly port: number;
  /** Take the next free port when it is in use. */
  readonly portFallback: boolean;
  readonly addresses: Pick<AddressPolicy, "addressFor">;
  /** Where may be sent to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Proxy for all requests outside dialogs; null: none. */
  readonly outboundProxy: SipUri | null;
  readonly userAgent: string;
  /** Expiry asked for in REGISTER, in seconds. */
  readonly expiresSeconds: number;
  /** How the flows of registrations are kept open; not at all when left out. */
  readonly keepAlive?: KeepAliveSettings;
  /** T1, T2, T4; the RFC's values when left out. */
  readonly timers?: TimerValues;
  /**
   * Whether a new call may come, or an OPTIONS hear that it may (RFC 3261 section 11.2: as an INVITE would). Null: it
   * may; else 503 with this Retry-After, in seconds. Nothing is refused when left out, and nothing inside dialogs ever.
   */
  readonly refuseNew?: (method: "INVITE" | "OPTIONS") => number | null;
}

/** What carries messages: the real transport, or a network of a test. */
export interface MessageTransport extends AsyncDisposable {
  /** The port that was bound. */
  readonly port: number;
  onMessage: ((message: SipMessage, flow: Flow) => void) | null;
  /** A connection ended without our doing; networks without connections never call it. */
  onBroken?: ((flow: Flow, reason: string) => void) | null;
  /** Judges bad traffic before and after it is parsed; networks without sockets do not ask. */
  filter?: DatagramFilter | null;
  /** A keep-alive was answered; networks without keep-alives never call it. */
  onKeepAliveAnswer?: ((answer: KeepAliveAnswer, flow: Flow) => void) | null;
  /** As `SipTransport.sendKeepAlive`; networks without keep-alives leave it out. */
  sendKeepAlive?(bytes: Uint8Array, target: Target): boolean;
  /** As `SipTransport.abandon`; networks without connections leave it out. */
  abandon?(target: Target): void;
  /** Sends; settles when the outcome is known. */
  send(message: SipMessage, target: Target): Promise<SendOutcome>;
}

export interface SipEnvironment extends Runtime {
  readonly dns: DnsResolver;
  /** Counts bad messages of each source; all are answered when left out. */
  readonly traffic?: SipTraffic;
  readonly workerEvents?: SipWorkerEvents;
  /** Puts around the sockets what hands messages to other SIP ports of the process. */
  readonly joinTransport?: (transport: MessageTransport) => MessageTransport;
  readonly openTransport?: (options: SipEndpointOptions) => MessageTransport;
}

export class SipEndpoint implements AsyncDisposable {
  readonly #transport: MessageTransport;
  readonly #layer: TransactionLayer;
  readonly #core: SipCore;
  readonly #keepAlives: KeepAlives;
  readonly #agents = new AgentDirectory();
  readonly #filter: RequestFilter;
  readonly #log: Logger;
  readonly #overload: SipEndpointOptions["refuseNew"];
  #closing: Promise<void> | null = null;

  /**
   * Binds the port.
   * @throws TransportError when it cannot be bound
   */
  static open(options: SipEndpointOptions, env: SipEnvironment): SipEndpoint {
    const open = env.openTransport ?? ((wanted) =>
      SipTransport.open(
        { bind: wanted.bind, port: wanted.port, fallback: wanted.portFallback },
        { log: env.log, clock: env.clock },
      ));
    const transport = open(options);
    return new SipEndpoint(options, env, env.joinTransport?.(transport) ?? transport);
  }

  private constructor(options: SipEndpointOptions, env: SipEnvironment, transport: MessageTransport) {
    const log = env.log.category("sip");
    const timers = options.timers ?? defaultTimers;
    const clock = new SharedTimers(env.clock, (error) => log.error("A SIP timer failed", error));
    const failed = new FailedTargets(clock);
    const router = new SipRouter({
      failed,
      addresses: options.addresses,
      ...(options.guard && { guard: options.guard }),
      dns: env.dns,
      random: env.random,
      port: transport.port,
      log,
    });
    this.#log = log;
    this.#overload = options.refuseNew;
    this.#transport = transport;
    this.#layer = new TransactionLayer({
      clock,
      random: env.random,
      log,
      timers,
      sentBy: (target) => router.sentBy(target),
      send: (message, target, outcome) => void this.#send(message, target, outcome),
      targetTried: (target, answered) => failed.note(target, answered),
      filter: (request, flow, cancels) => this.#filter.judge(request, flow.remote.hostname, cancels),
      userOf: ({ uri }) => {
        const found = this.#agents.find(uri);
        return found.type === "agent" ? found.agent.line : null;
      },
      onOverload: (flow) => this.#filter.refusedUnheard(flow.remote.hostname),
      onUseful: (flow) => this.#filter.useful(flow.remote.hostname),
      onUseless: (flow) => this.#filter.stray(flow.remote.hostname),
    });
    this.#keepAlives = new KeepAlives({
      clock,
      random: env.random,
      log,
      settings: options.keepAlive ?? NO_KEEP_ALIVE,
      layer: this.#layer,
      send: (bytes, target) => transport.sendKeepAlive?.(bytes, target) ?? false,
      abandon: (target) => transport.abandon?.(target),
    });
    const lateForks = new LateForks(log);
    this.#core = {
      clock,
      log,
      random: env.random,
      timers,
      userAgent: options.userAgent,
      layer: this.#layer,
      router,
      dialogs: new DialogTable(),
      keepAlives: this.#keepAlives,
      outboundProxy: options.outboundProxy,
      expiresSeconds: options.expiresSeconds,
      ...(env.workerEvents !== undefined && { workerEvents: env.workerEvents }),
      rememberInvite: (agent, invite, target) => lateForks.remember(agent, invite, target),
    };
    this.#filter = new RequestFilter({
      agents: this.#agents,
      dialogs: this.#core.dialogs,
      traffic: env.traffic ?? UNLIMITED,
      tag: env.random.token(12),
      pingRefusal: () => this.#overload?.("OPTIONS") ?? null,
    });
    this.#layer.onRequest = (request, transaction) => this.#receive(request, transaction);
    this.#layer.onStray = (response) => lateForks.decline(response);
    this.#listen(transport);
  }

  #listen(transport: MessageTransport): void {
    transport.filter = this.#filter;
    transport.onMessage = (message, flow) => {
      this.#keepAlives.heard(flow);
      this.#layer.receive(message, flow);
    };
    transport.onKeepAliveAnswer = (answer, flow) => this.#keepAlives.answered(answer, flow);
    transport.onBroken = (flow, reason) => {
      this.#layer.flowBroken(flow, reason);
      for (const agent of this.#agents.all()) agent.connectionLost(flow.remote);
    };
  }

  /** The port that is bound. */
  get port(): number {
    return this.#transport.port;
  }

  get dialogCount(): number {
    return this.#core.dialogs.size;
  }

  get transactionCount(): number {
    return this.#layer.clientCount + this.#layer.serverCount;
  }

  /** Our address has changed: everybody who is registered registers again in a moment. */
  refreshRegistrations(): void {
    for (const agent of this.#agents.all()) agent.refreshRegistration();
  }

  /**
   * A new user behind this port; who gets whose calls: agent_directory.ts.
   * @param ownsAddress the gateway itself is this user; others show it by registering with a password
   */
  createUserAgent(identity: Identity, ownsAddress = false): UserAgent {
    const { workerEvents, random } = this.#core;
    const { user, host, port } = identity.aor;
    const line = `${workerEvents?.linePrefix ?? ""}${random.token(10)}`;
    const agent = new UserAgent(this.#core, identity, line, {
      ownsAddress,
      proved: () => workerEvents?.agentCame({ line, user, host, port, ownsAddress: true }),
      ended: () => {
        this.#agents.remove(agent);
        workerEvents?.agentLeft(line);
      },
    });
    this.#agents.add(agent);
    workerEvents?.agentCame({ line, user, host, port, ownsAddress });
    return agent;
  }

  /** Ends calls that a port in this place had before it broke down; how many were answered with 2xx. */
  hangUpOrphans(records: readonly DialogRecord[]): Promise<number> {
    return hangUpOrphans(this.#core, records);
  }

  async #send(message: SipMessage, target: Target, outcome: (outcome: SendOutcome) => void): Promise<void> {
    if (message.kind === "response" && !message.headers.has("Server")) {
      message.headers.add("Server", this.#core.userAgent); // RFC 3261 section 20.35; requests say User-Agent
    }
    try {
      outcome(await this.#transmit(message, target));
    } catch (error) {
      this.#log.error("internal error: outcome of a SIP message", error);
    }
  }

  async #transmit(message: SipMessage, target: Target): Promise<SendOutcome> {
    try {
      return await this.#transport.send(message, target);
    } catch (error) {
      this.#log.error("internal error: sending a SIP message", error);
      return { type: "failed", reason: messageOf(error) };
    }
  }

  /** A failure here is our bug: the sender hears 500 and everybody else goes on. */
  #receive(request: SipRequest, transaction: ServerTransactionHandle): void {
    try {
      this.#dispatch(request, transaction);
    } catch (error) {
      this.#log.error(`internal error: SIP ${request.method}`, error);
      transaction.reply(500);
    }
  }

  /** RFC 3261 section 21.5.4; true when the request was answered. */
  #refuseNew({ method }: SipRequest, transaction: ServerTransactionHandle): boolean {
    const seconds = method === "INVITE" || method === "OPTIONS" ? this.#overload?.(method) ?? null : null;
    if (seconds === null) return false;
    const response = transaction.createResponse(503);
    response.headers.set("Retry-After", String(seconds));
    transaction.respond(response);
    return true;
  }

  /** What nobody here is for was answered by the request filter, or dropped. */
  #dispatch(request: SipRequest, transaction: ServerTransactionHandle): void {
    const refusal = refusalOf(request);
    if (refusal !== null) return void transaction.respond(refusal);
    if (tagOf(request.headers.get("To")) !== null) {
      return this.#core.dialogs.find(request)?.receive(request, transaction);
    }
    const found = this.#agents.find(request.uri);
    if (found.type !== "agent" || this.#refuseNew(request, transaction)) return;
    found.agent.receive(request, transaction);
  }

  /** Ends every user agent (2 s at most), then the port. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#agents.all()].map((agent) => agent[Symbol.asyncDispose]()));
    this.#keepAlives[Symbol.dispose]();
    this.#layer[Symbol.dispose]();
    this.#transport.onMessage = null;
    this.#transport.onBroken = null;
    await this.#transport[Symbol.asyncDispose]();
  }
}

const REASON = 'SIP ;cause=500 ;text="the gateway broke down"';

/**
 * Sends the BYEs and waits for their answers; how many were answered with 2xx. Challenges are refusals here: nobody
 * knows the password any more.
 */
async function hangUpOrphans(core: SipCore, records: readonly DialogRecord[]): Promise<number> {
  const statuses = await Promise.all(records.map((record) => hangUp(core, record)));
  return statuses.filter((status) => status >= 200 && status < 300).length;
}

async function hangUp(core: SipCore, record: DialogRecord): Promise<number> {
  const dialog = restored(core, record);
  if (dialog === null) return 0;
  const identity = { aor: dialog.local.uri, displayName: null, username: null, password: null };
  const { log } = core;
  const nobody = {
    proxy: null,
    serviceRoute: new ServiceRoute(),
    line: "",
    credentials: null,
    endings: new Set<Ending>(),
  };
  const agent: AgentContext = { core, identity, log, ...nobody };
  let status = 0;
  await inBackground(agent, "Ending an orphaned call", async () => {
    const link = new CallDialog({ agent, dialog, fallback: record.fallback });
    status = statusOf(await link.bye(REASON));
    log.debug(`BYE of orphaned call ${dialog.callId} answered with ${status}`);
  });
  return status;
}

function restored(core: SipCore, record: DialogRecord): Dialog | null {
  try {
    return Dialog.restore(record);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    core.log.warn(`orphaned call cannot be hung up: ${error.message}`);
    return null;
  }
}
