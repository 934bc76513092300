// The RTP streams of one call: a pair of ports for each medium from the first offer on, a session once it is agreed what
// for, and where each of them sends and may hear from.
// Role: edge

import type { Logger } from "../base/log.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Scope } from "../base/scope.ts";
import type { Ticker } from "../base/ticker.ts";
import {
  formatEndpoint,
  isIpAddress,
  isIpv6,
  isPrivate,
  sameAddress,
  type TargetGuard,
} from "../net/endpoint.ts";
import type { RtpPortPair, RtpPorts } from "../net/rtp_ports.ts";
import {
  describedAddress,
  expectedPayloadTypes,
  isSomebodyElse,
  type SourceRule,
} from "../rtp/remote_lock.ts";
import type { MediaLife, MediaTimeouts } from "../rtp/media_watch.ts";
import { RtpSession } from "../rtp/session.ts";
import { type AgreedMedia, receives, sends } from "../sdp/agreed_media.ts";
import type { StreamCodecs, StreamRecord } from "./call_media.ts";

export interface StreamServices extends Runtime {
  readonly ports: Pick<RtpPorts, "bindPair">;
  /** Drives whatever is paced: reordering, RTCP, transcoded audio. */
  readonly ticker: Ticker;
  readonly scope: Scope;
  /** How long a call lasts without anything of its peer; absent: for ever. */
  readonly timeouts?: MediaTimeouts;
  /** Where may be sent to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Whose first packet counts; "nat" unless given. */
  readonly sourceRule?: SourceRule;
}

export type MediaKind = "audio" | "video";

export interface CallStreamsOptions {
  readonly services: StreamServices;
  readonly log: Logger;
  readonly localAddress: string;
  readonly bind: string;
}

interface Stream {
  readonly pair: RtpPortPair;
  session: RtpSession | null;
  /** What was agreed last, and where it was said; null: not used. */
  agreed: { readonly media: AgreedMedia; readonly signalling: readonly string[] } | null;
}

export class CallStreams implements Disposable {
  readonly #options: CallStreamsOptions;
  readonly #streams = new Map<MediaKind, Stream>();
  readonly #cname: string;

