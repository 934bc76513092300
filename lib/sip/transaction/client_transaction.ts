// One client transaction: a request, its retransmissions and its responses, as two explicit tables. RFC 3261 17.1 with the
// Accepted state of RFC 6026 7.2. Its ACK for final responses other than 2xx (17.1.1.3) and its CANCEL (9.1) are made here.
// Role: machine

import { WireError } from "../../base/errors.ts";
import { formatCSeq, SipHeaders } from "../message/header.ts";
import { cseqOf } from "../message/matching.ts";
import { NO_BODY, type SipRequest, type SipResponse, tagOf, withTag } from "../message/message.ts";
import { parseNameAddr } from "../message/name_addr.ts";
import { formatSipUri, parseSipUri } from "../message/uri.ts";
import {
  type MachineOptions,
  type TimerName,
  timerTable,
  TransactionMachine,
  type TransactionTable,
} from "./timers.ts";

/** States of both machines: "calling" and "accepted" are for INVITE, "trying" for the others. */
type ClientTransactionState =
  | "calling"
  | "trying"
  | "proceeding"
  | "completed"
  | "accepted"
  | "terminated";

type ClientTimer = Extract<TimerName, "A" | "B" | "D" | "E" | "F" | "K" | "M">;
type Input = "1xx" | "2xx" | "3xx-6xx" | "transport error";
type Action =
  | "send request"
  | "send ACK"
  | "pass response"
  | "report timeout"
  | "report transport error"
  | "double A"
  | "double E"
  | "E at T2";
type Table = TransactionTable<
  ClientTransactionState,
  Input | `timer ${ClientTimer}`,
  Action | `start ${ClientTimer}` | `stop ${ClientTimer}`
>;

const inviteTable: Table = {
  calling: {
    "timer A": ["calling", "send request", "double A"], // RFC 3261 17.1.1.2
    "timer B": ["terminated", "report timeout"], // 17.1.1.2
    "transport error": ["terminated", "report transport error"], // 17.1.1.2, 17.1.4
    "1xx": ["proceeding", "stop A", "stop B", "pass response"], // 17.1.1.2
    "2xx": ["accepted", "stop A", "stop B", "start M", "pass response"], // RFC 6026 7.2
    "3xx-6xx": ["completed", "stop A", "stop B", "start D", "send ACK", "pass response"], // 17.1.1.2
  },
  proceeding: {
    "1xx": ["proceeding", "pass response"], // 17.1.1.2
    "2xx": ["accepted", "start M", "pass response"], // RFC 6026 7.2
    "3xx-6xx": ["completed", "start D", "send ACK", "pass response"], // 17.1.1.2
    "transport error": ["terminated", "report transport error"], // 17.1.4
  },
  completed: {
    "3xx-6xx": ["completed", "send ACK"], // 17.1.1.2: retransmission, not passed up again
    "transport error": ["terminated", "report transport error"], // 17.1.1.2: the ACK could not be sent
    "timer D": ["terminated"], // 17.1.1.2
  },
  accepted: {
    "2xx": ["accepted", "pass response"], // RFC 6026 7.2: retransmitted or from another fork
    "timer M": ["terminated"], // RFC 6026 7.2
  },
};

const otherTable: Table = {
  trying: {
    "timer E": ["trying", "send request", "double E"], // RFC 3261 17.1.2.2
    "timer F": ["terminated", "report timeout"], // 17.1.2.2
    "transport error": ["terminated", "report transport error"], // 17.1.2.2, 17.1.4
    "1xx": ["proceeding", "pass response"], // 17.1.2.2: E and F run on
    "2xx": ["completed", "stop E", "stop F", "start K", "pass response"], // 17.1.2.2
    "3xx-6xx": ["completed", "stop E", "stop F", "start K", "pass response"], // 17.1.2.2
  },
  proceeding: {
    "timer E": ["proceeding", "send request", "E at T2"], // 17.1.2.2
    "timer F": ["terminated", "report timeout"], // 17.1.2.2
    "transport error": ["terminated", "report transport error"], // 17.1.2.2, 17.1.4
    "1xx": ["proceeding", "pass response"], // 17.1.2.2
    "2xx": ["completed", "stop E", "stop F", "start K", "pass response"], // 17.1.2.2
    "3xx-6xx": ["completed", "stop E", "stop F", "start K", "pass response"], // 17.1.2.2
  },
  completed: {
    "timer K": ["terminated"], // 17.1.2.2; everything else is absorbed
  },
};

/** What a client transaction tells its owner. */
export interface ClientTransactionOutlets {
  /** Put this request or ACK on the wire, every time over the same target. */
  send(request: SipRequest): void;
  /** A response for the TU: every 1xx, the first final one, and every 2xx to an INVITE. */
  response(response: SipResponse): void;
  /** No response in time (timer B or F). */
  timeout(): void;
  /** The request, or the ACK of a final response, could not be sent. */
  transportError(): void;
  /** Terminated: forget this transaction. Called once, before the outlet that says why. */
  ended(): void;
}

const DEAF: Omit<ClientTransactionOutlets, "ended"> = {
  send: () => {},
  response: () => {},
  timeout: () => {},
  transportError: () => {},
};

interface ClientTransactionOptions extends MachineOptions {
  readonly request: SipRequest;
  /** Where everything comes out. */
  readonly outlets: ClientTransactionOutlets;
}

