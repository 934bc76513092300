// A STUN server on the network of fake_udp.ts, behind a NAT of the test's making.

import type { Endpoint } from "../../lib/net/endpoint.ts";
import { answerStun, decodeStun, encodeStun } from "../../lib/net/stun.ts";
import type { FakeUdpNetwork, FakeUdpSocket } from "./fake_udp.ts";

/** Answers binding requests until it is closed. */
export class FakeStunServer implements Disposable {
  /** Where the server sees a packet come from; null: it stays silent. */
  seenAs: (from: Endpoint) => Endpoint | null = (from) => from;
  /** Answers with this error instead. */
  refusal: { code: number; reason: string } | null = null;
  /** Requests so far. */
  requests = 0;
  readonly #socket: FakeUdpSocket;

  constructor(network: FakeUdpNetwork, at: Endpoint) {
    this.#socket = network.bind(at);
    void this.#socket.run((bytes, from) => this.#receive(bytes, from));
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    this.requests += 1;
    const message = decodeStun(bytes);
    const seen = this.seenAs(from);
    const answer = this.refusal === null
      ? seen === null ? null : answerStun(message, seen)
      : { type: "error" as const, id: message.id, ...this.refusal, unknown: [] };
    if (answer !== null) this.#socket.send(encodeStun(answer), from);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
