// The coroutine of an established call: answers renewed offers, tells the client of hold, messages and the end. Text messages in
// and out of calls, as siprtmp's FAQ named them: sendMessage, receivedMessage, sendPagingMessage, receivedPagingMessage.
// Role: edge

import type { AmfValue } from "../amf/value.ts";
import { unreachable, WireError } from "../base/errors.ts";
import type { AcceptedReport, CallMedia } from "./call_media.ts";
import { DigitInbox, DigitRoute } from "./dtmf.ts";
import {
  type ActiveState,
  blockedHere,
  CallBroadcast,
  callerOf,
  type CallLeg,
  NO_CALL,
  targetOf,
  withAddresses,
} from "./leg.ts";
import { completed, type RegisteredCall } from "./registry.ts";
import { bodyText, isText, type SipBody, textBody } from "../sip/message/body.ts";
import { formatPictureFastUpdate, parseInfo } from "../sip/message/info_bodies.ts";
import { reasonPhrase } from "../sip/message/message.ts";
import { formatNameAddr, type NameAddr } from "../sip/message/name_addr.ts";
import type { Call, CallEvent, EndedEvent } from "../sip/ua/call.ts";

interface Conversation {
  readonly leg: CallLeg;
  readonly call: Call;
  readonly media: CallMedia;
  readonly registered: RegisteredCall;
  readonly inbox: DigitInbox;
  toldHeld: boolean;
}

/** SIP is no media: requests for key frames are farther apart than those in RTCP. */
const INFO_SPACING_MS = 1000;

export async function talk(
  leg: CallLeg,
  from: Extract<ActiveState, { type: "dialing" | "answering" }>,
  established: { call: Call; media: CallMedia; report: AcceptedReport },
): Promise<void> {
  await using call = established.call;
  using media = established.media; // falls silent and frees its ports before the BYE is answered
  const { shared: { clock, streams }, publishedAs } = leg.services;
  using broadcast = publishedAs === undefined ? null : new CallBroadcast(streams, publishedAs);
  for (const refusal of broadcast?.refusals ?? []) leg.log.warn(`call not published as ${refusal}`);
  using digits = digitRoute(leg, call, media);
  const { registered } = from;
  const state: ActiveState = { type: "talking", call, media, digits, broadcast, registered };
  if (!leg.advance(from, state)) return; // hung up meanwhile: disposing the call sends the BYE
  registered.become("in-progress");
  const startMs = clock.now();
  connect(leg, call, media, broadcast);
  const inbox = new DigitInbox(
    clock,
    (digit, durationMs) => leg.link.call("receivedDTMF", digit, durationMs),
  );
  media.onDigit = (digit, durationMs) => inbox.take("media", digit, durationMs);
  const conversation: Conversation = { leg, call, media, registered, inbox, toldHeld: false };
  leg.log.info(`call with ${nameOf(call)} established`);
  leg.log.debug(`Call-ID ${call.id}`); // finds it among the lines of SIP
  leg.link.call("accepted", ...established.report);
  let ending: EndedEvent | null = null;
  try {
    for await (const event of call.events()) {
      if (event.type === "ended") ending = event;
      else await handle(conversation, event);
    }
  } finally {
    const { by, reason } = ending ?? { by: "failure", reason: "internal error" };
    if (leg.finish(state, completed(by, reason)) && by !== "local") leg.link.call("byed");
    const seconds = ((clock.now() - startMs) / 1000).toFixed(1);
    leg.log.info(`call ended: ${seconds} s, ${by}: ${reason}; ${media.summary()}`);
  }
}

/** Lets the media of a call go to its client, which hears what is wrong with them. */
function connect(leg: CallLeg, call: Call, media: CallMedia, broadcast: CallBroadcast | null): void {
  const missed = leg.owner.takeMissed() || broadcast !== null; // who publishes the call has seen none of it either
  if (media.toRtmp !== null && missed) media.playerChanged();
  media.toRtmp = broadcast === null ? leg.owner : {
    play: (type, timeMs, body) => {
      leg.owner.play(type, timeMs, body);
      broadcast.far(type, timeMs, body);
    },
  };
  media.onKeyFrameWanted = () => leg.keyFrameWanted();
  media.onPublisherWarning = (code, text, level) => leg.publisherTrouble(code, text, level);
  media.onPictureWanted = pictureRequests(leg, call);
  media.watch({
    quiet: (text) => {
      leg.log.warn(text);
      leg.callTrouble("NetStream.Call.NoAudio", text);
    },
    dead: (reason) => {
      leg.callTrouble("NetStream.Call.MediaTimeout", `the call ends: ${reason}`);
      call.fail(reason);
    },
  });
  leg.primeMedia(media);
}

function nameOf({ remote: { uri: { user = "", host } } }: Call): string {
  return `${user}@${host}`;
}

async function handle(conversation: Conversation, event: Exclude<CallEvent, EndedEvent>): Promise<void> {
  const { leg, media } = conversation;
  switch (event.type) {
    case "offer":
      return await renewed(conversation, event);
    case "answer": {
      const outcome = media.takeAnswer(await withAddresses(leg, event.body));
      if (outcome.type === "none") leg.log.warn(`SDP answer not usable: ${outcome.reason}`);
      return changed(conversation);
    }
    case "message":
      return receivedMessage(leg, event.body);
    case "info":
      return informed(conversation, event.body);
    default:
      unreachable(event);
  }
}

