// A response that is kept for the repetitions of its request, as text: thousands of them wait at a time for 64*T1 (RFC
// 3261 17.2.2, timer J), and nothing else of the transaction is needed.
// Role: wire

import { SipHeaders } from "../message/header.ts";
import type { SipResponse } from "../message/message.ts";

export class KeptResponse {
  readonly #status: number;
  readonly #reason: string;
  readonly #headers: string;
  readonly #body: Uint8Array;

  /** Takes the text; what becomes of the response later does not matter. Its body is shared. */
  constructor({ status, reason, headers, body }: SipResponse) {
    this.#status = status;
    this.#reason = reason;
    this.#headers = JSON.stringify([...headers.entries()]); // flat: no part of the datagram is held
    this.#body = body;
  }

  /** A response equal to the one that was kept. */
  restore(): SipResponse {
    const headers = new SipHeaders(JSON.parse(this.#headers) as [name: string, value: string][]);
    return { kind: "response", status: this.#status, reason: this.#reason, headers, body: this.#body };
  }
}
