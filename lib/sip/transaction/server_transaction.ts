// One server transaction: a request that came in, its responses and their retransmissions, as two tables.
// RFC 3261 17.2 with the Accepted state of RFC 6026 7.1. The repetition of a 2xx until its ACK is not the
// transaction's (13.3.1.4): see server_transactions.ts.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { createResponse } from "../message/message.ts";
import { type TimerName, TimerSet, type TimerTable, timerTable, type TimerValues } from "./timers.ts";

/** States of both machines: "trying" is for requests other than INVITE, "accepted" and "confirmed" for INVITE. */
type ServerTransactionState =
  | "trying"
  | "proceeding"
  | "completed"
  | "accepted"
  | "confirmed"
  | "terminated";

type ServerTimer = Extract<TimerName, "100" | "G" | "H" | "I" | "J" | "L">;
type Input =
  | "request"
  | "ACK"
  | "send 1xx"
  | "send 2xx"
  | "send 3xx-6xx"
  | "transport error"
  | `timer ${ServerTimer}`;
type Action =
  | "send response"
  | "resend response"
  | "send 100"
  | "report missing ACK"
  | "report transport error"
  | "double G"
  | `start ${ServerTimer}`
  | `stop ${ServerTimer}`;
type Rule = readonly [next: ServerTransactionState, ...actions: readonly Action[]];
type Table = Partial<Record<ServerTransactionState, Partial<Record<Input, Rule>>>>;

const inviteTable: Table = {
  proceeding: {
    "request": ["proceeding", "resend response"], // RFC 3261 17.2.1: the latest provisional response
    "timer 100": ["proceeding", "send 100"], // 17.2.1: the TU was silent for 200 ms
    "send 1xx": ["proceeding", "stop 100", "send response"], // 17.2.1
    "send 2xx": ["accepted", "stop 100", "start L", "send response"], // RFC 6026 7.1
    "send 3xx-6xx": ["completed", "stop 100", "start H", "start G", "send response"], // 17.2.1
    "transport error": ["proceeding", "report transport error"], // RFC 6026 8.7 (for 17.2.4)
  },
  completed: {
    "request": ["completed", "resend response"], // 17.2.1
    "timer G": ["completed", "resend response", "double G"], // 17.2.1
    "timer H": ["terminated", "report missing ACK"], // 17.2.1
    "ACK": ["confirmed", "stop G", "stop H", "start I"], // 17.2.1
    "transport error": ["completed", "report transport error"], // RFC 6026 8.7
  },
  confirmed: {
    "timer I": ["terminated"], // 17.2.1; ACK and INVITE retransmissions are absorbed
  },
  accepted: {
    "send 2xx": ["accepted", "send response"], // RFC 6026 7.1: the TU repeats its 2xx
    "timer L": ["terminated"], // RFC 6026 7.1; INVITE retransmissions are absorbed
    "transport error": ["accepted", "report transport error"], // RFC 6026 7.1
  },
};

const otherTable: Table = {
  trying: {
    "send 1xx": ["proceeding", "send response"], // RFC 3261 17.2.2; request retransmissions are absorbed
    "send 2xx": ["completed", "start J", "send response"], // 17.2.2
    "send 3xx-6xx": ["completed", "start J", "send response"], // 17.2.2
  },
  proceeding: {
    "request": ["proceeding", "resend response"], // 17.2.2
    "send 1xx": ["proceeding", "send response"], // 17.2.2
    "send 2xx": ["completed", "start J", "send response"], // 17.2.2
    "send 3xx-6xx": ["completed", "start J", "send response"], // 17.2.2
    "transport error": ["proceeding", "report transport error"], // 17.2.4 as of RFC 6026 8.7
  },
  completed: {
    "request": ["completed", "resend response"], // 17.2.2
    "transport error": ["completed", "report transport error"], // 17.2.4 as of RFC 6026 8.7
    "timer J": ["terminated"], // 17.2.2
  },
};

/** What a server transaction tells its owner. */
interface ServerTransactionOutlets {
  send(response: SipResponse): void;
  /** No ACK came for a 3xx-6xx response to an INVITE (timer H). */
  timeout(): void;
  /** A response could not be sent; the transaction stays. */
  transportError(): void;
  /** Terminated: forget this transaction. Called once. */
  ended(): void;
}

