// The coroutine of an incoming call: the offer is judged before anybody is alerted, then the client is told
// and its `accept` turns the invitation into a call.
// Role: edge

import type { Invitation } from "../sip/ua/invitation.ts";
import { type ActiveState, type CallLeg, DECLINE, IDLE, partiesOf, withAddresses } from "./leg.ts";
import { formatWarning } from "./negotiation.ts";
import { type CallEnding, endingOf, type RegisteredCall } from "./registry.ts";
import { talk } from "./talk.ts";
import type { AcceptedReport, CallMedia } from "./call_media.ts";
import type { SipBody } from "../sip/message/body.ts";

type Answering = Extract<ActiveState, { type: "answering" }>;

/** Handles one new invitation: 486, 488 or 180 at once. */
export function invited(leg: CallLeg, invitation: Invitation): void {
  if (invitation.cancelled.aborted) return; // the caller gave up before its turn came
  const [from, to] = partiesOf(invitation);
  if (leg.state.type !== "idle") {
    leg.log.info(`call from ${from} rejected 486: already in a call`);
    return refuse(leg, invitation, 486, "Busy Here");
  }
  const objection = invitation.offer === null ? null : leg.services.media.objection(invitation.offer);
  if (objection !== null) {
    leg.log.warn(`call from ${from} rejected 488: ${objection}`);
    return listed(leg, invitation).end(notAcceptable(invitation, objection));
  }
  const registered = listed(leg, invitation);
  const state: ActiveState = { type: "alerting", invitation, registered };
  leg.advance(IDLE, state);
  invitation.cancelled.addEventListener("abort", () => {
    if (!leg.finish(state, endingOf(487, "cancelled", "remote"))) return;
    leg.log.info(`call from ${from} cancelled`);
    leg.link.call("cancelled", from, to);
  }, { once: true });
  leg.log.info(`call from ${from}`);
  invitation.ring();
  registered.become("ringing");
  const more = leg.services.tellsCallerHeaders === true ? invitation.callerHeaders : {};
  leg.link.call("invited", from, to, ...(Object.keys(more).length > 0 ? [more] : []));
}

export function refuse(leg: CallLeg, invitation: Invitation, status: number, reason: string): void {
  listed(leg, invitation).end(endingOf(status, reason, "local"));
  invitation.refuse(status, reason);
}

function listed(leg: CallLeg, invitation: Invitation): RegisteredCall {
  const registered = leg.register("in", invitation.from);
  registered.sipCallId = invitation.id;
  return registered;
}

/** Accepts the alerting invitation; the client hears `accepted` after the ACK, or `byed`. */
export function answer(leg: CallLeg, codecs: readonly string[]): void {
  const alerting = leg.state;
  if (alerting.type === "idle") return leg.link.call("byed"); // the caller was faster: there is no call
  if (alerting.type !== "alerting") {
    return leg.log.info(`accept ignored: no incoming call (${alerting.type})`);
  }
  const { invitation, registered } = alerting;
  const state: Answering = { type: "answering", invitation, registered };
  leg.advance(alerting, state);
  leg.scope.spawn("accept", async () => {
    try {
      await acceptCall(leg, state, codecs);
    } finally {
      if (leg.state === state) invitation.refuse(500, "Server Internal Error"); // only after a bug of ours
      failed(leg, state, broken("internal error"));
    }
  });
}

async function acceptCall(
  leg: CallLeg,
  state: Answering,
  codecs: readonly string[],
): Promise<void> {
  const { invitation, registered } = state;
  using opened = new DisposableStack();
  const offer = invitation.offer === null ? null : await withAddresses(leg, invitation.offer);
  if (leg.state !== state) return invitation.refuse(DECLINE.status, DECLINE.reason); // hung up meanwhile
  const media = opened.use(openMedia(leg, state, { offer, codecs }));
  const answered = media === null ? null : answerOffer(leg, state, media, offer);
  if (media === null || answered === null) return;
  state.media = registered.media = media;
  media.toRtmp = leg.owner; // from the 200 on the caller may send, and a first key frame does not come twice
  const outcome = await invitation.accept(answered.body);
  if (outcome.type === "failed") {
    leg.log.warn(`call answered, not established: ${outcome.reason}`);
    return failed(leg, state, broken(outcome.reason));
  }
  const report = answered.report ?? await lateReport(leg, media, outcome.call.remoteBody);
  if (report === null) {
    failed(leg, state, broken("no usable SDP answer in the ACK"));
    return await outcome.call.hangUp();
  }
  const { call } = outcome;
  opened.move(); // talk() ends it; this coroutine is not to wait for that, for hours
  leg.scope.spawn(`call ${call.id}`, () => talk(leg, state, { call, media, report }));
}

function openMedia(
  leg: CallLeg,
  state: Answering,
  { offer, codecs }: { offer: SipBody | null; codecs: readonly string[] },
): CallMedia | null {
  const { invitation } = state;
  const { media } = leg.services;
  const localAddress = media.addressFacing(offer, invitation.source.localAddress);
  const opening = media.open(localAddress, codecs);
  if (opening.type === "open") {
    leg.primeMedia(opening.media);
    return opening.media;
  }
  leg.log.warn(`cannot answer the call: ${opening.reason}`);
  failed(
    leg,
    state,
    opening.type === "none" ? notAcceptable(invitation, opening.reason) : unavailable(leg, invitation),
  );
  return null;
}

/** The body of our 200. Without an offer in the INVITE it is ours, and the report comes with the ACK. */
function answerOffer(
  leg: CallLeg,
  state: Answering,
  media: CallMedia,
  offer: SipBody | null,
): { body: SipBody; report: AcceptedReport | null } | null {
  if (offer === null) return { body: media.makeOffer(), report: null };
  const outcome = media.takeOffer(offer);
  if (outcome.type === "agreed") return { body: outcome.answer, report: outcome.report };
  leg.log.warn(`cannot answer the call: ${outcome.reason}`);
  failed(leg, state, notAcceptable(state.invitation, outcome.reason));
  return null;
}

async function lateReport(
  leg: CallLeg,
  media: CallMedia,
  body: SipBody | null,
): Promise<AcceptedReport | null> {
  const outcome = body === null ? null : media.takeAnswer(await withAddresses(leg, body));
  if (outcome?.type === "agreed") return outcome.report;
  leg.log.warn(`no usable SDP answer in the ACK: ${outcome?.reason ?? "no session description"}`);
  return null;
}

/** RFC 3261 section 21.4.26: 488 says in a Warning what would have been acceptable. */
function notAcceptable(invitation: Invitation, reason: string): CallEnding {
  invitation.refuse(488, "Not Acceptable Here", { Warning: formatWarning("siprtmp", reason) });
  return endingOf(488, reason, "local");
}

/** RFC 3261 section 21.5.4: too many calls, or no port left; both pass. */
function unavailable(leg: CallLeg, invitation: Invitation): CallEnding {
  const seconds = leg.services.shared.admission.retryAfterSeconds();
  invitation.refuse(503, "Service Unavailable", { "Retry-After": String(seconds) });
  return endingOf(503, "Service Unavailable", "local");
}

function broken(reason: string): CallEnding {
  return { status: "failed", sipStatus: null, reason, by: "failure" };
}

function failed(leg: CallLeg, state: Answering, ending: CallEnding): void {
  if (leg.finish(state, ending)) leg.link.call("byed");
}
