// Answers to: lib/sip/transaction/client_transaction.ts. Each row of its tables as a recorded sequence: what goes in, and what
// comes out in which state at which millisecond.

import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { encodeSipMessage } from "../../../lib/sip/message/message.ts";
import {
  ClientTransaction,
  createCancel,
  createFailureAck,
  KeptRequest,
} from "../../../lib/sip/transaction/client_transaction.ts";
import { defaultTimers } from "../../../lib/sip/transaction/timers.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";

/** A number lets that many ms pass, "<180" is a response, "fail" a transport error, "tcp" a switch to TCP. */
type Step = number | `<${number}` | "start" | "fail" | "tcp" | "dispose";

interface Recorded {
  readonly lines: string[];
  readonly state: string;
  readonly pending: number;
}

function record(method: string, reliable: boolean, steps: readonly Step[]): Recorded {
  const clock = new FakeClock();
  const lines: string[] = [];
  const note = (text: string): void => void lines.push(`${clock.now()} ${transaction.state}: ${text}`);
  const request = sipRequest(method, { Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours" });
  const transaction: ClientTransaction = new ClientTransaction({
    request,
    reliable,
    timers: defaultTimers,
    clock,
    outlets: {
      send: (message) => note(`send ${message.method}`),
      response: (response) => note(`tell ${response.status}`),
      timeout: () => note("timeout"),
      transportError: () => note("transport error"),
      ended: () => note("ended"),
    },
  });
  const perform = (step: Step): void => {
    if (typeof step === "number") return clock.advance(step);
    if (step === "start") return transaction.start();
    if (step === "fail") return transaction.transportFailed();
    if (step === "tcp") return transaction.becomeReliable();
    if (step === "dispose") return transaction[Symbol.dispose]();
    void transaction.receive(responseTo(request, Number(step.slice(1))));
  };
  steps.forEach(perform);
  return { lines, state: transaction.state, pending: clock.pending };
}

interface Row {
  readonly name: string;
  readonly method?: string;
  readonly reliable?: boolean;
  readonly steps: readonly Step[];
  readonly lines: readonly string[];
}

const inviteRows: readonly Row[] = [
  {
    name: "calling: timer A doubles without limit, timer B ends it (17.1.1.2)",
    steps: ["start", 40000],
    lines: [
      "0 calling: send INVITE",
      "500 calling: send INVITE",
      "1500 calling: send INVITE",
      "3500 calling: send INVITE",
      "7500 calling: send INVITE",
      "15500 calling: send INVITE",
      "31500 calling: send INVITE",
      "32000 terminated: ended",
      "32000 terminated: timeout",
    ],
  },
  {
    name: "calling over TCP: no retransmission, timer B all the same",
    reliable: true,
    steps: ["start", 40000],
    lines: ["0 calling: send INVITE", "32000 terminated: ended", "32000 terminated: timeout"],
  },
  {
    name: "calling: transport error (17.1.4)",
    steps: ["start", "fail", 40000],
    lines: ["0 calling: send INVITE", "0 terminated: ended", "0 terminated: transport error"],
  },
  {
    name: "proceeding: no more retransmissions, no timeout, all 1xx told (17.1.1.2)",
    steps: ["start", 600, "<100", 1000, "<180", 100000, "<183"],
    lines: [
      "0 calling: send INVITE",
      "500 calling: send INVITE",
      "600 proceeding: tell 100",
      "1600 proceeding: tell 180",
      "101600 proceeding: tell 183",
    ],
  },
  {
    name: "calling -> accepted: every 2xx told until timer M (RFC 6026 7.2)",
    steps: ["start", "<200", 500, "<200", "<180", "<486", "fail", 31000, "<200", 500],
    lines: [
      "0 calling: send INVITE",
      "0 accepted: tell 200",
      "500 accepted: tell 200",
      "31500 accepted: tell 200",
      "32000 terminated: ended",
    ],
  },
  {
    name: "proceeding -> accepted, also over TCP",
    reliable: true,
    steps: ["start", "<180", 1000, "<200", 40000],
    lines: [
      "0 calling: send INVITE",
      "0 proceeding: tell 180",
      "1000 accepted: tell 200",
      "33000 terminated: ended",
    ],
  },
  {
    name: "calling -> completed: ACK for each repetition, told once, timer D (17.1.1.2)",
    steps: ["start", "<486", 500, "<486", "<180", "<200", 40000],
    lines: [
      "0 calling: send INVITE",
      "0 completed: send ACK",
      "0 completed: tell 486",
      "500 completed: send ACK",
      "32000 terminated: ended",
    ],
  },
  {
    name: "proceeding -> completed over TCP: timer D is zero",
    reliable: true,
    steps: ["start", "<100", "<302", 0, "<302"],
    lines: [
      "0 calling: send INVITE",
      "0 proceeding: tell 100",
      "0 completed: send ACK",
      "0 completed: tell 302",
      "0 terminated: ended",
    ],
  },
  {
    name: "completed: the ACK cannot be sent (17.1.1.2)",
    steps: ["start", "<600", "fail", "<600"],
    lines: [
      "0 calling: send INVITE",
      "0 completed: send ACK",
      "0 completed: tell 600",
      "0 terminated: ended",
      "0 terminated: transport error",
    ],
  },
  {
    name: "calling: sent by TCP after all, so timer A stops and B runs on (18.1.1)",
    steps: ["start", 100, "tcp", 40000],
    lines: ["0 calling: send INVITE", "32000 terminated: ended", "32000 terminated: timeout"],
  },
];

const otherRows: readonly Row[] = [
  {
    name: "trying: timer E doubles up to T2, timer F ends it (17.1.2.2)",
    steps: ["start", 40000],
    lines: [
      "0 trying: send BYE",
      "500 trying: send BYE",
      "1500 trying: send BYE",
      "3500 trying: send BYE",
      "7500 trying: send BYE",
      "11500 trying: send BYE",
      "15500 trying: send BYE",
      "19500 trying: send BYE",
      "23500 trying: send BYE",
      "27500 trying: send BYE",
      "31500 trying: send BYE",
      "32000 terminated: ended",
      "32000 terminated: timeout",
    ],
  },
  {
    name: "proceeding: timer E at T2, timer F runs on (17.1.2.2)",
    steps: ["start", 600, "<100", 10000, "<100", 40000],
    lines: [
      "0 trying: send BYE",
      "500 trying: send BYE",
      "600 proceeding: tell 100",
      "1500 proceeding: send BYE",
      "5500 proceeding: send BYE",
      "9500 proceeding: send BYE",
      "10600 proceeding: tell 100",
      "13500 proceeding: send BYE",
      "17500 proceeding: send BYE",
      "21500 proceeding: send BYE",
      "25500 proceeding: send BYE",
      "29500 proceeding: send BYE",
      "32000 terminated: ended",
      "32000 terminated: timeout",
    ],
  },
  {
    name: "trying -> completed: told once, timer K absorbs (17.1.2.2)",
    steps: ["start", "<200", 500, "<200", "<404", "fail", 40000],
    lines: ["0 trying: send BYE", "0 completed: tell 200", "5000 terminated: ended"],
  },
  {
    name: "proceeding -> completed with a failure, no ACK",
    steps: ["start", "<100", "<481", 40000],
    lines: [
      "0 trying: send BYE",
      "0 proceeding: tell 100",
      "0 completed: tell 481",
      "5000 terminated: ended",
    ],
  },
  {
    name: "over TCP: sent once, timer K is zero",
    reliable: true,
    steps: ["start", 20000, "<200", 0],
    lines: ["0 trying: send BYE", "20000 completed: tell 200", "20000 terminated: ended"],
  },
  {
    name: "trying: transport error (17.1.4)",
    steps: ["start", "fail", 40000],
    lines: ["0 trying: send BYE", "0 terminated: ended", "0 terminated: transport error"],
  },
  {
    name: "proceeding: transport error (17.1.2.2)",
    steps: ["start", "<100", "fail", 40000],
    lines: [
      "0 trying: send BYE",
      "0 proceeding: tell 100",
      "0 terminated: ended",
      "0 terminated: transport error",
    ],
  },
];

for (const row of inviteRows) Deno.test(`INVITE client: ${row.name}`, () => check("INVITE", row));
for (const row of otherRows) Deno.test(`non-INVITE client: ${row.name}`, () => check("BYE", row));

function check(method: string, row: Row): void {
  const { lines, state, pending } = record(method, row.reliable ?? false, row.steps);
  assert.deepEqual(lines, row.lines);
  if (state === "terminated") assert.equal(pending, 0);
}

Deno.test("client: disposing ends it silently in any state", () => {
  for (
    const steps of [["start"], ["start", "<100"], ["start", "<200"], ["start", "<404"]] satisfies Step[][]
  ) {
    for (const method of ["INVITE", "OPTIONS"]) {
      const before = record(method, false, steps);
      const after = record(method, false, [...steps, "dispose", 100000, "<200"]);
      assert.deepEqual(after.lines, [...before.lines, "0 terminated: ended"]);
      assert.deepEqual([after.state, after.pending], ["terminated", 0]);
    }
  }
});

Deno.test("client: the ACK repeats target, Via, route and CSeq number and takes the response's To (17.1.1.3)", () => {
  const clock = new FakeClock();
  const sent: string[][] = [];
  const request = sipRequest("INVITE", {
    Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours",
    Route: ["<sip:p1.example.net;lr>", "<sip:p2.example.net;lr>"],
    CSeq: "41 INVITE",
  });
  using transaction = new ClientTransaction({
    request,
    reliable: false,
    timers: defaultTimers,
    clock,
    outlets: {
      send: (message) =>
        sent.push([message.method, ...[...message.headers.entries()].map((pair) => pair.join(": "))]),
      response: () => {},
      timeout: () => {},
      transportError: () => {},
      ended: () => {},
    },
  });
  transaction.start();
  transaction.receive(responseTo(request, 486, "b9"));
  assert.deepEqual(sent[1], [
    "ACK",
    "Via: SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours",
    "Route: <sip:p1.example.net;lr>",
    "Route: <sip:p2.example.net;lr>",
    "Max-Forwards: 70",
    "From: <sip:alice@example.net>;tag=alice-1",
    "To: <sip:bob@example.net>;tag=b9",
    "Call-ID: call-1",
    "CSeq: 41 ACK",
  ]);
});

Deno.test("client: whatever comes in whatever order, it ends once, says why once and leaves no timer", () => {
  const step = fc.constantFrom<Step>(
    "<100",
    "<180",
    "<200",
    "<302",
    "<486",
    "fail",
    "tcp",
    1,
    499,
    5000,
    33000,
  );
  const method = fc.constantFrom("INVITE", "REGISTER");
  fc.assert(fc.property(method, fc.boolean(), fc.array(step, { maxLength: 20 }), (name, reliable, steps) => {
    const { lines, pending } = record(name, reliable, ["start", ...steps, "dispose"]);
    assert.equal(pending, 0);
    assert.equal(lines.filter((line) => line.endsWith("ended")).length, 1);
    const ends = lines.filter((line) => /tell [3-6]|timeout|transport error/.test(line));
    assert.ok(ends.length <= 2, lines.join("\n")); // a failure, then the ACK that could not be sent
  }));
});

const invite = sipRequest("INVITE", {
  Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours;rport",
  Route: ["<sip:p1.example.net;lr>", "<sip:p2.example.net;lr>"],
  CSeq: "17 INVITE",
  "Proxy-Authorization": 'Digest username="alice"',
  Require: "timer",
});

/** All headers as lines. */
function linesOf(request: { headers: typeof invite.headers }): string[] {
  return [...request.headers.entries()].map(([name, value]) => `${name}: ${value}`);
}

const shared = [
  "Via: SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours;rport",
  "Route: <sip:p1.example.net;lr>",
  "Route: <sip:p2.example.net;lr>",
  "Max-Forwards: 70",
  "From: <sip:alice@example.net>;tag=alice-1",
];

Deno.test("failure ACK: the To of the response, everything else of the INVITE, nothing more", () => {
  const ack = createFailureAck(invite, responseTo(invite, 404, "b1"));
  const rest = ["To: <sip:bob@example.net>;tag=b1", "Call-ID: call-1", "CSeq: 17 ACK"];
  assert.deepEqual([ack.method, ack.uri, linesOf(ack)], ["ACK", invite.uri, [...shared, ...rest]]);
  assert.equal(ack.body.length, 0);
});

Deno.test("CANCEL: the To of the INVITE, no credentials, no Require", () => {
  const cancel = createCancel(invite);
  const rest = ["To: <sip:bob@example.net>", "Call-ID: call-1", "CSeq: 17 CANCEL"];
  assert.deepEqual([cancel.method, cancel.uri, linesOf(cancel)], ["CANCEL", invite.uri, [
    ...shared,
    ...rest,
  ]]);
});

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

Deno.test("kept request: what is restored goes out as the same text, whatever became of the original", () => {
  for (const [method, body] of [["ACK", ""], ["INVITE", "v=0\r\ns=\u00fc\r\n"], ["BYE", ""]] as const) {
    const request = sipRequest(method, { Route: "<sip:p1.example.net;lr>, <sip:p2.example.net;lr>" });
    request.body = encodeUtf8(body);
    const before = text(encodeSipMessage(request));
    const kept = new KeptRequest(request);
    request.headers.set("Route", "<sip:elsewhere.example.net>");
    assert.deepEqual(kept.restore().uri, request.uri);
    assert.equal(text(encodeSipMessage(kept.restore())), before);
    assert.deepEqual(kept.restore().headers.all("Route"), [
      "<sip:p1.example.net;lr>",
      "<sip:p2.example.net;lr>",
    ]);
  }
});
