// Answers to: lib/sip/transaction/client_handle.ts, inside the layer it lives in: failover, CANCEL, forks.

import assert from "node:assert/strict";
import { parseVia } from "../../../lib/sip/message/header.ts";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import { formatFailover, NEXT_TARGET_MS } from "../../../lib/sip/transaction/client_handle.ts";
import { LayerBench } from "../../support/sip_layer_bench.ts";
import { flowBy, responseTo, sipRequest, targetAt } from "../../support/sip_messages.ts";

const TWO = [targetAt("udp", 1), targetAt("udp", 2)];

function branchOfLast(bench: LayerBench): string {
  return parseVia(bench.lastRequest().headers.get("Via") ?? "").params.get("branch") ?? "";
}

Deno.test("client: a request goes out with Via, rport and Max-Forwards; the given one stays as it was", () => {
  using bench = new LayerBench();
  const request = sipRequest("OPTIONS");
  const handle = bench.request(request, [targetAt("udp"), targetAt("tcp", 2)]);
  const via = parseVia(bench.lastRequest().headers.get("Via") ?? "");
  assert.deepEqual([via.transport, via.host, via.port, via.params.get("rport")], [
    "UDP",
    "192.0.2.99",
    5070,
    null,
  ]);
  assert.match(handle.branch, /^z9hG4bK[a-z0-9]{20}$/);
  assert.equal(via.params.get("branch"), handle.branch);
  assert.equal(bench.lastRequest().headers.get("Max-Forwards"), "70");
  assert.deepEqual([request.headers.has("Via"), request.headers.has("Max-Forwards")], [false, false]);
  bench.answer(200);
  assert.deepEqual([bench.takeTold(), handle.finished], [["200"], true]);
});

Deno.test("failover: transport error, then the next target with a new branch and the same CSeq", () => {
  using bench = new LayerBench();
  const handle = bench.request(sipRequest("REGISTER"), [targetAt("tcp", 1), targetAt("udp", 2)]);
  const first = { branch: handle.branch, cseq: bench.lastRequest().headers.get("CSeq") };
  bench.last().outcome({ type: "failed", reason: "refused" });
  assert.deepEqual(bench.takeSent(), ["REGISTER 192.0.2.1", "REGISTER 192.0.2.2"]);
  assert.notEqual(handle.branch, first.branch);
  assert.equal(bench.lastRequest().headers.get("CSeq"), first.cseq);
  assert.equal(bench.lastRequest().headers.all("Via").length, 1);
  assert.equal(parseVia(bench.lastRequest().headers.get("Via") ?? "").transport, "UDP");
  bench.answer(200);
  assert.deepEqual(bench.takeTold(), ["200"]);
});

Deno.test("failover: no answer for 4 s, then the next; the last has 64*T1, and its timeout is told", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), TWO);
  bench.clock.advance(NEXT_TARGET_MS - 1);
  assert.ok(bench.takeSent().every((one) => one === "INVITE 192.0.2.1"));
  bench.clock.advance(1);
  assert.deepEqual(bench.takeTold(), []);
  assert.equal(bench.takeSent().at(-1), "INVITE 192.0.2.2");
  bench.clock.advance(31999);
  assert.deepEqual(bench.takeTold(), []);
  bench.clock.advance(1);
  assert.deepEqual(bench.takeTold(), ["timeout"]);
  assert.ok(
    bench.log.lines.some((line) =>
      line.includes("192.0.2.1:5060 failed (no answer for 4 s): trying the next server, 192.0.2.2:5060")
    ),
  );
});

Deno.test("failover: a provisional response binds a request to its target", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("BYE"), TWO);
  bench.answer(100);
  bench.clock.advance(32000);
  assert.deepEqual(bench.takeTold(), ["100", "timeout"]);
  assert.ok(!bench.takeSent().includes("BYE 192.0.2.2"));
});

Deno.test("failover: 503 is acknowledged and the next target tried; the last 503 is told", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), TWO);
  bench.answer(100);
  bench.answer(503);
  assert.deepEqual(bench.takeSent(), ["INVITE 192.0.2.1", "ACK 192.0.2.1", "INVITE 192.0.2.2"]);
  bench.answer(503);
  assert.deepEqual(bench.takeSent(), ["ACK 192.0.2.2"]);
  assert.deepEqual(bench.takeTold(), ["100", "503"]);
});

