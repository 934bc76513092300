// An endpoint is an IP address and a port; host names become endpoints in dns.ts and nowhere else.
// IPv6 addresses are kept without brackets (RFC 3986 3.2.2 puts them around); an IPv4 address mapped into
// IPv6 (RFC 4291 2.5.5.2) counts as the IPv4 address it holds.
// Role: wire

import { WireError } from "../base/errors.ts";

/** Where a socket is, or where packets go. */
export interface Endpoint {
  /** IP address; IPv6 without brackets. */
  readonly hostname: string;
  /** 0 to 65535. */
  readonly port: number;
}

/** Says where may be sent to; access has the real one. */
export interface TargetGuard {
  /**
   * Why nothing may be sent there; null when it may.
   * @param askedBy IP address of who named the place; null: the operator
   */
  refusal(to: Endpoint, askedBy: string | null): string | null;
}

const MAPPED_PREFIX = "::ffff:";

/** "192.0.2.1:5060" or "[2001:db8::1]:5060". */
export function formatEndpoint(endpoint: Endpoint): string {
  const { hostname, port } = endpoint;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * Reads "host", "host:port", "[v6]", "[v6]:port" or a bare IPv6 address. The host may be a name: what
 * comes from users is not always an address yet; ask {@link isIpAddress}. Throws {@link WireError}.
 */
export function parseEndpoint(text: string, defaultPort: number): Endpoint {
  const trimmed = text.trim();
  if (isIpv6(trimmed)) return { hostname: trimmed, port: defaultPort };
  const match = /^(?:\[([^\[\]]+)\]|([^\s:\[\]\/@]+))(?::(\d{1,5}))?$/.exec(trimmed);
  const bracketed = match?.[1];
  const hostname = bracketed ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (hostname === undefined || port > 65535 || bracketed !== undefined && !isIpv6(bracketed)) {
    throw new WireError("address", `"${text}" is not HOST, HOST:PORT or [IPv6]:PORT`);
  }
  return { hostname, port };
}

/** Whether this is an IPv4 or IPv6 address in text form and not a name. */
export function isIpAddress(hostname: string): boolean {
  return decodeIp(hostname) !== null;
}

/** Whether this is an IPv6 address in text form, with or without a zone (fe80::1%eth0). */
export function isIpv6(hostname: string): boolean {
  return decodeIp(hostname)?.length === 16;
}

/** 127.0.0.0/8 and ::1; also the name "localhost". */
export function isLoopback(hostname: string): boolean {
  if (hostname.toLowerCase() === "localhost") return true;
  const bytes = decodeIp(unmapAddress(hostname));
  if (bytes === null) return false;
  return bytes.length === 4 ? bytes[0] === 127 : prefixMatches(bytes, LOOPBACK_V6, 128);
}

/** Addresses the public Internet does not route: RFC 1918, RFC 6598, link-local, unique local, loopback. */
export function isPrivate(hostname: string): boolean {
  const bytes = decodeIp(unmapAddress(hostname));
  if (bytes === null) return isLoopback(hostname);
  for (const { prefix, bits } of PRIVATE_RANGES) {
    if (prefix.length === bytes.length && prefixMatches(bytes, prefix, bits)) return true;
  }
  return false;
}

/** 0.0.0.0 or :: in any spelling: every address of this host. */
export function isUnspecified(hostname: string): boolean {
  const bytes = decodeIp(unmapAddress(hostname));
  return bytes !== null && bytes.every((byte) => byte === 0);
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && sameAddress(a.hostname, b.hostname);
}

/** Same address, however spelled ("::1" and "0:0:0:0:0:0:0:1"); other texts compare without case. */
export function sameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  const bytesA = decodeIp(unmapAddress(a));
  const bytesB = decodeIp(unmapAddress(b));
  if (bytesA === null || bytesB === null) return a.toLowerCase() === b.toLowerCase();
  if (zoneOf(a) !== "" && zoneOf(b) !== "" && zoneOf(a) !== zoneOf(b)) return false;
  return bytesA.length === bytesB.length && prefixMatches(bytesA, bytesB, 8 * bytesA.length);
}

/** "::ffff:192.0.2.1" as "192.0.2.1"; anything else as it is. */
export function unmapAddress(hostname: string): string {
  if (hostname.length <= MAPPED_PREFIX.length || !hostname.toLowerCase().startsWith(MAPPED_PREFIX)) {
    return hostname;
  }
  const inner = hostname.slice(MAPPED_PREFIX.length);
  return inner.includes(".") ? inner : hostname;
}

/** The 4 or 16 bytes of an address in text form, or null when it is none. A zone is ignored. */
export function decodeIp(hostname: string): Uint8Array | null {
  if (hostname.length > 64) return null;
  return hostname.includes(":") ? decodeIpv6(hostname) : decodeIpv4(hostname);
}

/** The text form of 4 or 16 bytes; IPv6 as RFC 5952 4 wants it: lower case, the longest run of zeros shortened. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8 | bytes[i + 1]!).toString(16));
  const [start, length] = longestZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

/** Of runs equally long the first. */
function longestZeros(groups: readonly string[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === "0") end++;
    if (end - start > best[1]) best = [start, end - start];
    if (end > start) start = end;
  }
  return best;
}

