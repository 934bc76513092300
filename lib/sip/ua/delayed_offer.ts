// The offer that comes in the 2xx to an INVITE of ours without one: our answer goes into the ACK.
// RFC 3261 section 13.2.2.4; RFC 3264 section 4.
// Role: edge

import type { SipBody } from "../message/body.ts";
import { OFFER_ANSWER_MS, type OfferOwner } from "./incoming_offer.ts";
import type { SipRequest } from "../message/message.ts";
import { inBackground } from "./sip_core.ts";

/** Hands the offer to the owner of the call; refusing, or 10 s without an answer, ends the call with a BYE. */
export function openDelayedOffer(owner: OfferOwner, offer: SipBody, invite: SipRequest): void {
  const { agent } = owner.link;
  let open = true;
  const close = (): void => {
    open = false;
    deadline[Symbol.dispose]();
    owner.state.endAnswering();
  };
  const refuse = async (reason: string): Promise<void> => {
    if (!open) return;
    close();
    await owner.link.sendAck(invite);
    owner.breakDown(reason);
  };
  const answer = async (body: SipBody): Promise<boolean> => {
    if (!open || owner.over.aborted) return false;
    close();
    owner.state.localBody = body;
    await owner.link.sendAck(invite, body);
    return true;
  };
  const giveUp = (reason: string): void =>
    void inBackground(agent, "Refusing an offer", () => refuse(reason));
  owner.state.beginAnswering();
  const deadline = agent.core.clock.after(OFFER_ANSWER_MS, () => giveUp("the offer was not answered"));
  owner.over.addEventListener("abort", () => open && close(), { once: true });
  const taken = owner.emit({
    type: "offer",
    body: offer,
    answer,
    refuse: (status, reason) => giveUp(`${status} ${reason}`),
  });
  if (!taken) giveUp("nobody takes the offer");
}
