// The local address that faces a destination, without ever looking up a host name.
// The runtime can neither connect a UDP socket nor read routes without full permissions, so: addresses and
// prefixes come from the interfaces; the routing table is read when the process may (--allow-all on Linux);
// else learnDefaultIpv4() asks the kernel by a multicast packet with TTL 0, which never leaves this host.
// Deno permissions: --allow-sys=networkInterfaces; for learnDefaultIpv4() --allow-net, unstable net flag.
// Role: edge

import { systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import {
  type Endpoint,
  formatEndpoint,
  isIpAddress,
  isIpv6,
  isPrivate,
  isUnspecified,
  unmapAddress,
} from "./endpoint.ts";
import { transportError } from "./failure.ts";
import {
  chooseLocalAddress,
  type LocalAddress,
  parseIpv4Routes,
  parseIpv6Routes,
  prefixLengthOf,
  type Route,
} from "./route_table.ts";

/** How long what was read of interfaces and routes is believed. */
const VIEW_LIFE_MS = 5_000;

/** Organization-local multicast group (RFC 2365) and time for the default route question. */
const PROBE_GROUP = "239.255.83.73";
const PROBE_WAIT_MS = 500;

interface HostView {
  readonly addresses: readonly LocalAddress[];
  readonly routes: readonly Route[];
}

/**
 * The address the kernel would put on packets to `destination` (an IP address). Throws
 * {@link TransportError} "unreachable" when this host has no address of that family.
 * @param defaultIpv4 what {@link learnDefaultIpv4} gave, for hosts whose routing table cannot be read
 */
export function localAddressFor(destination: Endpoint, defaultIpv4: string | null = null): string {
  const chosen = chooseLocalAddress(destination.hostname, { ...readHostView(), defaultIpv4 });
  if (chosen !== null) return chosen;
  const reason = isIpAddress(destination.hostname) ? "no local address of that family" : "not an IP address";
  throw new TransportError(`No way to ${formatEndpoint(destination)}: ${reason}`, "unreachable");
}

/**
 * The address that default-routed IPv4 packets of this host carry, or null when there is no such route.
 * The kernel chooses it for a packet to a multicast group, which follows the default route; TTL 0 and
 * loopback return it to our own socket only.
 */
export async function learnDefaultIpv4(): Promise<string | null> {
  try {
    using socket = openProbe();
    return await socket.ask();
  } catch (error) {
    // No default route, no multicast, no permission: the interfaces must do.
    if (error instanceof Error) return null;
    throw error;
  }
}

/** Which of our addresses a peer is told. */
export class AddressPolicy {
  readonly #bind: string;
  readonly #advertise: string | null;
  #publicAddress: string | null = null;
  #defaultIpv4: string | null = null;
  #view: { readonly value: HostView; readonly untilMs: number } | null = null;

  /**
   * Answers at once, from the interfaces; refresh() makes it exact for multi-homed hosts.
   * @param options `bind`: where sockets are bound, 0.0.0.0 or :: for everywhere; `advertise`: the address
   * the user gave (`-e`), or null
   * @throws TransportError when the addresses of this machine are needed and may not be read
   */
  constructor(options: { bind: string; advertise: string | null }) {
    this.#bind = options.bind;
    this.#advertise = options.advertise;
    if (this.#needsView) this.#currentView(); // told at the start, not in the first call
  }

  /** The address the public Internet sees us at, as a STUN server told; null: not known (any more). */
  get publicAddress(): string | null {
    return this.#publicAddress;
  }

  /** See the getter; it counts for public destinations from the next addressFor() on. */
  set publicAddress(address: string | null) {
    this.#publicAddress = address;
  }

  /**
   * The address to write into messages for `destination`: the advertised one always wins, then for a public
   * destination the public address, then a specific bind address, then the route. Throws
   * {@link TransportError} as {@link localAddressFor} does.
   */
  addressFor(destination: Endpoint): string {
    if (this.#advertise !== null) return this.#advertise;
    if (this.#publicAddress !== null && this.#isBeyondNat(destination, this.#publicAddress)) {
      return this.#publicAddress;
    }
    if (!isUnspecified(this.#bind)) return this.#bind;
    const chosen = chooseLocalAddress(destination.hostname, {
      ...this.#currentView(),
      defaultIpv4: this.#defaultIpv4,
    });
    return chosen ?? localAddressFor(destination, this.#defaultIpv4);
  }

  /** A NAT stands between us and the public Internet, not between us and private networks. */
  #isBeyondNat({ hostname }: Endpoint, publicAddress: string): boolean {
    const sameFamily = isIpv6(unmapAddress(hostname)) === isIpv6(publicAddress);
    return sameFamily && isIpAddress(hostname) && !isPrivate(hostname);
  }

  /** Learns the default route anew where addressFor() needs it: call it at the start and now and then. */
  async refresh(): Promise<void> {
    if (!this.#needsView) return;
    this.#view = null;
    if (this.#currentView().routes.length === 0) this.#defaultIpv4 = await learnDefaultIpv4();
  }

  get #needsView(): boolean {
    return this.#advertise === null && isUnspecified(this.#bind);
  }

  #currentView(): HostView {
    const nowMs = systemClock.now();
    if (this.#view === null || this.#view.untilMs <= nowMs) {
      this.#view = { value: readHostView(), untilMs: nowMs + VIEW_LIFE_MS };
    }
    return this.#view.value;
  }
}

function readHostView(): HostView {
  const addresses = readInterfaces().map(({ name, address, netmask }) => ({
    name,
    address: address.split("%", 1)[0]!,
    prefixLength: prefixLengthOf(netmask),
  }));
  const routes = [
    ...parseIpv4Routes(readTable("/proc/net/route")),
    ...parseIpv6Routes(readTable("/proc/net/ipv6_route")),
  ];
  return { addresses, routes };
}

function readInterfaces(): Deno.NetworkInterfaceInfo[] {
  const attempt = "Cannot read the addresses of this machine";
  if (Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" }).state !== "granted") {
    throw new TransportError(`${attempt}: started without --allow-sys=networkInterfaces`, "failed");
  }
  try {
    return Deno.networkInterfaces();
  } catch (error) {
    throw transportError(attempt, error);
  }
}

/** Empty where there is no such file, or when the process may not read it; it is never asked for. */
function readTable(path: string): string {
  if (Deno.build.os !== "linux") return "";
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return "";
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Error) return "";
    throw error;
  }
}

interface Probe extends Disposable {
  ask(): Promise<string | null>;
}

function openProbe(): Probe {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  const { port } = socket.addr as Deno.NetAddr;
  let open = true;
  const close = (): void => {
    if (open) socket.close();
    open = false;
  };
  const ask = async (): Promise<string | null> => {
    const membership = await socket.joinMulticastV4(PROBE_GROUP, "0.0.0.0");
    await membership.setLoopback(true);
    await membership.setTTL(0);
    const question = crypto.getRandomValues(new Uint8Array(16));
    await socket.send(question, { transport: "udp", hostname: PROBE_GROUP, port });
    using _limit = systemClock.after(PROBE_WAIT_MS, close);
    for (;;) {
      const [answer, from] = await socket.receive(new Uint8Array(64));
      if (answer.every((byte, i) => byte === question[i])) return (from as Deno.NetAddr).hostname;
    }
  };
  return { ask, [Symbol.dispose]: close };
}
