// Our side ends whatever its line is doing: a call, an attempt, an invitation that rings.
// Role: edge

import type { CallMedia } from "./call_media.ts";
import type { Invitation } from "../sip/ua/invitation.ts";
import { IDLE, type LineOwner } from "./line.ts";

/** How an invitation that still rings is refused. */
export interface RefusalStatus {
  /** 3xx to 6xx. */
  readonly status: number;
  readonly reason: string;
}

/** What a called person says who does not want to talk. */
export const DECLINE: RefusalStatus = { status: 603, reason: "Decline" };

/** What is said for a client that is leaving. */
export const UNAVAILABLE: RefusalStatus = { status: 480, reason: "Temporarily Unavailable" };

/**
 * Ends what the line does; it is idle at once, so that the next command may be an invite. The client is told nothing:
 * it has asked for it.
 */
export function hangUp(owner: LineOwner, refusal: RefusalStatus = DECLINE): void {
  const { line } = owner;
  if (line.state === "idle" || !owner.advance(line, IDLE)) return;
  switch (line.state) {
    case "dialing":
      silence(line.media);
      return line.attempt.abort();
    case "alerting":
      return refuse(line.invitation, refusal);
    case "answering":
      return silence(line.media); // once the ACK is there, talk() finds the line gone and sends the BYE
    case "talking":
      owner.scope.spawn("bye", () => line.call.hangUp());
  }
}

/** It lives on until the far end has agreed to the end; by then somebody else may be on the line. */
function silence(media: CallMedia | undefined): void {
  if (media !== undefined) media.toRtmp = null;
}

function refuse(invitation: Invitation, { status, reason }: RefusalStatus): void {
  invitation.refuse(status, reason);
}
