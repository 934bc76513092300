// Answers to: lib/sip/transaction/server_transactions.ts, through the layer: what is remembered of requests that were answered.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import {
  encodeSipMessage,
  type SipRequest,
  type SipResponse,
  tagOf,
} from "../../../lib/sip/message/message.ts";
import { KeptResponse } from "../../../lib/sip/transaction/server_transactions.ts";
import { LayerBench } from "../../support/sip_layer_bench.ts";
import { receivedRequest, responseTo } from "../../support/sip_messages.ts";

const numbered = (method: string, n: number, more: Record<string, string> = {}): SipRequest =>
  receivedRequest(method, { Via: `SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK${n}`, "Call-ID": `c${n}`, ...more });

function responses(bench: LayerBench): SipResponse[] {
  return bench.sent.flatMap(({ message }) => message.kind === "response" ? [message] : []);
}

Deno.test("server transactions: of a MESSAGE only the response is kept, for its repetitions, for 64*T1", () => {
  using bench = new LayerBench();
  bench.receive(numbered("MESSAGE", 1));
  bench.transactions[0]!.reply(200);
  assert.deepEqual([bench.layer.serverCount, bench.clock.pending], [1, 1]);
  const [first] = responses(bench);
  bench.receive(numbered("MESSAGE", 1));
  assert.deepEqual(responses(bench)[1], first);
  bench.receive(numbered("MESSAGE", 2, { "Call-ID": "c1" }));
  assert.equal(responses(bench)[2]!.status, 482, "merged, though the first is finished");
  bench.clock.advance(31_999);
  assert.equal(bench.layer.serverCount, 2);
  bench.clock.advance(1);
  assert.deepEqual([bench.layer.serverCount, bench.clock.pending], [0, 0]);
  bench.receive(numbered("MESSAGE", 1));
  assert.equal(bench.transactions.length, 2, "it is a new one by now");
});

Deno.test("server transactions: a refused INVITE repeats its response until the ACK; the oldest of many gives way", () => {
  using bench = new LayerBench({ maxTransactions: 8 });
  for (let n = 0; n < 4; n++) {
    bench.receive(numbered("INVITE", n));
    bench.transactions[n]!.reply(486);
  }
  assert.equal(bench.layer.serverCount, 2);
  bench.sent.length = 0;
  bench.clock.advance(500);
  assert.deepEqual(responses(bench).map((one) => one.headers.get("Call-ID")), ["c2", "c3"]);
  bench.receive(numbered("ACK", 3));
  bench.sent.length = 0;
  bench.clock.advance(1000);
  assert.deepEqual(responses(bench).map((one) => one.headers.get("Call-ID")), ["c2"]);
  bench.clock.advance(40_000);
  assert.deepEqual([bench.layer.serverCount, bench.clock.pending], [0, 0]);
});

Deno.test("server transactions: 5000 INVITEs to one user leave room for others, and the ACK of a refusal is nobody's fault", () => {
  const useless: string[] = [];
  using bench = new LayerBench({
    userOf: ({ uri }) => uri.user,
    onUseless: ({ remote }) => void useless.push(remote.hostname),
  });
  for (let n = 0; n < 5000; n++) {
    bench.receive(receivedRequest("INVITE", {
      Via: `SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK${n}`,
      "Call-ID": `c${n}`,
    }, "sip:target@192.0.2.99"));
    if (n > 0) bench.transactions[n]?.reply(486);
  }
  assert.ok(bench.transactions.length <= 9, `${bench.transactions.length} were looked at`);
  assert.ok(responses(bench).every(({ status }) => status === 486), "the others hear the same");
  assert.ok(bench.layer.serverCount <= 64);
  const last = responses(bench).at(-1)!;
  bench.receive(numbered("ACK", 4999, { To: last.headers.get("To")! }));
  assert.deepEqual([useless, bench.layer.dropped], [[], 0]);
  assert.notEqual(tagOf(last.headers.get("To")), null);
  bench.receive(
    receivedRequest(
      "INVITE",
      { Via: "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx", "Call-ID": "x" },
      "sip:bob@192.0.2.99",
    ),
  );
  assert.equal(bench.transactions.length, 10);
});

Deno.test("server transactions: calls that are answered count nowhere", () => {
  using bench = new LayerBench({ maxTransactions: 4, userOf: () => "line" });
  for (let n = 0; n < 500; n++) {
    bench.receive(numbered("INVITE", n));
    bench.transactions[n]!.reply(200);
  }
  assert.equal(bench.transactions.length, 500);
});

Deno.test("server transactions: a gateway that is full says 503 each time, and busy users do not hide it", () => {
  using bench = new LayerBench({ userOf: () => "line" });
  for (let n = 0; n < 100; n++) {
    bench.receive(numbered("INVITE", n));
    bench.transactions[n]!.reply(503);
  }
  assert.equal(bench.transactions.length, 100);
});

Deno.test("kept response: what is restored is sent as the response itself, whatever became of that", () => {
  const response = responseTo(receivedRequest("MESSAGE"), 415, "t", { Accept: "text/plain" });
  response.headers.add("X-Text", 'gr\u00fc\u00dfe "quoted" \\');
  response.headers.add("X-Text", "twice");
  response.body = encodeUtf8("body");
  const bytes = encodeSipMessage(response);
  const kept = new KeptResponse(response);
  response.headers.delete("Via");
  assert.deepEqual(encodeSipMessage(kept.restore()), bytes);
  assert.notEqual(kept.restore(), kept.restore());
});
