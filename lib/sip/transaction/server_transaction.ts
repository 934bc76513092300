// One server transaction: a request that came in, its responses and their retransmissions, as two tables.
// RFC 3261 17.2 with the Accepted state of RFC 6026 7.1. The repetition of a 2xx until its ACK is not the
// transaction's (13.3.1.4): see server_transactions.ts.
// Role: machine

import type { SipRequest, SipResponse } from "../message/message.ts";
import { createResponse } from "../message/message.ts";
import { type MachineOptions, type TimerName, TransactionMachine, type TransactionTable } from "./timers.ts";

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
  | "transport error";
type Action =
  | "send response"
  | "resend response"
  | "send 100"
  | "report missing ACK"
  | "report transport error"
  | "double G";
type Table = TransactionTable<
  ServerTransactionState,
  Input | `timer ${ServerTimer}`,
  Action | `start ${ServerTimer}` | `stop ${ServerTimer}`
>;

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

interface ServerTransactionOptions extends MachineOptions {
  readonly request: SipRequest;
  /** Where everything comes out. */
  readonly outlets: ServerTransactionOutlets;
}

/** The INVITE (17.2.1) or non-INVITE (17.2.2) server transaction, by the method of its request. */
export class ServerTransaction
  extends TransactionMachine<ServerTransactionState, ServerTimer, Input, Action, SipResponse> {
  readonly request: SipRequest;
  readonly #outlets: ServerTransactionOutlets;
  #lastResponse: SipResponse | null = null;

  /** The transaction starts to run at once. */
  constructor(options: ServerTransactionOptions) {
    const invite = options.request.method === "INVITE";
    super(invite ? inviteTable : otherTable, invite ? "proceeding" : "trying", options);
    this.request = options.request;
    this.#outlets = options.outlets;
    if (invite) this.timers.start("100", this.times["100"]);
  }

  get lastResponse(): SipResponse | null {
    return this.#lastResponse;
  }

  /** Takes a retransmission of the request (17.2.3). */
  receive(): void {
    this.take("request");
  }

  /** Takes the ACK for a 3xx-6xx response (17.2.1). */
  receiveAck(): void {
    this.take("ACK");
  }

  /** Sends a response of the TU; false when it comes too late and was thrown away. */
  respond(response: SipResponse): boolean {
    const { status } = response;
    return this.take(status < 200 ? "send 1xx" : status < 300 ? "send 2xx" : "send 3xx-6xx", response);
  }

  /** Takes the news that the transport could not deliver a response (17.2.4). */
  transportFailed(): void {
    this.take("transport error");
  }

  protected override ended(): void {
    this.#outlets.ended();
  }

  protected override taken(response: SipResponse): void {
    this.#lastResponse = response;
  }

  protected override perform(action: Action): void {
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
        return this.resendLater("G", this.values.t2);
    }
  }

  /** RFC 3261 8.2.6.1: no To tag in a 100. */
  #sendTrying(): void {
    this.#lastResponse = createResponse(this.request, 100);
    this.#outlets.send(this.#lastResponse);
  }
}