interface ServerTransactionOptions {
  readonly request: SipRequest;
  /** True over TCP: nothing is retransmitted. */
  readonly reliable: boolean;
  /** T1, T2, T4. */
  readonly timers: TimerValues;
  /** Where the timers run. */
  readonly clock: Clock;
  /** Where everything comes out. */
  readonly outlets: ServerTransactionOutlets;
}

/** The INVITE (17.2.1) or non-INVITE (17.2.2) server transaction, by the method of its request. */
export class ServerTransaction implements Disposable {
  readonly request: SipRequest;
  readonly #table: Table;
  readonly #times: TimerTable;
  readonly #values: TimerValues;
  readonly #outlets: ServerTransactionOutlets;
  readonly #timers: TimerSet<ServerTimer>;
  #state: ServerTransactionState;
  #resendMs: number;
  #lastResponse: SipResponse | null = null;

  /** The transaction starts to run at once. */
  constructor(options: ServerTransactionOptions) {
    const invite = options.request.method === "INVITE";
    this.request = options.request;
    this.#table = invite ? inviteTable : otherTable;
    this.#state = invite ? "proceeding" : "trying";
    this.#values = options.timers;
    this.#times = timerTable(options.timers, options.reliable);
    this.#resendMs = options.timers.t1;
    this.#outlets = options.outlets;
    this.#timers = new TimerSet(options.clock, (name) => void this.#take(`timer ${name}`));
    if (invite) this.#timers.start("100", this.#times["100"]);
  }

  /** Where the machine stands. */
  get state(): ServerTransactionState {
    return this.#state;
  }

  get lastResponse(): SipResponse | null {
    return this.#lastResponse;
  }

  /** Takes a retransmission of the request (17.2.3). */
  receive(): void {
    this.#take("request");
  }

  /** Takes the ACK for a 3xx-6xx response (17.2.1). */
  receiveAck(): void {
    this.#take("ACK");
  }

  /** Sends a response of the TU; false when it comes too late and was thrown away. */
  respond(response: SipResponse): boolean {
    const { status } = response;
    const input = status < 200 ? "send 1xx" : status < 300 ? "send 2xx" : "send 3xx-6xx";
    return this.#take(input, response);
  }

  /** Takes the news that the transport could not deliver a response (17.2.4). */
  transportFailed(): void {
    this.#take("transport error");
  }

  /** Ends the transaction silently. */
  [Symbol.dispose](): void {
    if (this.#state !== "terminated") this.#enter("terminated");
  }

  #take(input: Input, response: SipResponse | null = null): boolean {
    const rule = this.#table[this.#state]?.[input];
    if (rule === undefined) return false; // absorbed
    const [next, ...actions] = rule;
    if (response !== null) this.#lastResponse = response;
    if (next !== this.#state) this.#enter(next);
    for (const action of actions) this.#perform(action);
    return true;
  }

  #enter(next: ServerTransactionState): void {
    this.#state = next;
    if (next !== "terminated") return;
    this.#timers[Symbol.dispose]();
    this.#outlets.ended();
  }

  #perform(action: Action): void {
    switch (action) {
      case "send response":
      case "resend response":
        return this.#lastResponse === null ? undefined : this.#outlets.send(this.#lastResponse);
      case "send 100":
        return this.#sendTrying();
      case "report missing ACK":
        return this.#outlets.timeout();
      case "report transport error":
        return this.#outlets.transportError();
      case "double G": // 17.2.1
        return this.#resendAfter(Math.min(2 * this.#resendMs, this.#values.t2));
      default:
        return this.#switchTimer(action);
    }
  }

  /** RFC 3261 8.2.6.1: no To tag in a 100. */
  #sendTrying(): void {
    this.#lastResponse = createResponse(this.request, 100);
    this.#outlets.send(this.#lastResponse);
  }

  #resendAfter(ms: number): void {
    this.#resendMs = ms;
    this.#timers.start("G", ms);
  }

  #switchTimer(action: `start ${ServerTimer}` | `stop ${ServerTimer}`): void {
    const [verb, name] = action.split(" ") as ["start" | "stop", ServerTimer];
    if (verb === "start") this.#timers.start(name, this.#times[name]);
    else this.#timers.stop(name);
  }
}
