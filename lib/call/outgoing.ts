// The coroutine of an outgoing call: destination -> route -> offer -> INVITE progress -> call.
// Role: edge

import { maskSecrets } from "../base/mask_secrets.ts";
import { ALLOWED } from "../access/dial_rules.ts";
import { WireError } from "../base/errors.ts";
import type { SipBody } from "../sip/body.ts";
import type { Call, OfferEvent } from "../sip/call.ts";
import type { NameAddr } from "../sip/name_addr.ts";
import { formatTarget } from "../sip/target.ts";
import type { InviteProgress } from "../sip/user_agent.ts";
import type { AcceptedReport, CallMedia, MediaOutcome } from "../bridge/call_media.ts";
import { callerOf, IDLE, type Line, type LineOwner, statusText, targetOf, withAddresses } from "./line.ts";
import { talk } from "./talking.ts";

type Dialing = Extract<Line, { state: "dialing" }>;

type Attempt =
  | { type: "established"; call: Call; report: AcceptedReport }
  | { type: "rejected"; reason: string }
  | { type: "given up" };

const INTERNAL_ERROR = "Internal server error";
const NOT_ACCEPTABLE = "488 Not Acceptable Here";
const OVERLOADED = "503 Service Unavailable";

/** Starts a call; the client hears `ringing`, then `accepted` or `rejected`. */
export function dial(owner: LineOwner, destination: string, codecs: readonly string[]): void {
  const to = destinationOf(owner, destination);
  if (to === null) return owner.link.call("rejected", "invalid dest URI");
  const line: Dialing = { state: "dialing", attempt: new AbortController() };
  if (!owner.advance(IDLE, line)) return owner.link.call("rejected", "Already in an active or pending call");
  const overload = owner.services.room?.refusal() ?? null;
  if (overload !== null) {
    owner.log.warn(`"${destination}" is not called: ${overload}`);
    return rejected(owner, line, OVERLOADED);
  }
  const permission = owner.services.mayCall?.(to.uri) ?? ALLOWED;
  if (permission.type === "refused") {
    owner.log.warn(`"${destination}" is not called: ${permission.reason}`);
    return rejected(owner, line, "403 Forbidden");
  }
  owner.scope.spawn(`invite ${destination}`, async () => {
    try {
      await attemptCall(owner, line, to, codecs);
    } finally {
      rejected(owner, line, INTERNAL_ERROR); // only a bug of ours leaves the line dialing
    }
  });
}

function destinationOf(owner: LineOwner, destination: string): NameAddr | null {
  try {
    return targetOf(owner, destination);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    owner.log.warn(`cannot dial "${destination}": ${error.message}`);
    return null;
  }
}

async function attemptCall(
  owner: LineOwner,
  line: Dialing,
  to: NameAddr,
  codecs: readonly string[],
): Promise<void> {
  const route = await owner.agent.route(to.uri, callerOf(owner));
  if (line.attempt.signal.aborted) return;
  const name = `${to.uri.user ?? ""}@${to.uri.host}`;
  if ("type" in route) return failed(owner, line, `${route.status ?? 503} ${route.reason}`, name);
  const opening = owner.services.media.open(route.localAddress, codecs);
  if (opening.type !== "open") {
    owner.log.warn(`cannot call ${name}: ${opening.reason}`);
    return rejected(owner, line, opening.type === "none" ? NOT_ACCEPTABLE : OVERLOADED);
  }
  using opened = new DisposableStack();
  const media = line.media = opened.use(opening.media);
  owner.primeMedia(media); // the offer can name the parameter sets of the picture
  owner.log.info(`calling ${name} by way of ${formatTarget(route.target)}`);
  const attempt = await invite(owner, line, to, media);
  switch (attempt.type) {
    case "given up":
      return;
    case "rejected":
      return failed(owner, line, attempt.reason, name);
    case "established": {
      const { call, report } = attempt;
      opened.move(); // talk() ends it; this coroutine is not to wait for that, for hours
      return owner.scope.spawn(`call ${name}`, () => talk(owner, line, { call, media, report }));
    }
  }
}

/** What was agreed before the 2xx, and the description of the far end that it came from. */
interface Heard {
  readonly body: SipBody;
  readonly report: AcceptedReport;
}

