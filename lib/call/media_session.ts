// The session descriptions of one call and the RTP streams they are about, whatever is done with the media: offers, answers
// and changes of them (RFC 3264), hold, and the watch over what the peer sends. The gateway's calls and the built-in SIP
// server both stand on it.
// Role: edge

import { encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type MediaTimeouts, MediaWatch, QUIET_MS } from "../rtp/media_watch.ts";
import { type AgreedMedia, withEarlierNumbers } from "../sdp/agreed_media.ts";
import { formatSdp, parseSdp, type SessionDescription } from "../sdp/description.ts";
import {
  createAnswer,
  createOffer,
  createReoffer,
  type LocalMedia,
  readAnswer,
  type SessionFields,
} from "../sdp/offer_answer.ts";
import { SDP_TYPE, type SipBody } from "../sip/message/body.ts";
import type { WatchOutlets } from "./call_media.ts";
import { CallStreams, type CallStreamsOptions, type MediaKind } from "./call_streams.ts";
import type { OfferSide } from "./negotiation.ts";

/** One m-line of ours, without its port. */
export type OwnMedia = Pick<LocalMedia, "kind" | "formats">;

interface MediaUser {
  /** The m-lines of our first offer (null), or those an offer is answered with; ports are bound for all of them. */
  mediaFor(offer: SessionDescription | null): readonly OwnMedia[];
  /** Our description as it is offered again; absent: as it is. */
  renewed?(ours: SessionDescription): SessionDescription;
  /** Why what was agreed cannot be used; null: it is taken, connect() follows. */
  objection?(agreed: readonly AgreedMedia[], offeredBy: OfferSide): string | null;
  /** Connects what was agreed to its streams, first or changed. */
  connect(agreed: readonly AgreedMedia[], streams: CallStreams): void;
  /** Whether sound is a stream of its own; absent: when audio was agreed. */
  hasSound?(): boolean;
}

interface MediaSessionOptions extends CallStreamsOptions {
  readonly user: MediaUser;
  /** What ports are bound for at once; others follow when they are needed. */
  readonly kinds: readonly MediaKind[];
}

/** Malformed: it is no session description at all (400 instead of 488). */
type Refused = { readonly type: "none"; readonly reason: string; readonly malformed?: true };

const AGREED = { type: "agreed" } as const;
const NO_TIMEOUTS: MediaTimeouts = { initialMs: 0, silenceMs: 0 };
const LOOK_MS = 1000;

export class MediaSession implements Disposable {
  /** True while the remote party keeps us on hold. */
  heldByRemote = false;
  readonly streams: CallStreams;
  readonly #options: MediaSessionOptions;
  readonly #sessionId: number;
  #version: number;
  #local: SessionDescription | null = null;
  #agreed: readonly AgreedMedia[] = [];
  #hold = false;
  #wasHeld = false;
  #ended = false;
  #watching: Disposable | null = null;

  /** Errors: TransportError when there is no port. */
  constructor(options: MediaSessionOptions) {
    this.#options = options;
    this.#sessionId = this.#version = Math.floor(options.services.clock.wallMs() / 1000);
    this.streams = new CallStreams(options.kinds, options);
  }

  /** Our own hold; the next offer or answer says so. */
  get hold(): boolean {
    return this.#hold;
  }

  set hold(on: boolean) {
    this.#hold = on;
    this.#wasHeld ||= on;
  }

