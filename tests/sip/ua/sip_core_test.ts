// Tests of lib/sip/ua/sip_core.ts: our Contact, and background work that fails without taking anything along.

import assert from "node:assert/strict";
import { formatNameAddr } from "../../../lib/sip/message/name_addr.ts";
import type { SipRouter } from "../../../lib/sip/transport/routing.ts";
import { type AgentContext, contactOf, inBackground, type SipCore } from "../../../lib/sip/ua/sip_core.ts";
import { ServiceRoute } from "../../../lib/sip/ua/outgoing_request.ts";
import { RecordLog } from "../../support/record_log.ts";
import { identity } from "../../support/sip_network.ts";

function agent(log: RecordLog): AgentContext {
  const router: Partial<SipRouter> = { port: 5070 };
  const core: Partial<SipCore> = { router: router as SipRouter };
  return {
    core: core as SipCore,
    identity: identity("sip:alice@example.com"),
    proxy: null,
    serviceRoute: new ServiceRoute(),
    line: "l1",
    log,
    credentials: null,
    endings: new Set(),
  };
}

Deno.test("our Contact has the listening port and the `line` parameter", () => {
  const contact = contactOf(agent(new RecordLog()), "10.0.0.1", "tcp");
  assert.equal(formatNameAddr(contact), "<sip:alice@10.0.0.1:5070;transport=tcp;line=l1>");
});

Deno.test("a failure in the background is logged and goes no further", async () => {
  const log = new RecordLog();
  await inBackground(agent(log), "Something", () => Promise.reject(new Error("broken")));
  await inBackground(agent(log), "Something else", () => Promise.resolve(1));
  assert.equal(log.at("error").length, 1);
  assert.match(log.at("error")[0] ?? "", /Something failed: broken/);
});
