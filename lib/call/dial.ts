// The coroutine of an outgoing call: destination -> route -> offer -> INVITE progress -> call.
// Role: edge

import { maskSecrets } from "../base/mask_secrets.ts";
import type { Decision } from "../gateway/access/target_policy.ts";
import { WireError } from "../base/errors.ts";
import type { SipBody } from "../sip/message/body.ts";
import type { Call, OfferEvent } from "../sip/ua/call.ts";
import { type FailoverNotice, formatFailover } from "../sip/transaction/client_handle.ts";
import type { Caller } from "../sip/ua/identity.ts";
import type { NameAddr } from "../sip/message/name_addr.ts";
import { formatTarget } from "../sip/message/target.ts";
import { formatSipUri, type SipUri } from "../sip/message/uri.ts";
import type { Hop, InviteProgress } from "../sip/ua/user_agent.ts";
import { createStatus } from "../rtmp/command.ts";
import type { AcceptedReport, CallMedia, MediaOutcome } from "./call_media.ts";
import { type CallEnding, endingOf } from "./registry.ts";
import {
  type ActiveState,
  blockedHere,
  callerOf,
  type CallLeg,
  IDLE,
  statusText,
  targetOf,
  withAddresses,
} from "./leg.ts";
import { talk } from "./talk.ts";

type Dialing = Extract<ActiveState, { type: "dialing" }>;

type Attempt =
  | { type: "established"; call: Call; media: CallMedia; report: AcceptedReport }
  /** `by`: the remote party when left out. */
  | { type: "rejected"; reason: string; by?: CallEnding["by"] }
  /** `by`: the server that says so. */
  | { type: "redirected"; reason: string; targets: readonly SipUri[]; by: string }
  /** The client knows, and so does the log. */
  | { type: "unreported" }
  | { type: "given up" };

const INTERNAL_ERROR = "Internal server error";
const NOT_ACCEPTABLE = "488 Not Acceptable Here";
const OVERLOADED = "503 Service Unavailable";

/** Starts a call; the client hears `ringing`, then `accepted` or `rejected`. */
export function dial(leg: CallLeg, destination: string, codecs: readonly string[]): void {
  const to = destinationOf(leg, destination);
  if (to === null) return leg.link.call("rejected", "invalid dest URI");
  if (leg.state !== IDLE) return leg.link.call("rejected", "Already in an active or pending call");
  const state: Dialing = {
    type: "dialing",
    attempt: new AbortController(),
    registered: leg.register("out", to),
  };
  leg.advance(IDLE, state);
  const overload = leg.services.shared.admission.refusal();
  if (overload !== null) {
    leg.log.warn(`INVITE "${destination}" not sent: ${overload}`);
    return rejected(leg, state, OVERLOADED, "local");
  }
  const permission = mayCall(leg, to.uri);
  if (permission.type === "refused") {
    leg.log.warn(`INVITE "${destination}" not sent: ${permission.reason}`);
    return rejected(leg, state, blockedHere(permission.reason), "local");
  }
  leg.scope.spawn(`invite ${destination}`, async () => {
    try {
      await attemptCall(leg, state, to, codecs);
    } finally {
      rejected(leg, state, INTERNAL_ERROR, "failure"); // only a bug of ours leaves it dialing
    }
  });
}

function destinationOf(leg: CallLeg, destination: string): NameAddr | null {
  try {
    return targetOf(leg, destination);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    leg.log.warn(`cannot dial "${destination}": ${error.message}`);
    return null;
  }
}

/** Whom to reach, and with which codecs. */
interface Wanted {
  readonly to: NameAddr;
  /** Where: the address of `to`, or where a 3xx has sent us. */
  readonly uri: SipUri;
  /** On whose behalf: who has named the address. */
  readonly caller: Caller;
  readonly codecs: readonly string[];
}

async function attemptCall(
  leg: CallLeg,
  state: Dialing,
  to: NameAddr,
  codecs: readonly string[],
): Promise<void> {
  const wanted = { to, uri: to.uri, caller: callerOf(leg), codecs };
  const first = await reach(leg, state, wanted);
  const attempt = first.type === "redirected" ? await follow(leg, state, wanted, first) : first;
  if (attempt.type === "given up" || attempt.type === "unreported") return;
  if (attempt.type !== "established") {
    const { reason } = attempt;
    if (leg.state === state) {
      leg.log.info(`call to ${nameOf(to.uri)} failed: ${reason}${hintFor(reason, leg)}`);
    }
    return rejected(leg, state, reason, attempt.type === "rejected" ? attempt.by : "remote");
  }
  const { call, media, report } = attempt;
  // This coroutine is not to wait for the end of the call, for hours.
  leg.scope.spawn(`call ${nameOf(to.uri)}`, () => talk(leg, state, { call, media, report }));
}