async function invite(owner: LineOwner, line: Dialing, to: NameAddr, media: CallMedia): Promise<Attempt> {
  const { signal } = line.attempt;
  let outcome: InviteProgress | null = null;
  let heard: Heard | null = null;
  for await (const step of owner.agent.invite(to, media.makeOffer(), signal, callerOf(owner))) {
    outcome = step;
    if (signal.aborted) continue;
    if (step.type === "progress") heard = await progress(owner, media, step) ?? heard;
    if (step.type === "offer") heard = await renewed(owner, media, step.offer) ?? heard;
  }
  if (outcome?.type === "accepted") return await settle(owner, { call: outcome.call, media, heard, signal });
  if (signal.aborted) return { type: "given up" };
  if (outcome?.type !== "refused") return { type: "rejected", reason: INTERNAL_ERROR };
  if (outcome.warning) owner.log.info(`the other side says: ${outcome.warning}`);
  return { type: "rejected", reason: statusText(outcome.status, outcome.reason) };
}

async function settle(
  owner: LineOwner,
  answered: { call: Call; media: CallMedia; heard: Heard | null; signal: AbortSignal },
): Promise<Attempt> {
  const { call, media, heard, signal } = answered;
  const outcome = await agreedWith(owner, call.remoteBody, media, heard);
  if (outcome.type === "agreed" && !signal.aborted) {
    return { type: "established", call, report: outcome.report };
  }
  owner.scope.spawn("hang up", () => call.hangUp()); // the client need not wait for the answer to a BYE
  if (outcome.type === "agreed" || signal.aborted) return { type: "given up" };
  owner.log.warn(`the answer cannot be used: ${outcome.reason}`);
  return { type: "rejected", reason: NOT_ACCEPTABLE };
}

/** The session was settled before the 2xx, or is now. */
async function agreedWith(
  owner: LineOwner,
  remote: SipBody | null,
  media: CallMedia,
  heard: Heard | null,
): Promise<MediaOutcome> {
  if (remote === null) return { type: "none", reason: "it has no session description" };
  if (heard?.body === remote) return { type: "agreed", report: heard.report };
  return media.takeAnswer(await withAddresses(owner, remote));
}

/** 180 and 183 are told to the client; the answer in a 183 lets early media be heard. */
async function progress(
  owner: LineOwner,
  media: CallMedia,
  step: Extract<InviteProgress, { type: "progress" }>,
): Promise<Heard | null> {
  if (step.status === 180 || step.status === 183) {
    owner.link.call("ringing", `${step.status} ${step.reason}`);
  }
  if (step.body === null) return null;
  media.toRtmp = owner;
  const outcome = media.takeAnswer(await withAddresses(owner, step.body));
  return outcome.type === "agreed" ? { body: step.body, report: outcome.report } : null;
}

/** Another session before the 2xx, for example another place for early media (RFC 3311). */
async function renewed(owner: LineOwner, media: CallMedia, offer: OfferEvent): Promise<Heard | null> {
  const outcome = offer.body === null ? null : media.takeOffer(await withAddresses(owner, offer.body));
  if (offer.body === null || outcome?.type !== "agreed") {
    const reason = outcome?.type === "none" ? outcome.reason : "there is no offer in it";
    owner.log.warn(`UPDATE before the answer refused with 488: ${reason}`);
    offer.refuse(488, "Not Acceptable Here");
    return null;
  }
  media.toRtmp = owner;
  void offer.answer(outcome.answer);
  return { body: offer.body, report: outcome.report };
}

/** Ends the attempt, and says so in the log unless the client has ended it before. */
function failed(owner: LineOwner, line: Line, reason: string, name: string): void {
  if (owner.line === line) owner.log.info(`the call to ${name} failed: ${reason}${hintFor(reason, owner)}`);
  rejected(owner, line, reason);
}

function rejected(owner: LineOwner, line: Line, reason: string): void {
  if (owner.advance(line, IDLE)) owner.link.call("rejected", maskSecrets(reason));
}

/** What those who configure can do about it. */
function hintFor(reason: string, { agent }: LineOwner): string {
  if (!/^40[17]\b/.test(reason)) return "";
  return agent.identity.password === null
    ? ": a password is asked for, and there is none"
    : ": user name or password are refused, or not for that server";
}
