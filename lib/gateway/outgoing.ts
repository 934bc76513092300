// The coroutine of an outgoing call: destination -> route -> offer -> INVITE progress -> call.
// Role: edge
// Answers to: rtmp_invite and _connect of siprtmp.py; reasons of `rejected` as in behaviour.md 1.4.

import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Call } from "../sip/call.ts";
import { type NameAddr, parseDestination } from "../sip/name_addr.ts";
import type { InviteProgress } from "../sip/user_agent.ts";
import type { AcceptedReport, CallMedia } from "./call_media.ts";
import { IDLE, type Line, type LineOwner } from "./line.ts";
import { talk } from "./talking.ts";

type Attempt =
  | { type: "established"; call: Call; report: AcceptedReport }
  | { type: "rejected"; reason: string }
  | { type: "given up" };

/** Starts a call; the client hears `ringing`, then `accepted` or `rejected`. */
export function dial(owner: LineOwner, destination: string, codecs: readonly string[]): void {
  const to = destinationOf(owner, destination);
  if (to === null) return owner.link.call("rejected", "invalid dest URI");
  const line: Line = { state: "dialing", attempt: new AbortController() };
  if (!owner.advance(IDLE, line)) return owner.link.call("rejected", "Already in an active or pending call");
  owner.scope.spawn(`invite ${destination}`, () => attemptCall(owner, line, to, codecs));
}

function destinationOf(owner: LineOwner, destination: string): NameAddr | null {
  try {
    return parseDestination(destination, owner.agent.identity.aor.host);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    owner.log.warn(`cannot dial "${destination}": ${error.message}`);
    return null;
  }
}

async function attemptCall(
  owner: LineOwner,
  line: Extract<Line, { state: "dialing" }>,
  to: NameAddr,
  codecs: readonly string[],
): Promise<void> {
  const route = await owner.agent.route(to.uri);
  if ("type" in route) return rejected(owner, line, `503 ${route.reason}`);
  using media = openMedia(owner, route.localAddress, codecs);
  if (media === null) return rejected(owner, line, "Internal server error");
  const attempt = await invite(owner, line, to, media);
  switch (attempt.type) {
    case "given up":
      return;
    case "rejected":
      return rejected(owner, line, attempt.reason);
    case "established":
      return await talk(owner, line, { call: attempt.call, media, report: attempt.report });
  }
}

function openMedia(owner: LineOwner, localAddress: string, codecs: readonly string[]): CallMedia | null {
  try {
    return owner.services.media.open(localAddress, codecs);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    owner.log.error(`cannot open media for a call: ${messageOf(error)}`);
    return null;
  }
}

async function invite(
  owner: LineOwner,
  line: Extract<Line, { state: "dialing" }>,
  to: NameAddr,
  media: CallMedia,
): Promise<Attempt> {
  const signal = AbortSignal.any([line.attempt.signal, owner.scope.signal]);
  let outcome: InviteProgress | null = null;
  for await (const step of owner.agent.invite(to, media.makeOffer(), signal)) {
    outcome = step;
    if (step.type === "progress" && !signal.aborted) progress(owner, media, step);
  }
  if (outcome?.type === "accepted") return await settle(outcome.call, media, signal);
  if (signal.aborted) return { type: "given up" };
  if (outcome?.type !== "refused") return { type: "rejected", reason: "408 Request timeout" };
  if (outcome.warning) owner.log.info(`the other side says: ${outcome.warning}`);
  return { type: "rejected", reason: `${outcome.status} ${outcome.reason}` };
}

async function settle(call: Call, media: CallMedia, signal: AbortSignal): Promise<Attempt> {
  const outcome = call.remoteBody === null
    ? { type: "none" as const, reason: "the answer has no session description" }
    : media.takeAnswer(call.remoteBody);
  if (outcome.type === "agreed" && !signal.aborted) {
    return { type: "established", call, report: outcome.report };
  }
  await call.hangUp();
  if (outcome.type === "agreed") return { type: "given up" };
  return { type: "rejected", reason: `488 Not Acceptable Here (${outcome.reason})` };
}

/** 180 and 183 are told to the client; the answer in a 183 lets early media be heard. */
function progress(owner: LineOwner, media: CallMedia, step: Extract<InviteProgress, { type: "progress" }>) {
  if (step.body !== null) {
    media.toRtmp = owner.toPlayer;
    media.takeAnswer(step.body);
  }
  if (step.status === 180 || step.status === 183) {
    owner.link.call("ringing", `${step.status} ${step.reason}`);
  }
}

function rejected(owner: LineOwner, line: Line, reason: string): void {
  if (owner.advance(line, IDLE)) owner.link.call("rejected", reason);
}