  /** Binds a pair of ports for each kind, all or none. Errors: TransportError when there is no port. */
  constructor(kinds: readonly MediaKind[], options: CallStreamsOptions) {
    this.#options = options;
    this.#cname = `${options.services.random.token(12)}@${options.localAddress}`;
    using opened = new DisposableStack();
    for (const kind of kinds) opened.use(this.#open(kind));
    opened.move(); // all or none: from here on they are ours
  }

  /** The RTP port of a medium; 0 when there is none. */
  port(kind: MediaKind): number {
    return this.#streams.get(kind)?.pair.rtp.local.port ?? 0;
  }

  /** The same; bound when there is none yet. Errors: TransportError when there is no port. */
  open(kind: MediaKind): number {
    return this.port(kind) || this.#open(kind).rtp.local.port;
  }

  /** The session on a stream's sockets; made when its clock rate is known. */
  session(kind: MediaKind, clockRate: number): RtpSession {
    const stream = this.#streams.get(kind);
    if (stream === undefined) throw new Error(`there is no ${kind} stream`);
    if (stream.session !== null) {
      stream.session.setClockRate(clockRate);
      return stream.session;
    }
    const { services, log } = this.#options;
    const { pair } = stream;
    const session = new RtpSession({ ...services, log, pair, clockRate, cname: this.#cname, latch: true });
    stream.session = session;
    services.scope.spawn(`${kind} on port ${session.localPort}`, () => session.run());
    return session;
  }

  /**
   * Sends where a medium was agreed to be sent. A peer that holds us hears nothing, but reports go on (RFC 3264 8.4).
   * @param signalling IP addresses the description came from
   */
  direct(media: AgreedMedia, signalling: readonly string[]): void {
    const stream = this.#streams.get(media.kind);
    if (stream === undefined || stream.session === null) return;
    const { session } = stream;
    stream.agreed = { media, signalling };
    const { services: { guard }, log } = this.#options;
    const { at, problem } = describedAddress(media.remote, signalling, guard);
    if (problem !== null) {
      log.warn(
        `${media.kind} follows the source of the peer's RTP, the address in its SDP is unusable: ${problem}`,
      );
    }
    session.setPeer({ signalling, payloadTypes: expectedPayloadTypes(media) });
    session.setRemote(
      media.heldByRemote ? null : at,
      describedAddress(media.rtcpRemote, signalling, guard).at,
    );
  }

  /**
   * Why a medium cannot be sent: its address cannot be used, and a peer that sends nothing will not show where it is.
   * Null: it can.
   */
  objection(media: AgreedMedia, signalling: readonly string[]): string | null {
    if (media.heldByRemote || receives(media.direction)) return null;
    return describedAddress(media.remote, signalling, this.#options.services.guard).problem;
  }

  /** How the media stand; `audio` false: sound is no stream of its own here. */
  life(audio: boolean): MediaLife {
    const life = { expected: false, heardMs: -Infinity, audioExpected: false, audioMs: -Infinity };
    for (const [kind, { session, agreed }] of this.#streams) {
      if (session === null || agreed === null) continue;
      life.heardMs = Math.max(life.heardMs, session.heardMs);
      const carries = kind === "video" || audio;
      const speaks = receives(agreed.media.direction);
      if (!carries || agreed.media.heldByRemote || !speaks && !mustReport(agreed)) continue;
      life.expected = true;
      if (kind !== "audio" || !speaks) continue;
      life.audioExpected = true;
      life.audioMs = session.receivedMs;
    }
    return life;
  }

  /** Where the peer's media come from or should, for people: "203.0.113.9:4000", and what is odd about it. */
  peerText(kind: MediaKind): { readonly from: string; readonly oddity: string } {
    const { session, agreed } = this.#streams.get(kind) ?? { session: null, agreed: null };
    const described = agreed?.media.remote ?? null;
    const [host = described?.hostname ?? "nowhere"] = agreed?.signalling ?? [];
    const said = describedOddity(described?.hostname ?? null, host);
    const expected = described === null
      ? host
      : formatEndpoint(isElsewhere(described.hostname, host) ? { ...described, hostname: host } : described);
    return { from: session?.source ? formatEndpoint(session.source) : expected, oddity: said };
  }

  /** A medium that is no longer agreed is not missed. */
  keepOnly(agreed: readonly AgreedMedia[]): void {
    for (const [kind, stream] of this.#streams) {
      if (!agreed.some((media) => media.kind === kind)) stream.agreed = null;
    }
  }

  /** Sends no more on this stream, not even reports, until it is agreed on again. */
  silence(kind: MediaKind): void {
    this.#streams.get(kind)?.session?.setRemote(null, null);
  }

  /** Nobody takes anything until a new receiver is set. */
  detach(): void {
    for (const { session } of this.#streams.values()) {
      if (session !== null) session.receiver = session.onSourceChange = session.onRtcp = null;
    }
  }

  /** What a stream is agreed for, and its counters; null: it is not in use. */
  record(kind: MediaKind, codecs: StreamCodecs): StreamRecord | null {
    const { session, agreed } = this.#streams.get(kind) ?? { session: null, agreed: null };
    if (session === null || agreed === null) return null;
    const { direction, heldByRemote } = agreed.media;
    const { target, stats } = session;
    return {
      kind,
      ...codecs,
      direction,
      heldByRemote,
      peer: target === null ? null : formatEndpoint(target),
      stats,
    };
  }

  /** Counters for the log, one text for each medium in use. */
  summary(): string[] {
    return [...this.#streams].flatMap(([kind, { session }]) => {
      if (session === null) return [];
      const { sent, received, lost, late, wrongSource } = session.stats;
      const counts =
        `${sent} sent, ${received} received, ${lost} lost, ${late} late, ${wrongSource} from unknown sources`;
      return [`${kind} packets: ${counts}`];
    });
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams.values()) (stream.session ?? stream.pair)[Symbol.dispose]();
  }

  #open(kind: MediaKind): RtpPortPair {
    const { services, bind, localAddress } = this.#options;
    const hostname = isIpv6(localAddress) && !isIpv6(bind) ? "::" : bind;
    const pair = services.ports.bindPair(hostname, kind);
    this.#streams.set(kind, { pair, session: null, agreed: null });
    return pair;
  }
}

/** Who has us send to somebody else than itself has to show, by RTCP at least, that it is wanted there. */
function mustReport({ media: { direction, remote }, signalling }: NonNullable<Stream["agreed"]>): boolean {
  return sends(direction) && isSomebodyElse(remote, signalling);
}

/** A description that may not be where the media come from, as far as the signalling tells. */
function describedOddity(described: string | null, signalling: string): string {
  if (described === null || sameAddress(described, signalling)) return "";
  if (!isIpAddress(described)) return `; its SDP said "${described}", which is no address`;
  if (!isPrivate(described)) return "";
  const said = `; its SDP said ${described}, a private address`;
  return isPrivate(signalling) ? `${said}, and its SIP comes from ${signalling}` : said;
}

/** Such a description cannot be it. */
function isElsewhere(described: string, signalling: string): boolean {
  return !isIpAddress(described) || isPrivate(described) && !isPrivate(signalling);
}
