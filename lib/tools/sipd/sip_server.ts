// The built-in SIP server: registrar and stateless proxy on one port, and the numbers `echo` and `tone` behind a
// second one. RFC 3261 10.3 (registrar), 16.11 (stateless proxy). It is for trying and testing, and says so.
// Deno permissions: --allow-net, --allow-sys=networkInterfaces.
// Role: edge

import { TransportError } from "../../base/errors.ts";
import { type Logger, silentLog } from "../../base/log.ts";
import type { Runtime } from "../../base/runtime.ts";
import { Scope } from "../../base/scope.ts";
import { Ticker } from "../../base/ticker.ts";
import { CallRegistry } from "../../call/registry.ts";
import { type DnsResolver, lookUpAddress } from "../../net/dns.ts";
import {
  type Endpoint,
  formatEndpoint,
  isIpv6,
  isLoopback,
  isUnspecified,
  type TargetGuard,
} from "../../net/endpoint.ts";
import { AddressPolicy } from "../../net/route.ts";
import { RtpPorts } from "../../net/rtp_ports.ts";
import type { MediaTimeouts } from "../../rtp/media_watch.ts";
import { sipUri } from "../../sip/message/uri.ts";
import { SipTransport } from "../../sip/transport/transport.ts";
import { type MessageTransport, SipEndpoint } from "../../sip/ua/endpoint.ts";
import type { UserAgent } from "../../sip/ua/user_agent.ts";
import type { BuiltInNumber } from "./built_in_number.ts";
import { openEchoNumber } from "./echo_number.ts";
import { Location } from "./location.ts";
import type { NumberServices } from "./number_media.ts";
import { Proxy, SelfAddress } from "./proxy.ts";
import { openToneNumber, TONE_BLOCK_MS } from "./tone_number.ts";

interface SipServerConfig {
  /** IP address and port, UDP and TCP; port 0: any. */
  readonly listen: Endpoint;
  /** Take the next free port when that one is taken. */
  readonly portFallback: boolean;
}

interface SipServerEnvironment extends Runtime {
  /** Names that callers of the built-in numbers put into their Contact. */
  readonly dns: DnsResolver;
  /** Where calls of the numbers are listed; absent: in a registry of its own. */
  readonly calls?: CallRegistry;
  /** How long a call of a number lasts without anything of its caller; absent: an hour. */
  readonly timeouts?: MediaTimeouts;
  /** Where requests may be sent on to; absent: everywhere. */
  readonly guard?: TargetGuard;
  readonly openTransport?: (
    at: { readonly bind: string; readonly port: number; readonly portFallback: boolean },
  ) => MessageTransport;
  readonly rtpPorts?: Pick<RtpPorts, "bindPair">;
}

/** How long an answer may wait for the host names in an offer. */
const LOOK_UP_MS = 2_000;

/** The numbers that are always there. */
const NUMBERS: ReadonlySet<string> = new Set(["echo", "tone"]);
/** An address of RFC 5737 that nobody has: what faces it faces the world. */
const SOMEWHERE: Endpoint = { hostname: "192.0.2.1", port: 5060 };

/** A running server. Disposing it hangs up the calls of its numbers (2 s at most) and closes everything. */
export class SipServer implements AsyncDisposable {
  /** Where phones register: the bound address, or when that is every address, the one that faces the world. */
  readonly address: Endpoint;
  readonly #opened: AsyncDisposableStack;
  readonly #location: Location;
  readonly #numbers: readonly BuiltInNumber[];

  /** Binds the ports and takes registrations from then on. Throws TransportError when a port cannot be had. */
  static async start(config: SipServerConfig, environment: SipServerEnvironment): Promise<SipServer> {
    const { hostname } = config.listen;
    const log = environment.log.child("sipd");
    const addresses = new AddressPolicy({ bind: hostname, advertise: null });
    await addresses.refresh();
    await using opened = new AsyncDisposableStack();
    const env = { ...environment, log };
    const transport = openTransport(config, env);
    const local = { hostname, port: transport.port };
    const self = new SelfAddress(local, addresses);
    const location = new Location(environment.clock);
    const tag = environment.random.token(12);
    opened.use(new Proxy({ ...env, log: log.category("sip"), transport, location, self, tag }));
    const address = { ...local, hostname: publicAddress(hostname, addresses) };
    const endpoint = opened.use(openEndpoint(local, addresses, env));
    const services = opened.adopt(createServices(hostname, env), async ({ ticker, scope }) => {
      ticker[Symbol.dispose]();
      await scope.close();
    });
    const numbers = openNumbers({ endpoint, services, location, address, hostname });
    opened.defer(async () => {
      await Promise.all(numbers.map((number) => number[Symbol.asyncDispose]()));
    });
    announce(local, log.category("sip"));
    return new SipServer({ address, opened: opened.move(), location, numbers });
  }