Deno.test("failover: repetitions of the first 503 disturb nothing", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), TWO);
  const refusal = bench.answer(503);
  bench.takeSent();
  bench.receive(refusal);
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [["ACK 192.0.2.1"], []]);
  bench.answer(200);
  assert.deepEqual(bench.takeTold(), ["200"]);
});

Deno.test("failover: not after somebody was alerted, not after the caller cancelled", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), TWO);
  bench.answer(180);
  bench.answer(503);
  assert.deepEqual(bench.takeTold(), ["180", "503"]);
  const cancelled = bench.request(sipRequest("INVITE", { "Call-ID": "call-2" }), TWO);
  cancelled.cancelRequest();
  bench.last().outcome({ type: "failed", reason: "unreachable" });
  assert.deepEqual(bench.takeTold(), ["transport error: unreachable"]);
  assert.ok(!bench.takeSent().includes("INVITE 192.0.2.2"));
});

Deno.test("failover: which targets answered and which did not is told, once each", () => {
  const told = (act: (bench: LayerBench) => void): string[] => {
    using bench = new LayerBench();
    bench.request(sipRequest("INVITE"), TWO);
    act(bench);
    return bench.tried;
  };
  const fail = (bench: LayerBench) => bench.last().outcome({ type: "failed", reason: "refused" });
  assert.deepEqual(told((bench) => [100, 180, 486].forEach((status) => bench.answer(status))), [
    "+ 192.0.2.1",
  ]);
  assert.deepEqual(
    told((bench) => {
      bench.clock.advance(NEXT_TARGET_MS);
      bench.answer(404);
    }),
    ["- 192.0.2.1", "+ 192.0.2.2"],
  );
  assert.deepEqual(
    told((bench) => {
      fail(bench);
      fail(bench);
    }),
    ["- 192.0.2.1", "- 192.0.2.2"],
  );
  assert.deepEqual(
    told((bench) => {
      bench.answer(503);
      bench.answer(200);
    }),
    ["+ 192.0.2.1", "- 192.0.2.1", "+ 192.0.2.2"],
  );
});

Deno.test("client: all targets out of reach, and none at all", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("REGISTER"), TWO);
  bench.last().outcome({ type: "failed", reason: "no route" });
  bench.last().outcome({ type: "failed", reason: "refused" });
  assert.deepEqual(bench.takeTold(), ["transport error: refused"]);
  const handle = bench.request(sipRequest("REGISTER"), []);
  assert.deepEqual([bench.takeTold(), handle.finished, handle.target], [[], false, null]);
  bench.clock.advance(0);
  assert.deepEqual([bench.takeTold(), handle.finished], [["transport error: no target to send to"], true]);
});

Deno.test("client: at most 8 targets are tried", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("REGISTER"), Array.from({ length: 20 }, (_, index) => targetAt("udp", index + 1)));
  for (let i = 0; i < 8; i++) bench.last().outcome({ type: "failed", reason: "refused" });
  assert.deepEqual([bench.takeSent().length, bench.takeTold()], [8, ["transport error: refused"]]);
});

Deno.test("CANCEL: waits for a provisional response, has the INVITE's Via and target (9.1)", () => {
  using bench = new LayerBench();
  const handle = bench.request(sipRequest("INVITE", { Route: "<sip:p1.example.net;lr>" }), TWO);
  handle.cancelRequest("SIP ;cause=200");
  assert.deepEqual(bench.takeSent(), ["INVITE 192.0.2.1"]);
  const invite = bench.lastRequest();
  bench.answer(100);
  assert.deepEqual(bench.takeSent(), ["CANCEL 192.0.2.1"]);
  const cancel = bench.lastRequest();
  for (const name of ["Via", "Route", "From", "To", "Call-ID"]) {
    assert.deepEqual(cancel.headers.all(name), invite.headers.all(name), name);
  }
  assert.equal(cancel.headers.get("CSeq"), "1 CANCEL");
  assert.equal(cancel.headers.get("Reason"), "SIP ;cause=200");
  assert.deepEqual(cancel.uri, invite.uri);
  bench.answer(200, "bob-1", cancel);
  bench.answer(487, "bob-1", invite);
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [["ACK 192.0.2.1"], ["100", "487"]]);
});

