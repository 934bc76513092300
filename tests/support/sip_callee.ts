// A user agent that is called by a scripted peer, up to any point of the call.
// Role: edge

import assert from "node:assert/strict";
import type { SipBody } from "../../lib/sip/message/body.ts";
import type { Call, CallEvent } from "../../lib/sip/ua/call.ts";
import type { SipEndpoint, SipEndpointOptions } from "../../lib/sip/ua/endpoint.ts";
import type { Invitation } from "../../lib/sip/ua/invitation.ts";
import type { SipRequest, SipResponse } from "../../lib/sip/message/message.ts";
import type { UserAgent } from "../../lib/sip/ua/user_agent.ts";
import { nextInvitation } from "./sip_calls.ts";
import { collect, identity, type ScriptedPeer, sdp, SipNetwork } from "./sip_network.ts";

/** Bob at 10.0.0.2 and a peer at 10.0.0.9. */
export interface CalleeScene {
  /** The wires. */
  readonly network: SipNetwork;
  /** Bob's endpoint. */
  readonly endpoint: SipEndpoint;
  /** Who is called. */
  readonly bob: UserAgent;
  /** Who calls. */
  readonly peer: ScriptedPeer;
}

/** A scene with an INVITE that arrived. */
export interface InvitedScene extends CalleeScene {
  /** The peer's INVITE. */
  readonly invite: SipRequest;
  /** What bob got. */
  readonly invitation: Invitation;
}

/** A scene with a call both sides have confirmed. */
export interface TalkingScene extends InvitedScene {
  /** Bob's call. */
  readonly call: Call;
  /** Its events so far. */
  readonly events: CallEvent[];
  /** The 200 the peer got. */
  readonly answer: SipResponse;
}

/** Bob, waiting. */
export function calleeScene(options: Partial<SipEndpointOptions> = {}): CalleeScene {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.2", options);
  const bob = endpoint.createUserAgent(identity("sip:bob@10.0.0.2"));
  return { network, endpoint, bob, peer: network.peer("10.0.0.9") };
}

/** The peer calls bob. */
export async function invited(
  headers: Record<string, string> = {},
  offer: SipBody | null = sdp("offer"),
  options: Partial<SipEndpointOptions> = {},
): Promise<InvitedScene> {
  const scene = calleeScene(options);
  const invite = scene.peer.build("INVITE", "sip:bob@10.0.0.2", headers, offer);
  scene.peer.send(invite, "10.0.0.2");
  const invitation = await nextInvitation(scene.network, scene.bob);
  await scene.peer.response(100);
  return { ...scene, invite, invitation };
}

/** The ACK of a peer for the 200 to its INVITE. */
export function acknowledge(
  peer: ScriptedPeer,
  invite: SipRequest,
  answer: SipResponse,
  body: SipBody | null = null,
): void {
  const sequence = Number((invite.headers.get("CSeq") ?? "").split(" ")[0]);
  peer.send(peer.buildAsCaller("ACK", invite, answer, sequence, body), "10.0.0.2");
}

/** The peer calls, bob answers, the peer acknowledges. */
export async function talking(
  headers: Record<string, string> = {},
  options: Partial<SipEndpointOptions> = {},
): Promise<TalkingScene> {
  const scene = await invited(headers, sdp("offer"), options);
  const accepted = scene.invitation.accept(sdp("answer"));
  const answer = await scene.peer.response(200, "INVITE");
  acknowledge(scene.peer, scene.invite, answer);
  const outcome = await scene.network.settled(accepted);
  assert.ok(outcome.type === "confirmed", JSON.stringify(outcome));
  return { ...scene, call: outcome.call, events: collect(outcome.call.events()), answer };
}

/** Ends everything and looks for what was left behind. */
export async function finish({ network, endpoint }: CalleeScene): Promise<void> {
  await network.close(endpoint);
  await network.clock.advanceAsync(100);
  assert.equal(endpoint.dialogCount, 0);
  assert.equal(network.clock.pending, 0, "timers were left behind");
}