/** Whether the first `bits` bits are equal; both must hold at least as many. */
export function prefixMatches(a: ArrayLike<number>, b: ArrayLike<number>, bits: number): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (a[whole]! ^ b[whole]!) >> 8 - rest === 0;
}

function decodeIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    // A leading zero is refused: some readers take it for octal (RFC 6943 3.1.1).
    if (!/^(?:0|[1-9]\d{0,2})$/.test(parts[i]!) || Number(parts[i]) > 255) return null;
    bytes[i] = Number(parts[i]);
  }
  return bytes;
}

/** RFC 4291 2.2: eight groups, "::" once for any number of zero groups, an IPv4 tail allowed. */
function decodeIpv6(text: string): Uint8Array | null {
  const match = /^([0-9a-fA-F:.]+)(?:%[\w.-]+)?$/.exec(text);
  if (match === null) return null;
  const halves = match[1]!.split("::");
  if (halves.length > 2) return null;
  const head = decodeGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? decodeGroups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return null;
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

function decodeGroups(text: string, last: boolean): number[] | null {
  const bytes: number[] = [];
  if (text === "") return bytes;
  const groups = text.split(":");
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]!;
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const ipv4 = last && i === groups.length - 1 ? decodeIpv4(group) : null;
    if (ipv4 === null) return null;
    bytes.push(...ipv4);
  }
  return bytes;
}

function zoneOf(hostname: string): string {
  const at = hostname.indexOf("%");
  return at < 0 ? "" : hostname.slice(at + 1);
}

interface Range {
  readonly prefix: Uint8Array;
  readonly bits: number;
}

function range(address: string, bits: number): Range {
  return { prefix: decodeIp(address)!, bits };
}

const LOOPBACK_V6 = decodeIp("::1")!;

const PRIVATE_RANGES: readonly Range[] = [
  range("10.0.0.0", 8),
  range("172.16.0.0", 12),
  range("192.168.0.0", 16),
  range("100.64.0.0", 10), // shared by carriers, RFC 6598
  range("169.254.0.0", 16), // link-local, RFC 3927
  range("127.0.0.0", 8),
  range("fc00::", 7), // unique local, RFC 4193
  range("fe80::", 10), // link-local
  range("::1", 128),
];

export interface Network {
  /** 4 or 16 bytes; those behind the prefix do not count. */
  readonly prefix: readonly number[];
  readonly bits: number;
}

/** "192.0.2.0/24", "2001:db8::/32", or an address alone; brackets are taken off. Undefined: something else. */
export function parseNetwork(text: string): Network | undefined {
  if (text.length > 64) return undefined;
  const [address = "", length, ...more] = text.split("/");
  const bare = address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
  const bytes = bare.includes("%") ? null : decodeIp(bare);
  if (bytes === null || more.length > 0) return undefined;
  const inner = length === undefined ? embeddedIpv4(bytes) : bytes;
  const whole = 8 * inner.length;
  if (length === undefined) return { prefix: [...inner], bits: whole };
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : NaN;
  return bits <= whole ? { prefix: [...bytes], bits } : undefined;
}

/** "192.0.2.0/24"; an address alone without length. */
export function formatNetwork({ prefix, bits }: Network): string {
  const address = formatIp(Uint8Array.from(prefix));
  return bits === 8 * prefix.length ? address : `${address}/${bits}`;
}

/** Whether an address lies in the network, as it is written or as the IPv4 address it leads to. */
export function isInNetwork(hostname: string, network: Network): boolean {
  const bytes = decodeIp(hostname);
  if (bytes === null) return false;
  return contains(network, bytes) || contains(network, embeddedIpv4(bytes));
}

function contains({ prefix, bits }: Network, bytes: Uint8Array): boolean {
  return prefix.length === bytes.length && prefixMatches(prefix, bytes, bits);
}

/** Where an IPv6 address holds the IPv4 address that its packets end up at. */
const EMBEDDINGS: readonly { readonly network: Network; readonly at: number; readonly inverted?: true }[] = [
  { network: known("::ffff:0:0", 96), at: 12 }, // mapped, RFC 4291 2.5.5.2
  { network: known("::ffff:0:0:0", 96), at: 12 }, // translated, RFC 7915
  { network: known("64:ff9b::", 96), at: 12 }, // NAT64, RFC 6052
  { network: known("64:ff9b:1::", 48), at: 12 }, // NAT64 of one's own, RFC 8215
  { network: known("2002::", 16), at: 2 }, // 6to4, RFC 3056
  { network: known("2001::", 32), at: 12, inverted: true }, // Teredo, RFC 4380
];

const COMPATIBLE = known("::", 96); // RFC 4291 2.5.5.1; :: and ::1 are none of them

/** The IPv4 address in an IPv6 one, else the address itself. */
export function embeddedIpv4(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 4) return bytes;
  for (const { network, at, inverted } of EMBEDDINGS) {
    if (!contains(network, bytes)) continue;
    const inner = bytes.slice(at, at + 4);
    return inverted ? inner.map((byte) => byte ^ 0xff) : inner;
  }
  const compatible = contains(COMPATIBLE, bytes) && (bytes[12] !== 0 || bytes[13] !== 0 || bytes[14] !== 0);
  return compatible ? bytes.slice(12) : bytes;
}

function known(address: string, bits: number): Network {
  return { prefix: [...decodeIp(address)!], bits };
}
