// Answers to: lib/sip/transaction/server_transaction.ts. Each row of its tables as a recorded sequence: what goes in, and what
// comes out in which state at which millisecond.

import assert from "node:assert/strict";
import fc from "fast-check";
import { ServerTransaction } from "../../../lib/sip/transaction/server_transaction.ts";
import { defaultTimers } from "../../../lib/sip/transaction/timers.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { receivedRequest, responseTo } from "../../support/sip_messages.ts";

/** A number lets that many ms pass, ">180" is a response of the TU, "again" a retransmission of the request. */
type Step = number | `>${number}` | "again" | "ACK" | "fail" | "dispose";

interface Recorded {
  readonly lines: string[];
  readonly state: string;
  readonly pending: number;
}

function record(method: string, reliable: boolean, steps: readonly Step[]): Recorded {
  const clock = new FakeClock();
  const lines: string[] = [];
  const note = (text: string): void => void lines.push(`${clock.now()} ${transaction.state}: ${text}`);
  const request = receivedRequest(method);
  const transaction: ServerTransaction = new ServerTransaction({
    request,
    reliable,
    timers: defaultTimers,
    clock,
    outlets: {
      send: (response) => note(`send ${response.status}`),
      timeout: () => note("no ACK"),
      transportError: () => note("transport error"),
      ended: () => note("ended"),
    },
  });
  const respond = (status: number): void => {
    if (!transaction.respond(responseTo(request, status))) note(`refused ${status}`);
  };
  const perform = (step: Step): void => {
    if (typeof step === "number") return clock.advance(step);
    if (step === "again") return transaction.receive();
    if (step === "ACK") return transaction.receiveAck();
    if (step === "fail") return transaction.transportFailed();
    if (step === "dispose") return transaction[Symbol.dispose]();
    respond(Number(step.slice(1)));
  };
  steps.forEach(perform);
  return { lines, state: transaction.state, pending: clock.pending };
}

interface Row {
  readonly name: string;
  readonly reliable?: boolean;
  readonly steps: readonly Step[];
  readonly lines: readonly string[];
}

const inviteRows: readonly Row[] = [
  {
    name: "proceeding: 100 after 200 ms of silence, repeated for retransmissions (17.2.1)",
    steps: ["again", 300, "again", 100000, "again"],
    lines: ["200 proceeding: send 100", "300 proceeding: send 100", "100300 proceeding: send 100"],
  },
  {
    name: "proceeding: the latest provisional response is repeated, no 100 after another one (17.2.1)",
    steps: [50, ">180", "again", 1000, ">183", "again"],
    lines: [
      "50 proceeding: send 180",
      "50 proceeding: send 180",
      "1050 proceeding: send 183",
      "1050 proceeding: send 183",
    ],
  },
  {
    name: "proceeding -> completed: timer G doubles up to T2, timer H misses the ACK (17.2.1)",
    steps: [">486", 40000],
    lines: [
      "0 completed: send 486",
      "500 completed: send 486",
      "1500 completed: send 486",
      "3500 completed: send 486",
      "7500 completed: send 486",
      "11500 completed: send 486",
      "15500 completed: send 486",
      "19500 completed: send 486",
      "23500 completed: send 486",
      "27500 completed: send 486",
      "31500 completed: send 486",
      "32000 terminated: ended",
      "32000 terminated: no ACK",
    ],
  },
  {
    name: "completed over TCP: no retransmission, timer H all the same",
    reliable: true,
    steps: [">486", 40000],
    lines: ["0 completed: send 486", "32000 terminated: ended", "32000 terminated: no ACK"],
  },
  {
    name: "completed -> confirmed: the ACK stops it, timer I absorbs further ACKs (17.2.1)",
    steps: [">180", ">486", 600, "again", "ACK", "ACK", "again", 40000],
    lines: [
      "0 proceeding: send 180",
      "0 completed: send 486",
      "500 completed: send 486",
      "600 completed: send 486",
      "5600 terminated: ended",
    ],
  },
  {
    name: "confirmed over TCP: timer I is zero",
    reliable: true,
    steps: [">300", "ACK", 0],
    lines: ["0 completed: send 300", "0 terminated: ended"],
  },
  {
    name: "proceeding -> accepted: INVITEs absorbed, the TU repeats its 2xx, timer L (RFC 6026 7.1)",
    steps: [">180", ">200", "again", "ACK", 500, ">200", "again", 40000, ">200"],
    lines: [
      "0 proceeding: send 180",
      "0 accepted: send 200",
      "500 accepted: send 200",
      "32000 terminated: ended",
      "40500 terminated: refused 200",
    ],
  },
  {
    name: "accepted over TCP: timer L is as long",
    reliable: true,
    steps: [">200", 40000],
    lines: ["0 accepted: send 200", "32000 terminated: ended"],
  },
  {
    name: "only the first final answer counts",
    steps: [">200", ">486", ">180"],
    lines: ["0 accepted: send 200", "0 accepted: refused 486", "0 accepted: refused 180"],
  },
  {
    name: "transport errors are told and change nothing (17.2.4 as of RFC 6026 8.7)",
    steps: ["fail", ">180", "fail", ">603", "fail", "ACK", "fail"],
    lines: [
      "0 proceeding: transport error",
      "0 proceeding: send 180",
      "0 proceeding: transport error",
      "0 completed: send 603",
      "0 completed: transport error",
    ],
  },
];

