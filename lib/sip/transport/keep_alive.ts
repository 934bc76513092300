// Keeps the flows open along which users are registered, so that a NAT between us and the registrar lets its
// INVITEs through (RFC 5626 4.4, 8). One keep-alive per flow, however many users are registered along it.
// Role: machine

import { toHex } from "../../base/bytes.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../net/endpoint.ts";
import { STUN_ID_BYTES, type StunOutcome, StunQuery } from "../../net/stun.ts";
import type { SipRequest } from "../message/message.ts";
import type { KeepAliveAnswer } from "./receiver.ts";
import { type Flow, formatTarget, type Target, targetOf } from "../message/target.ts";
import type { TransactionLayer } from "../transaction/transaction_layer.ts";
import { isReliable } from "../message/transports.ts";
import type { Runtime } from "../../base/runtime.ts";

/** How a flow is kept open; "off": it is not. */
export type KeepAliveMethod = "crlf" | "stun" | "options" | "off";

export interface KeepAliveSettings {
  readonly method: KeepAliveMethod;
  /** Longest time between two keep-alives of a flow, in milliseconds; each time is 80 to 100 % of it. */
  readonly periodMs: number;
}

export const NO_KEEP_ALIVE: KeepAliveSettings = { method: "off", periodMs: 25_000 };

/** Flows kept open at a time; further ones live without. */
export const MAX_KEPT_FLOWS = 1024;
/** A CRLF must be answered within this time (RFC 5626 4.4.1), in milliseconds. */
export const PONG_MS = 10_000;

interface FlowHolder {
  /** A new OPTIONS request for the server at the end of the flow. */
  createOptions(): SipRequest;
  /** The flow has failed: register again. */
  flowFailed(reason: string): void;
}

interface KeepAliveEnv extends Runtime {
  readonly settings: KeepAliveSettings;
  readonly layer: Pick<TransactionLayer, "request">;
  /** Sends bytes over UDP, CRLFCRLF over an open connection; false without one. */
  readonly send: (bytes: Uint8Array, target: Target) => boolean;
  readonly abandon: (target: Target) => void;
}

const CRLF_CRLF: Uint8Array = new Uint8Array([13, 10, 13, 10]);

/**
 * All flows that are kept open.
 *
 *   method    over UDP                        over TCP
 *   crlf      CRLFCRLF, no answer wanted      CRLFCRLF, answered by CRLF
 *   stun      STUN binding request            CRLFCRLF, answered by CRLF
 *   options   OPTIONS, any answer will do     the same
 *
 * A flow has failed when an answer is missing that came before, or when STUN tells another address than before: its
 * users register anew at once. A server that never answers is left in peace; instead of STUN it gets CRLF.
 */
export class KeepAlives implements Disposable {
  readonly #env: KeepAliveEnv;
  readonly #flows = new Map<string, KeptFlow>();

