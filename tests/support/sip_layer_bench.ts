// A transaction layer on the bench: what it sends is recorded with its way and can be answered or made to fail.
// Role: machine

import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { SipMessage, SipRequest, SipResponse } from "../../lib/sip/message/message.ts";
import type { ServerTransactionHandle } from "../../lib/sip/transaction/server_transaction_handle.ts";
import type { SendOutcome, Target } from "../../lib/sip/message/target.ts";
import {
  TransactionLayer,
  type TransactionLayerOptions,
} from "../../lib/sip/transaction/transaction_layer.ts";
import type { ClientHandle, ClientOutlets } from "../../lib/sip/transaction/client_handle.ts";
import { FakeClock } from "./fake_clock.ts";
import { RecordLog } from "./record_log.ts";
import { flowBy, responseTo } from "./sip_messages.ts";

/** One message that left the layer. */
export interface Sent {
  /** When, by the fake clock. */
  readonly atMs: number;
  /** What. */
  readonly message: SipMessage;
  /** Where to. */
  readonly target: Target;
  /** Tells the layer what became of it. */
  readonly outcome: (outcome: SendOutcome) => void;
}

/** A layer with a fake clock, a recording transport and recording outlets. */
export class LayerBench implements Disposable {
  /** Turned by the test. */
  readonly clock = new FakeClock();
  /** What the layer logs. */
  readonly log = new RecordLog();
  /** Everything sent, oldest first. */
  readonly sent: Sent[] = [];
  /** What came up: "INVITE", "ACK", "stray 200", and from handles "180", "timeout", "transport error: why". */
  readonly told: string[] = [];
  /** Targets that answered ("+") or were given up ("-"): "- 192.0.2.1". */
  readonly tried: string[] = [];
  /** Server handles of the requests that came up. */
  readonly transactions: ServerTransactionHandle[] = [];
  /** The layer. */
  readonly layer: TransactionLayer;

  /** Starts with the RFC's timers. */
  constructor(options: Partial<TransactionLayerOptions> = {}) {
    this.layer = new TransactionLayer({
      clock: this.clock,
      random: seededRandom(1),
      log: this.log,
      sentBy: () => ({ host: "192.0.2.99", port: 5070 }),
      send: (message, target, outcome) => {
        this.sent.push({ atMs: this.clock.now(), message, target, outcome });
      },
      targetTried: ({ endpoint }, answered) =>
        void this.tried.push(`${answered ? "+" : "-"} ${endpoint.hostname}`),
      ...options,
    });
    this.layer.onRequest = (request, transaction) => {
      this.told.push(request.method);
      this.transactions.push(transaction);
    };
    this.layer.onAck = () => void this.told.push("ACK");
    this.layer.onStray = (response) => void this.told.push(`stray ${response.status}`);
  }

  /** Nothing may be left on the clock afterwards. */
  [Symbol.dispose](): void {
    this.layer[Symbol.dispose]();
    assert.equal(this.clock.pending, 0, "timers are left");
    assert.deepEqual([this.layer.clientCount, this.layer.serverCount], [0, 0]);
  }

  /** Sends a request; what its outlets hear goes to `told`. */
  request(request: SipRequest, targets: readonly Target[]): ClientHandle {
    const outlets: ClientOutlets = {
      response: (response) => void this.told.push(String(response.status)),
      timeout: () => void this.told.push("timeout"),
      transportError: (reason) => void this.told.push(`transport error: ${reason}`),
      surplus: ({ status }, target) => void this.told.push(`surplus ${status} ${target.endpoint.hostname}`),
    };
    return this.layer.request(request, targets, outlets);
  }

  /** The peer answers the given request of ours (the latest INVITE, BYE, ... when left out). */
  answer(status: number, toTag?: string, request: SipRequest = this.lastRequest()): SipResponse {
    const response = responseTo(request, status, toTag);
    this.layer.receive(response, flowBy());
    return response;
  }

  /** A message of the peer arrives. */
  receive(message: SipMessage, transport: "udp" | "tcp" = "udp"): void {
    this.layer.receive(message, flowBy(transport));
  }

  /** The latest request sent that is not an ACK. */
  lastRequest(): SipRequest {
    const message = this.sent.map((sent) => sent.message).findLast((m) =>
      m.kind === "request" && m.method !== "ACK"
    );
    assert.ok(message?.kind === "request");
    return message;
  }

  /** The latest message sent. */
  last(): Sent {
    const sent = this.sent.at(-1);
    assert.ok(sent);
    return sent;
  }

  /** What was sent since the last call of this, as "INVITE 192.0.2.1" and "200". */
  takeSent(): string[] {
    return this.sent.slice(this.#taken, this.#taken = this.sent.length).map(({ message, target }) =>
      message.kind === "request" ? `${message.method} ${target.endpoint.hostname}` : String(message.status)
    );
  }

  /** What was told since the last call of this. */
  takeTold(): string[] {
    return this.told.splice(0);
  }

  #taken = 0;
}
