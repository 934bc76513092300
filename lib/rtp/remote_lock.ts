// Symmetric RTP with a lock (RFC 4961): where one stream is sent to and whose packets it takes, from its description, its
// signalling and what arrives. Whoever else finds the port must not get the call's sound.
// Role: machine

import {
  type Endpoint,
  isIpAddress,
  isPrivate,
  sameAddress,
  sameEndpoint,
  type TargetGuard,
} from "../net/endpoint.ts";
import type { HeardStream } from "../net/rtp_ports.ts";
import type { RtpHeader } from "./packet.ts";

/** How long the old sender is still heard after the description has moved, unless a new one speaks. */
export const FORMER_HEARD_MS = 2000;
/** Silence after which the same stream may come from somewhere else: a few packets. */
export const TAKE_OVER_AFTER_MS = 200;
/** Packets in order, and the time they take at least, by which an unexpected source shows that it is a stream. */
export const PROBATION_PACKETS = 6;
export const PROBATION_MS = 60;

/** A candidate that falls silent for so long makes room for another. */
const CANDIDATE_MS = 1000;
/** Sequence numbers that go on: as far as RFC 3550 A.1 takes a gap for loss, or a packet for late. */
const MAX_STEP = 3000;
const MAX_LATE = 100;
/** A host has many users, but symmetric RTP may come from any of its ports. */
const ANOTHER_PORT = 2;
/** The stream of an earlier call goes on at up to 100 packets a second; it is forgotten after five minutes. */
const EARLIER_STEP_MS = 10;
const EARLIER_MS = 300_000;
const MAX_EARLIER_STEP = 0x4000;

/**
 * Who may send first besides the described host and the peer's signalling hosts. A phone behind a NAT describes a
 * private address; its packets come from one that a proxy between need not have told:
 * `nat`: any source that has shown itself to be a stream of the agreed payload types, when the description cannot be
 * where it comes from: it is private and the signalling is not, or it is unknown;
 * `any`: the same whenever the description is private, for a proxy on this machine or in this network;
 * `strict`: nobody.
 */
export type SourceRule = "strict" | "nat" | "any";

/** Where the peer takes media; "unknown": somewhere, but its description does not say where in a usable way. */
export type Described = Endpoint | "unknown";

export interface RemoteLockOptions {
  /** False sends to the described address always, and hears only its host. */
  readonly latch: boolean;
  /** Who may send first; "nat" unless given. */
  readonly rule?: SourceRule;
  /** What an earlier call heard on this port: it is not heard again. */
  readonly earlier?: HeardStream | null;
}

type PacketIdentity = Pick<RtpHeader, "ssrc" | "sequenceNumber" | "payloadType">;

/** A source that nothing points to, while it shows what it is. */
interface Candidate {
  readonly at: Endpoint;
  readonly ssrc: number;
  readonly sinceMs: number;
  sequence: number;
  count: number;
  lastMs: number;
}

/**
 * Where one stream goes to and may come from: the described address until the peer's first packet arrives, then where that
 * came from, which is what gets through NAT. Not every first packet will do, and no silence hands the stream to somebody else:
 *
 *     first packet   from the described address, or from a host that the peer's signalling came from; from another port
 *                    of the described host, or as SourceRule says, by who shows to be a stream of the call
 *     another sender who is nearer to the description than the present one, or carries the same stream on: its SSRC and
 *                    its sequence numbers, once the present one has fallen silent
 *     signalling     that moves the description or the peer's hosts: it starts over, the old sender heard a while longer
 */
export class RemoteLock {
  /** IP addresses that the peer's signalling came from, the nearest first. */
  signalling: readonly string[] = [];
  /** What the peer may send; null: anything. */
  payloadTypes: ReadonlySet<number> | null = null;
  /** When the stream was heard last; -Infinity before the first packet. */
  heardMs: number = -Infinity;
  readonly #latch: boolean;
  readonly #rule: SourceRule;
  #earlier: HeardStream | null;
  /** As described; null while the peer takes nothing. */
  #remote: Described | null = null;
  /** The last address described, which hold does not forget. */
  #lastRemote: Endpoint | null = null;
  #locked: Endpoint | null = null;
  #ssrc = -1;
  #sequence = 0;
  #candidate: Candidate | null = null;
  /** The sender before the description changed. */
  #former: Endpoint | null = null;
  #formerUntilMs = 0;

  constructor(options: RemoteLockOptions) {
    this.#latch = options.latch;
    this.#rule = options.rule ?? "nat";
    this.#earlier = options.earlier ?? null;
  }

  /** Where to send; null while nothing is described, or nobody knows where. */
  get target(): Endpoint | null {
    const remote = this.#remote;
    if (remote === null) return null;
    return this.#locked ?? (remote === "unknown" ? null : remote);
  }

  /** Where packets came from last; null before the first. */
  get locked(): Endpoint | null {
    return this.#locked;
  }