/** DTMF and key-frame requests of peers that say them in SIP (RFC 6086, RFC 5168). */
function informed(conversation: Conversation, body: SipBody): void {
  const { leg, media, inbox } = conversation;
  const meaning = parseInfo(body);
  switch (meaning.type) {
    case "key frame":
      return media.keyFrameRequested();
    case "digits":
      for (const digit of meaning.digits) inbox.take("info", digit, meaning.durationMs);
      return;
    case "nothing":
    case "unknown": // was answered 415
      return leg.log.debug(`INFO ignored: content type ${body.type}`);
  }
}

function digitRoute(leg: CallLeg, call: Call, media: CallMedia): DigitRoute {
  const { clock, config: { dtmf } } = leg.services.shared;
  return new DigitRoute({
    info: (body) => call.info(body),
    media,
    mode: dtmf,
    clock,
    log: leg.log,
    spawn: (name, run) => leg.scope.spawn(name, run),
  });
}

/** Asks the remote party for a key frame by INFO (RFC 5168): one request at a time, and none once it refused one. */
function pictureRequests(leg: CallLeg, call: Call): () => void {
  const { clock } = leg.services.shared;
  let waiting = false;
  let refused = false;
  let askedMs = -Infinity;
  return () => {
    if (waiting || refused || clock.now() - askedMs < INFO_SPACING_MS) return;
    askedMs = clock.now();
    waiting = true;
    leg.scope.spawn("key frame request", async () => {
      const status = await call.info(formatPictureFastUpdate());
      waiting = false;
      refused = status >= 300;
      if (refused) leg.log.debug(`INFO for a key frame rejected: ${status}`);
    });
  };
}

async function renewed(
  conversation: Conversation,
  event: Extract<CallEvent, { type: "offer" }>,
): Promise<void> {
  const { leg, media } = conversation;
  if (event.body === null) return void event.answer(media.makeOffer());
  const outcome = media.takeOffer(await withAddresses(leg, event.body));
  if (outcome.type === "none") {
    leg.log.warn(
      `re-INVITE from ${nameOf(conversation.call)} answered 488: no common codec (${outcome.reason})`,
    );
    return event.refuse(488, "Not Acceptable Here");
  }
  void event.answer(outcome.answer);
  changed(conversation);
}

/** The client is told of hold once for each change, however often the remote party renews its offer. */
function changed(conversation: Conversation): void {
  const { leg, media, registered } = conversation;
  registered.changed();
  if (media.heldByRemote === conversation.toldHeld) return;
  conversation.toldHeld = media.heldByRemote;
  leg.link.call("holded", media.heldByRemote);
}

/** Puts the call on hold, or takes it back; nothing happens without a call. */
export function hold(leg: CallLeg, on: boolean): void {
  const { state } = leg;
  if (state.type !== "talking") return;
  const { call, media, registered } = state;
  media.setHold(on);
  const offer = media.makeOffer();
  leg.scope.spawn("hold", async () => {
    const outcome = await call.reoffer(offer);
    if (leg.state !== state) return; // the call is over, and its media
    if (outcome.type === "refused") {
      media.setHold(!on);
      leg.log.warn(`hold refused: ${outcome.status} ${outcome.reason}`);
    } else if (outcome.body !== null) {
      const answer = await withAddresses(leg, outcome.body);
      if (media.takeAnswer(answer).type === "none") leg.log.warn("hold: SDP answer not usable");
      registered.changed();
    }
  });
}

export interface MessageReply {
  result(...values: AmfValue[]): void;
  error(code: string, description: string): void;
}

/** Sends a text inside the call; the RPC's result is true when the remote party took it. */
export function sendMessage(leg: CallLeg, text: string, reply: MessageReply): void {
  if (leg.state.type !== "talking") return reply.error("NetConnection.Call.Failed", NO_CALL);
  const { call } = leg.state;
  leg.scope.spawn("message", async () => {
    const status = await call.message(textBody(text));
    answerWith(reply, status, reasonPhrase(status));
  });
}

export function sendPagingMessage(
  leg: CallLeg,
  destination: string,
  text: string,
  reply: MessageReply,
): void {
  let to: NameAddr;
  try {
    to = targetOf(leg, destination);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return reply.error("NetConnection.Call.Failed", "invalid dest URI");
  }
  const permission = leg.services.shared.access.mayDial(to.uri);
  if (permission.type === "refused") {
    leg.log.warn(`MESSAGE to "${destination}" not sent: ${permission.reason}`);
    return reply.error("NetConnection.Call.Failed", blockedHere(permission.reason));
  }
  leg.scope.spawn(`message to ${destination}`, async (signal) => {
    const outcome = await leg.agent.request("MESSAGE", to, textBody(text), signal, callerOf(leg));
    answerWith(reply, outcome.status, outcome.reason);
  });
}

export function receivedMessage(leg: CallLeg, body: SipBody): void {
  if (isForPeople(leg, body)) leg.link.call("receivedMessage", bodyText(body));
}

export function receivedPagingMessage(leg: CallLeg, message: { from: NameAddr; body: SipBody }): void {
  const from = formatNameAddr({ ...message.from, params: new Map() });
  if (isForPeople(leg, message.body)) {
    leg.link.call("receivedPagingMessage", from, bodyText(message.body));
  }
}

function isForPeople(leg: CallLeg, body: SipBody): boolean {
  if (isText(body)) return true;
  leg.log.debug(`MESSAGE ignored: content type ${body.type}`);
  return false;
}

function answerWith(reply: MessageReply, status: number, reason: string): void {
  if (status >= 200 && status < 300) reply.result(true);
  else reply.error("NetConnection.Call.Failed", `${status} ${reason}`.trim());
}
