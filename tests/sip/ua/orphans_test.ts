// Calls whose port broke down are ended by another one in its place.

import assert from "node:assert/strict";
import type { DialogRecord } from "../../../lib/sip/ua/neighbours.ts";
import { SipNetwork } from "../../support/sip_network.ts";

const RECORD: DialogRecord = {
  id: "x",
  callId: "call-7",
  localText: "<sip:alice@10.0.0.1>;tag=ours",
  remoteText: "<sip:bob@10.0.0.2>;tag=theirs",
  localContact: "<sip:alice@10.0.0.1:5060;line=1.abc>",
  routes: ["<sip:10.0.0.3;lr>"],
  remoteTarget: "sip:bob@10.0.0.2:5070",
  localCSeq: 41,
  fallback: { transport: "udp", endpoint: { hostname: "10.0.0.2", port: 5060 } },
};

Deno.test("orphans: each gets a BYE along its route, with a CSeq that is new to the peer; answers are counted", async () => {
  const network = new SipNetwork();
  const [endpoint, proxy, direct] = [
    network.endpoint("10.0.0.1"),
    network.peer("10.0.0.3"),
    network.peer("10.0.0.2", 5070),
  ];
  const ending = endpoint.hangUpOrphans([
    RECORD,
    { ...RECORD, callId: "call-8", routes: [] },
    { ...RECORD, callId: "call-9", routes: ["<not an address"] },
  ]);
  const routed = await proxy.request("BYE");
  assert.equal(routed.headers.get("Call-ID"), "call-7");
  assert.equal(routed.headers.get("From"), RECORD.localText);
  assert.equal(routed.headers.get("To"), RECORD.remoteText);
  assert.equal(routed.headers.get("Route"), "<sip:10.0.0.3;lr>");
  assert.equal(routed.headers.get("CSeq"), "1042 BYE");
  assert.match(routed.headers.get("Reason") ?? "", /^SIP\s*;cause=500/);
  proxy.answer(routed, 200);
  const straight = await direct.request("BYE");
  assert.equal(straight.headers.get("Call-ID"), "call-8");
  direct.answer(straight, 481);
  assert.equal(await network.settled(ending), 1);
  assert.equal(network.log.at("warn").length, 1);
  assert.match(network.log.at("warn")[0] ?? "", /orphaned call cannot be ended/);
  await network.close(endpoint);
});
