// The local address that faces a destination, without ever looking up a host name.
// Role: edge

import { systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import {
  decodeIp,
  type Endpoint,
  formatEndpoint,
  isIpAddress,
  isIpv6,
  isLoopback,
  isPrivate,
  isUnspecified,
  prefixMatches,
  unmapAddress,
} from "./endpoint.ts";
import { transportError } from "./out_buffer.ts";

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

/**
 * Which of our addresses a peer is told.
 *
 * The runtime can neither connect a UDP socket nor read routes without full permissions, so: addresses and prefixes
 * come from the interfaces; the routing table is read when the process may (--allow-all on Linux); else
 * learnDefaultIpv4() asks the kernel by a multicast packet with TTL 0, which never leaves this host. Deno
 * permissions: --allow-sys=networkInterfaces; for learnDefaultIpv4() --allow-net, unstable net flag.
 */
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

export interface LocalAddress {
  readonly name: string;
  /** IP address without zone. */
  readonly address: string;
  readonly prefixLength: number;
}

interface Route {
  readonly name: string;
  /** 4 or 16 bytes. */
  readonly prefix: Uint8Array;
  /** 0 for the default route. */
  readonly prefixLength: number;
  /** Smaller is better among equal prefixes. */
  readonly metric: number;
}

export interface NetworkView {
  readonly addresses: readonly LocalAddress[];
  /** The routing table; empty when it could not be read. */
  readonly routes: readonly Route[];
  /** The address that default-routed IPv4 packets carry; null when it was not learnt. */
  readonly defaultIpv4: string | null;
}

/** Route flags of Linux: up, and reject. */
const RTF_UP = 0x1;
const RTF_REJECT = 0x200;

/** Bridges and tunnels of container and machine hosts: never the way to the world if there is another. */
const INSIDE_NAMES = /^(?:docker|br-|veth|virbr|vmnet|vnet|cni|flannel|cali|podman|lxc|lxd|kube|dummy)/;

/**
 * The local address that packets to `destination` carry, or null when no address of its family can reach it.
 * `destination` is an IP address.
 */
export function chooseLocalAddress(destination: string, view: NetworkView): string | null {
  const target = decodeIp(unmapAddress(destination));
  if (target === null) return null;
  if (isLoopback(destination)) return target.length === 4 ? "127.0.0.1" : "::1";
  const candidates = view.addresses.filter((own) => decodeIp(own.address)?.length === target.length);
  const own = candidates.find((candidate) => isSame(candidate, target));
  if (own !== undefined) return own.address;
  const zone = zoneName(destination, candidates);
  const reachable = zone === null ? candidates : candidates.filter((candidate) => candidate.name === zone);
  return byRoute(target, reachable, view.routes) ?? onLink(target, reachable) ??
    byDefault(target, reachable, view);
}

/** Reads Linux's /proc/net/route; lines that make no sense are left out. */
export function parseIpv4Routes(text: string): Route[] {
  const routes: Route[] = [];
  for (const line of text.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [name, destination, , flags, , , metric, mask] = fields;
    if (name === undefined || mask === undefined || !isUp(flags)) continue;
    const prefix = hexBytes(destination, 4)?.reverse();
    const maskBytes = hexBytes(mask, 4)?.reverse();
    if (prefix === undefined || maskBytes === undefined) continue;
    routes.push({ name, prefix, prefixLength: countOnes(maskBytes), metric: Number(metric) || 0 });
  }
  return routes;
}

/** Reads Linux's /proc/net/ipv6_route; lines that make no sense are left out. */
export function parseIpv6Routes(text: string): Route[] {
  const routes: Route[] = [];
  for (const line of text.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const [destination, length, , , , metric, , , flags, name] = fields;
    if (name === undefined || name === "lo" || !isUp(flags)) continue;
    const prefix = hexBytes(destination, 16);
    if (prefix === undefined) continue;
    routes.push({ name, prefix, prefixLength: parseInt(length!, 16), metric: parseInt(metric!, 16) });
  }
  return routes;
}

/** 24 for "255.255.255.0", 64 for "ffff:ffff:ffff:ffff::"; 0 for anything that is no mask. */
export function prefixLengthOf(netmask: string): number {
  const bytes = decodeIp(netmask);
  return bytes === null ? 0 : countOnes(bytes);
}

function byRoute(
  target: Uint8Array,
  candidates: readonly LocalAddress[],
  routes: readonly Route[],
): string | null {
  let best: Route | null = null;
  for (const route of routes) {
    if (route.prefix.length !== target.length || !prefixMatches(route.prefix, target, route.prefixLength)) {
      continue;
    }
    if (!candidates.some((own) => own.name === route.name)) continue;
    if (best === null || isBetter(route, best)) best = route;
  }
  return best === null ? null : bestSource(target, candidates.filter((own) => own.name === best.name));
}

function isBetter(route: Route, than: Route): boolean {
  if (route.prefixLength !== than.prefixLength) return route.prefixLength > than.prefixLength;
  return route.metric < than.metric;
}

/** The address with the longest on-link prefix that covers the destination. */
function onLink(target: Uint8Array, candidates: readonly LocalAddress[]): string | null {
  let best: LocalAddress | null = null;
  for (const own of candidates) {
    if (own.prefixLength === 0 || !prefixMatches(decodeIp(own.address)!, target, own.prefixLength)) continue;
    if (best === null || own.prefixLength > best.prefixLength) best = own;
  }
  return best?.address ?? null;
}

/** No table to read: the learnt address, its interface, else the interface most likely to face the world. */
function byDefault(
  target: Uint8Array,
  candidates: readonly LocalAddress[],
  view: NetworkView,
): string | null {
  const learnt = view.addresses.find((own) => own.address === view.defaultIpv4);
  if (learnt !== undefined) {
    if (target.length === 4) return learnt.address;
    const sameInterface = bestSource(target, candidates.filter((own) => own.name === learnt.name));
    if (sameInterface !== null && scopeOf(decodeIp(sameInterface)!) !== "link") return sameInterface;
  }
  const outside = candidates.filter((own) => !INSIDE_NAMES.test(own.name));
  return bestSource(target, outside) ?? bestSource(target, candidates);
}

/** Among the addresses of the interface: the on-link one, else of the same scope, else the first usable. */
function bestSource(target: Uint8Array, candidates: readonly LocalAddress[]): string | null {
  const usable = candidates.filter((own) => !isLoopback(own.address));
  const near = onLink(target, usable);
  if (near !== null) return near;
  const scope = scopeOf(target);
  const sameScope = usable.find((own) => scopeOf(decodeIp(own.address)!) === scope);
  const notLink = usable.find((own) => scopeOf(decodeIp(own.address)!) !== "link");
  return (sameScope ?? notLink ?? usable[0])?.address ?? null;
}

function scopeOf(bytes: Uint8Array): "link" | "unique-local" | "global" {
  if (bytes.length === 4) return bytes[0] === 169 && bytes[1] === 254 ? "link" : "global";
  if (bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80) return "link";
  return (bytes[0]! & 0xfe) === 0xfc ? "unique-local" : "global";
}

function isSame(own: LocalAddress, target: Uint8Array): boolean {
  return prefixMatches(decodeIp(own.address)!, target, 8 * target.length);
}

/** The interface that fe80::1%eth0 names, if this host has it. */
function zoneName(destination: string, candidates: readonly LocalAddress[]): string | null {
  const at = destination.indexOf("%");
  const zone = at < 0 ? null : destination.slice(at + 1);
  return zone !== null && candidates.some((own) => own.name === zone) ? zone : null;
}

function isUp(flags: string | undefined): boolean {
  const bits = parseInt(flags ?? "", 16);
  return (bits & RTF_UP) !== 0 && (bits & RTF_REJECT) === 0;
}

function hexBytes(text: string | undefined, count: number): Uint8Array | undefined {
  if (text === undefined || text.length !== 2 * count || !/^[0-9a-fA-F]+$/.test(text)) return undefined;
  return Uint8Array.from({ length: count }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

function countOnes(bytes: Uint8Array): number {
  let ones = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      if ((byte >> bit & 1) === 0) return ones;
      ones++;
    }
  }
  return ones;
}
