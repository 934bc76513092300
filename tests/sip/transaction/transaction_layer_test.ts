// Answers to: lib/sip/transaction/transaction_layer.ts: what reaches the user agent, and what the layer answers by itself.
// Failover, CANCEL out and forks are in client_handle_test.ts.

import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeSipMessage, type SipMessage, type SipResponse } from "../../../lib/sip/message/message.ts";
import { RecentMap } from "../../../lib/sip/transaction/transaction_layer.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { LayerBench } from "../../support/sip_layer_bench.ts";
import { flowBy, receivedRequest, responseTo, sipRequest, targetAt } from "../../support/sip_messages.ts";

/** The response sent last. */
function lastResponse(bench: LayerBench): SipResponse {
  const { message } = bench.last();
  assert.equal(message.kind, "response");
  return message as SipResponse;
}

Deno.test("layer: a request comes up once, its retransmission gets the latest response", () => {
  using bench = new LayerBench();
  const invite = receivedRequest("INVITE");
  bench.receive(invite);
  bench.transactions[0]!.reply(180);
  bench.receive(receivedRequest("INVITE"));
  assert.deepEqual([bench.takeTold(), bench.takeSent()], [["INVITE"], ["180", "180"]]);
  assert.equal(bench.last().target.flow?.remote.hostname, "192.0.2.1");
  assert.deepEqual([bench.layer.serverCount, bench.layer.clientCount], [1, 0]);
});

Deno.test("layer: a silent user agent makes the layer say 100", () => {
  using bench = new LayerBench();
  bench.receive(receivedRequest("INVITE"));
  bench.receive(receivedRequest("OPTIONS", { Via: "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKo" }));
  bench.clock.advance(1000);
  assert.deepEqual(bench.takeSent(), ["100"]);
});

Deno.test("layer: the ACK of a failure stops there, by its branch (17.2.3)", () => {
  using bench = new LayerBench();
  bench.receive(receivedRequest("INVITE"));
  bench.transactions[0]!.reply(486);
  bench.receive(receivedRequest("ACK"));
  bench.receive(receivedRequest("ACK"));
  bench.clock.advance(4999);
  assert.deepEqual([bench.takeTold(), bench.takeSent(), bench.layer.serverCount], [["INVITE"], ["486"], 1]);
  bench.clock.advance(1);
  assert.equal(bench.layer.serverCount, 0);
});

Deno.test("layer: the ACK of a failure to an RFC 2543 peer needs the To tag of our response", () => {
  using bench = new LayerBench();
  const via = "SIP/2.0/UDP 192.0.2.1:5060";
  bench.receive(receivedRequest("INVITE", { Via: via }));
  bench.transactions[0]!.reply(486);
  const tag = bench.transactions[0]!.localTag;
  bench.receive(receivedRequest("ACK", { Via: via, To: "<sip:bob@example.net>;tag=wrong" }));
  bench.clock.advance(500);
  assert.deepEqual(bench.takeSent(), ["486", "486"]);
  bench.receive(receivedRequest("ACK", { Via: via, To: `<sip:bob@example.net>;tag=${tag}` }));
  bench.clock.advance(20000);
  assert.deepEqual(bench.takeSent(), []);
});

Deno.test("second call with Asterisk: the ACK of a 2xx is found by its dialog, whatever its branch", () => {
  for (const branch of ["z9hG4bKpeer1", "z9hG4bKown", "1", null]) {
    using bench = new LayerBench();
    bench.receive(receivedRequest("INVITE"));
    const transaction = bench.transactions[0]!;
    const acks: string[] = [];
    transaction.onAck = (ack) => void acks.push(ack.method);
    transaction.reply(200);
    bench.clock.advance(500);
    const ack = receivedRequest("ACK", {
      Via: `SIP/2.0/UDP 192.0.2.1:5060${branch === null ? "" : `;branch=${branch}`}`,
      To: `<sip:bob@example.net>;tag=${transaction.localTag}`,
    });
    bench.receive(ack);
    bench.receive(ack);
    bench.clock.advance(40000);
    assert.deepEqual([bench.takeTold(), acks, bench.takeSent()], [["INVITE", "ACK"], ["ACK"], [
      "200",
      "200",
    ]]);
  }
});