  /** Our offer; after the first it keeps m-lines and payload types. Errors: TransportError when there is no port. */
  makeOffer(): SipBody {
    const { user } = this.#options;
    const fields = this.#fields();
    this.#local = this.#local === null
      ? createOffer({ ...fields, media: this.#localMedia(null) })
      : createReoffer(user.renewed?.(this.#local) ?? this.#local, fields);
    return sdpBody(this.#local);
  }

  /** Reads the answer to our last offer and connects the streams. */
  takeAnswer(answer: SipBody): typeof AGREED | Refused {
    const description = readSdpBody(answer);
    if (typeof description === "string") return { ...refused(description), malformed: true };
    if (this.#local === null) return refused("there was no offer to answer");
    const outcome = readAnswer(this.#local, description);
    if (outcome.type === "none") return refused(outcome.reason);
    return this.#apply(outcome.agreed, "local", answer.from);
  }

  /** Answers an offer and connects the streams. Errors: TransportError when there is no port. */
  takeOffer(offer: SipBody): { readonly type: "agreed"; readonly answer: SipBody } | Refused {
    const description = readSdpBody(offer);
    if (typeof description === "string") return { ...refused(description), malformed: true };
    const outcome = createAnswer(description, { ...this.#fields(), media: this.#localMedia(description) });
    if (outcome.type === "none") return refused(outcome.reason);
    const applied = this.#apply(outcome.agreed, "remote", offer.from);
    if (applied.type === "none") return applied;
    this.#local = outcome.answer;
    return { ...applied, answer: sdpBody(outcome.answer) };
  }

  /** Watches from now on whether the peer's media come, on the ticks of all calls. */
  watch(outlets: WatchOutlets): void {
    const { clock, ticker, timeouts = NO_TIMEOUTS } = this.#options.services;
    const watch = new MediaWatch(timeouts, {
      quiet: () => {
        const { from, oddity } = this.streams.peerText("audio");
        outlets.quiet(`no audio from ${from} for ${QUIET_MS / 1000} s${oddity}`);
      },
      dead: (seconds) => {
        const { from } = this.streams.peerText(this.#hasSound ? "audio" : "video");
        outlets.dead(`no RTP from ${from} for ${seconds} s`, seconds);
      },
    }, clock.now());
    const look = (nowMs: number): void => watch.look(nowMs, this.streams.life(this.#hasSound));
    this.#watching ??= ticker.add(look, LOOK_MS / ticker.periodMs);
  }

  /** Ends RTCP politely and frees the ports. */
  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watching?.[Symbol.dispose]();
    this.streams[Symbol.dispose]();
  }

  get #hasSound(): boolean {
    return this.#options.user.hasSound?.() ?? this.#agreed.some(({ kind }) => kind === "audio");
  }

  #localMedia(offer: SessionDescription | null): LocalMedia[] {
    return this.#options.user.mediaFor(offer).map(({ kind, formats }) => ({
      kind,
      formats,
      port: this.streams.open(kind),
    }));
  }

  #fields(): SessionFields {
    const sessionVersion = this.#version++;
    const fields = { address: this.#options.localAddress, sessionId: this.#sessionId, sessionVersion };
    return this.#wasHeld ? { ...fields, hold: this.#hold } : fields;
  }

  /** @param from where the peer's description came from */
  #apply(
    settled: readonly AgreedMedia[],
    offeredBy: OfferSide,
    from: readonly string[] = [],
  ): typeof AGREED | Refused {
    if (this.#ended) return refused("the call is over");
    const { user } = this.#options;
    const agreed = withEarlierNumbers(settled, this.#agreed);
    const objection = user.objection?.(agreed, offeredBy) ?? null;
    if (objection !== null) return refused(objection);
    const lost = agreed.map((media) => this.streams.objection(media, from)).find((why) => why !== null);
    if (lost) return refused(`the peer only listens, and cannot be sent to: ${lost}`);
    this.heldByRemote = agreed.some((media) => media.heldByRemote);
    user.connect(agreed, this.streams);
    this.#agreed = agreed;
    this.streams.keepOnly(agreed);
    for (const media of agreed) this.streams.direct(media, from);
    return AGREED;
  }
}

function refused(reason: string): Refused {
  return { type: "none", reason };
}

export function sdpBody(description: SessionDescription): SipBody {
  return { type: SDP_TYPE, bytes: encodeUtf8(formatSdp(description)) };
}

/** The description of a body, or why it cannot be used. */
export function readSdpBody(body: SipBody): SessionDescription | string {
  try {
    return parseSdp(body.bytes);
  } catch (error) {
    if (error instanceof WireError) return error.message;
    throw error;
  }
}
