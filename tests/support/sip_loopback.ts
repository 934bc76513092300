// A SIP endpoint on real loopback sockets, and users that behave.
// Role: edge

import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { AddressPolicy } from "../../lib/net/route.ts";
import type { CallEvent } from "../../lib/sip/ua/call.ts";
import { SipEndpoint, type SipEndpointOptions } from "../../lib/sip/ua/endpoint.ts";
import type { UserAgent } from "../../lib/sip/ua/user_agent.ts";
import { RecordLog } from "./record_log.ts";
import { sdp, sdpText } from "./sip_network.ts";

/** An endpoint on a free port of loopback. */
export function openLoopback(
  log: RecordLog = new RecordLog("debug"),
  options: Partial<SipEndpointOptions> = {},
): SipEndpoint {
  const bind = options.bind ?? "127.0.0.1";
  return SipEndpoint.open({
    bind,
    port: 0,
    portFallback: false,
    addresses: new AddressPolicy({ bind, advertise: null }),
    outboundProxy: null,
    userAgent: "siprtmp-test",
    expiresSeconds: 60,
    ...options,
  }, { clock: systemClock, log, random: systemRandom, dns: systemDns });
}

/** Answers every invitation and every offer; tells what happened as short words. */
export async function answerCalls(agent: UserAgent, happened: string[]): Promise<void> {
  for await (const invitation of agent.invitations()) {
    invitation.ring();
    const outcome = await invitation.accept(sdp("answer"));
    happened.push(outcome.type === "failed" ? `failed: ${outcome.reason}` : "confirmed");
    if (outcome.type !== "confirmed") continue;
    for await (const event of outcome.call.events()) happened.push(react(event));
  }
}

function react(event: CallEvent): string {
  if (event.type === "ended") return `ended by ${event.by}`;
  if (event.type !== "offer") return event.type;
  void event.answer(sdp(`answer to ${sdpText(event.body)}`));
  return `offer ${sdpText(event.body)}`;
}
