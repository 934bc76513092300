// The SIP port of one worker, shared with all: a message that is another worker's is posted to it, and what that worker
// answers leaves by this port. RFC 3261 8.2.2.1, 18.2.2. No media: a worker that has a user's call has its RTP sockets.
// Role: edge

import { WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { MessageTransport } from "../sip/ua/endpoint.ts";
import type { SipHeaders } from "../sip/message/header.ts";
import { parseVia } from "../sip/message/header_values.ts";
import { encodeSipMessage, type SipMessage, type SipRequest, tagOf } from "../sip/message/message.ts";
import { decodeSipDatagram } from "../sip/message/parser.ts";
import type { DatagramFilter, KeepAliveAnswer } from "../sip/transport/transport.ts";
import type { SipUri } from "../sip/message/uri.ts";
import type { Flow, SendOutcome, Target } from "../sip/message/target.ts";
import type { UserDirectory } from "./user_directory.ts";

/** Calls whose requests were handed over that are remembered; the oldest goes. */
const MAX_REMEMBERED = 4096;

/** Numbers of connections of the worker `w` are told apart from ours by adding (w + 1) times this. */
const CONNECTIONS_PER_WORKER = 2 ** 40;

export interface HandedMessage {
  readonly bytes: Uint8Array;
  readonly flow: Flow;
}

export interface RelayedMessage {
  readonly bytes: Uint8Array;
  /** Where to; its flow is that worker's. */
  readonly target: Target;
}

interface SharedTransportOptions {
  readonly worker: number;
  readonly directory: UserDirectory;
  /** The worker with this SIP port; null: nobody. */
  readonly workerAtPort: (port: number) => number | null;
  readonly handOver: (to: number, message: HandedMessage) => void;
  readonly relay: (to: number, message: RelayedMessage) => void;
  /** Where oddities are told. */
  readonly log: Logger;
}

/**
 *   request outside dialogs   its user's worker (by line, else by user); its CANCEL, ACK and repetitions go after it
 *   response                  the worker whose port its topmost Via names
 *   all else                  here
 */
export class SharedTransport implements MessageTransport {
  onMessage: ((message: SipMessage, flow: Flow) => void) | null = null;
  onBroken: ((flow: Flow, reason: string) => void) | null = null;
  onKeepAliveAnswer: ((answer: KeepAliveAnswer, flow: Flow) => void) | null = null;
  readonly #inner: MessageTransport;
  readonly #options: SharedTransportOptions;
  readonly #log: Logger;
  /** Worker by Call-ID and sender, for what follows a request that was handed over. */
  readonly #handed = new Map<string, number>();

  /** Takes over `inner`. */
  constructor(inner: MessageTransport, options: SharedTransportOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#log = options.log.category("sip");
    inner.onMessage = (message, flow) => this.#receive(message, flow);
    inner.onBroken = (flow, reason) => this.onBroken?.(flow, reason);
    inner.onKeepAliveAnswer = (answer, flow) => this.onKeepAliveAnswer?.(answer, flow);
  }

  set filter(filter: DatagramFilter | null) {
    const { directory } = this.#options;
    const isElsewhere = (uri: SipUri): boolean => directory.find(uri) !== null;
    this.#inner.filter = filter === null ? null : {
      malformed: (address) => filter.malformed(address),
      dropsUnread: (bytes, address) => filter.dropsUnread(bytes, address, isElsewhere),
    };
  }

  /** The port that was bound. */
  get port(): number {
    return this.#inner.port;
  }

  send(message: SipMessage, target: Target): Promise<SendOutcome> {
    const origin = target.flow === undefined ? null : originOf(target.flow);
    if (origin === null) return this.#inner.send(message, target);
    const { transport } = target;
    const relayed = { bytes: encodeSipMessage(message), target: { ...target, flow: origin.flow } };
    this.#options.relay(origin.worker, relayed);
    return Promise.resolve({ type: "sent", transport, flow: target.flow! });
  }

  sendKeepAlive(bytes: Uint8Array, target: Target): boolean {
    return this.#inner.sendKeepAlive?.(bytes, target) ?? false;
  }

  abandon(target: Target): void {
    this.#inner.abandon?.(target);
  }

  /** Takes a message that came to the port of the worker `from`. */
  takeHanded(from: number, { bytes, flow }: HandedMessage): void {
    const message = this.#decode(bytes);
    if (message !== null) this.onMessage?.(message, handedFlow(from, flow));
  }

  /** Sends what another worker has to say by this port. */
  takeRelayed({ bytes, target }: RelayedMessage): void {
    const message = this.#decode(bytes);
    if (message !== null) void this.#inner.send(message, target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  #receive(message: SipMessage, flow: Flow): void {
    const owner = message.kind === "request" ? this.#ownerOf(message) : this.#askerOf(message);
    if (owner === null || owner === this.#options.worker) return this.onMessage?.(message, flow);
    if (message.kind === "request") this.#remember(message, owner);
    this.#options.handOver(owner, { bytes: encodeSipMessage(message), flow });
    if (!this.#log.enabled("debug")) return;
    const name = message.kind === "request" ? message.method : String(message.status);
    this.#log.debug(`${name} handed over to worker ${owner}`);
  }

  /** Null: ours, or nobody's and ours to refuse. */
  #ownerOf({ uri, headers }: SipRequest): number | null {
    const line = uri.params.get("line");
    const named = typeof line === "string" ? this.#options.directory.ownerOf(line) : null;
    const known = named ?? this.#handed.get(sequenceKey(headers)) ?? null;
    if (known !== null) return known;
    if (tagOf(headers.get("To")) !== null) return null; // in a dialog, and not one we handed over
    return this.#options.directory.find(uri);
  }

  #askerOf(response: SipMessage): number | null {
    try {
      const { port } = parseVia(response.headers.get("Via") ?? "");
      return port === null || port === this.port ? null : this.#options.workerAtPort(port);
    } catch (error) {
      if (error instanceof WireError) return null;
      throw error;
    }
  }

  #remember(request: SipRequest, owner: number): void {
    const key = sequenceKey(request.headers);
    this.#handed.delete(key);
    this.#handed.set(key, owner);
    if (this.#handed.size > MAX_REMEMBERED) this.#handed.delete(this.#handed.keys().next().value!);
  }

  #decode(bytes: Uint8Array): SipMessage | null {
    try {
      return decodeSipDatagram(bytes).message;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#log.warn("malformed SIP message from another worker", error);
      return null;
    }
  }
}

/** All requests that one side sends about one call: what two of our users say to each other has one Call-ID. */
function sequenceKey(headers: SipHeaders): string {
  return `${tagOf(headers.get("From")) ?? ""} ${headers.get("Call-ID") ?? ""}`;
}

export function handedFlow(from: number, flow: Flow): Flow {
  return { ...flow, connectionId: flow.connectionId + (from + 1) * CONNECTIONS_PER_WORKER };
}

/** Whose flow it is and how that worker knows it; null: it is one of ours. */
export function originOf(flow: Flow): { readonly worker: number; readonly flow: Flow } | null {
  if (flow.connectionId < CONNECTIONS_PER_WORKER) return null;
  const worker = Math.floor(flow.connectionId / CONNECTIONS_PER_WORKER) - 1;
  return { worker, flow: { ...flow, connectionId: flow.connectionId % CONNECTIONS_PER_WORKER } };
}