Deno.test("second call with Asterisk: the ACK of the first call does not stop the second", () => {
  using bench = new LayerBench();
  for (const call of ["call-1", "call-2"]) {
    const via = `SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK${call}`;
    bench.receive(receivedRequest("INVITE", { "Call-ID": call, Via: via }));
  }
  for (const transaction of bench.transactions) transaction.reply(200);
  const to = `<sip:bob@example.net>;tag=${bench.transactions[0]!.localTag}`;
  bench.receive(receivedRequest("ACK", { Via: "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa", To: to }));
  bench.takeSent();
  bench.clock.advance(500);
  assert.deepEqual(bench.takeSent(), ["200"]);
  assert.equal(lastResponse(bench).headers.get("Call-ID"), "call-2");
});

Deno.test("layer: an ACK nobody waits for is dropped and counted, never answered", () => {
  using bench = new LayerBench();
  bench.receive(receivedRequest("ACK"));
  assert.deepEqual([bench.takeTold(), bench.takeSent(), bench.layer.dropped], [[], [], 1]);
  assert.ok(bench.log.at("debug").some((line) => line.includes("dropped ACK")));
});

Deno.test("layer: CANCEL is answered 200, its INVITE 487, both with the same tag (9.2)", () => {
  using bench = new LayerBench();
  bench.receive(receivedRequest("INVITE"));
  const transaction = bench.transactions[0]!;
  let told = 0;
  transaction.onCancel = () => void (told += 1);
  bench.receive(receivedRequest("CANCEL"));
  bench.receive(receivedRequest("CANCEL"));
  assert.deepEqual([bench.takeSent(), told, bench.takeTold()], [["200", "487", "200"], 1, ["INVITE"]]);
  const tags = bench.sent.map((sent) => sent.message.headers.get("To"));
  assert.deepEqual(new Set(tags), new Set([`<sip:bob@example.net>;tag=${transaction.localTag}`]));
  assert.equal(bench.sent[0]?.message.headers.get("CSeq"), "1 CANCEL");
  assert.equal(transaction.reply(200), false);
});

Deno.test("layer: CANCEL after the final answer changes nothing, CANCEL of nothing gets 481", () => {
  using bench = new LayerBench();
  bench.receive(receivedRequest("INVITE"));
  const transaction = bench.transactions[0]!;
  transaction.onCancel = () => assert.fail("cancelled after the answer");
  transaction.reply(200);
  bench.receive(receivedRequest("CANCEL"));
  assert.deepEqual(bench.takeSent(), ["200", "200"]);
  bench.receive(receivedRequest("CANCEL", { Via: "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKunknown" }));
  assert.deepEqual(bench.takeSent(), ["481"]);
  assert.deepEqual(bench.takeTold(), ["INVITE"]);
});

Deno.test("layer: CANCEL of an RFC 2543 peer finds its INVITE", () => {
  using bench = new LayerBench();
  const via = "SIP/2.0/UDP 192.0.2.1:5060";
  bench.receive(receivedRequest("INVITE", { Via: via }));
  bench.receive(receivedRequest("CANCEL", { Via: via }));
  assert.deepEqual(bench.takeSent(), ["200", "487"]);
});

Deno.test("layer: a merged request is answered 482 with all that belongs to it (8.2.2.2)", () => {
  using bench = new LayerBench();
  bench.receive(receivedRequest("INVITE"));
  const other = "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKotherpath";
  bench.receive(receivedRequest("INVITE", { Via: other }));
  assert.deepEqual([bench.takeTold(), bench.takeSent()], [["INVITE"], ["482"]]);
  bench.receive(receivedRequest("ACK", { Via: other }));
  bench.clock.advance(10000);
  assert.ok(!bench.takeSent().includes("482"));
});