const otherRows: readonly Row[] = [
  {
    name: "trying: retransmissions are absorbed, nothing is said (17.2.2)",
    steps: ["again", 5000, "again", "fail"],
    lines: [],
  },
  {
    name: "trying -> proceeding: the provisional response is repeated (17.2.2)",
    steps: [">100", "again", ">182", "again", "fail"],
    lines: [
      "0 proceeding: send 100",
      "0 proceeding: send 100",
      "0 proceeding: send 182",
      "0 proceeding: send 182",
      "0 proceeding: transport error",
    ],
  },
  {
    name: "trying -> completed: the final response is repeated until timer J (17.2.2)",
    steps: [">200", 1000, "again", "fail", 30000, "again", 2000, "again"],
    lines: [
      "0 completed: send 200",
      "1000 completed: send 200",
      "1000 completed: transport error",
      "31000 completed: send 200",
      "32000 terminated: ended",
    ],
  },
  {
    name: "proceeding -> completed; later answers are refused (17.2.2)",
    steps: [">100", ">404", ">200", ">100"],
    lines: [
      "0 proceeding: send 100",
      "0 completed: send 404",
      "0 completed: refused 200",
      "0 completed: refused 100",
    ],
  },
  {
    name: "over TCP: timer J is zero",
    reliable: true,
    steps: [">200", 0, "again"],
    lines: ["0 completed: send 200", "0 terminated: ended"],
  },
];

for (const row of inviteRows) Deno.test(`INVITE server: ${row.name}`, () => check("INVITE", row));
for (const row of otherRows) Deno.test(`non-INVITE server: ${row.name}`, () => check("OPTIONS", row));

function check(method: string, row: Row): void {
  const { lines, state, pending } = record(method, row.reliable ?? false, row.steps);
  assert.deepEqual(lines, row.lines);
  if (state === "terminated") assert.equal(pending, 0);
}

Deno.test("INVITE server: its own 100 has no To tag (8.2.6.1)", () => {
  const clock = new FakeClock();
  const tos: (string | null)[] = [];
  using _transaction = new ServerTransaction({
    request: receivedRequest("INVITE"),
    reliable: false,
    timers: defaultTimers,
    clock,
    outlets: {
      send: (response) => tos.push(response.headers.get("To")),
      timeout: () => {},
      transportError: () => {},
      ended: () => {},
    },
  });
  clock.advance(200);
  assert.deepEqual(tos, ["<sip:bob@example.net>"]);
});

Deno.test("server: whatever comes in whatever order, one final answer, one end, no timer left", () => {
  const step = fc.constantFrom<Step>(
    ">100",
    ">180",
    ">200",
    ">302",
    ">486",
    "again",
    "ACK",
    "fail",
    1,
    499,
    33000,
  );
  const method = fc.constantFrom("INVITE", "OPTIONS");
  fc.assert(fc.property(method, fc.boolean(), fc.array(step, { maxLength: 20 }), (name, reliable, steps) => {
    const { lines, pending } = record(name, reliable, [...steps, "dispose"]);
    assert.equal(pending, 0);
    assert.equal(lines.filter((line) => line.endsWith("ended")).length, 1);
    const finals = lines.flatMap((line) => /send ([2-6]\d\d)/.exec(line)?.[1] ?? []);
    assert.ok(new Set(finals).size <= 1, lines.join("\n"));
  }));
});
