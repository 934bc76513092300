// The media of one call to a built-in number: the media session of any call, and what the number does with each stream.
// Role: edge

import type { Logger } from "../../base/log.ts";
import type { CallStreams, MediaKind, StreamServices } from "../../call/call_streams.ts";
import { MediaSession, type OwnMedia } from "../../call/media_session.ts";
import type { CallRegistry, CountedMedia } from "../../call/registry.ts";
import type { StreamCodecs, StreamRecord } from "../../call/call_media.ts";
import type { RtpSession } from "../../rtp/session.ts";
import type { AgreedFormat, AgreedMedia } from "../../sdp/agreed_media.ts";
import type { LookUp } from "../../sdp/connection_names.ts";
import type { SessionDescription } from "../../sdp/description.ts";
import { isAuxiliary, type MediaFormat } from "../../sdp/media_format.ts";

export interface MediaTreatment {
  /** What is offered to a caller without an offer. */
  readonly offered: readonly OwnMedia[];
  /** The formats of an offered m-line that are taken, as the answer shall name them; empty refuses it. */
  accept(kind: MediaKind, offered: readonly MediaFormat[]): readonly MediaFormat[];
  /** Connects an agreed m-line to its stream; disposed when the agreement changes and at the end. */
  connect(agreed: AgreedMedia, session: RtpSession): Disposable;
}

export interface NumberServices extends StreamServices {
  readonly bind: string;
  /** Resolves host names in descriptions; absent: nobody does. */
  readonly lookUp?: LookUp;
  /** Where calls are listed. */
  readonly calls: CallRegistry;
}

interface NumberMediaOptions {
  readonly services: NumberServices;
  readonly treatment: MediaTreatment;
  readonly localAddress: string;
  readonly log: Logger;
}

const KINDS: readonly MediaKind[] = ["audio", "video"];

/** The streams of one call, each connected to the number's treatment. */
export class NumberMedia implements CountedMedia, Disposable {
  readonly session: MediaSession;
  readonly #treatment: MediaTreatment;
  readonly #connections = new Map<MediaKind, { readonly formats: string; readonly connection: Disposable }>();
  #agreed: readonly AgreedMedia[] = [];

  /** Binds nothing yet. */
  constructor({ services, treatment, localAddress, log }: NumberMediaOptions) {
    this.#treatment = treatment;
    this.session = new MediaSession({
      services,
      log,
      localAddress,
      bind: services.bind,
      kinds: [],
      user: {
        mediaFor: (offer) => offer === null ? treatment.offered : this.#accepted(offer),
        connect: (agreed, streams) => this.#connectAll(agreed, streams),
      },
    });
  }

  streams(): StreamRecord[] {
    return this.#agreed.flatMap(({ kind, formats }) =>
      this.session.streams.record(kind, codecsOf(formats)) ?? []
    );
  }

  summary(): string {
    return this.session.streams.summary().join("; ") || "no media";
  }

  /** Ends the streams and frees their ports. */
  [Symbol.dispose](): void {
    for (const { connection } of this.#connections.values()) connection[Symbol.dispose]();
    this.#connections.clear();
    this.session[Symbol.dispose]();
  }

  #accepted(offer: SessionDescription): OwnMedia[] {
    return KINDS.flatMap((kind) => {
      const offered = offer.media.filter((section) => section.kind === kind && section.port !== 0)
        .flatMap((section) => section.formats);
      const formats = this.#treatment.accept(kind, offered);
      return formats.some((format) => !isAuxiliary(format)) ? { kind, formats } : [];
    });
  }

  #connectAll(agreed: readonly AgreedMedia[], streams: CallStreams): void {
    this.#agreed = agreed;
    for (const media of agreed) this.#connect(media, streams);
    for (const kind of KINDS) if (!agreed.some((media) => media.kind === kind)) streams.silence(kind);
  }

  /** A connection of the same formats stays: hold and resume do not restart it. */
  #connect(agreed: AgreedMedia, streams: CallStreams): void {
    const { kind, formats, telephoneEvents, comfortNoise } = agreed;
    const wanted = JSON.stringify([formats, telephoneEvents, comfortNoise]);
    const known = this.#connections.get(kind);
    if (known?.formats === wanted) return;
    known?.connection[Symbol.dispose]();
    const session = streams.session(kind, formats[0]!.clockRate);
    this.#connections.set(kind, {
      formats: wanted,
      connection: this.#treatment.connect(agreed, session),
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