Deno.test("layer: no merge inside a dialog, for another user of the port, or after the first has ended", () => {
  using bench = new LayerBench();
  const path = (name: string): string => `SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK${name}`;
  bench.receive(receivedRequest("OPTIONS"));
  bench.receive(receivedRequest("OPTIONS", { Via: path("a"), To: "<sip:bob@example.net>;tag=t" }));
  bench.receive(receivedRequest("OPTIONS", { Via: path("b") }, "sip:bob@example.net;line=2"));
  assert.equal(bench.takeTold().length, 3);
  for (const transaction of bench.transactions) transaction.reply(200);
  bench.clock.advance(32000);
  bench.receive(receivedRequest("OPTIONS", { Via: path("c") }));
  assert.deepEqual(bench.takeTold(), ["OPTIONS"]);
});

Deno.test("layer: above the limit a peer gets 503 and nothing is remembered", () => {
  using bench = new LayerBench({ maxTransactions: 2 });
  const request = (index: number): SipMessage =>
    receivedRequest("OPTIONS", {
      Via: `SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK${index}`,
      "Call-ID": `c${index}`,
    });
  for (let i = 0; i < 5; i++) bench.receive(request(i));
  assert.deepEqual([bench.takeTold().length, bench.takeSent()], [2, ["503", "503", "503"]]);
  assert.equal(lastResponse(bench).headers.get("Retry-After"), "5");
  assert.equal(bench.layer.serverCount, 2);
  bench.transactions[0]!.reply(200);
  bench.clock.advance(32000);
  bench.receive(request(9));
  assert.deepEqual(bench.takeTold(), ["OPTIONS"]);
});

Deno.test("layer: above the limit a request of ours fails, later and not from inside", () => {
  using bench = new LayerBench({ maxTransactions: 1 });
  bench.request(sipRequest("OPTIONS"), [targetAt()]);
  bench.request(sipRequest("OPTIONS"), [targetAt()]);
  assert.deepEqual([bench.takeTold(), bench.takeSent()], [[], ["OPTIONS 192.0.2.1"]]);
  bench.clock.advance(0);
  assert.deepEqual(bench.takeTold(), ["transport error: too many SIP transactions"]);
});

Deno.test("layer: requests of ours that have their answer leave room for others, and hold no timer each", () => {
  using bench = new LayerBench({ maxTransactions: 1 });
  for (let i = 0; i < 100; i++) {
    bench.request(sipRequest("OPTIONS"), [targetAt()]);
    bench.answer(200);
    bench.answer(200);
  }
  assert.deepEqual(bench.takeTold(), new Array(100).fill("200"));
  assert.equal(bench.layer.dropped, 0, "repetitions are absorbed");
  assert.ok(bench.layer.clientCount <= 32);
  assert.equal(bench.clock.pending, 1);
  bench.clock.advance(10_000);
  assert.equal(bench.layer.clientCount, 0);
  bench.answer(200);
  assert.equal(bench.layer.dropped, 1);
});

Deno.test("layer: without a user agent everything is refused with 503", () => {
  using bench = new LayerBench();
  bench.layer.onRequest = null;
  bench.receive(receivedRequest("INVITE"));
  assert.deepEqual([bench.takeSent(), bench.layer.serverCount], [["503"], 0]);
});

Deno.test("layer: an ACK of ours goes out again for each repetition of its 2xx, for 64*T1 (13.2.2.4)", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), [targetAt()]);
  const ok = bench.answer(200);
  const ack = sipRequest("ACK", { To: "<sip:bob@example.net>;tag=bob-1" });
  bench.layer.sendAck(ack, targetAt("udp", 5));
  const first = bench.last().message;
  assert.equal(ack.headers.has("Via"), false);
  assert.equal(first.headers.all("Via").length, 1);
  assert.notEqual(first.headers.get("Via"), bench.lastRequest().headers.get("Via"));
  bench.takeSent();
  bench.clock.advance(31000);
  bench.receive(ok);
  assert.deepEqual(encodeSipMessage(bench.last().message), encodeSipMessage(first));
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [["ACK 192.0.2.5"], ["200"]]);
  bench.clock.advance(33_000); // twice 64*T1 at the latest
  bench.receive(ok);
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [[], ["stray 200"]]);
});

