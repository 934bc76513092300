// The coroutine of an established call: holds the line, answers renewed offers, reports hold, messages and
// the end to the client. Both directions of call set-up end here.
// Role: edge
// Answers to: _sessionhandler of siprtmp.py.

import { decodeUtf8 } from "../base/bytes.ts";
import { unreachable } from "../base/errors.ts";
import type { Call, CallEvent } from "../sip/call.ts";
import type { AcceptedReport, CallMedia } from "./call_media.ts";
import { IDLE, type Line, type LineOwner } from "./line.ts";

/** Runs an established call until it ends. `from` is the line state that led to it. */
export async function talk(
  owner: LineOwner,
  from: Line,
  established: { call: Call; media: CallMedia; report: AcceptedReport },
): Promise<void> {
  await using call = established.call;
  const media = established.media;
  const line: Line = { state: "talking", call, media };
  if (!owner.advance(from, line)) return; // hung up meanwhile: disposing the call sends the BYE
  const startMs = owner.services.clock.now();
  media.toRtmp = owner.toPlayer;
  media.onDigit = (digit, durationMs) => owner.link.call("receivedDTMF", digit, durationMs);
  owner.log.info(`call with ${call.remote.uri.user ?? ""}@${call.remote.uri.host} is up`);
  owner.link.call("accepted", ...established.report);
  let ending = "";
  for await (const event of call.events()) {
    if (event.type === "ended") ending = `${event.by}: ${event.reason}`;
    handle(owner, media, event);
  }
  owner.advance(line, IDLE);
  const seconds = ((owner.services.clock.now() - startMs) / 1000).toFixed(1);
  owner.log.info(`call ended after ${seconds} s (${ending}); ${media.summary()}`);
}

function handle(owner: LineOwner, media: CallMedia, event: CallEvent): void {
  switch (event.type) {
    case "offer":
      return renewed(owner, media, event);
    case "answer":
      media.takeAnswer(event.body);
      return;
    case "message":
      owner.link.call("receivedMessage", decodeUtf8(event.body.bytes));
      return;
    case "info":
      return; // touch tones by INFO: see README, "not there yet"
    case "ended":
      if (event.by !== "local") owner.link.call("byed");
      return;
    default:
      unreachable(event);
  }
}

function renewed(owner: LineOwner, media: CallMedia, event: Extract<CallEvent, { type: "offer" }>): void {
  if (event.body === null) return void event.answer(media.makeOffer());
  const wasHeld = media.heldByRemote;
  const outcome = media.takeOffer(event.body);
  if (outcome.type === "none") return event.refuse(488, "Not Acceptable Here");
  void event.answer(outcome.answer);
  if (media.heldByRemote !== wasHeld) owner.link.call("holded", media.heldByRemote);
}
