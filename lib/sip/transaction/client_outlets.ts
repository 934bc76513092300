// What the sender of a request hears of it, what its tries need, and how a change of server is told.
// Role: wire

import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { formatEndpoint } from "../../net/endpoint.ts";
import type { ClientTransaction } from "./client_transaction.ts";
import type { Via } from "../message/header.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { SendOutcome, Target } from "../message/target.ts";
import type { TimerValues } from "./timers.ts";

/** What the sender of a request hears. Exactly one end: a final response, `timeout` or `transportError`. */
export interface ClientOutlets {
  /**
   * A response. Every 1xx and the final one; the 2xx of further forks of an INVITE are strays for the layer. The 503
   * of a target that has a successor is not told.
   */
  response(response: SipResponse): void;
  /** No target answered in time, or a cancelled INVITE got no final response within 64*T1. */
  timeout(): void;
  /** No target could be reached. */
  transportError(reason: string): void;
  /** Another target accepted an INVITE as well: the dialog is to be ended. Also after the end was told. */
  surplus?(response: SipResponse, target: Target): void;
  /** The next target is tried. */
  failover?(notice: FailoverNotice): void;
}

/** Why a request goes to another target. */
export interface FailoverNotice {
  readonly from: Target;
  readonly to: Target;
  /** Reads well behind the first. */
  readonly reason: string;
}

/** What a handle needs from the transaction layer. */
export interface ClientSurroundings<Handle> {
  /** Where timers run. */
  readonly clock: Clock;
  /** T1, T2, T4. */
  readonly timers: TimerValues;
  readonly log: Logger;
  /** A Via towards `target` with a new branch. */
  createVia(target: Target): Via;
  /** Hands a request to the transport. */
  send(request: SipRequest, target: Target, outcome: (outcome: SendOutcome) => void): void;
  /** Lets responses with this key find the transaction. */
  register(key: string, transaction: ClientTransaction): void;
  /** The transaction with this key has ended. */
  forget: (key: string) => void;
  /** What belongs to this key from now on is a repetition of an answer: to be dropped for so long. */
  absorb: (key: string, keptMs: number) => void;
  /** True when this 2xx is a repetition; it is answered with the ACK that is known for it. */
  isRepeated(response: SipResponse): boolean;
  /** Nothing but repetitions is to be expected any more. */
  finished(handle: Handle): void;
  /** A target has answered, or is given up. */
  targetTried(target: Target, answered: boolean): void;
}

/** One plain line about it, for the log and for the client. */
export function formatFailover({ from, to, reason }: FailoverNotice): string {
  return `${formatEndpoint(from.endpoint)} failed (${reason}): trying the next server, ${
    formatEndpoint(to.endpoint)
  }`;
}
