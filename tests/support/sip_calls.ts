// Ready-made calls between two endpoints on a network in memory.
// Role: edge

import assert from "node:assert/strict";
import type { SipBody } from "../../lib/sip/message/body.ts";
import type { Call } from "../../lib/sip/ua/call.ts";
import type { SipEndpoint, SipEndpointOptions } from "../../lib/sip/ua/endpoint.ts";
import type { Invitation } from "../../lib/sip/ua/invitation.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import type { InviteProgress, UserAgent } from "../../lib/sip/ua/user_agent.ts";
import { collect, identity, sdp, type SipNetwork } from "./sip_network.ts";

export { collect } from "./sip_network.ts";

/** Two endpoints with a user each. */
export interface Pair {
  /** alice at 10.0.0.1, bob at 10.0.0.2. */
  readonly endpoints: readonly [SipEndpoint, SipEndpoint];
  /** The user who calls. */
  readonly alice: UserAgent;
  /** The user who is called. */
  readonly bob: UserAgent;
}

/** A call both sides have confirmed. */
export interface EstablishedCall extends Pair {
  /** The call as alice has it. */
  readonly caller: Call;
  /** The call as bob has it. */
  readonly callee: Call;
}

/** Opens alice and bob. */
export function pair(network: SipNetwork, options: Partial<SipEndpointOptions> = {}): Pair {
  const endpoints = [network.endpoint("10.0.0.1", options), network.endpoint("10.0.0.2", options)] as const;
  return {
    endpoints,
    alice: endpoints[0].createUserAgent(identity("sip:alice@10.0.0.1")),
    bob: endpoints[1].createUserAgent(identity("sip:bob@10.0.0.2")),
  };
}

/** An attempt of alice to reach bob. */
export interface Attempt {
  /** Grows as the attempt goes on. */
  readonly steps: InviteProgress[];
  /** Aborting it gives the attempt up. */
  readonly abort: AbortController;
}

/** Starts to call. */
export function dial(agent: UserAgent, to: string, offer: SipBody | null = sdp("offer")): Attempt {
  const abort = new AbortController();
  return { steps: collect(agent.invite(parseNameAddr(to), offer, abort.signal)), abort };
}

/** Waits for an attempt's call. */
export async function accepted(network: SipNetwork, attempt: Attempt): Promise<Call> {
  await network.until(
    "the call to be accepted",
    () => attempt.steps.some((step) => step.type === "accepted" || step.type === "refused"),
  );
  const last = attempt.steps.at(-1);
  assert.ok(last?.type === "accepted", JSON.stringify(last));
  return last.call;
}

/** Waits for the next invitation of a user. */
export async function nextInvitation(network: SipNetwork, agent: UserAgent): Promise<Invitation> {
  const next = await network.settled(agent.invitations().next());
  assert.ok(next.done !== true);
  return next.value;
}

/** Lets alice call bob, who answers. */
export async function establishedCall(
  network: SipNetwork,
  options: Partial<SipEndpointOptions> = {},
): Promise<EstablishedCall> {
  const two = pair(network, options);
  const attempt = dial(two.alice, "sip:bob@10.0.0.2");
  const invitation = await nextInvitation(network, two.bob);
  invitation.ring();
  const outcome = await network.settled(invitation.accept(sdp("answer")));
  assert.ok(outcome.type === "confirmed", JSON.stringify(outcome));
  return { ...two, caller: await accepted(network, attempt), callee: outcome.call };
}
