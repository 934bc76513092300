// Session timer headers of the requests and responses of a call, both sides.
// RFC 4028 sections 7 to 9.
// Role: wire

import { peerSupports } from "./capabilities.ts";
import { formatSessionExpires } from "../message/header_values.ts";
import { createResponse, type SipRequest, type SipResponse } from "../message/message.ts";
import {
  answerSessionTimer,
  MIN_SESSION_INTERVAL_SECONDS,
  minSeOf,
  readSessionTimer,
  SESSION_INTERVAL_SECONDS,
  sessionExpiresOf,
  type SessionTimerAnswer,
} from "./session_timer.ts";

/** A running agreement as one side sees it. */
export interface RefreshDuty {
  /** Session interval in seconds. */
  readonly seconds: number;
  /** True: we send the refreshes. */
  readonly weRefresh: boolean;
}

/** What our UAS side makes of the timer headers of an INVITE or UPDATE. */
export function timerAnswerTo(request: SipRequest): SessionTimerAnswer {
  return answerSessionTimer({
    sessionExpires: sessionExpiresOf(request),
    minSe: minSeOf(request),
    supported: peerSupports(request, "timer"),
  });
}

/** 422 with the least interval we take (RFC 4028 section 9). */
export function intervalTooSmall(request: SipRequest, minSeconds: number): SipResponse {
  const response = createResponse(request, 422);
  response.headers.set("Min-SE", `${minSeconds}`);
  return response;
}

/** Puts the agreement into our 2xx and says what it means for us; null: no timer. */
export function applyTimerAnswer(response: SipResponse, answer: SessionTimerAnswer): RefreshDuty | null {
  if (answer.type !== "on") return null;
  const { seconds, refresher } = answer;
  response.headers.set("Session-Expires", formatSessionExpires({ seconds, refresher }));
  if (answer.require) response.headers.add("Require", "timer");
  return { seconds, weRefresh: refresher === "uas" };
}

/** Puts our wish into an INVITE or UPDATE: the running agreement, or the usual interval for a first INVITE. */
export function proposeTimer(request: SipRequest, duty: RefreshDuty | null): void {
  const refresher = duty === null ? null : duty.weRefresh ? "uac" as const : "uas" as const;
  const seconds = duty?.seconds ?? SESSION_INTERVAL_SECONDS;
  request.headers.set("Session-Expires", formatSessionExpires({ seconds, refresher }));
  request.headers.set("Min-SE", `${MIN_SESSION_INTERVAL_SECONDS}`);
}

/** What the 2xx to our INVITE or UPDATE means for us; null: no timer. */
export function timerOf2xx(response: SipResponse): RefreshDuty | null {
  const agreement = readSessionTimer(sessionExpiresOf(response));
  if (agreement.type === "off") return null;
  return { seconds: agreement.seconds, weRefresh: agreement.refresher === "uac" };
}

/** After a 422: changes a renumbered copy of the request to the asked interval; false: nothing to raise. */
export function raiseInterval(response: SipResponse, request: SipRequest): boolean {
  const asked = response.status === 422 ? minSeOf(response) : null;
  const current = sessionExpiresOf(request);
  if (asked === null || current === null || asked <= current.seconds) return false;
  request.headers.set("Session-Expires", formatSessionExpires({ ...current, seconds: asked }));
  request.headers.set("Min-SE", `${asked}`);
  return true;
}
