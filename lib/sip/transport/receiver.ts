// What every received message passes: the source is noted in the Via, bad messages are answered 400 where that is
// possible and dropped and counted where not, and nothing that happens above can stop the receiving.
// Role: edge

import { decodeUtf8 } from "../../base/bytes.ts";
import { nullIfMalformed, WireError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { formatEndpoint } from "../../net/endpoint.ts";
import { answerStun, decodeStun, encodeStun, isStun, type StunMessage } from "../../net/stun.ts";
import {
  createResponse,
  messageText,
  messageTitle,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/message.ts";
import { SipParseError } from "../message/message_head.ts";
import { decodeSipDatagram, isKeepAlive } from "../message/parser.ts";
import { type Flow, formatTarget, recordSource, targetOf } from "../message/target.ts";
import type { SipUri } from "../message/uri.ts";
import type { Runtime } from "../../base/runtime.ts";

export interface TransportStats {
  received: number;
  refused: number;
  /** Malformed messages that could not be answered. */
  dropped: number;
  keepAlives: number;
  sent: number;
}

/** Judges what comes before it is read, and what could not be read. Addresses are IP addresses. */
export interface DatagramFilter {
  /**
   * Whether to drop this datagram before it is parsed. The bytes are borrowed.
   * @param isElsewhere whose users are not here but can be reached through here
   */
  dropsUnread(bytes: Uint8Array, address: string, isElsewhere?: (uri: SipUri) => boolean): boolean;
  /** A message could not be parsed; false: it is neither answered nor told. */
  malformed(address: string): boolean;
}

interface ReceiverEnv extends Pick<Runtime, "clock" | "log"> {
  /** Judges bad traffic; all of it is answered and told when left out, or while it gives null. */
  readonly filter?: () => DatagramFilter | null;
  readonly onMessage: (message: SipMessage, flow: Flow) => void;
  readonly answer: (response: SipResponse, flow: Flow) => void;
  readonly answerStun: (bytes: Uint8Array, flow: Flow) => void;
  readonly onKeepAliveAnswer: (answer: KeepAliveAnswer, flow: Flow) => void;
}

/** What answers a keep-alive: a CRLF over TCP, a STUN message over UDP. */
export type KeepAliveAnswer =
  | { readonly type: "pong" }
  | { readonly type: "stun"; readonly message: StunMessage };

/** Complaints about peers: one in this time, the rest is counted. */
const COMPLAINT_PERIOD_MS = 10_000;

export class Receiver {
  /** Counters; `sent` belongs to the transport. */
  readonly stats: TransportStats = { received: 0, refused: 0, dropped: 0, keepAlives: 0, sent: 0 };
  readonly #env: ReceiverEnv;
  readonly #wire: Logger;
  #complainedMs = -Infinity;
  #silenced = 0;

  constructor(env: ReceiverEnv) {
    this.#env = env;
    this.#wire = env.log.category("sip.wire");
  }

  /** One datagram; the bytes are borrowed. */
  datagram(bytes: Uint8Array, flow: Flow): void {
    if (isKeepAlive(bytes)) return isStun(bytes) ? this.#stun(bytes, flow) : this.keepAlive();
    if (this.#env.filter?.()?.dropsUnread(bytes, flow.remote.hostname)) return void this.stats.dropped++;
    try {
      const { message, warnings } = decodeSipDatagram(bytes);
      this.message(message, warnings, flow);
    } catch (error) {
      if (!(error instanceof SipParseError)) throw error;
      if (this.#wire.enabled("debug")) {
        this.#wire.debug(`${formatTarget(targetOf(flow))} sent:\n${decodeUtf8(bytes)}`);
      }
      this.malformed(error, flow);
    }
  }

  keepAlive(): void {
    this.stats.keepAlives++;
  }

  pong(flow: Flow): void {
    this.keepAlive();
    this.#env.onKeepAliveAnswer({ type: "pong" }, flow);
  }

  /** Binding requests are answered (RFC 5626 4.4.2): a phone behind a NAT may keep its flow to us open so. */
  #stun(bytes: Uint8Array, flow: Flow): void {
    this.keepAlive();
    const message = stunOrNull(bytes);
    if (message === null) return;
    const answer = answerStun(message, flow.remote);
    if (answer !== null) return this.#env.answerStun(encodeStun(answer), flow);
    this.#env.onKeepAliveAnswer({ type: "stun", message }, flow);
  }

  message(message: SipMessage, warnings: readonly string[], flow: Flow): void {
    this.stats.received++;
    if (this.#wire.enabled("debug")) {
      this.#wire.debug(
        `received from ${formatTarget(targetOf(flow))}: ${messageTitle(message)}\n${messageText(message)}`,
      );
    }
    for (const warning of warnings) this.#complain(`${formatEndpoint(flow.remote)}: ${warning}`);
    if (message.kind === "request") recordSource(message, flow.remote);
    try {
      this.#env.onMessage(message, flow);
    } catch (error) {
      this.#env.log.error(`internal error: SIP message from ${formatEndpoint(flow.remote)}`, error);
    }
  }

  /** A message came that cannot be processed. */
  malformed(error: SipParseError, flow: Flow): void {
    if (this.#env.filter?.()?.malformed(flow.remote.hostname) === false) return void this.stats.dropped++;
    this.#complain(`${formatEndpoint(flow.remote)} sent a bad SIP message: ${error.problem}`);
    // Whatever is wrong with a response, the request that waits for it is not to wait for another.
    if (error.response !== null) return this.message(error.response, [], flow);
    if (error.partial === null) {
      this.stats.dropped++;
      return;
    }
    this.stats.refused++;
    recordSource(error.partial, flow.remote);
    this.#env.answer(this.#refusal(error.partial, error), flow);
  }

  /** Stateless, so its tag must be the same for a repetition of the request (8.2.7). */
  #refusal(request: SipRequest, error: SipParseError): SipResponse {
    const reason = error.status === 400 ? `Bad Request: ${error.problem}` : error.problem;
    try {
      return createResponse(request, error.status, reason, "malformed");
    } catch (fault) {
      // The To header itself is what is malformed.
      if (fault instanceof WireError) return createResponse(request, error.status, reason);
      throw fault;
    }
  }

  #complain(text: string): void {
    const nowMs = this.#env.clock.now();
    if (nowMs - this.#complainedMs < COMPLAINT_PERIOD_MS) {
      this.#silenced++;
      return;
    }
    const more = this.#silenced === 0 ? "" : ` (and ${this.#silenced} more oddities before)`;
    this.#env.log.warn(`${text}${more}`);
    this.#complainedMs = nowMs;
    this.#silenced = 0;
  }
}

/** Damaged STUN is as good as any other odd bytes: it kept a flow open. */
function stunOrNull(bytes: Uint8Array): StunMessage | null {
  return nullIfMalformed(() => decodeStun(bytes));
}
