// A request that is kept for the rare case that it is needed again, as text: that takes a fifth of what its headers
// take one by one, and thousands wait at a time (RFC 3261 13.2.2.4: an ACK waits 32 s for repetitions of its 2xx).
// Role: wire

import { SipHeaders } from "../message/header.ts";
import type { SipRequest } from "../message/message.ts";
import { formatSipUri, parseSipUri } from "../message/uri.ts";

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

  /** A request equal to the one that was kept. */
  restore(): SipRequest {
    const headers = new SipHeaders(JSON.parse(this.#headers) as [name: string, value: string][]);
    return { kind: "request", method: this.#method, uri: parseSipUri(this.#uri), headers, body: this.#body };
  }
}