Deno.test("layer: the transaction may be gone, the ACK is still known", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), [targetAt()]);
  const ok = bench.answer(200);
  bench.clock.advance(20000); // a slow answer to a delayed offer
  bench.layer.sendAck(sipRequest("ACK", { To: "<sip:bob@example.net>;tag=bob-1" }), targetAt());
  bench.clock.advance(20000);
  assert.equal(bench.layer.clientCount, 0);
  bench.takeSent();
  bench.receive(ok);
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [["ACK 192.0.2.1"], ["200"]]);
});

Deno.test("layer: an ACK that cannot be sent is logged, not thrown", () => {
  using bench = new LayerBench();
  bench.layer.sendAck(sipRequest("ACK", { To: "<sip:bob@example.net>;tag=bob-1" }), targetAt());
  bench.last().outcome({ type: "failed", reason: "unreachable" });
  assert.ok(bench.log.at("debug").some((line) => line.includes("unreachable")));
});

Deno.test("layer: responses that fit nowhere are dropped, but a 2xx to an INVITE comes up as a stray", () => {
  using bench = new LayerBench();
  const ours = sipRequest("INVITE", { Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKgone" });
  bench.receive(responseTo(ours, 180));
  bench.receive(responseTo(ours, 404));
  bench.receive(
    responseTo(sipRequest("BYE", { Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKgone" }), 200),
  );
  assert.deepEqual([bench.takeTold(), bench.layer.dropped], [[], 3]);
  bench.receive(responseTo(ours, 200));
  assert.deepEqual([bench.takeTold(), bench.layer.dropped], [["stray 200"], 3]);
  bench.layer.onStray = null;
  bench.receive(responseTo(ours, 200));
  assert.equal(bench.layer.dropped, 4);
});

Deno.test("layer: messages without what matching needs are dropped, not thrown", () => {
  using bench = new LayerBench();
  bench.receive(receivedRequest("INVITE", { CSeq: "x" }));
  bench.receive(responseTo(receivedRequest("INVITE", { CSeq: null }), 200));
  assert.deepEqual([bench.takeTold(), bench.takeSent(), bench.layer.dropped], [[], [], 2]);
});

Deno.test("layer: both ends of a call on one layer, as two users of one gateway", () => {
  using bench = new LayerBench();
  const { layer } = bench;
  const deliver = (): void => {
    for (let i = 0; i < bench.sent.length; i++) layer.receive(bench.sent[i]!.message, flowBy());
    bench.sent.length = 0;
  };
  bench.request(sipRequest("INVITE"), [targetAt()]);
  deliver();
  bench.transactions[0]!.reply(180);
  bench.transactions[0]!.reply(200);
  deliver();
  const to = `<sip:bob@example.net>;tag=${bench.transactions[0]!.localTag}`;
  layer.sendAck(sipRequest("ACK", { To: to }), targetAt());
  deliver();
  bench.clock.advance(40000);
  assert.deepEqual(bench.takeTold(), ["INVITE", "180", "200", "ACK"]);
  assert.equal(bench.sent.length, 0);
});

Deno.test("layer: any mix of messages leaves nothing behind once the timers have run out", () => {
  const messages: readonly SipMessage[] = ["INVITE", "ACK", "CANCEL", "BYE"].flatMap((method) => [
    receivedRequest(method),
    receivedRequest(method, { Via: "SIP/2.0/UDP 192.0.2.1:5060" }),
    receivedRequest(method, { "Call-ID": "call-2" }),
    responseTo(receivedRequest(method), 200),
  ]);
  const step = fc.oneof(
    fc.constantFrom(...messages),
    fc.constantFrom<"180" | "200" | "486" | "wait" | "send">("180", "200", "486", "wait", "send"),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    using bench = new LayerBench();
    for (const taken of steps) {
      if (typeof taken === "object") bench.receive(taken);
      else if (taken === "wait") bench.clock.advance(700);
      else if (taken === "send") bench.request(sipRequest("INVITE"), [targetAt()]);
      else bench.transactions.at(-1)?.reply(Number(taken));
    }
    for (const transaction of bench.transactions) transaction.reply(500);
    bench.clock.advance(100000);
    assert.deepEqual([bench.clock.pending, bench.layer.serverCount, bench.layer.clientCount], [0, 0, 0]);
  }));
});

Deno.test("layer: what the request filter answers or drops gets no transaction, repetitions of what it let in do not ask", () => {
  const asked: string[] = [];
  using bench = new LayerBench({
    filter: (request, _flow, cancels) => {
      asked.push(`${request.method}${cancels ? " of an INVITE here" : ""}`);
      if (request.method === "OPTIONS") return responseTo(request, 404);
      return request.method === "MESSAGE" ? "drop" : "pass";
    },
  });
  bench.receive(receivedRequest("CANCEL", { Via: "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother" }));
  for (const method of ["OPTIONS", "OPTIONS", "MESSAGE", "INVITE", "INVITE", "CANCEL"]) {
    bench.receive(receivedRequest(method));
  }
  assert.deepEqual(asked, ["CANCEL", "OPTIONS", "OPTIONS", "MESSAGE", "INVITE", "CANCEL of an INVITE here"]);
  assert.deepEqual(bench.takeTold(), ["INVITE"]);
  assert.deepEqual(bench.takeSent().slice(0, 3), ["481", "404", "404"]);
});

Deno.test("layer: responses that were waited for, and messages that belong to nothing, are told to who counts them", () => {
  let [useless, useful] = [0, 0];
  using bench = new LayerBench({ onUseless: () => void useless++, onUseful: () => void useful++ });
  bench.request(sipRequest("OPTIONS"), [targetAt()]);
  bench.answer(200);
  assert.deepEqual([useless, useful], [0, 1]);
  bench.receive(receivedRequest("ACK"));
  bench.receive(responseTo(receivedRequest("BYE"), 200));
  assert.deepEqual([useless, bench.layer.dropped], [2, 2]);
});

Deno.test("recent map: each is known for its time at least and twice that at most, by one timer", () => {
  const clock = new FakeClock();
  const keys = new RecentMap<string>(clock, 1000);
  const addedMs = new Map<string, number>();
  for (let at = 0; at < 40; at++) {
    keys.set(`k${at}`, `v${at}`, 5000);
    addedMs.set(`k${at}`, clock.now());
    assert.equal(clock.pending, 1);
    clock.advance(700);
    for (const [key, ms] of addedMs) {
      const age = clock.now() - ms;
      if (age < 5000) assert.ok(keys.has(key), `${key} after ${age} ms`);
      if (age > 10_000) assert.ok(!keys.has(key), `${key} after ${age} ms`);
    }
  }
  clock.advance(20_000);
  assert.deepEqual([keys.size, clock.pending], [0, 0]);
});

Deno.test("recent map: no more than twice the limit are kept, and none without a time", () => {
  const clock = new FakeClock();
  using keys = new RecentMap<string>(clock, 10);
  keys.set("tcp", "v", 0);
  assert.deepEqual([keys.size, clock.pending], [0, 0]);
  for (let at = 0; at < 100; at++) keys.set(`k${at}`, `v${at}`, 5000);
  assert.ok(keys.size <= 20);
  keys.set("k99", "newer", 5000);
  assert.deepEqual([keys.get("k99"), keys.get("k91"), keys.get("k70")], ["newer", "v91", undefined]);
  assert.ok(keys.has("k99") && keys.has("k91") && !keys.has("k70"));
  keys[Symbol.dispose]();
  assert.deepEqual([keys.size, clock.pending, keys.has("k99")], [0, 0, false]);
});

Deno.test("recent map: a value that is set again replaces the older one", () => {
  const clock = new FakeClock();
  const map = new RecentMap<string | null>(clock, 10);
  map.set("a", null, 1000);
  assert.deepEqual([map.has("a"), map.get("a")], [true, null]);
  clock.advance(1000);
  map.set("a", "ack", 1000);
  assert.deepEqual([map.size, map.get("a")], [1, "ack"]);
  clock.advance(2000);
  assert.deepEqual([map.size, clock.pending], [0, 0]);
});
