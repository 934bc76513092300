// Under which key an address is counted: an IPv4 address is one customer, and so is an IPv6 /64, which a single
// host can have all to itself (RFC 6177, RFC 8981).
// Role: wire

import { decodeIp, isLoopback, unmapAddress } from "../../net/endpoint.ts";
import { toHex } from "../../base/bytes.ts";

const NETWORK_BYTES = 8;

/** The key of an address; null for this machine itself, where proxies such as stunnel stand for anybody. */
export function addressKey(hostname: string): string | null {
  if (isLoopback(hostname)) return null;
  return sourceKey(hostname);
}

/** The key of an address, whoever it is. Costs nothing for IPv4. */
export function sourceKey(hostname: string): string {
  if (!hostname.includes(":")) return hostname;
  const plain = unmapAddress(hostname);
  const bytes = decodeIp(plain);
  return bytes === null || bytes.length === 4 ? plain : toHex(bytes.subarray(0, NETWORK_BYTES));
}