  get heard(): HeardStream | null {
    if (this.#ssrc < 0) return this.#earlier;
    return { ssrc: this.#ssrc, sequence: this.#sequence, atMs: this.heardMs };
  }

  /** The address of the description; null (hold) stops sending and keeps the lock. */
  setRemote(remote: Described | null, nowMs: number): void {
    this.#remote = remote === null || remote === "unknown"
      ? remote
      : { hostname: remote.hostname, port: remote.port };
    if (this.#remote === null || this.#remote === "unknown") return;
    const moved = this.#lastRemote !== null && !sameEndpoint(this.#lastRemote, this.#remote);
    this.#lastRemote = this.#remote;
    if (!moved || this.#locked === null || sameEndpoint(this.#locked, this.#remote)) return;
    this.#former = this.#locked;
    this.#formerUntilMs = nowMs + FORMER_HEARD_MS;
    this.#locked = null;
  }

  /** Whether a valid packet from `from` belongs to the stream; locks on to it when it should. */
  accept(from: Endpoint, nowMs: number, packet: PacketIdentity): boolean {
    if (this.#earlier !== null && this.#isOfEarlierCall(packet, nowMs)) return false;
    const locked = this.#locked;
    const known = locked !== null && from.port === locked.port && from.hostname === locked.hostname;
    if (!known && !this.#admits(from, nowMs, packet)) return false;
    this.heardMs = nowMs;
    this.#ssrc = packet.ssrc;
    this.#sequence = packet.sequenceNumber;
    return true;
  }

  /** Whether RTCP from this host can be the peer's: of the stream's host once there is one, else as a first packet. */
  hears(hostname: string): boolean {
    const locked = this.#locked;
    return locked === null
      ? this.#nearness({ hostname, port: 0 }) > 0
      : sameAddress(hostname, locked.hostname);
  }

  #admits(from: Endpoint, nowMs: number, packet: PacketIdentity): boolean {
    if (!this.#latch) return this.#lastRemote === null || this.#nearness(from) >= ANOTHER_PORT;
    if (this.#isFormer(from, nowMs)) return true;
    if (!this.#mayTakeOver(from, nowMs, packet)) return false;
    this.#locked = { hostname: from.hostname, port: from.port };
    this.#former = this.#candidate = null;
    return true;
  }

  #isFormer(from: Endpoint, nowMs: number): boolean {
    return this.#locked === null && this.#former !== null && nowMs < this.#formerUntilMs &&
      sameEndpoint(from, this.#former);
  }

  #mayTakeOver(from: Endpoint, nowMs: number, packet: PacketIdentity): boolean {
    const locked = this.#locked;
    const nearness = this.#nearness(from);
    if (nearness > (locked === null ? 0 : this.#nearness(locked))) {
      return nearness !== ANOTHER_PORT || this.#isStream(from, nowMs, packet);
    }
    const silent = locked === null || nowMs - this.heardMs >= TAKE_OVER_AFTER_MS;
    if (silent && packet.ssrc === this.#ssrc && goesOn(this.#sequence, packet.sequenceNumber)) return true;
    return locked === null && this.#guesses && this.#isStream(from, nowMs, packet);
  }

  /** 3: the described address, {@link ANOTHER_PORT} of its host, 1: a host of the peer's signalling, 0: anybody. */
  #nearness(from: Endpoint): number {
    const described = this.#lastRemote;
    if (described !== null && sameAddress(from.hostname, described.hostname)) {
      return from.port === described.port ? 3 : ANOTHER_PORT;
    }
    for (const host of this.signalling) if (sameAddress(from.hostname, host)) return 1;
    return 0;
  }

  /** Whether the peer's packets can be expected from somewhere that nothing told. */
  get #guesses(): boolean {
    if (this.#rule === "strict" || this.#remote === null && this.#lastRemote === null) return false;
    const described = this.#lastRemote;
    if (described === null) return true;
    if (!isPrivate(described.hostname)) return false;
    const [peer] = this.signalling;
    return this.#rule === "any" || peer !== undefined && !isPrivate(peer);
  }

  #isStream(from: Endpoint, nowMs: number, packet: PacketIdentity): boolean {
    if (this.payloadTypes !== null && !this.payloadTypes.has(packet.payloadType)) return false;
    const candidate = this.#candidate;
    if (candidate === null || nowMs - candidate.lastMs >= CANDIDATE_MS) {
      const at = { hostname: from.hostname, port: from.port };
      const { ssrc, sequenceNumber: sequence } = packet;
      this.#candidate = { at, ssrc, sinceMs: nowMs, sequence, count: 1, lastMs: nowMs };
      return false;
    }
    if (!sameEndpoint(candidate.at, from) || candidate.ssrc !== packet.ssrc) return false;
    const next = (candidate.sequence + 1 & 0xffff) === packet.sequenceNumber;
    candidate.count = next ? candidate.count + 1 : 1;
    candidate.sequence = packet.sequenceNumber;
    candidate.lastMs = nowMs;
    return candidate.count >= PROBATION_PACKETS && nowMs - candidate.sinceMs >= PROBATION_MS;
  }

  #isOfEarlierCall(packet: PacketIdentity, nowMs: number): boolean {
    const earlier = this.#earlier;
    if (earlier === null || earlier.ssrc !== packet.ssrc) return false;
    const passedMs = nowMs - earlier.atMs;
    const most = Math.min(MAX_EARLIER_STEP, MAX_STEP + passedMs / EARLIER_STEP_MS);
    const step = packet.sequenceNumber - earlier.sequence & 0xffff;
    if (passedMs > EARLIER_MS || step > most) {
      this.#earlier = null; // a phone that uses its SSRC again
      return false;
    }
    this.#earlier = { ssrc: earlier.ssrc, sequence: packet.sequenceNumber, atMs: nowMs };
    return true;
  }
}

function goesOn(sequence: number, next: number): boolean {
  const step = next - sequence & 0xffff;
  return step > 0 && step < MAX_STEP || step >= 0x10000 - MAX_LATE;
}

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

interface PayloadTypes {
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
interface DescribedAddress {
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
