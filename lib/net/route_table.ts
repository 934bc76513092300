// Which local address faces a destination, decided from plain values: the addresses of this host, the
// kernel's routing table where it can be read, and the address of the default route where that was learnt.
// Longest prefix wins; among several source addresses RFC 6724 5 in short: same scope, not link-local.
// Role: wire

import { decodeIp, isLoopback, prefixMatches, unmapAddress } from "./endpoint.ts";

/** One address of this host. */
export interface LocalAddress {
  readonly name: string;
  /** IP address without zone. */
  readonly address: string;
  /** Length of the on-link prefix in bits. */
  readonly prefixLength: number;
}

/** One line of a routing table. */
export interface Route {
  readonly name: string;
  /** 4 or 16 bytes. */
  readonly prefix: Uint8Array;
  /** 0 for the default route. */
  readonly prefixLength: number;
  /** Smaller is better among equal prefixes. */
  readonly metric: number;
}

/** What is known of this host's network. */
export interface NetworkView {
  /** All addresses of interfaces that are up. */
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