  /** Nothing runs before the first hold(). */
  constructor(env: KeepAliveEnv) {
    this.#env = env;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Keeps the flow to `target` open until the result is disposed. */
  hold(target: Target, holder: FlowHolder): Disposable {
    const key = formatTarget(target);
    if (this.#env.settings.method === "off") return { [Symbol.dispose]: () => {} };
    const flow = this.#flows.get(key) ?? this.#open(key, target);
    flow?.holders.add(holder);
    return { [Symbol.dispose]: () => this.#release(key, holder) };
  }

  answered(answer: KeepAliveAnswer, flow: Flow): void {
    this.#flows.get(formatTarget(targetOf(flow)))?.receive(answer);
  }

  /** Something came along a flow: it lives. */
  heard(flow: Flow): void {
    if (isReliable(flow.transport) && this.#flows.size > 0) {
      this.#flows.get(formatTarget(targetOf(flow)))?.heard();
    }
  }

  [Symbol.dispose](): void {
    for (const flow of this.#flows.values()) flow[Symbol.dispose]();
    this.#flows.clear();
  }

  #open(key: string, target: Target): KeptFlow | null {
    if (this.#flows.size >= MAX_KEPT_FLOWS) {
      this.#env.log.debug(`no keep-alives to ${key}: ${MAX_KEPT_FLOWS} flows are kept open already`);
      return null;
    }
    const flow = new KeptFlow(target, this.#env);
    this.#flows.set(key, flow);
    return flow;
  }

  #release(key: string, holder: FlowHolder): void {
    const flow = this.#flows.get(key);
    if (flow === undefined || !flow.holders.delete(holder) || flow.holders.size > 0) return;
    this.#flows.delete(key);
    flow[Symbol.dispose]();
  }
}

/** One flow. At most one question is on its way at a time. */
class KeptFlow implements Disposable {
  readonly holders = new Set<FlowHolder>();
  readonly #target: Target;
  readonly #env: KeepAliveEnv;
  #timer: Disposable;
  #waiting: StunQuery | Disposable | null = null;
  /** True once the peer has answered: then silence means failure. */
  #answers = false;
  #mapped: Endpoint | null = null;
  #method: "crlf" | "stun" | "options";

  constructor(target: Target, env: KeepAliveEnv) {
    const { method } = env.settings;
    this.#target = target;
    this.#env = env;
    this.#method = method === "stun" && !isReliable(target.transport) || method === "options"
      ? method
      : "crlf";
    this.#timer = this.#schedule();
  }

  receive(answer: KeepAliveAnswer): void {
    if (answer.type === "stun") {
      if (this.#waiting instanceof StunQuery) this.#waiting.receive(answer.message);
    } else if (this.#method === "crlf") {
      this.#answers = true;
      this.#stopWaiting();
    }
  }

  /** Ends the wait for a CRLF; a STUN or SIP answer has its own end. */
  heard(): void {
    if (this.#method === "crlf") this.#stopWaiting();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#stopWaiting();
  }

  /** RFC 5626 4.4.1: between 80 and 100 % of the period. */
  #schedule(): Disposable {
    const { clock, random, settings } = this.#env;
    return clock.after(settings.periodMs * (0.8 + random.float() / 5), () => {
      this.#timer = this.#schedule();
      if (this.#waiting === null) this.#ping();
    });
  }

  #ping(): void {
    switch (this.#method) {
      case "crlf":
        return this.#pingCrlf();
      case "stun":
        return this.#pingStun();
      case "options":
        return this.#pingOptions();
    }
  }

  #pingCrlf(): void {
    const sent = this.#env.send(CRLF_CRLF, this.#target);
    if (!sent || !this.#answers || !isReliable(this.#target.transport)) return;
    this.#waiting = this.#env.clock.after(PONG_MS, () => this.#fail("keep-alive timeout"));
  }

  #pingStun(): void {
    const { clock, random } = this.#env;
    const query = new StunQuery({
      clock,
      id: toHex(random.bytes(STUN_ID_BYTES)),
      send: (bytes) => void this.#env.send(bytes, this.#target),
      onOutcome: (outcome) => this.#stunEnded(outcome),
    });
    this.#waiting = query;
    query.start();
  }

  /** RFC 5626 8: another mapped address means that the NAT has forgotten the flow. */
  #stunEnded(outcome: StunOutcome): void {
    this.#waiting = null;
    if (outcome.type === "mapped") {
      const before = this.#mapped;
      this.#mapped = outcome.mapped;
      this.#answers = true;
      if (before === null || sameEndpoint(before, outcome.mapped)) return;
      this.#fail(`it sees us at ${formatEndpoint(outcome.mapped)} now, not at ${formatEndpoint(before)}`);
      this.#mapped = outcome.mapped;
      this.#answers = true;
    } else if (this.#answers) this.#fail("STUN timeout");
    else {
      this.#method = "crlf";
      this.#env.log.info(
        `${formatTarget(this.#target)} does not speak STUN: keep-alives are CRLF from now on`,
      );
      this.#ping();
    }
  }

  #pingOptions(): void {
    const [holder] = this.holders;
    if (holder === undefined) return;
    let over = false;
    const end = (failure: string | null): void => {
      if (over) return;
      over = true;
      this.#waiting = null;
      if (failure === null) this.#answers = true;
      else if (this.#answers) this.#fail(failure);
    };
    this.#waiting = { [Symbol.dispose]: () => void (over = true) };
    this.#env.layer.request(holder.createOptions(), [this.#target], {
      response: (response) => response.status >= 200 && end(null),
      timeout: () => end("OPTIONS timeout"),
      transportError: (reason) => end(reason),
    });
  }

  #stopWaiting(): void {
    this.#waiting?.[Symbol.dispose]();
    this.#waiting = null;
  }

  #fail(reason: string): void {
    this.#stopWaiting();
    this.#answers = false;
    this.#mapped = null;
    this.#env.log.warn(`flow to ${formatTarget(this.#target)} lost (${reason}), re-registering`);
    this.#env.abandon(this.#target);
    for (const holder of [...this.holders]) holder.flowFailed(reason);
  }
}