Deno.test("CANCEL: sent once, at once when a provisional response is there, repeated by timer E", () => {
  using bench = new LayerBench();
  const handle = bench.request(sipRequest("INVITE"), TWO);
  const invite = bench.lastRequest();
  bench.answer(180);
  handle.cancelRequest();
  handle.cancelRequest();
  bench.answer(183, "bob-1", invite);
  bench.clock.advance(1500);
  assert.deepEqual(bench.takeSent(), [
    "INVITE 192.0.2.1",
    "CANCEL 192.0.2.1",
    "CANCEL 192.0.2.1",
    "CANCEL 192.0.2.1",
  ]);
});

Deno.test("CANCEL: without a final response the INVITE ends 64*T1 later; a 2xx after that is a stray", () => {
  using bench = new LayerBench();
  const handle = bench.request(sipRequest("INVITE"), TWO);
  const invite = bench.lastRequest();
  bench.answer(180);
  bench.clock.advance(60000);
  handle.cancelRequest();
  bench.clock.advance(31999);
  assert.deepEqual(bench.takeTold(), ["180"]);
  bench.clock.advance(1);
  assert.deepEqual([bench.takeTold(), handle.finished, bench.layer.clientCount], [["timeout"], true, 0]);
  bench.answer(200, "bob-1", invite);
  assert.deepEqual(bench.takeTold(), ["stray 200"]);
});

Deno.test("CANCEL: a 2xx that crossed it is told; nothing to cancel afterwards or for other methods", () => {
  using bench = new LayerBench();
  const handle = bench.request(sipRequest("INVITE"), TWO);
  const invite = bench.lastRequest();
  bench.answer(180);
  handle.cancelRequest();
  bench.answer(200, "bob-1", invite);
  assert.deepEqual(bench.takeTold(), ["180", "200"]);
  bench.takeSent();
  handle.cancelRequest();
  const register = bench.request(sipRequest("REGISTER"), TWO);
  bench.answer(100);
  register.cancelRequest();
  assert.deepEqual(bench.takeSent(), ["REGISTER 192.0.2.1"]);
  bench.clock.advance(100000);
  assert.deepEqual(bench.takeTold(), ["100", "timeout"]);
});

Deno.test("forks: the first 2xx is told once, repetitions before our ACK are absorbed, others are strays", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), TWO);
  const invite = bench.lastRequest();
  bench.answer(180, "a", invite);
  bench.answer(180, "b", invite);
  bench.answer(200, "a", invite);
  bench.answer(200, "a", invite);
  bench.answer(200, "b", invite);
  bench.answer(180, "b", invite);
  assert.deepEqual(bench.takeTold(), ["180", "180", "200", "stray 200"]);
  assert.equal(bench.layer.dropped, 0, "a late 180 is no stray");
  bench.takeSent();
  bench.layer.sendAck(sipRequest("ACK", { To: "<sip:bob@example.net>;tag=a" }), targetAt("udp", 3));
  bench.answer(200, "a", invite);
  bench.layer.sendAck(sipRequest("ACK", { To: "<sip:bob@example.net>;tag=b" }), targetAt("udp", 3));
  bench.answer(200, "b", invite);
  const acks = ["ACK 192.0.2.3", "ACK 192.0.2.3", "ACK 192.0.2.3", "ACK 192.0.2.3"];
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [acks, []]);
});

Deno.test("forks: a 2xx after another fork's failure is a stray (13.2.2.4)", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("INVITE"), TWO);
  const invite = bench.lastRequest();
  bench.answer(486, "a", invite);
  bench.answer(200, "b", invite);
  assert.deepEqual(bench.takeTold(), ["486", "stray 200"]);
});

