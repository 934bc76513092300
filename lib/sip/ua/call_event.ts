// What happens in a call, as values.
// RFC 3261 sections 14 (re-INVITE) and 15 (BYE), RFC 3311 (UPDATE), RFC 6086 (INFO), RFC 3428 (MESSAGE).
// Role: wire

import type { SipBody } from "../message/body.ts";
import { parseDecimal, parseParams, trimBlanks } from "../message/grammar.ts";
import type { SipRequest } from "../message/message.ts";

/** A new offer of the far end, or its wish that we make one. Answer or refuse it within 10 seconds. */
export interface OfferEvent {
  /** Tells it from other events. */
  readonly type: "offer";
  /** The offer; null: `answer(body)` sends ours and an "answer" event brings theirs. */
  readonly body: SipBody | null;
  /** Accepts with our answer; resolves true once the far end has it, false when the call or offer ended first. */
  answer(body: SipBody): Promise<boolean>;
  /** Keeps the session as it was; usually 488. */
  refuse(status: number, reason: string): void;
}

/** The call is over; always the last event. */
export interface EndedEvent {
  /** Tells it from other events. */
  readonly type: "ended";
  /** Who ended it; "failure": the network or the far end broke down. */
  readonly by: "remote" | "local" | "failure";
  readonly reason: string;
}

/** One event of a call. INFO and MESSAGE have been answered with 200 already, those not understood with 415. */
export type CallEvent =
  | OfferEvent
  | { readonly type: "answer"; readonly body: SipBody }
  | { readonly type: "info"; readonly body: SipBody }
  | { readonly type: "message"; readonly body: SipBody }
  | EndedEvent;

/** What became of a new offer of ours. */
export type ReofferOutcome =
  | { readonly type: "accepted"; readonly body: SipBody | null }
  | { readonly type: "refused"; readonly status: number; readonly reason: string };

/** The end that a BYE announces; its reason is the text, or the cause, of the Reason header (RFC 3326). */
export function endedByBye(bye: SipRequest): EndedEvent {
  const header = bye.headers.get("Reason") ?? "";
  const params = parseParams(header);
  const semicolon = header.indexOf(";");
  const protocol = trimBlanks(semicolon < 0 ? "" : header.slice(0, semicolon));
  const cause = parseDecimal(params.get("cause") ?? "", 99_999);
  const reason = params.get("text") ||
    (cause === null || protocol === "" ? "" : `${protocol} cause ${cause}`) || "hung up";
  return { type: "ended", by: "remote", reason };
}
