// The state of a client's one telephone line, and what the call coroutines need of the client that owns it.
// Five nullable fields of the original are one value here, so impossible states cannot be written.
// Role: wire

import type { Decision, DialTarget } from "../gateway/access/dial_rules.ts";
import type { AmfValue } from "../amf/value.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Scope } from "../base/scope.ts";
import type { Call } from "../sip/ua/call.ts";
import type { Invitation } from "../sip/ua/invitation.ts";
import type { SipBody } from "../sip/message/body.ts";
import type { Caller } from "../sip/ua/identity.ts";
import type { CallerFields } from "../sip/message/extra_headers.ts";
import type { NameAddr } from "../sip/message/name_addr.ts";
import { formatHostPort } from "../sip/message/uri.ts";
import type { UserAgent } from "../sip/ua/user_agent.ts";
import { type DialPlan, resolveDialled } from "../config/dial_plan.ts";
import type { CallBroadcast } from "./call_broadcast.ts";
import type { CallMedia, MediaFactory, TagSink, TroubleLevel } from "./call_media.ts";
import type { DtmfMode } from "../config/config_settings.ts";
import type { DigitRoute } from "./digit_route.ts";

/**
 * What the line is doing. `answering` is between our 200 and the caller's ACK. Media are there before the call is, as
 * soon as they are opened.
 */
export type Line =
  | { state: "idle" }
  | { state: "dialing"; attempt: AbortController; media?: CallMedia }
  | { state: "alerting"; invitation: Invitation }
  | { state: "answering"; invitation: Invitation; media?: CallMedia }
  | {
    state: "talking";
    call: Call;
    media: CallMedia;
    digits: DigitRoute;
    broadcast: CallBroadcast | null;
  };

/** What a context needs of its RTMP connection. */
export interface ClientLink {
  call(method: string, ...args: AmfValue[]): void;
}

/** What a context needs of its SIP user agent. */
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

/** Whether there is room for one more call. */
export interface CallRoom {
  /** Null: there is; else why not. A refusal is counted. */
  refusal(): string | null;
  /** What a caller who was refused is told about coming back, in seconds. */
  retryAfterSeconds(): number;
}

/** What every context of a gateway shares. */
export interface ContextServices {
  readonly clock: Clock;
  /** The client's log. */
  readonly log: Logger;
  /** Opens the media of calls. */
  readonly media: MediaFactory;
  /** How touch tones are sent; absent: the best way there is. */
  readonly dtmf?: DtmfMode;
  /** Where dialled numbers go; absent: as they are dialled. */
  readonly dialPlan?: DialPlan;
  /** IP address of the client; absent: it is the operator. */
  readonly askedBy?: string;
  /** Whether the client may call this target, and counts the call; absent: it may. */
  mayCall?(target: DialTarget): Decision;
  /** What is different about the client's INVITEs; absent: nothing. */
  readonly fields?: CallerFields;
  /** Whether `invited` has a third argument when the caller says more about itself; absent: it has not. */
  readonly tellsCallerHeaders?: boolean;
  /** Whether a 3xx is followed; absent: it is. */
  readonly redirect?: boolean;
  /** Whether there is room for a call; absent: as long as there are ports. */
  readonly room?: CallRoom;
  /** Whether the client may send a message to this target; absent: it may. */
  mayMessage?(target: DialTarget): Decision;
  /** Publishes the sides of a call for other players; absent or null: they are nobody else's business. */
  openBroadcast?(): CallBroadcast | null;
}

/** A client as its call coroutines see it; the tags it is given go to whichever stream the client plays now. */
export interface LineOwner extends TagSink {
  /** The client's callbacks. */
  readonly link: ClientLink;
  /** The client's SIP side. */
  readonly agent: Agent;
  /** Shared parts of the gateway. */
  readonly services: ContextServices;
  /** Everything this client runs. */
  readonly scope: Scope;
  /** Where this client's lines are logged. */
  readonly log: Logger;
  /** The line's present state. */
  readonly line: Line;
  /** Gives a call's media what was published before it: the decoder configuration of the video. */
  primeMedia(media: CallMedia): void;
  /** Whether tags of the far end went to nobody since this was last asked, or to another player. */
  takeMissed(): boolean;
  /** Tells the publisher to send a key frame. */
  keyFrameWanted(): void;
  /** Tells the publisher what it could do better; absent: level warning. */
  publisherTrouble(code: string, text: string, level?: TroubleLevel): void;
  /** Tells the client, by whichever stream it has, what is wrong with the call. */
  callTrouble(code: string, text: string): void;
  /** Replaces `from` by `to`; false when something else holds the line by now. */
  advance(from: Line, to: Line): boolean;
}

/** The one idle line; advance() compares by identity. */
export const IDLE: Line = { state: "idle" };

/** Host and port that bare numbers and names are dialled in: those of the client's own address. */
export function domainOf(agent: Agent): string {
  const { host, port } = agent.identity.aor;
  return formatHostPort(host, port);
}

/** How a SIP outcome is told to the client; a far end that never answered in siprtmp's words (behaviour 1.4). */
export function statusText(status: number, phrase: string): string {
  return status === 408 ? "408 Request timeout" : `${status} ${phrase}`.trimEnd();
}

/** On whose behalf a line calls and writes: the addresses it names are the client's, whoever's the account is. */
export function callerOf({ services: { askedBy } }: LineOwner): Caller {
  return askedBy === undefined ? {} : { askedBy };
}

/** A description of the far end as media take it: with addresses for host names, as far as they resolve. */
export function withAddresses({ services: { media } }: LineOwner, body: SipBody): Promise<SipBody> {
  return media.withAddresses(body);
}

/** What the client hears of a target that the rules of this gateway forbid. */
export function blockedHere(reason: string): string {
  return `403 Forbidden: blocked by this gateway, ${reason}`;
}

/** Whom to call for what the client dialled, by the dial plan. Errors: WireError when nothing can be made of it. */
export function targetOf(owner: LineOwner, text: string): NameAddr {
  return resolveDialled(owner.services.dialPlan ?? [], text, domainOf(owner.agent));
}
