// The address of an IPv4 socket as the system calls of Linux take it (ip(7)): struct sockaddr_in.
//
//   family:u16 host order (2)   port:u16   address:u32   zeros:8
//
// Role: wire

import { decodeIp, type Endpoint } from "../endpoint.ts";

export const SOCKADDR_LENGTH = 16;

export const AF_INET = 2;

/** Null for what is not an IPv4 address in text form. */
export function encodeSockaddr({ hostname, port }: Endpoint): Uint8Array<ArrayBuffer> | null {
  const ip = decodeIp(hostname);
  if (ip?.length !== 4) return null;
  const bytes = new Uint8Array(SOCKADDR_LENGTH);
  bytes[0] = AF_INET; // little-endian hosts only, and Deno runs on no others
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(ip, 4);
  return bytes;
}

/** What a system call has written. */
export function decodeSockaddr(bytes: Uint8Array): Endpoint {
  return {
    hostname: `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`,
    port: bytes[2]! << 8 | bytes[3]!,
  };
}

/** One number for address and port, equal when both are. */
export function sockaddrKey(bytes: Uint8Array): number {
  const port = bytes[2]! << 8 | bytes[3]!;
  return port * 0x1_0000_0000 + bytes[4]! * 0x100_0000 + (bytes[5]! << 16 | bytes[6]! << 8 | bytes[7]!);
}