Deno.test("large requests: gone by TCP, so ACK and CANCEL follow and nothing is retransmitted (18.1.1)", () => {
  using bench = new LayerBench();
  const handle = bench.request(sipRequest("INVITE"), [TWO[0]!]);
  bench.last().outcome({ type: "sent", transport: "tcp", flow: flowBy("tcp") });
  bench.clock.advance(20000);
  assert.deepEqual(bench.takeSent(), ["INVITE 192.0.2.1"]);
  assert.equal(parseVia(handle.request.headers.get("Via") ?? "").transport, "TCP");
  assert.equal(branchOfLast(bench), handle.branch);
  const invite = bench.lastRequest();
  bench.answer(180);
  handle.cancelRequest();
  assert.deepEqual([bench.last().target.transport, bench.last().target.flow?.connectionId], ["tcp", 7]);
  bench.answer(487, "bob-1", invite);
  assert.deepEqual(bench.takeSent(), ["CANCEL 192.0.2.1", "ACK 192.0.2.1"]);
  assert.equal(bench.last().target.transport, "tcp");
  assert.equal(parseVia(bench.last().message.headers.get("Via") ?? "").transport, "TCP");
});

Deno.test("connection lost: what had no answer tries its next target at once, the rest waits for its answer", () => {
  using bench = new LayerBench();
  const tcp = [targetAt("tcp", 1), targetAt("udp", 2)];
  bench.request(sipRequest("REGISTER"), tcp);
  bench.last().outcome({ type: "sent", transport: "tcp", flow: flowBy("tcp") });
  bench.layer.flowBroken({ ...flowBy("tcp"), connectionId: 8 }, "closed");
  bench.layer.flowBroken(flowBy("udp"), "closed");
  assert.deepEqual(bench.takeSent(), ["REGISTER 192.0.2.1"]);
  bench.layer.flowBroken(flowBy("tcp"), "closed");
  assert.deepEqual(bench.takeSent(), ["REGISTER 192.0.2.2"]);
  bench.answer(200);
  bench.request(sipRequest("INVITE"), tcp);
  bench.last().outcome({ type: "sent", transport: "tcp", flow: flowBy("tcp") });
  bench.answer(180);
  bench.layer.flowBroken(flowBy("tcp"), "closed");
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [["INVITE 192.0.2.1"], ["200", "180"]]);
  bench.request(sipRequest("BYE"), [targetAt("tcp", 1)]);
  bench.last().outcome({ type: "sent", transport: "tcp", flow: flowBy("tcp") });
  bench.layer.flowBroken(flowBy("tcp"), "the peer closed the connection");
  assert.deepEqual(bench.takeTold(), ["transport error: the peer closed the connection"]);
});

Deno.test("client: disposing the layer ends a request silently, also from inside its own response", () => {
  using bench = new LayerBench();
  bench.layer.request(sipRequest("INVITE"), TWO, {
    response: () => bench.layer[Symbol.dispose](),
    timeout: () => assert.fail("told after disposal"),
    transportError: () => assert.fail("told after disposal"),
  });
  const invite = bench.lastRequest();
  bench.receive(responseTo(invite, 180));
  bench.last().outcome({ type: "failed", reason: "late" });
  bench.clock.advance(100000);
  bench.receive(responseTo(invite, 486));
  assert.deepEqual([bench.takeSent(), bench.takeTold()], [["INVITE 192.0.2.1"], []]);
});

