// What `-e auto` means: a STUN server is asked which address others see us at, and asked again now and then.
// While it has not answered, peers are told the address of the interface, and the log says so.
// Deno permissions: --allow-net for the server.
// Role: edge

import { delay } from "../base/clock.ts";
import { toHex } from "../base/bytes.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { DnsResolver } from "./dns.ts";
import { type Endpoint, formatEndpoint, isIpv6 } from "./endpoint.ts";
import { decodeStun, STUN_ID_BYTES, type StunOutcome, StunQuery } from "./stun.ts";
import { type UdpOptions, UdpSocket } from "./udp.ts";
import type { Runtime } from "../base/runtime.ts";

/** Between questions while they are answered. */
export const REFRESH_MS = 120_000;
/** After the first failure; doubled after each further one. */
export const FIRST_RETRY_MS = 5_000;
/** The start of the gateway waits so long for the first answer, not longer. */
export const FIRST_WAIT_MS = 3_000;

/** Requests per question: an answer that has not come within seconds will not come. */
const REQUESTS = 4;
const MAX_ADDRESSES = 3;
const MAX_ANSWER_BYTES = 2048;

export interface PublicAddressOptions extends Runtime {
  /** The STUN server; a name or an IP address. */
  readonly server: Endpoint;
  /** Address to ask from: the one SIP is bound to. */
  readonly bind: string;
  readonly dns: DnsResolver;
  /** Told each address that is new; the first one too. */
  readonly onAddress: (address: string) => void;
  readonly bindSocket?: (at: Endpoint, options: UdpOptions) => UdpSocket;
}

type Answer = { readonly type: "mapped"; readonly mapped: Endpoint; readonly local: Endpoint } | {
  readonly type: "failed";
  readonly reason: string;
};

export class PublicAddress {
  /** Settles with the first answer, the first failure or after 3 s, whichever comes first. */
  readonly settled: Promise<void>;
  readonly #options: PublicAddressOptions;
  readonly #log: Logger;
  readonly #settle: () => void;
  #address: string | null = null;
  #failures = 0;
  #complained = false;
  #portsTold = false;

  /** Asks nothing before run(). */
  constructor(options: PublicAddressOptions) {
    this.#options = options;
    this.#log = options.log.category("sip");
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#settle = resolve;
  }

  /** The last address that was learnt; null before the first answer. */
  get address(): string | null {
    return this.#address;
  }

  /** Asks until `signal` aborts; never rejects for what a server or a network does. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    using _limit = clock.after(FIRST_WAIT_MS, () => this.#goOnWithout());
    try {
      do {
        const answer = await this.#ask(signal);
        if (signal.aborted) return;
        if (answer.type === "mapped") this.#learn(answer.mapped, answer.local);
        else this.#fail(answer.reason);
        this.#settle();
      } while (await delay(clock, this.#pauseMs(), signal));
    } finally {
      this.#settle();
    }
  }

  #pauseMs(): number {
    if (this.#failures === 0) return REFRESH_MS;
    const doubled = FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 10);
    return Math.min(doubled, REFRESH_MS) * (0.75 + this.#options.random.float() / 4);
  }

  #learn(mapped: Endpoint, local: Endpoint): void {
    const [before, now] = [this.#address, mapped.hostname];
    const server = formatEndpoint(this.#options.server);
    if (before === null) this.#log.info(`public address ${now} (STUN ${server})`);
    else if (before !== now) this.#log.info(`public address changed from ${before} to ${now}`);
    else if (this.#complained) this.#log.info(`STUN server ${server} answers again: ${now}`);
    this.#failures = 0;
    this.#complained = false;
    this.#tellPorts(mapped, local);
    if (before === now) return;
    this.#address = now;
    this.#options.onAddress(now);
  }

  #tellPorts(mapped: Endpoint, local: Endpoint): void {
    if (mapped.port === local.port || this.#portsTold) return;
    this.#portsTold = true;
    this.#log.warn(
      `NAT maps ports (${local.port} to ${mapped.port}): calls come in through a registrar only; ` +
        "for direct calls forward the SIP and RTP ports to this machine",
    );
  }

  #goOnWithout(): void {
    if (this.#address === null) this.#complain("no answer yet");
    this.#settle();
  }

  #fail(reason: string): void {
    this.#failures += 1;
    this.#complain(reason);
  }

  /** Once until it answers. */
  #complain(reason: string): void {
    if (this.#complained) return;
    this.#complained = true;
    const meanwhile = this.#address === null
      ? "peers are told the address of our network interface until it does"
      : `peers are still told ${this.#address}`;
    this.#log.warn(
      `STUN server ${formatEndpoint(this.#options.server)} gives no address (${reason}): ${meanwhile}`,
    );
  }

  async #ask(signal: AbortSignal): Promise<Answer> {
    try {
      const addresses = await this.#serverAddresses();
      let answer: Answer = { type: "failed", reason: "its name has no address of our kind" };
      for (const hostname of addresses.slice(0, MAX_ADDRESSES)) {
        answer = await this.#askOne({ hostname, port: this.#options.server.port }, signal);
        if (answer.type === "mapped" || signal.aborted) break;
      }
      return answer;
    } catch (error) {
      if (error instanceof TransportError) return { type: "failed", reason: messageOf(error) };
      throw error;
    }
  }

  /** A socket bound to `::` asks an IPv4 server all the same: it is IPv4 that has NATs. */
  async #serverAddresses(): Promise<string[]> {
    const { server, bind, dns } = this.#options;
    if (!isIpv6(bind)) return await dns.a(server.hostname);
    if (bind !== "::") return await dns.aaaa(server.hostname);
    return [...await dns.a(server.hostname), ...await dns.aaaa(server.hostname)];
  }

  async #askOne(server: Endpoint, signal: AbortSignal): Promise<Answer> {
    const { bind, random, clock, bindSocket = UdpSocket.bind } = this.#options;
    const hostname = bind === "::" && !isIpv6(server.hostname) ? "0.0.0.0" : bind;
    using socket = bindSocket({ hostname, port: 0 }, { maxReceived: MAX_ANSWER_BYTES });
    const { promise, resolve } = Promise.withResolvers<StunOutcome>();
    using query = new StunQuery({
      clock,
      id: toHex(random.bytes(STUN_ID_BYTES)),
      send: (bytes) => socket.send(bytes, server),
      onOutcome: resolve,
      requests: REQUESTS,
    });
    const onAbort = (): void => resolve({ type: "silent" });
    signal.addEventListener("abort", onAbort, { once: true });
    const receiving = socket.run((bytes) => receiveInto(query, bytes));
    query.start();
    const outcome = await promise;
    signal.removeEventListener("abort", onAbort);
    socket.close();
    await receiving;
    if (outcome.type === "mapped") return { ...outcome, local: socket.local };
    if (outcome.type === "silent") return { type: "failed", reason: "no answer" };
    return { type: "failed", reason: `it answers ${outcome.code} ${outcome.reason}`.trimEnd() };
  }
}

/** What is no answer to our question is not for us. */
function receiveInto(query: StunQuery, bytes: Uint8Array): void {
  try {
    query.receive(decodeStun(bytes));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
}
