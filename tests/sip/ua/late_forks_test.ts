// Tests of lib/sip/ua/late_forks.ts: a 2xx after its transaction has ended.

import assert from "node:assert/strict";
import { LateForks, MAX_REMEMBERED_INVITES } from "../../../lib/sip/ua/late_forks.ts";
import type { AgentContext } from "../../../lib/sip/ua/sip_core.ts";
import { accepted, dial } from "../../support/sip_calls.ts";
import { RecordLog } from "../../support/record_log.ts";
import { responseTo, sipRequest, targetAt } from "../../support/sip_messages.ts";
import { identity, sdp, SipNetwork } from "../../support/sip_network.ts";

Deno.test("a fork that answers after the transaction is gone gets ACK and BYE; a response to nothing we sent gets nothing", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9");
  const invite = await peer.request("INVITE");
  peer.answer(invite, 200, { tag: "one", body: sdp("one") });
  const call = await accepted(network, attempt);
  await peer.request("ACK");
  await network.clock.advanceAsync(70_000);
  peer.answer(invite, 200, { tag: "late", body: sdp("late") });
  assert.match((await peer.request("ACK")).headers.get("To") ?? "", /tag=late/);
  const bye = await peer.request("BYE");
  assert.match(bye.headers.get("To") ?? "", /tag=late/);
  peer.answer(bye, 200);
  assert.equal(call.ending, null);
  const stranger = { ...invite, headers: invite.headers.clone() };
  stranger.headers.set("Call-ID", "never-sent");
  peer.answer(stranger, 200, { tag: "x", body: sdp("x") });
  await network.clock.advanceAsync(1_000);
  assert.equal(peer.received.length, 0);
  call.abandon("remote", "test over");
  await network.close(endpoint);
});

Deno.test("memory is bounded: the oldest INVITE is forgotten", () => {
  const log = new RecordLog();
  const forks = new LateForks(log);
  const agent: Partial<AgentContext> = { log };
  for (let n = 0; n <= MAX_REMEMBERED_INVITES; n++) {
    forks.remember(agent as AgentContext, sipRequest("INVITE", { "Call-ID": `call-${n}` }), targetAt());
  }
  const oldest = sipRequest("INVITE", { "Call-ID": "call-0" });
  forks.decline(responseTo(oldest, 200));
  assert.match(log.lines.join("\n"), /unknown INVITE/);
});
