// One end of a call, whoever is behind it: its state, its media on the RTMP side, the streams others may play of it, and what the
// coroutines that dial, answer and talk need. Who owns it gets the callbacks and the remote party's tags.
// Role: edge

import type { AmfValue } from "../amf/value.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Scope } from "../base/scope.ts";
import type { CallMedia, MediaFactory, TagSink, WarningLevel } from "./call_media.ts";
import type { DigitRoute, DigitsDone } from "./dtmf.ts";
import { PublisherConfigs } from "./publisher_configs.ts";
import {
  type CallEnding,
  type CallRegistry,
  completed,
  endingOf,
  type RegisteredCall,
  type RtmpPeer,
} from "./registry.ts";
import type { Config } from "../config/config.ts";
import { resolveDialled } from "../config/dial_plan.ts";
import type { AccessPolicy } from "../gateway/access/access_policy.ts";
import type { LiveStreams, Publication } from "../live/streams.ts";
import { createTag, readTag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { NetStream } from "../rtmp/net_stream.ts";
import type { SipBody } from "../sip/message/body.ts";
import type { CallerFields } from "../sip/message/extra_headers.ts";
import { formatNameAddr, type NameAddr } from "../sip/message/name_addr.ts";
import { formatHostPort, formatSipUri } from "../sip/message/uri.ts";
import type { Call } from "../sip/ua/call.ts";
import type { Caller } from "../sip/ua/identity.ts";
import type { Invitation } from "../sip/ua/invitation.ts";
import type { UserAgent } from "../sip/ua/user_agent.ts";

/** `answering` is between our 200 and the ACK. Media are there before the call is, as soon as they are opened. */
export type CallState = { type: "idle" } | ActiveState;

export type ActiveState =
  & { readonly registered: RegisteredCall }
  & (
    | { type: "dialing"; attempt: AbortController; media?: CallMedia }
    | { type: "alerting"; invitation: Invitation }
    | { type: "answering"; invitation: Invitation; media?: CallMedia }
    | {
      type: "talking";
      call: Call;
      media: CallMedia;
      digits: DigitRoute;
      broadcast: CallBroadcast | null;
    }
  );

/** The one idle state; advance() compares by identity. */
export const IDLE: CallState = { type: "idle" };

/** Takes the callbacks of a call: invited, ringing, accepted, rejected, cancelled, byed, holded, received... */
export interface ClientLink {
  call(method: string, ...args: AmfValue[]): void;
}

export type StatusStream = Pick<NetStream, "status">;

/** What differs between the owners of a leg. It takes the tags of the remote party. */
export interface LegOwner extends TagSink {
  /** Who is told of trouble while nobody publishes; null: nobody. */
  readonly player: StatusStream | null;
  /** The RTMP client of its calls, now; null: there is none. */
  readonly rtmpPeer: RtmpPeer | null;
  /** Whether tags of the remote party went to nobody since this was last asked, or to another player. */
  takeMissed(): boolean;
  /** Called after each change. */
  stateChanged(from: CallState, to: CallState): void;
}

export type Agent = Pick<
  UserAgent,
  | "identity"
  | "register"
  | "registrations"
  | "route"
  | "invite"
  | "invitations"
  | "request"
  | "messages"
  | typeof Symbol.asyncDispose
>;

export interface CallAdmission {
  /** Null: a new call is admitted; else why not. A refusal is counted. */
  refusal(): string | null;
  /** What a caller who was refused is told about coming back, in seconds. */
  retryAfterSeconds(): number;
}

export interface CallShared {
  readonly clock: Clock;
  readonly calls: CallRegistry;
  readonly admission: CallAdmission;
  readonly access: Pick<AccessPolicy, "mayCall" | "mayDial">;
  /** Where calls are published for players. */
  readonly streams: LiveStreams;
  readonly config: Pick<Config, "dialPlan" | "dtmf" | "redirect">;
}

export interface CallServices {
  readonly shared: CallShared;
  readonly log: Logger;
  readonly media: MediaFactory;
  /** Of the configuration; absent: the client is its own user. */
  readonly account?: string;
  /** IP address of the client, by which its calls are counted; absent: it is the operator. */
  readonly askedBy?: string;
  readonly fields?: CallerFields;
  /** Whether `invited` has a third argument when the caller says more about itself; absent: it has not. */
  readonly tellsCallerHeaders?: boolean;
  /** Whether a 3xx is followed; absent: as for all. */
  readonly redirect?: boolean;
  /** Address under which both directions of its calls are published; absent: they are not. */
  readonly publishedAs?: string;
}

export interface CallLegParts {
  readonly link: ClientLink;
  /** Its owner's to dispose of: other legs may share it. */
  readonly agent: Agent;
  readonly services: CallServices;
}

interface RefusalStatus {
  /** 3xx to 6xx. */
  readonly status: number;
  readonly reason: string;
}

/** What a called person says who does not want to talk. */
export const DECLINE: RefusalStatus = { status: 603, reason: "Decline" };

export const UNAVAILABLE: RefusalStatus = { status: 480, reason: "Temporarily Unavailable" };

export class CallLeg implements AsyncDisposable {
  readonly link: ClientLink;
  readonly agent: Agent;
  readonly services: CallServices;
  /** Everything its calls run. */
  readonly scope: Scope;
  readonly log: Logger;
  readonly owner: LegOwner;
  /** Told what is wrong with what it sends; null: nobody publishes. */
  publisher: StatusStream | null = null;
  /** Of its last call; null: it has had none. */
  ending: CallEnding | null = null;
  readonly #configs: PublisherConfigs;
  readonly #tag = createTag();
  #state: CallState = IDLE;

  constructor(owner: LegOwner, { link, agent, services }: CallLegParts) {
    this.owner = owner;
    this.link = link;
    this.agent = agent;
    this.services = services;
    this.#configs = new PublisherConfigs(services.media.registry);
    this.log = services.log.category("call");
    this.scope = new Scope("call", { log: services.log });
  }

  get state(): CallState {
    return this.#state;
  }

  /** Replaces `from` by `to`; false when something else has replaced it by now. */
  advance(from: CallState, to: CallState): boolean {
    if (this.#state !== from) return false;
    this.#state = to;
    this.owner.stateChanged(from, to);
    return true;
  }

  /** A call begins: it is listed from now on, until it ends. */
  register(direction: "in" | "out", remote: NameAddr): RegisteredCall {
    const { services: { shared, account = null }, agent: { identity } } = this;
    const registered: RegisteredCall = shared.calls.register({
      direction,
      remote,
      account,
      local: formatSipUri(identity.aor),
      rtmp: () => this.owner.rtmpPeer,
      hangUp: () => this.#terminate(registered),
    });
    return registered;
  }

  /** The end of a call in this state; false when it had another by now. */
  finish(state: ActiveState, ending: CallEnding): boolean {
    if (this.#state !== state) return false;
    state.registered.end(ending);
    this.ending = ending;
    return this.advance(state, IDLE);
  }

  /** True when the publisher has sent the configuration of H.264. */
  get hasVideo(): boolean {
    return this.#configs.hasVideo;
  }

  /** Somebody publishes from now on, or nobody (null): the next time of its media means "now". */
  publishedBy(publisher: StatusStream | null): void {
    const state = this.#state;
    this.publisher = publisher;
    this.#configs.forget();
    if (state.type === "talking") state.media.publisherChanged();
    if (state.type !== "idle") state.registered.changed();
  }

  /** One message for the remote party; synchronous, borrowed. Configurations are kept for calls to come. */
  put(message: MediaMessage): void {
    const tag = readTag(message.type, message.body, this.#tag);
    this.#configs.note(message, tag);
    const state = this.#state;
    if (state.type !== "talking") return;
    state.media.fromRtmp(message, tag);
    state.broadcast?.near(message.type, message.timeMs, message.body);
  }

  /** Gives a call's media what was published before it: decoder configurations are sent once. */
  primeMedia(media: CallMedia): void {
    this.#configs.prime(media);
  }

  /** Encoders that listen (OBS does not) answer this status with a key frame. */
  keyFrameWanted(): void {
    const text = "the remote party lost its picture: send a key frame";
    this.publisher?.status("status", "NetStream.Publish.KeyFrameWanted", text);
  }

  /** What the publisher can change: B frames, its profile, its audio codec. Programs like ffmpeg show only errors. */
  publisherTrouble(code: string, text: string, level: WarningLevel = "warning"): void {
    this.publisher?.status(level, code, text);
  }

  /** Tells the client, by whichever stream it has, what is wrong with the call. */
  callTrouble(code: string, text: string): void {
    (this.publisher ?? this.owner.player)?.status("warning", code, text);
  }

  /** Sends DTMF digits; `done` gets null, or what is in the way. */
  sendDigits(digits: string, durationMs: number, done: DigitsDone): void {
    if (this.#state.type !== "talking") return done(NO_CALL);
    this.#state.digits.send(digits, durationMs, done);
  }

  /**
   * Ends whatever it does; it is idle at once, so that the next command may be an invite. The client is told nothing:
   * it has asked for it.
   */
  hangUp(refusal: RefusalStatus = DECLINE): void {
    const state = this.#state;
    if (state.type === "idle" || !this.finish(state, hungUp(state, refusal))) return;
    switch (state.type) {
      case "dialing":
        silence(state.media);
        return state.attempt.abort();
      case "alerting":
        return state.invitation.refuse(refusal.status, refusal.reason);
      case "answering":
        return silence(state.media); // once the ACK is there, talk() finds the state gone and sends the BYE
      case "talking":
        this.scope.spawn("bye", () => state.call.hangUp());
    }
  }

  /** Somebody else than the client ends a call of it: the client is told as if the remote party had. */
  #terminate(registered: RegisteredCall): void {
    const state = this.#state;
    if (state.type === "idle" || state.registered !== registered) return; // it is ending
    this.hangUp(UNAVAILABLE);
    switch (state.type) {
      case "dialing":
        return this.link.call("rejected", "487 Request Terminated");
      case "alerting":
        return this.link.call("cancelled", ...partiesOf(state.invitation));
      case "answering":
      case "talking":
        return this.link.call("byed");
    }
  }

  /** Hangs up, and waits for every task; what its user agent waits for has to end meanwhile. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp(UNAVAILABLE);
    await this.scope.close();
  }
}

/** What a client hears that wants something of a call where there is none. */
export const NO_CALL = "there is no call";

function hungUp(state: ActiveState, { status, reason }: RefusalStatus): CallEnding {
  if (state.type === "dialing") return endingOf(487, "cancelled", "local");
  return state.type === "alerting" ? endingOf(status, reason, "local") : completed("local", "hung up");
}

export function partiesOf({ from, to }: Invitation): [from: string, to: string] {
  return [formatNameAddr({ ...from, params: new Map() }), formatNameAddr({ ...to, params: new Map() })];
}

/** They live on until the remote party has agreed to the end; by then the leg may have another call. */
function silence(media: CallMedia | undefined): void {
  if (media !== undefined) media.toRtmp = null;
}

/** Host and port that bare numbers and names are dialled in: those of the client's own address. */
export function domainOf(agent: Agent): string {
  const { host, port } = agent.identity.aor;
  return formatHostPort(host, port);
}

/** How a SIP outcome is told to the client; no answer at all in siprtmp's words (behaviour 1.4). */
export function statusText(status: number, phrase: string): string {
  return status === 408 ? "408 Request timeout" : `${status} ${phrase}`.trimEnd();
}

/** On whose behalf a leg calls and writes: the addresses it names are the client's, whoever's the account is. */
export function callerOf({ services: { askedBy } }: CallLeg): Caller {
  return askedBy === undefined ? {} : { askedBy };
}

/** A description of the remote party as media take it: with addresses for host names, as far as they resolve. */
export function withAddresses({ services: { media } }: CallLeg, body: SipBody): Promise<SipBody> {
  return media.withAddresses(body);
}

/** What the client hears of a target that the rules of this gateway forbid. */
export function blockedHere(reason: string): string {
  return `403 Forbidden: blocked by this gateway, ${reason}`;
}

/** Whom to call for what the client dialled, by the dial plan. Errors: WireError when nothing can be made of it. */
export function targetOf(leg: CallLeg, text: string): NameAddr {
  return resolveDialled(leg.services.shared.config.dialPlan, text, domainOf(leg.agent));
}

export class CallBroadcast implements Disposable {
  /** Why a direction is not published; empty when both are. */
  readonly refusals: readonly string[];
  readonly #near: Publication | null;
  readonly #far: Publication | null;

  /** Publishes both names; one that is taken stays with its publisher. */
  constructor(streams: LiveStreams, address: string) {
    const refusals: string[] = [];
    const publish = (name: string): Publication | null => {
      const outcome = streams.publish(`${callPath(address)}/${name}`);
      if (outcome.type === "publishing") return outcome.publication;
      refusals.push(`${name}: ${outcome.reason}`);
      return null;
    };
    this.#near = publish("near");
    this.#far = publish("far");
    this.refusals = refusals;
  }

  near(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    this.#near?.put(type, timeMs, body);
  }

  /** One tag of the remote party; the body is borrowed. */
  far(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    this.#far?.put(type, timeMs, body);
  }

  [Symbol.dispose](): void {
    this.#near?.[Symbol.dispose]();
    this.#far?.[Symbol.dispose]();
  }
}

export function callPath(address: string): string {
  return `calls/${address}`;
}
