// The errors of the runtime's sockets as TransportError, so that nobody else needs to know them.
// Role: edge

import { messageOf, TransportError, type TransportErrorCode } from "../base/errors.ts";

/** By `code` where the runtime gives one (errno names), else by class. */
const CODES: Readonly<Record<string, TransportErrorCode>> = {
  EADDRINUSE: "addr-in-use",
  AddrInUse: "addr-in-use",
  ECONNREFUSED: "refused",
  ConnectionRefused: "refused",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
  AddrNotAvailable: "unreachable",
  NetworkUnreachable: "unreachable",
  HostUnreachable: "unreachable",
  ETIMEDOUT: "timeout",
  TimedOut: "timeout",
  ECONNRESET: "closed",
  ECONNABORTED: "closed",
  EPIPE: "closed",
  ENOTCONN: "closed",
  ConnectionReset: "closed",
  ConnectionAborted: "closed",
  BrokenPipe: "closed",
  NotConnected: "closed",
  BadResource: "closed",
  Interrupted: "closed",
};

/** Puts what was tried before what happened, and keeps the runtime's error as the cause. */
export function transportError(attempt: string, error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const errno = error instanceof Error && "code" in error ? String(error.code) : "";
  const name = error instanceof Error ? error.name : "";
  return new TransportError(`${attempt}: ${plainReason(error)}`, CODES[errno] ?? CODES[name] ?? "failed", {
    cause: error,
  });
}

/** Whether the runtime says so because the socket was closed on this side. */
export function isClosedHere(error: unknown): boolean {
  return error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;
}

function plainReason(error: unknown): string {
  return messageOf(error).replace(/ \(os error \d+\)$/, "");
}
