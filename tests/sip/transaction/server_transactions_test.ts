// Answers to: lib/sip/transaction/server_transactions.ts, through the layer: what is remembered of requests that were answered.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import {
  encodeSipMessage,
  type SipRequest,
  type SipResponse,
  tagOf,
} from "../../../lib/sip/message/message.ts";
import {
  KeptResponse,
  type Overload,
  ServerLoad,
  type Taken,
} from "../../../lib/sip/transaction/server_transactions.ts";
import { FakeClock } from "../../support/fake_clock.ts";
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

const LIMIT = 400;

class Bench {
  readonly clock = new FakeClock();
  readonly load = new ServerLoad(this.clock, LIMIT);
  readonly open: Taken[] = [];

  /** "taken", or why not. */
  invite(user: string | null, address = "192.0.2.1"): Overload | "taken" {
    const taken = this.load.take({ address, user, isInvite: true });
    if (typeof taken === "string") return taken;
    this.open.push(taken);
    return "taken";
  }

  settle(refused: boolean): void {
    for (const taken of this.open.splice(0)) {
      taken.settled(refused);
      taken.settled(!refused);
    }
  }
}

interface Flood {
  readonly why: string;
  readonly user: (n: number) => string;
  readonly address: (n: number) => string;
  /** Whether all of it is refused at once by the user, or left ringing. */
  readonly refused: boolean;
  /** Who still gets through: user and address of an honest call. */
  readonly honest: [user: string, address: string];
}

const one = () => "192.0.2.1";
const forged = (n: number) => `10.${n >> 16 & 255}.${n >> 8 & 255}.${n & 255}`;

const FLOODS: Flood[] = [
  {
    why: "one source rings one user",
    user: () => "target",
    address: one,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "the same, and bob from there",
    user: () => "target",
    address: one,
    refused: false,
    honest: ["bob", "192.0.2.1"],
  },
  {
    why: "forged sources ring one user",
    user: () => "target",
    address: forged,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "one source rings all users",
    user: (n) => `u${n % 500}`,
    address: one,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "forged sources ring twenty users",
    user: (n) => `u${n % 20}`,
    address: forged,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "one source, a busy user",
    user: () => "target",
    address: one,
    refused: true,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "forged sources, a busy user",
    user: () => "target",
    address: forged,
    refused: true,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "forged sources, twenty busy users",
    user: (n) => `u${n % 20}`,
    address: forged,
    refused: true,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "IPv6 sources of one network",
    user: (n) => `u${n % 500}`,
    address: (n) => `2001:db8::${(n % 9000).toString(16)}`,
    refused: true,
    honest: ["bob", "2001:db8:1::1"],
  },
];

for (const { why, user, address, refused, honest } of FLOODS) {
  Deno.test(`server load: 100,000 INVITEs: ${why}: others are called as ever`, () => {
    const bench = new Bench();
    let taken = 0;
    for (let n = 0; n < 100_000; n++) {
      if (bench.invite(user(n), address(n)) === "taken") taken += 1;
      if (refused) bench.settle(true);
    }
    assert.ok(taken <= 1000, `${taken} of them were looked at`);
    for (let call = 0; call < 4; call++) assert.equal(bench.invite(...honest), "taken", `call ${call}`);
  });
}

Deno.test("server load: a trunk with a hundred answered calls a second is never refused, nor one with many refused ones", () => {
  const bench = new Bench();
  for (let n = 0; n < 60_000; n++) {
    assert.equal(bench.invite(`u${n % 3}`), "taken");
    bench.settle(false);
    assert.equal(bench.invite(`v${n % 500}`), "taken");
    bench.settle(n % 2 === 0);
    bench.clock.advance(10);
  }
  assert.equal(bench.load.unanswered, 0);
});

Deno.test("server load: one user may have 32 unanswered, four when half of all places are taken", () => {
  const bench = new Bench();
  assert.equal(Array.from({ length: 40 }, () => bench.invite("a")).indexOf("user"), 32);
  for (let n = 0; n < 200; n++) bench.invite(`u${n}`);
  assert.deepEqual(Array.from({ length: 5 }, () => bench.invite("b")), [
    "taken",
    "taken",
    "taken",
    "taken",
    "user",
  ]);
  bench.settle(false);
  assert.equal(bench.load.unanswered, 0);
  assert.equal(bench.invite("a"), "taken");
});

Deno.test("server load: three quarters for one source, and an end to all", () => {
  const bench = new Bench();
  for (let n = 0; n < 300; n++) assert.equal(bench.invite(null), "taken");
  assert.equal(bench.invite(null), "source");
  for (let n = 0; n < 100; n++) assert.equal(bench.invite(null, forged(n)), "taken");
  assert.equal(bench.invite(null, "192.0.2.2"), "all");
});

Deno.test("server load: a user who refuses hears five more calls a second, and all again after a while", () => {
  const bench = new Bench();
  for (let n = 0; n < 8; n++) {
    assert.equal(bench.invite("busy"), "taken");
    bench.settle(true);
  }
  assert.equal(bench.invite("busy"), "user");
  const message = bench.load.take({ address: "192.0.2.1", user: "busy", isInvite: false });
  assert.ok(typeof message === "object", "a MESSAGE is no call");
  bench.clock.advance(200);
  assert.equal(bench.invite("busy"), "taken");
  bench.settle(true);
  assert.equal(bench.invite("busy"), "user");
  bench.clock.advance(4000);
  for (let n = 0; n < 8; n++) {
    assert.equal(bench.invite("busy"), "taken");
    bench.settle(true);
  }
});
