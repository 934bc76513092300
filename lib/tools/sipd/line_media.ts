// The media of one call to a built-in number: its offers and answers, and one RTP stream per medium.
// RFC 3264 (offers and answers, hold), RFC 3550. What is done with the sound is up to the number.
// Role: edge

import { encodeUtf8 } from "../../base/bytes.ts";
import { WireError } from "../../base/errors.ts";
import type { Scope } from "../../base/scope.ts";
import type { CountedMedia } from "../../call/registry.ts";
import type { StreamRecord } from "../../call/stream_record.ts";
import { describedAddress } from "../../rtp/remote_lock.ts";
import { type MediaLife, MediaWatch } from "../../rtp/media_watch.ts";
import { type AgreedMedia, receives, sends } from "../../sdp/agreed_media.ts";
import { formatSdp, parseSdp, type SessionDescription } from "../../sdp/description.ts";
import { isAuxiliary, type MediaFormat } from "../../sdp/media_format.ts";
import {
  createAnswer,
  createOffer,
  createReoffer,
  type LocalMedia,
  readAnswer,
} from "../../sdp/offer_answer.ts";
import { SDP_TYPE, type SipBody } from "../../sip/message/body.ts";
import { type LineServices, LineStream, type MediaKind, type MediaTreatment } from "./line_stream.ts";

export type { LineServices, MediaKind, MediaTreatment } from "./line_stream.ts";

export interface LineMediaOptions {
  readonly services: LineServices;
  readonly treatment: MediaTreatment;
  /** The caller is told this address. */
  readonly localAddress: string;
  readonly scope: Scope;
}

/** What became of an offer of the caller. */
export type OfferOutcome =
  | { readonly type: "answer"; readonly body: SipBody }
  | { readonly type: "none"; readonly status: 400 | 488; readonly reason: string };

/** Ticks of 20 ms between two looks at whether the caller's media come. */
const TICKS_PER_LOOK = 50;

const KINDS: readonly MediaKind[] = ["audio", "video"];

/** Offers, answers and streams of one call. */
export class LineMedia implements CountedMedia, Disposable {
  readonly #options: LineMediaOptions;
  readonly #streams = new Map<MediaKind, LineStream>();
  readonly #sessionId: number;
  readonly #cname: string;
  #version: number;
  #local: SessionDescription | null = null;

  /** Binds nothing yet. */
  constructor(options: LineMediaOptions) {
    const { clock, random } = options.services;
    this.#options = options;
    this.#sessionId = this.#version = Math.floor(clock.wallMs() / 1000);
    this.#cname = `${random.token(12)}@${options.localAddress}`;
  }

  /** Our offer; within a call the m-lines stay as they are. Throws TransportError when there is no port. */
  makeOffer(): SipBody {
    const fields = this.#fields();
    const media = () =>
      this.#options.treatment.offered.map((line) => this.#localMedia(line.kind, line.formats));
    this.#local = this.#local === null
      ? createOffer({ ...fields, media: media() })
      : createReoffer(this.#local, fields);
    return bodyOf(this.#local);
  }

  /** Answers an offer and starts the streams. Throws TransportError when there is no port. */
  takeOffer(offer: SipBody): OfferOutcome {
    const description = read(offer);
    if (typeof description === "string") return { type: "none", status: 400, reason: description };
    const outcome = createAnswer(description, { ...this.#fields(), media: this.#acceptedMedia(description) });
    if (outcome.type === "none") return { type: "none", status: 488, reason: outcome.reason };
    const lost = outcome.agreed.map((media) => this.#objection(media, offer.from)).find((why) =>
      why !== null
    );
    if (lost) return { type: "none", status: 488, reason: lost };
    this.#local = outcome.answer;
    this.#apply(outcome.agreed, offer.from);
    return { type: "answer", body: bodyOf(outcome.answer) };
  }

  /** Reads the answer to our last offer and starts the streams; returns what is wrong with it, or null. */
  takeAnswer(answer: SipBody): string | null {
    const description = read(answer);
    if (typeof description === "string") return description;
    if (this.#local === null) return "there was no offer to answer";
    const outcome = readAnswer(this.#local, description);
    if (outcome.type === "none") return outcome.reason;
    this.#apply(outcome.agreed, answer.from);
    return null;
  }

  /** Calls `dead` once, when nothing of the caller has come for too long; until it is disposed. */
  watch(dead: (seconds: number) => void): Disposable {
    const { clock, ticker, timeouts = { initialMs: 0, silenceMs: 0 } } = this.#options.services;
    const watch = new MediaWatch(timeouts, { quiet: () => {}, dead }, clock.now());
    return ticker.add((nowMs) => watch.look(nowMs, this.#life()), TICKS_PER_LOOK);
  }

  #life(): MediaLife {
    const lives = [...this.#streams.values()].map(({ life }) => life);
    const audio = this.#streams.get("audio")?.life;
    return {
      expected: lives.some(({ expected }) => expected),
      heardMs: Math.max(-Infinity, ...lives.map(({ heardMs }) => heardMs)),
      audioExpected: audio?.expected ?? false,
      audioMs: audio?.receivedMs ?? -Infinity,
    };
  }

  streams(): StreamRecord[] {
    return [...this.#streams.values()].flatMap(({ record }) => record === null ? [] : [record]);
  }

  summary(): string {
    const lines = [...this.#streams].map(([kind, stream]) => `${kind} ${stream.summary()}`);
    return lines.join("; ") || "no media";
  }

  /** Ends the streams and frees their ports. */
  [Symbol.dispose](): void {
    for (const stream of this.#streams.values()) stream[Symbol.dispose]();
  }

  /** A peer that sends nothing does not show where it is. */
  #objection({ direction, remote }: AgreedMedia, from: readonly string[] = []): string | null {
    return receives(direction) || !sends(direction)
      ? null
      : describedAddress(remote, from, this.#options.services.guard).problem;
  }

  #fields() {
    const { localAddress: address } = this.#options;
    return { address, sessionId: this.#sessionId, sessionVersion: this.#version++ };
  }

  #acceptedMedia(offer: SessionDescription): LocalMedia[] {
    const media: LocalMedia[] = [];
    for (const kind of KINDS) {
      const offered = offer.media.filter((section) => section.kind === kind && section.port !== 0)
        .flatMap((section) => section.formats);
      const formats = this.#options.treatment.accept(kind, offered);
      if (formats.some((format) => !isAuxiliary(format))) media.push(this.#localMedia(kind, formats));
    }
    return media;
  }

  #localMedia(kind: MediaKind, formats: readonly MediaFormat[]): LocalMedia {
    const stream = this.#streams.get(kind) ?? this.#open(kind);
    return { kind, port: stream.port, formats };
  }

  #open(kind: MediaKind): LineStream {
    const { services, treatment, scope } = this.#options;
    const stream = new LineStream({ services, treatment, scope, cname: this.#cname });
    this.#streams.set(kind, stream);
    return stream;
  }

  #apply(agreed: readonly AgreedMedia[], from: readonly string[] = []): void {
    for (const [kind, stream] of this.#streams) {
      stream.apply(agreed.find((media) => media.kind === kind) ?? null, from);
    }
  }
}

/** The description, or why it cannot be used. */
function read(body: SipBody): SessionDescription | string {
  try {
    return parseSdp(body.bytes);
  } catch (error) {
    if (error instanceof WireError) return error.message;
    throw error;
  }
}

function bodyOf(description: SessionDescription): SipBody {
  return { type: SDP_TYPE, bytes: encodeUtf8(formatSdp(description)) };
}
