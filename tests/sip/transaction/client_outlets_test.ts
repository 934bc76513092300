import assert from "node:assert/strict";
import { formatFailover } from "../../../lib/sip/transaction/client_outlets.ts";
import { targetAt } from "../../support/sip_messages.ts";

Deno.test("a change of server is told in one line", () => {
  const notice = { from: targetAt("udp", 1), to: targetAt("tcp", 2), reason: "no answer for 4 s" };
  assert.equal(
    formatFailover(notice),
    "192.0.2.1:5060 failed (no answer for 4 s): trying the next server, 192.0.2.2:5060",
  );
});