  private constructor(
    parts: {
      address: Endpoint;
      opened: AsyncDisposableStack;
      location: Location;
      numbers: readonly BuiltInNumber[];
    },
  ) {
    this.address = parts.address;
    this.#opened = parts.opened;
    this.#location = parts.location;
    this.#numbers = parts.numbers;
  }

  get usage(): { users: number; calls: number } {
    const calls = this.#numbers.reduce((sum, number) => sum + number.calls, 0);
    return { users: this.#location.size, calls };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

function openTransport(config: SipServerConfig, environment: SipServerEnvironment): MessageTransport {
  const { listen: { hostname: bind, port }, portFallback } = config;
  return environment.openTransport?.({ bind, port, portFallback }) ??
    SipTransport.open({ bind, port, fallback: portFallback }, environment);
}

/** The numbers live behind a port of their own: to the proxy they are phones like any other. */
function openEndpoint(proxy: Endpoint, addresses: AddressPolicy, env: SipServerEnvironment): SipEndpoint {
  const here = isUnspecified(proxy.hostname) ? loopbackOf(proxy.hostname) : proxy.hostname;
  return SipEndpoint.open({
    bind: proxy.hostname,
    port: 0,
    portFallback: false,
    addresses,
    outboundProxy: sipUri(here, { port: proxy.port }),
    userAgent: "siprtmp-sipd",
    ...(env.guard && { guard: env.guard }),
    expiresSeconds: 3600,
  }, { ...env, log: quietWire(env.log) });
}

function createServices(bind: string, environment: SipServerEnvironment): NumberServices {
  const { clock, log, rtpPorts, dns, calls } = environment;
  return {
    ...environment,
    lookUp: (name, family) => lookUpAddress(name, family, { dns, clock, withinMs: LOOK_UP_MS }),
    calls: calls ?? new CallRegistry(environment),
    ticker: new Ticker(clock, TONE_BLOCK_MS, (error) => log.error("a media tick failed", error)),
    scope: new Scope("media", { log }),
    ports: rtpPorts ?? new RtpPorts({ min: 0, max: 0 }, clock),
    bind,
  };
}

function openNumbers(parts: {
  endpoint: SipEndpoint;
  services: NumberServices;
  location: Location;
  address: Endpoint;
  hostname: string;
}): BuiltInNumber[] {
  const { endpoint, services, location, address, hostname } = parts;
  const createAgent = (user: string): UserAgent => {
    const aor = sipUri(address.hostname, { user, port: address.port });
    const agent = endpoint.createUserAgent({ aor, displayName: null, username: null, password: null });
    const params = new Map([["line", agent.line]]);
    location.addBuiltIn(user, sipUri(hostname, { user, port: endpoint.port, params }));
    return agent;
  };
  return [
    openEchoNumber({ agent: createAgent("echo"), services, neverTo: NUMBERS }),
    openToneNumber({ agent: createAgent("tone"), services }),
  ];
}

function publicAddress(hostname: string, addresses: AddressPolicy): string {
  if (!isUnspecified(hostname)) return hostname;
  try {
    return addresses.addressFor(SOMEWHERE);
  } catch (error) {
    if (error instanceof TransportError) return loopbackOf(hostname); // a machine without network
    throw error;
  }
}

function loopbackOf(hostname: string): string {
  return isIpv6(hostname) ? "::1" : "127.0.0.1";
}

function announce(local: Endpoint, log: Logger): void {
  const at = formatEndpoint(local);
  log.info(
    `built-in SIP server for tests only at ${at}: no authentication, anybody may register; ` +
      `numbers: ${[...NUMBERS].join(", ")}`,
  );
  if (isLoopback(local.hostname)) return;
  log.warn(
    `built-in SIP server at ${at} is open to everybody who can reach this host: do not leave it running`,
  );
}

/** The same log, without SIP messages unless everything is logged. */
export function quietWire(log: Logger): Logger {
  return {
    enabled: (level) => log.enabled(level),
    error: (text, detail) => log.error(text, detail),
    warn: (text, detail) => log.warn(text, detail),
    info: (text, detail) => log.info(text, detail),
    debug: (text, detail) => log.debug(text, detail),
    trace: (text, detail) => log.trace(text, detail),
    child: (name) => quietWire(log.child(name)),
    category: (category) => {
      const chosen = log.category(category);
      const hidden = category === "sip.wire" && !chosen.enabled("trace");
      return hidden ? silentLog : quietWire(chosen);
    },
  };
}
