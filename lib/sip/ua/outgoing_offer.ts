// A re-INVITE or UPDATE of ours: waits for its turn, survives glare, challenges and 422, tells what came of it.
// RFC 3261 section 14.1 (491 and its waits), RFC 3311 section 5.1, RFC 4028 section 7.
// Role: edge

import { delay } from "../../base/clock.ts";
import { sessionBodyOf, type SipBody } from "../message/body.ts";
import type { ReofferOutcome } from "./call_dialog.ts";
import { ChallengedRequest, type Reply } from "./challenged_request.ts";
import type { OfferOwner } from "./incoming_offer.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { proposeTimer, raiseInterval, type RefreshDuty, timerOf2xx } from "./session_timer.ts";
import { inBackground } from "./sip_core.ts";

/** Most times an offer is sent again after 491. */
export const MAX_GLARE_RETRIES = 4;
/** How long an offer waits for its turn, in milliseconds. */
const TURN_WAIT_MS = 35_000;
/** How long a re-INVITE may stay without a final answer before it is cancelled, in milliseconds. */
export const REINVITE_WAIT_MS = 60_000;

interface OutgoingOffer {
  readonly body: SipBody;
  readonly method: "INVITE" | "UPDATE";
  /** The session timer in force; null: none. */
  readonly duty: RefreshDuty | null;
  /** True when we made the Call-ID of the dialog: decides how long to wait after 491. */
  readonly weAreCaller: boolean;
}

const CALL_OVER: ReofferOutcome = { type: "refused", status: 481, reason: "Call/Transaction Does Not Exist" };

/** Sends an offer in an established call. 408 and 481 end the call (RFC 3261 section 12.2.1.2). */
export async function sendOffer(owner: OfferOwner, offer: OutgoingOffer): Promise<ReofferOutcome> {
  let outcome = CALL_OVER;
  for (let tries = 0; tries <= MAX_GLARE_RETRIES && !owner.over.aborted; tries++) {
    if (!await takeTurn(owner)) {
      if (owner.over.aborted) break;
      return { type: "refused", status: 491, reason: "Request Pending" };
    }
    try {
      outcome = await attempt(owner, offer);
    } finally {
      owner.state.endOffering();
    }
    if (outcome.type === "accepted" || outcome.status !== 491) return outcome;
    if (!await delay(owner.link.agent.core.clock, glareWaitMs(owner, offer.weAreCaller), owner.over)) break;
  }
  return owner.over.aborted ? CALL_OVER : outcome;
}

/** RFC 3261 section 14.1: the owner of the Call-ID waits 2.1 to 4 s, the peer 0 to 2 s, in steps of 10 ms. */
function glareWaitMs(owner: OfferOwner, weAreCaller: boolean): number {
  const { random } = owner.link.agent.core;
  return weAreCaller ? 2100 + 10 * (random.u16() % 191) : 10 * (random.u16() % 201);
}

async function takeTurn(owner: OfferOwner): Promise<boolean> {
  const { clock } = owner.link.agent.core;
  const deadlineMs = clock.now() + TURN_WAIT_MS;
  while (!owner.over.aborted && clock.now() < deadlineMs) {
    if (owner.state.beginOffering()) return true;
    const turn = new AbortController();
    using _waiter = owner.state.onIdle(() => turn.abort());
    await delay(clock, deadlineMs - clock.now(), AbortSignal.any([owner.over, turn.signal]));
  }
  return false;
}

async function attempt(owner: OfferOwner, offer: OutgoingOffer): Promise<ReofferOutcome> {
  const request = owner.link.createRequest(offer.method, offer.body);
  if (offer.duty !== null) proposeTimer(request, offer.duty);
  const retry = (response: SipResponse, sent: SipRequest): SipRequest | null => {
    if (response.status !== 422) return null;
    const next = owner.link.dialog.renumber(sent);
    return raiseInterval(response, next) ? next : null;
  };
  const reply = offer.method === "INVITE"
    ? await exchangeInvite(owner, request, retry)
    : await owner.link.exchange(request, { retry, signal: owner.over });
  return settle(owner, offer, reply);
}

function settle(owner: OfferOwner, offer: OutgoingOffer, reply: Reply): ReofferOutcome {
  if (owner.over.aborted) return CALL_OVER;
  if (reply.type === "failed") {
    owner.breakDown(`no answer to ${offer.method}: ${reply.reason}`);
    return { type: "refused", status: reply.status, reason: reply.reason };
  }
  const { response } = reply;
  if (response.status >= 300) {
    if (response.status === 481 || response.status === 408) {
      owner.breakDown(`${offer.method} answered with ${response.status}`);
    }
    return { type: "refused", status: response.status, reason: response.reason };
  }
  const session = sessionBodyOf(response, reply.target);
  owner.link.dialog.refreshTarget(response);
  owner.state.localBody = offer.body;
  if (session.type === "session") owner.state.remoteBody = session.body;
  owner.timerAgreed(timerOf2xx(response));
  return { type: "accepted", body: session.type === "session" ? session.body : null };
}

/** Like exchange(), with the ACK of every 2xx and a CANCEL when nothing comes for too long. */
async function exchangeInvite(
  owner: OfferOwner,
  request: SipRequest,
  retry: (response: SipResponse, request: SipRequest) => SipRequest | null,
): Promise<Reply> {
  const options = await owner.link.options(request, retry);
  return await new Promise((resolve) => {
    const onOver = (): void => settled({ type: "failed", status: 487, reason: "the call ended" });
    const settled = (reply: Reply): void => {
      limit[Symbol.dispose]();
      owner.over.removeEventListener("abort", onOver);
      resolve(reply);
    };
    const invite = new ChallengedRequest(options, {
      provisional: () => {},
      success: (response, sent) => {
        // The target may move with the 2xx, and the ACK already goes to the new one (section 12.2.1.2).
        owner.link.dialog.refreshTarget(response);
        void inBackground(owner.link.agent, "Sending an ACK", () => owner.link.sendAck(sent));
        settled({ type: "response", response, request: sent, target: invite.target });
      },
      refused: (response, sent) =>
        settled({ type: "response", response, request: sent, target: invite.target }),
      failed: (status, reason) => settled({ type: "failed", status, reason }),
    });
    const limit = owner.link.agent.core.clock.after(REINVITE_WAIT_MS, () => invite.cancel());
    owner.over.addEventListener("abort", onOver, { once: true });
  });
}