/** Once: what is tried here is not redirected again, so nobody can send us round in circles. */
async function follow(
  leg: CallLeg,
  state: Dialing,
  wanted: Wanted,
  { targets, reason, by }: Extract<Attempt, { type: "redirected" }>,
): Promise<Attempt> {
  let last: Attempt = { type: "rejected", reason };
  const { shared, redirect = shared.config.redirect } = leg.services;
  if (!redirect) return last;
  for (const target of targets) {
    const uri = callable(leg, target);
    if (uri === null || formatSipUri(uri) === formatSipUri(wanted.uri)) continue;
    const permission = mayCall(leg, uri);
    leg.log.info(`${reason} from ${nameOf(wanted.uri)}: redirected to ${nameOf(uri)}`);
    if (permission.type === "refused") {
      leg.log.warn(`redirection to ${nameOf(uri)} not followed: ${permission.reason}`);
      last = { type: "rejected", reason: blockedHere(permission.reason), by: "local" };
      continue;
    }
    last = await reach(leg, state, { ...wanted, uri, caller: { askedBy: by } });
    // 6xx (RFC 3261 section 21.6): nobody else can answer either.
    if (last.type !== "redirected" && (last.type !== "rejected" || last.reason.startsWith("6"))) return last;
  }
  return last;
}

function mayCall({ services: { shared, askedBy = "" } }: CallLeg, uri: SipUri): Decision {
  return shared.access.mayCall(askedBy, uri);
}

/** A number becomes an address as if it had been dialled; null: it is neither. */
function callable(leg: CallLeg, target: SipUri): SipUri | null {
  return target.scheme === "tel" ? destinationOf(leg, formatSipUri(target))?.uri ?? null : target;
}

function nameOf(uri: SipUri): string {
  return `${uri.user ?? ""}@${uri.host}`;
}

async function reach(leg: CallLeg, state: Dialing, wanted: Wanted): Promise<Attempt> {
  const { uri, codecs } = wanted;
  const hop = await leg.agent.route(uri, wanted.caller);
  if (state.attempt.signal.aborted) return { type: "given up" };
  if ("type" in hop) {
    const by = hop.status === undefined ? "failure" : "local";
    return { type: "rejected", reason: `${hop.status ?? 503} ${hop.reason}`, by };
  }
  const opening = leg.services.media.open(hop.localAddress, codecs);
  if (opening.type !== "open") {
    leg.log.warn(`call to ${nameOf(uri)} failed: ${opening.reason}`);
    rejected(leg, state, opening.type === "none" ? NOT_ACCEPTABLE : OVERLOADED, "local");
    return { type: "unreported" };
  }
  using opened = new DisposableStack();
  const media = state.media = state.registered.media = opened.use(opening.media);
  leg.primeMedia(media); // the offer can name the parameter sets of the picture
  leg.log.info(`INVITE ${nameOf(uri)} via ${formatTarget(hop.targets[0])}`);
  const attempt = await invite(leg, state, { ...wanted, hop }, media);
  if (attempt.type === "established") opened.move(); // talk() ends it
  return attempt;
}

/** What was agreed before the 2xx, and the description of the remote party that it came from. */
interface Heard {
  readonly body: SipBody;
  readonly report: AcceptedReport;
}

async function invite(
  leg: CallLeg,
  state: Dialing,
  { to, uri, caller, hop }: Wanted & { readonly hop: Hop },
  media: CallMedia,
): Promise<Attempt> {
  const { signal } = state.attempt;
  const onFailover = (notice: FailoverNotice): void => trying(leg, notice);
  let outcome: InviteProgress | null = null;
  let heard: Heard | null = null;
  const onCallId = (callId: string): void => void (state.registered.sipCallId = callId);
  const options = { ...leg.services.fields, ...caller, hop, target: uri, onFailover, onCallId };
  for await (const step of leg.agent.invite(to, media.makeOffer(), signal, options)) {
    outcome = step;
    if (signal.aborted) continue;
    if (step.type === "progress") heard = await progress(leg, state, media, step) ?? heard;
    if (step.type === "offer") heard = await renewed(leg, state, media, step.offer) ?? heard;
  }
  if (outcome?.type === "accepted") return await settle(leg, { call: outcome.call, media, heard, signal });
  if (signal.aborted) return { type: "given up" };
  if (outcome?.type !== "refused") return { type: "rejected", reason: INTERNAL_ERROR, by: "failure" };
  if (outcome.warning) leg.log.info(`Warning from ${nameOf(uri)}: ${outcome.warning}`);
  const reason = statusText(outcome.status, outcome.reason);
  const { redirects: targets } = outcome;
  if (targets === undefined) return { type: "rejected", reason };
  return { type: "redirected", reason, targets, by: hop.targets[0].endpoint.hostname };
}

