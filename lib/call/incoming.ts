// The coroutine of an incoming call: the offer is judged before anybody is alerted, then the client is told
// and its `accept` turns the invitation into a call.
// Role: edge

import type { Invitation } from "../sip/ua/invitation.ts";
import { formatNameAddr } from "../sip/message/name_addr.ts";
import { DECLINE } from "./hang_up.ts";
import { IDLE, type Line, type LineOwner, withAddresses } from "./line.ts";
import { formatWarning } from "./negotiation.ts";
import { talk } from "./talking.ts";
import type { AcceptedReport, CallMedia } from "./call_media.ts";
import type { SipBody } from "../sip/message/body.ts";

type Answering = Extract<Line, { state: "answering" }>;

/** For callers who find no room, when nobody else says. */
const RETRY_AFTER_SECONDS = 10;

/** Handles one new invitation: 486, 488 or 180 at once. */
export function invited(owner: LineOwner, invitation: Invitation): void {
  if (invitation.cancelled.aborted) return; // the caller gave up before its turn came
  const from = formatNameAddr({ ...invitation.from, params: new Map() });
  const to = formatNameAddr({ ...invitation.to, params: new Map() });
  if (owner.line.state !== "idle") {
    owner.log.info(`${from} called while the line was busy`);
    return invitation.refuse(486, "Busy Here");
  }
  const objection = invitation.offer === null ? null : owner.services.media.objection(invitation.offer);
  if (objection !== null) {
    owner.log.warn(`${from} called with nothing we can play or send: ${objection}`);
    return notAcceptable(invitation, objection);
  }
  const line: Line = { state: "alerting", invitation };
  if (!owner.advance(IDLE, line)) return invitation.refuse(486, "Busy Here");
  invitation.cancelled.addEventListener("abort", () => {
    if (!owner.advance(line, IDLE)) return;
    owner.log.info(`${from} gave up`);
    owner.link.call("cancelled", from, to);
  }, { once: true });
  owner.log.info(`${from} calls`);
  invitation.ring();
  const more = owner.services.tellsCallerHeaders === true ? invitation.callerHeaders : {};
  owner.link.call("invited", from, to, ...(Object.keys(more).length > 0 ? [more] : []));
}

/** Accepts the alerting invitation; the client hears `accepted` after the ACK, or `byed`. */
export function answer(owner: LineOwner, codecs: readonly string[]): void {
  const alerting = owner.line;
  if (alerting.state === "idle") return owner.link.call("byed"); // the caller was faster: there is no call
  if (alerting.state !== "alerting") return owner.log.info(`nobody to accept while ${alerting.state}`);
  const invitation = alerting.invitation;
  const line: Answering = { state: "answering", invitation };
  owner.advance(alerting, line);
  owner.scope.spawn("accept", async () => {
    try {
      await acceptCall(owner, line, invitation, codecs);
    } finally {
      if (owner.line === line) invitation.refuse(500, "Server Internal Error"); // only after a bug of ours
      failed(owner, line);
    }
  });
}

async function acceptCall(
  owner: LineOwner,
  line: Answering,
  invitation: Invitation,
  codecs: readonly string[],
): Promise<void> {
  using opened = new DisposableStack();
  const offer = invitation.offer === null ? null : await withAddresses(owner, invitation.offer);
  if (owner.line !== line) return invitation.refuse(DECLINE.status, DECLINE.reason); // hung up meanwhile
  const media = opened.use(openMedia(owner, invitation, { offer, codecs }));
  const answered = media === null ? null : answerOffer(owner, media, invitation, offer);
  if (media === null || answered === null) return failed(owner, line);
  line.media = media;
  media.toRtmp = owner; // from the 200 on the caller may send, and a first key frame does not come twice
  const outcome = await invitation.accept(answered.body);
  if (outcome.type === "failed") {
    owner.log.warn(`the call was answered but not set up: ${outcome.reason}`);
    return failed(owner, line);
  }
  const report = answered.report ?? await lateReport(owner, media, outcome.call.remoteBody);
  if (report === null) {
    failed(owner, line);
    return await outcome.call.hangUp();
  }
  const { call } = outcome;
  opened.move(); // talk() ends it; this coroutine is not to wait for that, for hours
  owner.scope.spawn(`call ${call.id}`, () => talk(owner, line, { call, media, report }));
}

function openMedia(
  owner: LineOwner,
  invitation: Invitation,
  { offer, codecs }: { offer: SipBody | null; codecs: readonly string[] },
): CallMedia | null {
  const { media } = owner.services;
  const localAddress = media.addressFacing(offer, invitation.source.localAddress);
  const opening = media.open(localAddress, codecs);
  if (opening.type === "open") {
    owner.primeMedia(opening.media);
    return opening.media;
  }
  owner.log.warn(`cannot accept the call: ${opening.reason}`);
  if (opening.type === "none") notAcceptable(invitation, opening.reason);
  else unavailable(owner, invitation);
  return null;
}

/** The body of our 200. Without an offer in the INVITE it is ours, and the report comes with the ACK. */
function answerOffer(
  owner: LineOwner,
  media: CallMedia,
  invitation: Invitation,
  offer: SipBody | null,
): { body: SipBody; report: AcceptedReport | null } | null {
  if (offer === null) return { body: media.makeOffer(), report: null };
  const outcome = media.takeOffer(offer);
  if (outcome.type === "agreed") return { body: outcome.answer, report: outcome.report };
  owner.log.warn(`cannot accept the call: ${outcome.reason}`);
  notAcceptable(invitation, outcome.reason);
  return null;
}

async function lateReport(
  owner: LineOwner,
  media: CallMedia,
  body: SipBody | null,
): Promise<AcceptedReport | null> {
  const outcome = body === null ? null : media.takeAnswer(await withAddresses(owner, body));
  if (outcome?.type === "agreed") return outcome.report;
  owner.log.warn(`the caller's ACK settles no media: ${outcome?.reason ?? "no session description"}`);
  return null;
}

/** RFC 3261 section 21.4.26: 488 says in a Warning what would have been acceptable. */
function notAcceptable(invitation: Invitation, reason: string): void {
  invitation.refuse(488, "Not Acceptable Here", { Warning: formatWarning("siprtmp", reason) });
}

/** RFC 3261 section 21.5.4: too many calls, or no port left; both pass. */
function unavailable(owner: LineOwner, invitation: Invitation): void {
  const seconds = owner.services.room?.retryAfterSeconds() ?? RETRY_AFTER_SECONDS;
  invitation.refuse(503, "Service Unavailable", { "Retry-After": String(seconds) });
}

function failed(owner: LineOwner, line: Line): void {
  if (owner.advance(line, IDLE)) owner.link.call("byed");
}