/** What a target that was left for another does later, and what comes of it. */
const LATE: {
  name: string;
  method: "INVITE" | "REGISTER";
  act: (bench: LayerBench, first: SipRequest) => void;
  sent: string[];
  told: string[];
}[] = [
  {
    name: "the first rings before the second answers: it is the one",
    method: "INVITE",
    act: (bench, first) => {
      const second = bench.lastRequest();
      bench.answer(180, "a", first);
      bench.answer(180, "b", second);
      bench.answer(200, "a", first);
    },
    sent: ["CANCEL 192.0.2.2"],
    told: ["180", "200"],
  },
  {
    name: "both ring, the second before the first: the first hears CANCEL",
    method: "INVITE",
    act: (bench, first) => {
      bench.answer(180, "b");
      bench.answer(180, "a", first);
      bench.answer(183, "a", first);
    },
    sent: ["CANCEL 192.0.2.1"],
    told: ["180"],
  },
  {
    name: "both accept: the 2xx of the first is one too many, once",
    method: "INVITE",
    act: (bench, first) => {
      bench.answer(200, "b");
      bench.answer(200, "a", first);
      bench.answer(200, "a", first);
    },
    sent: [],
    told: ["200", "surplus 200 192.0.2.1"],
  },
  {
    name: "the first refuses while the second rings",
    method: "INVITE",
    act: (bench, first) => {
      bench.answer(180, "b");
      bench.answer(486, "a", first);
    },
    sent: ["ACK 192.0.2.1"],
    told: ["180"],
  },
  {
    name: "the first refuses before the second answers: that stands",
    method: "INVITE",
    act: (bench, first) => void bench.answer(486, "a", first),
    sent: ["ACK 192.0.2.1"],
    told: ["486"],
  },
  {
    name: "a REGISTER is answered by the first after all",
    method: "REGISTER",
    act: (bench, first) => void bench.answer(200, "a", first),
    sent: [],
    told: ["200"],
  },
  {
    name: "a REGISTER is answered by both",
    method: "REGISTER",
    act: (bench, first) => {
      bench.answer(200, "b");
      bench.answer(200, "a", first);
    },
    sent: [],
    told: ["200"],
  },
];

for (const { name, method, act, sent, told } of LATE) {
  Deno.test(`failover, late answers: ${name}`, () => {
    using bench = new LayerBench();
    bench.request(sipRequest(method), TWO);
    const first = bench.lastRequest();
    bench.clock.advance(NEXT_TARGET_MS);
    bench.takeSent();
    act(bench, first);
    assert.deepEqual([bench.takeSent(), bench.takeTold()], [sent, told]);
  });
}

/** When the next target is not hurried for. */
const PATIENT: [name: string, request: SipRequest, act: (bench: LayerBench) => void][] = [
  ["inside a dialog", sipRequest("BYE", { To: "<sip:bob@example.net>;tag=b" }), () => {}],
  ["a re-INVITE", sipRequest("INVITE", { To: "<sip:bob@example.net>;tag=b" }), () => {}],
  ["somebody answered 100", sipRequest("INVITE"), (bench) => void bench.answer(100)],
  ["somebody rings", sipRequest("INVITE"), (bench) => void bench.answer(180)],
];

for (const [name, request, act] of PATIENT) {
  Deno.test(`failover: nobody is in a hurry: ${name}`, () => {
    using bench = new LayerBench();
    bench.request(request, TWO);
    act(bench);
    bench.clock.advance(NEXT_TARGET_MS * 4);
    assert.ok(bench.takeSent().every((one) => one.endsWith("192.0.2.1")));
  });
}

Deno.test("failover: who cancels meanwhile waits for no other target", () => {
  using bench = new LayerBench();
  const handle = bench.request(sipRequest("INVITE"), TWO);
  handle.cancelRequest();
  bench.clock.advance(NEXT_TARGET_MS * 2);
  assert.ok(bench.takeSent().every((one) => one === "INVITE 192.0.2.1"));
});

Deno.test("failover: three targets, two of them silent; a TCP connection that does not come about", () => {
  using bench = new LayerBench();
  bench.request(sipRequest("REGISTER"), [targetAt("tcp", 1), targetAt("udp", 2), targetAt("udp", 3)]);
  bench.clock.advance(NEXT_TARGET_MS);
  assert.ok(bench.takeSent().includes("REGISTER 192.0.2.2"));
  bench.clock.advance(NEXT_TARGET_MS);
  assert.equal(bench.takeSent().at(-1), "REGISTER 192.0.2.3");
  bench.answer(200);
  assert.deepEqual([bench.takeTold(), bench.tried], [["200"], ["- 192.0.2.1", "- 192.0.2.2", "+ 192.0.2.3"]]);
});

Deno.test("a change of server is told in one line", () => {
  const notice = { from: targetAt("udp", 1), to: targetAt("tcp", 2), reason: "no answer for 4 s" };
  assert.equal(
    formatFailover(notice),
    "192.0.2.1:5060 failed (no answer for 4 s): trying the next server, 192.0.2.2:5060",
  );
});
