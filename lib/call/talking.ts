// The coroutine of an established call: holds the line, answers renewed offers, reports hold, messages and
// the end to the client. Both directions of call set-up end here.
// Role: edge

import { unreachable } from "../base/errors.ts";
import type { Call, CallEvent, EndedEvent } from "../sip/ua/call.ts";
import type { SipBody } from "../sip/message/body.ts";
import { formatPictureFastUpdate, parseInfo } from "../sip/message/info_bodies.ts";
import type { AcceptedReport, CallMedia } from "./call_media.ts";
import { DigitInbox } from "./digit_inbox.ts";
import { DigitRoute } from "./digit_route.ts";
import { IDLE, type Line, type LineOwner, withAddresses } from "./line.ts";
import { receivedMessage } from "./messages.ts";

interface Conversation {
  readonly owner: LineOwner;
  readonly media: CallMedia;
  readonly inbox: DigitInbox;
  /** The hold of the far end as the client knows it. */
  toldHeld: boolean;
}

/** SIP is no media: requests for key frames are farther apart than those in RTCP. */
const INFO_SPACING_MS = 1000;

/** Runs an established call until it ends. `from` is the line state that led to it. */
export async function talk(
  owner: LineOwner,
  from: Line,
  established: { call: Call; media: CallMedia; report: AcceptedReport },
): Promise<void> {
  await using call = established.call;
  using media = established.media; // falls silent and frees its ports before the BYE is answered
  using broadcast = owner.services.openBroadcast?.() ?? null;
  for (const refusal of broadcast?.refusals ?? []) owner.log.warn(`the call is not published as ${refusal}`);
  using digits = digitRoute(owner, call, media);
  const line: Line = { state: "talking", call, media, digits, broadcast };
  if (!owner.advance(from, line)) return; // hung up meanwhile: disposing the call sends the BYE
  const startMs = owner.services.clock.now();
  const missed = owner.takeMissed() || broadcast !== null; // who publishes the call has seen none of it either
  if (media.toRtmp !== null && missed) media.playerChanged();
  media.toRtmp = broadcast === null ? owner : {
    play: (type, timeMs, body) => {
      owner.play(type, timeMs, body);
      broadcast.far(type, timeMs, body);
    },
  };
  media.onKeyFrameWanted = () => owner.keyFrameWanted();
  media.onPublisherTrouble = (code, text, level) => owner.publisherTrouble(code, text, level);
  media.onPictureWanted = pictureRequests(owner, call);
  media.watch({
    quiet: (text) => {
      owner.log.warn(text);
      owner.callTrouble("NetStream.Call.NoAudio", text);
    },
    dead: (reason) => {
      owner.callTrouble("NetStream.Call.MediaTimeout", `the call ends: ${reason}`);
      call.fail(reason);
    },
  });
  owner.primeMedia(media);
  const inbox = new DigitInbox(
    owner.services.clock,
    (digit, durationMs) => owner.link.call("receivedDTMF", digit, durationMs),
  );
  media.onDigit = (digit, durationMs) => inbox.take("media", digit, durationMs);
  const conversation: Conversation = { owner, media, inbox, toldHeld: false };
  owner.log.info(`call with ${call.remote.uri.user ?? ""}@${call.remote.uri.host} is up`);
  owner.log.debug(`its Call-ID is ${call.id}`); // finds it among the lines of SIP
  owner.link.call("accepted", ...established.report);
  let ending: EndedEvent | null = null;
  try {
    for await (const event of call.events()) {
      if (event.type === "ended") ending = event;
      else await handle(conversation, event);
    }
  } finally {
    if (owner.advance(line, IDLE) && ending?.by !== "local") owner.link.call("byed");
    const seconds = ((owner.services.clock.now() - startMs) / 1000).toFixed(1);
    const why = ending === null ? "a failure of ours" : `${ending.by}: ${ending.reason}`;
    owner.log.info(`call ended after ${seconds} s (${why}); ${media.summary()}`);
  }
}

async function handle(conversation: Conversation, event: Exclude<CallEvent, EndedEvent>): Promise<void> {
  const { owner, media } = conversation;
  switch (event.type) {
    case "offer":
      return await renewed(conversation, event);
    case "answer": {
      const outcome = media.takeAnswer(await withAddresses(owner, event.body));
      if (outcome.type === "none") owner.log.warn(`the late answer cannot be used: ${outcome.reason}`);
      return tellHold(conversation);
    }
    case "message":
      return receivedMessage(owner, event.body);
    case "info":
      return informed(conversation, event.body);
    default:
      unreachable(event);
  }
}

/** Touch tones and key-frame requests of peers that say them in SIP (RFC 6086, RFC 5168). */
function informed(conversation: Conversation, body: SipBody): void {
  const { owner, media, inbox } = conversation;
  const meaning = parseInfo(body);
  switch (meaning.type) {
    case "key frame":
      return media.keyFrameRequested();
    case "digits":
      for (const digit of meaning.digits) inbox.take("info", digit, meaning.durationMs);
      return;
    case "nothing":
    case "unknown": // was answered 415
      return owner.log.debug(`INFO with a body of ${body.type} means nothing here`);
  }
}

function digitRoute(owner: LineOwner, call: Call, media: CallMedia): DigitRoute {
  const { clock, dtmf } = owner.services;
  return new DigitRoute({
    info: (body) => call.info(body),
    media,
    mode: dtmf ?? "auto",
    clock,
    log: owner.log,
    spawn: (name, run) => owner.scope.spawn(name, run),
  });
}

/** Asks the far end for a key frame by INFO (RFC 5168): one request at a time, and none once it refused one. */
function pictureRequests(owner: LineOwner, call: Call): () => void {
  const { clock } = owner.services;
  let waiting = false;
  let refused = false;
  let askedMs = -Infinity;
  return () => {
    if (waiting || refused || clock.now() - askedMs < INFO_SPACING_MS) return;
    askedMs = clock.now();
    waiting = true;
    owner.scope.spawn("key frame request", async () => {
      const status = await call.info(formatPictureFastUpdate());
      waiting = false;
      refused = status >= 300;
      if (refused) owner.log.debug(`the peer takes no request for a key frame by INFO: ${status}`);
    });
  };
}

async function renewed(
  conversation: Conversation,
  event: Extract<CallEvent, { type: "offer" }>,
): Promise<void> {
  const { owner, media } = conversation;
  if (event.body === null) return void event.answer(media.makeOffer());
  const outcome = media.takeOffer(await withAddresses(owner, event.body));
  if (outcome.type === "none") {
    owner.log.warn(`the far end wants to go on with media we do not have: ${outcome.reason}`);
    return event.refuse(488, "Not Acceptable Here");
  }
  void event.answer(outcome.answer);
  tellHold(conversation);
}

/** Once for each change, however often the far end renews its offer. */
function tellHold(conversation: Conversation): void {
  const { owner, media } = conversation;
  if (media.heldByRemote === conversation.toldHeld) return;
  conversation.toldHeld = media.heldByRemote;
  owner.link.call("holded", media.heldByRemote);
}
