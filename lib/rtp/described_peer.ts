// What a peer's description and signalling say about where its media go to and come from, in the terms of a session:
// an address to send to, or that there is one which cannot be used, so that its packets have to show it.
// Role: wire

import { type Endpoint, isIpAddress, sameAddress, type TargetGuard } from "../net/endpoint.ts";
import type { Described } from "./remote_lock.ts";

/** What was agreed for one stream, as far as its addresses and payload types go; SDP's AgreedMedia is one. */
export interface AgreedStream {
  /** Where the peer takes RTP; null: nowhere. */
  readonly remote: Endpoint | null;
  /** Where the peer takes RTCP; null: nowhere. */
  readonly rtcpRemote: Endpoint | null;
  /** Codecs, with their numbers each way. */
  readonly formats: readonly PayloadTypes[];
  readonly telephoneEvents: readonly PayloadTypes[];
  readonly comfortNoise: readonly PayloadTypes[];
  /** Redundancy, or null. */
  readonly redundancy: PayloadTypes | null;
}

export interface PayloadTypes {
  readonly sendPayloadType: number;
  readonly receivePayloadTypes: readonly number[];
}

/** What the peer may send: by our numbers, or by its own as some do in spite of RFC 3264 6.1. */
export function expectedPayloadTypes(agreed: AgreedStream): ReadonlySet<number> {
  const { formats, telephoneEvents, comfortNoise, redundancy } = agreed;
  const all = [...formats, ...telephoneEvents, ...comfortNoise, ...(redundancy === null ? [] : [redundancy])];
  return new Set(
    all.flatMap(({ sendPayloadType, receivePayloadTypes }) => [sendPayloadType, ...receivePayloadTypes]),
  );
}

/** Whether a description names another host than any its message came from: somebody else may be sent to. */
export function isSomebodyElse(described: Endpoint | null, signalling: readonly string[]): boolean {
  return described !== null && signalling.length > 0 &&
    !signalling.some((host) => sameAddress(host, described.hostname));
}

/** An address of a description, and why it cannot be used if so. */
export interface DescribedAddress {
  /** As a session takes it: a name that nobody could resolve, and what may not be sent to, is "unknown". */
  readonly at: Described | null;
  /** Why it is unknown; null: it is not. */
  readonly problem: string | null;
}

/**
 * Where a session sends for an address of a description.
 * @param signalling IP addresses the description came from, the nearest first
 * @param guard where may be sent to; absent: everywhere
 */
export function describedAddress(
  endpoint: Endpoint | null,
  signalling: readonly string[],
  guard?: TargetGuard,
): DescribedAddress {
  if (endpoint === null) return { at: null, problem: null };
  const problem = isIpAddress(endpoint.hostname)
    ? guard?.refusal(endpoint, signalling[0] ?? "") ?? null
    : `"${endpoint.hostname}" is no address`;
  return problem === null ? { at: endpoint, problem } : { at: "unknown", problem };
}
