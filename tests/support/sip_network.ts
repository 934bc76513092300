// SIP without sockets: endpoints and scripted peers on one network in memory, under a fake clock.
// Messages travel as bytes, so everything is encoded and parsed as on a wire; UDP may be lossy and duplicating.
// Role: edge

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import type { DnsResolver } from "../../lib/net/dns.ts";
import { type Endpoint, formatEndpoint } from "../../lib/net/endpoint.ts";
import {
  type MessageTransport,
  SipEndpoint,
  type SipEndpointOptions,
  type SipEnvironment,
} from "../../lib/sip/ua/endpoint.ts";
import {
  createResponse,
  encodeSipMessage,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../../lib/sip/message/message.ts";
import { decodeSipDatagram, SipParseError } from "../../lib/sip/message/parser.ts";
import type { Flow, SendOutcome, Target } from "../../lib/sip/message/target.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import type { Identity } from "../../lib/sip/ua/identity.ts";
import { type SipBody } from "../../lib/sip/message/body.ts";
import { FakeClock } from "./fake_clock.ts";
import { RecordLog } from "./record_log.ts";

/** How the network treats UDP packets. */
export interface SipNetworkOptions {
  /** One-way delay in milliseconds. */
  latencyMs?: number;
  /** Share of packets lost, 0 to 1. */
  loss?: number;
  /** Share of packets delivered twice. */
  duplication?: number;
  /** Decides what is lost. */
  seed?: number;
}

type Receiver = (bytes: Uint8Array, from: Endpoint, target: Target) => void;

/** The wires between all endpoints and peers of one test. */
export class SipNetwork {
  /** Time of everything on it. */
  readonly clock = new FakeClock();
  /** Log lines of all endpoints. */
  readonly log = new RecordLog("debug");
  /** May be changed while it runs. */
  readonly options: Required<SipNetworkOptions>;
  /** One line per message put on the wire: "10.0.0.1 > 10.0.0.2 INVITE". */
  readonly wire: string[] = [];
  /** Host names that resolve. */
  readonly names = new Map<string, string[]>();
  readonly #random: Random;
  readonly #receivers = new Map<string, Receiver>();

  /** A perfect network unless told otherwise. */
  constructor(options: SipNetworkOptions = {}) {
    this.options = { latencyMs: 5, loss: 0, duplication: 0, seed: 1, ...options };
    this.#random = seededRandom(this.options.seed);
  }

  /** A name server that knows `names` and nothing else. */
  get dns(): DnsResolver {
    return {
      a: (name) => Promise.resolve(this.names.get(name) ?? []),
      aaaa: () => Promise.resolve([]),
      srv: () => Promise.resolve([]),
      naptr: () => Promise.resolve([]),
    };
  }

  /** An endpoint at an address, port 5060. */
  endpoint(
    hostname: string,
    options: Partial<SipEndpointOptions> = {},
    env: Partial<SipEnvironment> = {},
  ): SipEndpoint {
    const defaults: SipEndpointOptions = {
      bind: hostname,
      port: 5060,
      portFallback: false,
      addresses: { addressFor: () => hostname },
      outboundProxy: null,
      userAgent: "siprtmp-test",
      expiresSeconds: 180,
    };
    return SipEndpoint.open({ ...defaults, ...options }, {
      clock: this.clock,
      log: this.log.child(hostname),
      random: seededRandom(this.#random.u32()),
      dns: this.dns,
      openTransport: () => new NetworkTransport(this, { hostname, port: 5060 }),
      ...env,
    });
  }

  /** A peer whose every message the test writes. */
  peer(hostname: string, port = 5060): ScriptedPeer {
    return new ScriptedPeer(this, { hostname, port });
  }

  /** Packets to this address go to `receiver`. */
  attach(at: Endpoint, receiver: Receiver): void {
    assert.ok(!this.#receivers.has(formatEndpoint(at)), `${formatEndpoint(at)} is taken`);
    this.#receivers.set(formatEndpoint(at), receiver);
  }

  /** Packets to this address vanish from now on. */
  detach(at: Endpoint): void {
    this.#receivers.delete(formatEndpoint(at));
  }

  /** Carries a message. */
  carry(message: SipMessage, from: Endpoint, target: Target): void {
    const name = message.kind === "request" ? message.method : `${message.status}`;
    this.wire.push(`${from.hostname} > ${target.endpoint.hostname} ${name}`);
    const bytes = encodeSipMessage(message);
    const copies = target.transport === "tcp" ? 1 : this.#copies();
    for (let copy = 0; copy < copies; copy++) {
      this.clock.after(this.options.latencyMs + copy * 7, () => {
        this.#receivers.get(formatEndpoint(target.endpoint))?.(bytes, from, target);
      });
    }
  }

  #copies(): number {
    if (this.#random.float() < this.options.loss) return 0;
    return this.#random.float() < this.options.duplication ? 2 : 1;
  }

  /** Lets time pass until something is true; fails when it never becomes true. */
  async until(what: string, condition: () => boolean, limitMs = 60_000): Promise<void> {
    await this.clock.advanceAsync(0);
    for (let passed = 0; !condition(); passed += 10) {
      assert.ok(passed < limitMs, `waited ${limitMs} ms for: ${what}\n${this.wire.join("\n")}`);
      await this.clock.advanceAsync(10);
    }
  }

  /** Lets time pass until a promise settles; gives its value. */
  async settled<T>(promise: Promise<T>, limitMs = 120_000): Promise<T> {
    let done = false;
    const watched = promise.finally(() => done = true);
    watched.catch(() => {}); // reported by the await below
    await this.until("a promise", () => done, limitMs);
    return await watched;
  }

  /** Ends endpoints, letting the time pass that they need. */
  async close(...endpoints: AsyncDisposable[]): Promise<void> {
    await this.settled(Promise.all(endpoints.map((endpoint) => endpoint[Symbol.asyncDispose]())));
  }
}

class NetworkTransport implements MessageTransport {
  readonly port: number;
  onMessage: ((message: SipMessage, flow: Flow) => void) | null = null;
  readonly #network: SipNetwork;
  readonly #local: Endpoint;

  constructor(network: SipNetwork, local: Endpoint) {
    this.port = local.port;
    this.#network = network;
    this.#local = local;
    network.attach(local, (bytes, from, target) => {
      const message = readable(bytes);
      if (message === null) return void network.wire.push(`${local.hostname} dropped an unreadable message`);
      this.onMessage?.(message, { transport: target.transport, remote: from, local, connectionId: 0 });
    });
  }

  send(message: SipMessage, target: Target): Promise<SendOutcome> {
    this.#network.carry(message, this.#local, target);
    const flow = {
      transport: target.transport,
      remote: target.endpoint,
      local: this.#local,
      connectionId: 0,
    };
    return Promise.resolve({ type: "sent", transport: target.transport, flow });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#network.detach(this.#local);
    return Promise.resolve();
  }
}

function readable(bytes: Uint8Array): SipMessage | null {
  try {
    return decodeSipDatagram(bytes).message;
  } catch (error) {
    // As the receiver of a real transport.
    if (error instanceof SipParseError) return error.response;
    throw error;
  }
}

/** A peer that does exactly what the test says: no transactions, no dialogs, no retransmissions. */
export class ScriptedPeer {
  /** Where it is. */
  readonly at: Endpoint;
  /** What arrived and was not taken yet. */
  readonly received: SipMessage[] = [];
  /** Called for each arrival, before it is put into `received`; true: it was dealt with. */
  onMessage: ((message: SipMessage) => boolean) | null = null;
  readonly #network: SipNetwork;
  #branch = 0;

  /** Made by `SipNetwork.peer`. */
  constructor(network: SipNetwork, at: Endpoint) {
    this.#network = network;
    this.at = at;
    network.attach(at, (bytes) => {
      const { message } = decodeSipDatagram(bytes);
      if (this.onMessage?.(message) !== true) this.received.push(message);
    });
  }

  /** Waits for a request and takes it. */
  async request(method: string, limitMs = 40_000): Promise<SipRequest> {
    const message = await this.#take(
      method,
      (one) => one.kind === "request" && one.method === method,
      limitMs,
    );
    assert.ok(message.kind === "request");
    return message;
  }

  /** Waits for a response to `method` and takes it. */
  async response(status: number, method?: string, limitMs = 40_000): Promise<SipResponse> {
    const fits = (one: SipMessage) =>
      one.kind === "response" && one.status === status &&
      (method === undefined || (one.headers.get("CSeq") ?? "").endsWith(` ${method}`));
    const message = await this.#take(`${status} to ${method ?? "any"}`, fits, limitMs);
    assert.ok(message.kind === "response");
    return message;
  }

  async #take(what: string, fits: (message: SipMessage) => boolean, limitMs: number): Promise<SipMessage> {
    await this.#network.until(`${what} at ${this.at.hostname}`, () => this.received.some(fits), limitMs);
    const [message] = this.received.splice(this.received.findIndex(fits), 1);
    assert.ok(message);
    return message;
  }

  /** Throws away what arrived and says how many fitted. */
  drop(fits: (message: SipMessage) => boolean): number {
    const dropped = this.received.filter(fits).length;
    const kept = this.received.filter((message) => !fits(message));
    this.received.splice(0, this.received.length, ...kept);
    return dropped;
  }

  /** Sends a message to the usual port of a host. */
  send(message: SipMessage, hostname: string, port = 5060): void {
    this.#network.carry(message, this.at, { transport: "udp", endpoint: { hostname, port } });
  }

  /** Answers a request, with a Contact of its own unless the status is 100. */
  answer(
    request: SipRequest,
    status: number,
    parts: { tag?: string; headers?: Record<string, string>; body?: SipBody; reason?: string } = {},
  ): SipResponse {
    const response = createResponse(request, status, parts.reason, parts.tag ?? "peer-tag");
    if (status > 100) response.headers.set("Contact", `<sip:peer@${this.at.hostname}:${this.at.port}>`);
    for (const [name, value] of Object.entries(parts.headers ?? {})) response.headers.set(name, value);
    if (parts.body !== undefined) {
      response.headers.set("Content-Type", parts.body.type);
      response.body = parts.body.bytes;
    }
    const via = /^SIP\/2\.0\/\S+\s+([^;:\s]+)(?::(\d+))?/.exec(request.headers.get("Via") ?? "");
    assert.ok(via?.[1]);
    this.send(response, via[1], Number(via[2] ?? 5060));
    return response;
  }

  /** Builds a request from its parts; a new branch each time. */
  build(
    method: string,
    uri: string,
    headers: Record<string, string>,
    body: SipBody | null = null,
  ): SipRequest {
    const { hostname, port } = this.at;
    const defaults: Record<string, string> = {
      "Via": `SIP/2.0/UDP ${hostname}:${port};branch=z9hG4bKp${hostname}${this.#branch++};rport`,
      "Max-Forwards": "70",
      "From": `<sip:peer@${hostname}>;tag=peer-from`,
      "To": `<${uri}>`,
      "Call-ID": `call@${hostname}`,
      "CSeq": `1 ${method}`,
      "Contact": `<sip:peer@${hostname}:${port}>`,
    };
    if (body !== null) defaults["Content-Type"] = body.type;
    const all = { ...defaults, ...headers };
    const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const text = `${method} ${uri} SIP/2.0\r\n${head}Content-Length: ${body?.bytes.length ?? 0}\r\n\r\n`;
    const bytes = new Uint8Array([...encodeUtf8(text), ...(body?.bytes ?? [])]);
    const { message } = decodeSipDatagram(bytes);
    assert.ok(message.kind === "request");
    return message;
  }

  /** A request inside the dialog that an INVITE of the endpoint (answered by us with `response`) made. */
  buildInDialog(
    method: string,
    invite: SipRequest,
    response: SipResponse,
    sequence: number,
    body: SipBody | null = null,
    headers: Record<string, string> = {},
  ): SipRequest {
    return this.build(method, contactUri(invite), {
      "From": response.headers.get("To") ?? "",
      "To": response.headers.get("From") ?? "",
      "Call-ID": response.headers.get("Call-ID") ?? "",
      "CSeq": `${sequence} ${method}`,
      ...headers,
    }, body);
  }

  /** A request inside the dialog that our own INVITE made with the endpoint's `response`. */
  buildAsCaller(
    method: string,
    invite: SipRequest,
    response: SipResponse,
    sequence: number,
    body: SipBody | null = null,
    headers: Record<string, string> = {},
  ): SipRequest {
    return this.build(method, contactUri(response), {
      "From": invite.headers.get("From") ?? "",
      "To": response.headers.get("To") ?? "",
      "Call-ID": invite.headers.get("Call-ID") ?? "",
      "CSeq": `${sequence} ${method}`,
      ...headers,
    }, body);
  }
}

/** The URI of a message's Contact. */
export function contactUri(message: SipMessage): string {
  const uri = /<([^>]+)>/.exec(message.headers.get("Contact") ?? "")?.[1];
  assert.ok(uri, "no Contact");
  return uri;
}

/** A user for tests. */
export function identity(aor: string, password: string | null = null): Identity {
  return { aor: parseSipUri(aor), displayName: null, username: null, password };
}

/** A session description that is told apart by its text. */
export function sdp(text: string): SipBody {
  return { type: "application/sdp", bytes: encodeUtf8(`v=0\r\ns=${text}\r\n`) };
}

/** The text given to `sdp`. */
export function sdpText(body: SipBody | { body: Uint8Array } | null): string | null {
  if (body === null) return null;
  const text = new TextDecoder().decode("bytes" in body ? body.bytes : body.body);
  return /s=(.*)\r\n/.exec(text)?.[1] ?? null;
}

/** Collects what a generator yields, in the background. */
export function collect<T>(generator: AsyncGenerator<T, void, void>): T[] {
  const values: T[] = [];
  void (async () => {
    for await (const value of generator) values.push(value);
  })();
  return values;
}
