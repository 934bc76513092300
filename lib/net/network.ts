// Networks: an address and how many of its bits count (CIDR, RFC 4632, RFC 4291 2.3). An address is looked at by what it
// leads to: an IPv4 address inside of an IPv6 one (mapped, translated, tunnelled) is that IPv4 address.
// Role: wire

import { decodeIp, formatIp, prefixMatches } from "./endpoint.ts";

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
