// Session timers: a call whose peer died without a BYE is noticed and ended.
// RFC 4028 (Session-Expires, Min-SE, option tag "timer"); refreshes are UPDATE or re-INVITE, sent by the call.
// siprtmp had none: it refused `Require: timer` with 420 and kept dead calls for ever.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import {
  formatSessionExpires,
  parseDeltaSeconds,
  parseSessionExpires,
  type SessionExpires,
} from "../message/header_values.ts";
import { createResponse, type SipMessage, type SipRequest, type SipResponse } from "../message/message.ts";
import { peerSupports } from "./capabilities.ts";

/** The interval we propose, in seconds (RFC 4028 section 4 recommends 1800). */
const SESSION_INTERVAL_SECONDS = 1800;
/** The smallest interval we accept, in seconds (RFC 4028 section 5: never below 90). */
const MIN_SESSION_INTERVAL_SECONDS = 90;
/** Longest interval believed from the wire; longer ones are capped so that timers stay exact. */
export const MAX_SESSION_INTERVAL_SECONDS = 7 * 24 * 3600;

/** Who refreshes the session, seen from the transaction that carries the header: its sender or its receiver. */
type Refresher = "uac" | "uas";

/** What both sides agreed on: no timer, or an interval and who refreshes. */
type SessionTimerAgreement =
  | { readonly type: "off" }
  | { readonly type: "on"; readonly seconds: number; readonly refresher: Refresher };

/** Answer of a UAS to the timer wishes of a request (RFC 4028 section 9). */
export type SessionTimerAnswer =
  | { readonly type: "off" }
  | { readonly type: "too-small"; readonly minSeconds: number }
  | {
    readonly type: "on";
    readonly seconds: number;
    readonly refresher: Refresher;
    /** True when the response must carry `Require: timer` (the UAC is the refresher). */
    readonly require: boolean;
  };

/** The Session-Expires of a message; null when it is absent or malformed, and bounded when it is huge. */
export function sessionExpiresOf(message: SipMessage): SessionExpires | null {
  const text = message.headers.get("Session-Expires");
  if (text === null || parseDeltaSeconds(text) === null) return null;
  const value = parseSessionExpires(text);
  return { ...value, seconds: Math.min(value.seconds, MAX_SESSION_INTERVAL_SECONDS) };
}

/** The Min-SE of a message in seconds; null when it is absent or malformed. */
export function minSeOf(message: SipMessage): number | null {
  const seconds = parseDeltaSeconds(message.headers.get("Min-SE"));
  return seconds === null ? null : Math.min(seconds, MAX_SESSION_INTERVAL_SECONDS);
}

/**
 * Decides as UAS (RFC 4028 section 9).
 * Without Session-Expires a timer is added only for a peer that supports it; the work of refreshing is then ours.
 */
export function answerSessionTimer(
  wish: { sessionExpires: SessionExpires | null; minSe: number | null; supported: boolean },
): SessionTimerAnswer {
  const { sessionExpires, minSe, supported } = wish;
  if (sessionExpires === null) {
    if (!supported) return { type: "off" };
    const seconds = Math.max(SESSION_INTERVAL_SECONDS, minSe ?? 0);
    return { type: "on", seconds, refresher: "uas", require: false };
  }
  if (sessionExpires.seconds < MIN_SESSION_INTERVAL_SECONDS) {
    if (supported) return { type: "too-small", minSeconds: MIN_SESSION_INTERVAL_SECONDS };
    return { type: "on", seconds: MIN_SESSION_INTERVAL_SECONDS, refresher: "uas", require: false };
  }
  const lowest = Math.max(MIN_SESSION_INTERVAL_SECONDS, minSe ?? 0);
  const seconds = Math.max(lowest, Math.min(sessionExpires.seconds, SESSION_INTERVAL_SECONDS));
  const refresher = supported ? sessionExpires.refresher ?? "uac" : "uas";
  return { type: "on", seconds, refresher, require: refresher === "uac" };
}

/** Reads what a 2xx says as UAC (RFC 4028 section 7.2): no header means no timer, no refresher means us. */
export function readSessionTimer(sessionExpires: SessionExpires | null): SessionTimerAgreement {
  if (sessionExpires === null) return { type: "off" };
  const seconds = Math.max(sessionExpires.seconds, MIN_SESSION_INTERVAL_SECONDS);
  return { type: "on", seconds, refresher: sessionExpires.refresher ?? "uac" };
}

/** Where a {@link SessionTimer} reports. */
interface SessionTimerOutlets {
  /** Half of the interval is over and we are the refresher: send a refresh. */
  refresh(): void;
  /** Nobody refreshed in time: the call is over (RFC 4028 section 10). */
  expired(): void;
}

/** The two timers of one call. Every successful refresh calls {@link SessionTimer.start} again. */
export class SessionTimer implements Disposable {
  readonly #clock: Clock;
  readonly #outlets: SessionTimerOutlets;
  #refresh: Disposable | null = null;
  #expiry: Disposable | null = null;

  /** Idle until started. */
  constructor(clock: Clock, outlets: SessionTimerOutlets) {
    this.#clock = clock;
    this.#outlets = outlets;
  }

  /** True while an agreement is being watched. */
  get running(): boolean {
    return this.#expiry !== null;
  }

  /** Starts (again) with an interval in seconds; `weRefresh`: we are the refresher. */
  start(seconds: number, weRefresh: boolean): void {
    this.stop();
    if (weRefresh) {
      this.#refresh = this.#clock.after(seconds * 500, () => {
        this.#refresh = null;
        this.#outlets.refresh();
      });
    }
    // RFC 4028 section 10: BYE min(32 s, a third of the interval) before the session expires.
    this.#expiry = this.#clock.after((seconds - Math.min(32, seconds / 3)) * 1000, () => {
      this.stop();
      this.#outlets.expired();
    });
  }

  stop(): void {
    this.#refresh?.[Symbol.dispose]();
    this.#expiry?.[Symbol.dispose]();
    this.#refresh = null;
    this.#expiry = null;
  }

  /** Same as {@link SessionTimer.stop}. */
  [Symbol.dispose](): void {
    this.stop();
  }
}

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
