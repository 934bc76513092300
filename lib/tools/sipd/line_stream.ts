// One RTP stream of a call to a built-in number: a port pair first, a session as soon as it is agreed what for,
// reconnected when a later agreement differs and left alone when it does not. RFC 3264 8 (changes, hold).
// Role: edge

import type { Clock } from "../../base/clock.ts";
import type { Ticker } from "../../base/ticker.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Scope } from "../../base/scope.ts";
import type { CallRegistry } from "../../call/registry.ts";
import type { StreamCodecs, StreamRecord } from "../../call/stream_record.ts";
import { type Endpoint, formatEndpoint, type TargetGuard } from "../../net/endpoint.ts";
import type { RtpPortPair, RtpPorts } from "../../net/rtp_ports.ts";
import { describedAddress, expectedPayloadTypes, isSomebodyElse } from "../../rtp/remote_lock.ts";
import type { MediaTimeouts } from "../../rtp/media_watch.ts";
import { RtpSession } from "../../rtp/session.ts";
import type { LookUp } from "../../sdp/connection_names.ts";
import { type AgreedFormat, type AgreedMedia, receives, sends } from "../../sdp/agreed_media.ts";
import type { MediaFormat } from "../../sdp/media_format.ts";

/** What m-lines may carry here. */
export type MediaKind = "audio" | "video";

/** What a built-in number does with the media of its calls. */
export interface MediaTreatment {
  /** What is offered to a caller who wants to hear an offer. */
  readonly offered: readonly { readonly kind: MediaKind; readonly formats: readonly MediaFormat[] }[];
  /** The formats of an offered m-line that are taken, as the answer shall name them; empty refuses it. */
  accept(kind: MediaKind, offered: readonly MediaFormat[]): readonly MediaFormat[];
  /** Connects an agreed line to its stream; disposed when the agreement changes and at the end. */
  connect(agreed: AgreedMedia, session: RtpSession): Disposable;
}

/** What the calls of all built-in numbers share. */
export interface LineServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Every 20 ms, for everything that is paced. */
  readonly ticker: Ticker;
  /** Where sockets come from. */
  readonly ports: Pick<RtpPorts, "bindPair">;
  readonly bind: string;
  /** How long a call lasts without anything of its caller; absent: for ever. */
  readonly timeouts?: MediaTimeouts;
  /** Where may be sent to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Resolves host names in descriptions; absent: nobody does. */
  readonly lookUp?: LookUp;
  /** Where calls are listed. */
  readonly calls: CallRegistry;
}

export interface LineStreamOptions {
  readonly services: LineServices;
  readonly treatment: MediaTreatment;
  readonly scope: Scope;
  /** The same for all streams of a call (RFC 3550 6.5.1). */
  readonly cname: string;
}

/** A port, later a stream. */
export class LineStream implements Disposable {
  readonly #options: LineStreamOptions;
  readonly #pair: RtpPortPair;
  #session: RtpSession | null = null;
  #connection: Disposable | null = null;
  #connectedAs = "";
  #expected = false;
  #agreed: AgreedMedia | null = null;

  /** Binds the ports. Throws TransportError when there are none. */
  constructor(options: LineStreamOptions) {
    this.#options = options;
    // Any stream may be one of pictures, and the calls here are few: room for the longest packet from the first on.
    this.#pair = options.services.ports.bindPair(options.services.bind, "video");
  }

  get port(): number {
    return this.#pair.rtp.local.port;
  }

  /**
   * Does what was agreed; null: the line is not used for now.
   * @param signalling IP addresses the peer's description came from
   */
  apply(agreed: AgreedMedia | null, signalling: readonly string[] = []): void {
    this.#agreed = agreed;
    this.#expected = agreed !== null && !agreed.heldByRemote &&
      (receives(agreed.direction) || sends(agreed.direction) && isSomebodyElse(agreed.remote, signalling));
    if (agreed === null) {
      this.#session?.setRemote(null, null);
      return;
    }
    const known = this.#session;
    const session = this.#session = known ?? this.#createSession(agreed);
    // Hold, ours or theirs, is a stream without destination.
    const sending = sends(agreed.direction);
    session.setPeer({ signalling, payloadTypes: expectedPayloadTypes(agreed) });
    const { guard } = this.#options.services;
    const described = (endpoint: Endpoint | null) =>
      sending ? describedAddress(endpoint, signalling, guard).at : null;
    session.setRemote(described(agreed.remote), described(agreed.rtcpRemote));
    this.#connect(agreed, session);
    // Received from now on, when there is somebody to take it.
    if (known === null) this.#options.scope.spawn(`rtp port ${this.port}`, () => session.run());
  }

  /** Whether the peer is to send here, and when it was heard last. */
  get life(): { readonly expected: boolean; readonly heardMs: number; readonly receivedMs: number } {
    const session = this.#session;
    return {
      expected: session !== null && this.#expected,
      heardMs: session?.heardMs ?? -Infinity,
      receivedMs: session?.receivedMs ?? -Infinity,
    };
  }

  /** What it was agreed for, and its counters; null: it is not used. */
  get record(): StreamRecord | null {
    const [session, agreed] = [this.#session, this.#agreed];
    if (session === null || agreed === null) return null;
    const { kind, direction, heldByRemote, formats } = agreed;
    const { target, stats } = session;
    const peer = target === null ? null : formatEndpoint(target);
    return { kind, direction, heldByRemote, peer, stats, ...codecsOf(formats) };
  }

  summary(): string {
    if (this.#session === null) return "not used";
    const { received, sent, lost } = this.#session.stats;
    return `${received} packets received, ${lost} lost, ${sent} sent`;
  }

  /** Says goodbye and frees the ports. */
  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]();
    this.#connection = null;
    if (this.#session === null) this.#pair[Symbol.dispose]();
    else this.#session[Symbol.dispose]();
  }

  #connect(agreed: AgreedMedia, session: RtpSession): void {
    const { formats, telephoneEvents, comfortNoise } = agreed;
    const wanted = JSON.stringify([formats, telephoneEvents, comfortNoise]);
    if (wanted === this.#connectedAs) return;
    this.#connection?.[Symbol.dispose]();
    this.#connection = this.#options.treatment.connect(agreed, session);
    this.#connectedAs = wanted;
  }

  #createSession(agreed: AgreedMedia): RtpSession {
    const { services, cname } = this.#options;
    const { clock, random, log, ticker } = services;
    return new RtpSession({
      pair: this.#pair,
      clockRate: agreed.formats[0]!.clockRate,
      cname,
      clock,
      random,
      log: log.category("rtp"),
      ticker,
      latch: true,
    });
  }
}

function codecsOf(formats: readonly AgreedFormat[]): StreamCodecs {
  const of = (name: string, payloadType: number) => ({
    payloadType,
    codec: name.toLowerCase(),
    client: null,
  });
  const { name, sendPayloadType, clockRate } = formats[0]!;
  return {
    clockRate,
    send: of(name, sendPayloadType),
    receive: formats.flatMap(({ name, receivePayloadTypes }) =>
      receivePayloadTypes.map((type) => of(name, type))
    ),
  };
}