function trying(leg: CallLeg, notice: FailoverNotice): void {
  leg.link.call("onStatus", createStatus("status", "NetConnection.Call.Trying", formatFailover(notice)));
}

async function settle(
  leg: CallLeg,
  answered: { call: Call; media: CallMedia; heard: Heard | null; signal: AbortSignal },
): Promise<Attempt> {
  const { call, media, heard, signal } = answered;
  const outcome = await agreedWith(leg, call.remoteBody, media, heard);
  if (outcome.type === "agreed" && !signal.aborted) {
    return { type: "established", call, media, report: outcome.report };
  }
  leg.scope.spawn("hang up", () => call.hangUp()); // the client need not wait for the answer to a BYE
  if (outcome.type === "agreed" || signal.aborted) return { type: "given up" };
  const reason = `${NOT_ACCEPTABLE}: the answer cannot be used, ${outcome.reason}`;
  return { type: "rejected", reason, by: "local" };
}

/** The session was settled before the 2xx, or is now. */
async function agreedWith(
  leg: CallLeg,
  remote: SipBody | null,
  media: CallMedia,
  heard: Heard | null,
): Promise<MediaOutcome> {
  if (remote === null) return { type: "none", reason: "it has no session description" };
  if (heard?.body === remote) return { type: "agreed", report: heard.report };
  return media.takeAnswer(await withAddresses(leg, remote));
}

/** 180 and 183 are told to the client; the answer in a 183 lets early media be heard. */
async function progress(
  leg: CallLeg,
  { registered }: Dialing,
  media: CallMedia,
  step: Extract<InviteProgress, { type: "progress" }>,
): Promise<Heard | null> {
  if (step.status === 180 || step.status === 183) {
    registered.become("ringing");
    leg.link.call("ringing", `${step.status} ${step.reason}`);
  }
  if (step.body === null) return null;
  media.toRtmp = leg.owner;
  const outcome = media.takeAnswer(await withAddresses(leg, step.body));
  if (outcome.type !== "agreed") return null;
  registered.become("early-media");
  media.earlyMedia();
  return { body: step.body, report: outcome.report };
}

/** Another session before the 2xx, for example another place for early media (RFC 3311). */
async function renewed(
  leg: CallLeg,
  { registered }: Dialing,
  media: CallMedia,
  offer: OfferEvent,
): Promise<Heard | null> {
  const outcome = offer.body === null ? null : media.takeOffer(await withAddresses(leg, offer.body));
  if (offer.body === null || outcome?.type !== "agreed") {
    const reason = outcome?.type === "none" ? outcome.reason : "there is no offer in it";
    leg.log.warn(`UPDATE in early dialog answered 488: ${reason}`);
    offer.refuse(488, "Not Acceptable Here");
    return null;
  }
  media.toRtmp = leg.owner;
  registered.become("early-media");
  media.earlyMedia();
  void offer.answer(outcome.answer);
  return { body: offer.body, report: outcome.report };
}

/** @param reason begins with a SIP status, except for a bug of ours */
function rejected(leg: CallLeg, state: Dialing, reason: string, by: CallEnding["by"] = "remote"): void {
  const [, status, words = reason] = /^(\d{3}) ?(.*)/.exec(reason) ?? [];
  const ending = endingOf(Number(status ?? 500), maskSecrets(words), by);
  if (leg.finish(state, ending)) leg.link.call("rejected", maskSecrets(reason));
}

function hintFor(reason: string, { agent }: CallLeg): string {
  if (!/^40[17]\b/.test(reason)) return "";
  return agent.identity.password === null
    ? ": authentication required, no password given"
    : ": user name or password rejected, or not for this realm";
}
