// Answers to: lib/sip/message/target.ts.

import assert from "node:assert/strict";
import { type Flow, formatTarget, targetOf } from "../../../lib/sip/message/target.ts";

Deno.test("target: the way back along a flow, and its text", () => {
  const flow: Flow = {
    transport: "tcp",
    remote: { hostname: "::1", port: 5060 },
    local: { hostname: "::1", port: 40000 },
    connectionId: 3,
  };
  assert.deepEqual(targetOf(flow), { transport: "tcp", endpoint: { hostname: "::1", port: 5060 }, flow });
  assert.equal(formatTarget(targetOf(flow)), "tcp [::1]:5060");
});