/** The INVITE (17.1.1) or non-INVITE (17.1.2) client transaction, by the method of its request. */
export class ClientTransaction
  extends TransactionMachine<ClientTransactionState, ClientTimer, Input, Action, SipResponse> {
  #request: SipRequest | null;
  readonly #invite: boolean;
  #outlets: ClientTransactionOutlets;
  #ack: SipRequest | null = null;

  /** Prepares the transaction; nothing is sent before `start()`. */
  constructor(options: ClientTransactionOptions) {
    const invite = options.request.method === "INVITE";
    super(invite ? inviteTable : otherTable, invite ? "calling" : "trying", options);
    this.#request = options.request;
    this.#invite = invite;
    this.#outlets = options.outlets;
  }

  /** Sends the request and starts the first timers (17.1.1.2, 17.1.2.2). */
  start(): void {
    this.timers.start(this.#invite ? "B" : "F", this.times[this.#invite ? "B" : "F"]);
    this.timers.start(this.#invite ? "A" : "E", this.times[this.#invite ? "A" : "E"]);
    this.#sendRequest();
  }

  /** Takes a response that matches this transaction (17.1.3); false when the state has no use for it. */
  receive(response: SipResponse): boolean {
    const input = response.status < 200 ? "1xx" : response.status < 300 ? "2xx" : "3xx-6xx";
    const taken = this.take(input, response);
    if (taken && this.state === "completed" && !this.#invite) this.#forgetRequest();
    return taken;
  }

  /** Takes the news that the transport could not deliver the request or the ACK (17.1.4). */
  transportFailed(): void {
    this.take("transport error");
  }

  /** The request went by TCP although UDP was meant (18.1.1): no more retransmissions, no waiting for any. */
  becomeReliable(): void {
    this.times = timerTable(this.values, true);
    this.stopSending();
  }

  /** Another target is tried: nothing is sent again, an answer may still come. */
  stopSending(): void {
    this.timers.stop("A");
    this.timers.stop("E");
  }

  protected override ended(): void {
    this.#outlets.ended();
  }

  /** From here on all is absorbed (17.1.2.2): request and owner need not be held for that. */
  #forgetRequest(): void {
    const { ended } = this.#outlets;
    this.#request = null;
    this.#outlets = { ...DEAF, ended };
  }

  #sendRequest(): void {
    if (this.#request !== null) this.#outlets.send(this.#request);
  }

  protected override perform(action: Action, response: SipResponse | null): void {
    switch (action) {
      case "send request":
        return this.#sendRequest();
      case "send ACK":
        return this.#sendAck(response);
      case "pass response":
        return response === null ? undefined : this.#outlets.response(response);
      case "report timeout":
        return this.#outlets.timeout();
      case "report transport error":
        return this.#outlets.transportError();
      case "double A": // 17.1.1.2: no upper limit, timer B ends it
        return this.resendLater("A", Infinity);
      case "double E": // 17.1.2.2
        return this.resendLater("E", this.values.t2);
      case "E at T2": // 17.1.2.2
        return this.timers.start("E", this.values.t2);
    }
  }

  /** The same ACK answers every retransmission of the final response. */
  #sendAck(response: SipResponse | null): void {
    if (this.#ack === null && response !== null && this.#request !== null) {
      this.#ack = createFailureAck(this.#request, response);
    }
    if (this.#ack !== null) this.#outlets.send(this.#ack);
  }
}

const MAX_FORWARDS = "70";

function createSibling(request: SipRequest, method: "ACK" | "CANCEL", to: string | null): SipRequest {
  const headers = new SipHeaders();
  headers.add("Via", request.headers.get("Via") ?? "");
  for (const route of request.headers.all("Route")) headers.add("Route", route);
  headers.add("Max-Forwards", MAX_FORWARDS);
  headers.add("From", request.headers.get("From") ?? "");
  headers.add("To", to ?? "");
  headers.add("Call-ID", request.headers.get("Call-ID") ?? "");
  headers.add("CSeq", formatCSeq({ sequence: cseqOf(request).sequence, method }));
  return { kind: "request", method, uri: request.uri, headers, body: NO_BODY };
}

/**
 * The ACK for a 3xx-6xx response, part of the INVITE's own transaction (RFC 3261 17.1.1.3).
 *
 * @param invite the INVITE as it was sent, with its Via
 */
export function createFailureAck(invite: SipRequest, response: SipResponse): SipRequest {
  return createSibling(invite, "ACK", repeatableTo(invite, response));
}

/**
 * The CANCEL for an INVITE that has had a provisional response (RFC 3261 9.1).
 *
 * @param invite the INVITE as it was sent, with its Via
 */
export function createCancel(invite: SipRequest): SipRequest {
  return createSibling(invite, "CANCEL", invite.headers.get("To"));
}

/** The To of a response, to be sent back; of one that cannot be read only the tag is, behind our own. */
export function repeatableTo(request: SipRequest, response: SipResponse): string {
  const theirs = response.headers.get("To");
  const ours = request.headers.get("To") ?? "";
  if (theirs === null) return ours;
  try {
    parseNameAddr(theirs);
    return theirs;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const tag = tagOf(theirs);
    return tag === null ? ours : withTag(ours, tag);
  }
}

export class KeptRequest {
  readonly #method: string;
  readonly #uri: string;
  readonly #headers: string;
  readonly #body: Uint8Array;

  /** Takes the text; what becomes of the request later does not matter. Its body is shared. */
  constructor({ method, uri, headers, body }: SipRequest) {
    this.#method = method;
    this.#uri = formatSipUri(uri);
    this.#headers = JSON.stringify([...headers.entries()]); // flat: no rope of its parts
    this.#body = body;
  }

  restore(): SipRequest {
    const headers = new SipHeaders(JSON.parse(this.#headers) as [name: string, value: string][]);
    return { kind: "request", method: this.#method, uri: parseSipUri(this.#uri), headers, body: this.#body };
  }
}
