// Tests of lib/sip/ua/exchange.ts: one request, one outcome, and waits that end.

import assert from "node:assert/strict";
import type { ClientHandle, ClientOutlets } from "../../../lib/sip/transaction/client_handle.ts";
import { exchange, reasonOf, type Reply, statusOf } from "../../../lib/sip/ua/exchange.ts";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import { withNextSequence } from "../../../lib/sip/ua/outgoing_request.ts";
import type { Target } from "../../../lib/sip/message/target.ts";
import { responseTo, sipRequest, targetAt } from "../../support/sip_messages.ts";

function start(signal?: AbortSignal): { reply: Promise<Reply>; outlets: ClientOutlets[] } {
  const outlets: ClientOutlets[] = [];
  const layer = {
    request(_request: SipRequest, _targets: readonly Target[], given: ClientOutlets): ClientHandle {
      outlets.push(given);
      const handle: Partial<ClientHandle> = {};
      return handle as ClientHandle;
    },
  };
  const reply = exchange({
    layer,
    request: sipRequest("OPTIONS"),
    targets: [targetAt()],
    credentials: null,
    renumber: withNextSequence,
  }, signal);
  return { reply, outlets };
}

Deno.test("the final response is the outcome", async () => {
  const { reply, outlets } = start();
  outlets[0]?.response(responseTo(sipRequest("OPTIONS"), 100));
  outlets[0]?.response(responseTo(sipRequest("OPTIONS"), 404));
  assert.equal(statusOf(await reply), 404);
  assert.equal(reasonOf(await reply), "Not Found");
});

Deno.test("a timeout and an unreachable peer are outcomes too", async () => {
  const silent = start();
  silent.outlets[0]?.timeout();
  assert.deepEqual(await silent.reply, { type: "failed", status: 408, reason: "Request timeout" });
  const unreachable = start();
  unreachable.outlets[0]?.transportError("no route");
  assert.equal(reasonOf(await unreachable.reply), "no route");
});

Deno.test("an abort ends the wait; nothing is sent when it came first", async () => {
  const abort = new AbortController();
  const { reply, outlets } = start(abort.signal);
  abort.abort();
  assert.equal(statusOf(await reply), 487);
  outlets[0]?.response(responseTo(sipRequest("OPTIONS"), 200));
  const late = start(AbortSignal.abort());
  assert.equal(late.outlets.length, 0);
  assert.equal(statusOf(await late.reply), 487);
});
