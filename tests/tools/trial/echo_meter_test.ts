import fc from "fast-check";
import assert from "node:assert/strict";
import {
  EchoMeter,
  type EchoReport,
  formatLadder,
  judge,
  type LadderStep,
  type TrialOutcome,
} from "../../../lib/tools/trial/echo_meter.ts";

const frame = (n: number) => new Uint8Array([n & 255, n >> 8, 7]);

Deno.test("everything back: matched, with its round trip", () => {
  const meter = new EchoMeter();
  for (let i = 0; i < 100; i++) {
    meter.sent(frame(i), i * 20);
    meter.returned(frame(i), i * 20 + 5 + (i === 50 ? 10 : 0));
  }
  assert.ok(meter.complete);
  const report = meter.report();
  assert.deepEqual([report.sent, report.returned, report.matched], [100, 100, 100]);
  assert.deepEqual(report.roundTripMs, { min: 5, median: 5, max: 15 });
  assert.equal(report.longestGapMs, 30);
  assert.equal(report.sentBytes, 300);
});

Deno.test("a looped sample with losses is matched to the right turn of the loop", () => {
  const meter = new EchoMeter();
  for (let i = 0; i < 500; i++) {
    meter.sent(frame(i % 50), i * 20);
    if (i % 7 !== 3) meter.returned(frame(i % 50), i * 20 + 4);
  }
  const report = meter.report();
  assert.deepEqual(report.roundTripMs, { min: 4, median: 4, max: 4 });
  assert.equal(report.matched, report.returned);
  assert.equal(report.sent - report.matched, 71);
});

Deno.test("audio that was coded anew is counted as returned and not as matched", () => {
  const meter = new EchoMeter();
  meter.sent(frame(1), 0);
  meter.returned(frame(2), 9);
  const report = meter.report();
  assert.deepEqual([report.returned, report.matched, report.roundTripMs], [1, 0, null]);
});

Deno.test("whatever is lost, matched never exceeds sent or returned, and times are never negative", () => {
  fc.assert(fc.property(fc.array(fc.record({ n: fc.nat(3), back: fc.boolean() })), (steps) => {
    const meter = new EchoMeter();
    steps.forEach((step, i) => {
      meter.sent(frame(step.n), i);
      if (step.back) meter.returned(frame(step.n), i + 1);
    });
    const { sent, returned, matched, roundTripMs } = meter.report();
    assert.ok(matched <= sent && matched <= returned);
    assert.ok(roundTripMs === null || roundTripMs.min >= 0);
  }));
});

const echo = (changes: Partial<EchoReport>): EchoReport => ({
  sent: 500,
  returned: 500,
  matched: 500,
  sentBytes: 1,
  returnedBytes: 1,
  roundTripMs: { min: 1, median: 2.04, max: 9 },
  longestGapMs: 20,
  ...changes,
});

const TABLE: { name: string; outcome: TrialOutcome; good: boolean; says: RegExp }[] = [
  { name: "all back", outcome: { type: "completed", echo: echo({}) }, good: true, says: /works.*2\.0 ms/ },
  {
    name: "some lost",
    outcome: { type: "completed", echo: echo({ matched: 495, returned: 495 }) },
    good: false,
    says: /5 of 500 packets \(1\.0 %\)/,
  },
  {
    name: "silent",
    outcome: { type: "completed", echo: echo({ matched: 0, returned: 0, roundTripMs: null }) },
    good: false,
    says: /silent.*-e/,
  },
  {
    name: "remote party speaks by itself",
    outcome: { type: "completed", echo: echo({ matched: 0, roundTripMs: null }) },
    good: true,
    says: /audio of its own/,
  },
  {
    name: "nothing to send",
    outcome: { type: "completed", echo: echo({ sent: 0 }) },
    good: false,
    says: /nothing to send/,
  },
  {
    name: "a number that may not be dialled",
    outcome: { type: "rejected", reason: "403 Forbidden" },
    good: false,
    says: /not allowed.*check number, login and password/,
  },
  {
    name: "wrong password",
    outcome: { type: "refused by gateway", reason: "401 Unauthorized" },
    good: false,
    says: /password/,
  },
  { name: "busy", outcome: { type: "rejected", reason: "486 Busy Here" }, good: false, says: /busy/ },
  {
    name: "no codec",
    outcome: { type: "rejected", reason: "488 Not Acceptable Here" },
    good: false,
    says: /--codec pcmu/,
  },
  {
    name: "unknown reason",
    outcome: { type: "rejected", reason: "603 Decline" },
    good: false,
    says: /603 Decline\.$/,
  },
  {
    name: "unknown domain",
    outcome: { type: "rejected", reason: "503 Cannot look up nowhere.example: not found" },
    good: false,
    says: /not found\. Nothing was sent: check the SIP address\.$/,
  },
  {
    name: "server out of service",
    outcome: { type: "rejected", reason: "503 Service Unavailable" },
    good: false,
    says: /cannot take the call now/,
  },
  {
    name: "silent server",
    outcome: { type: "rejected", reason: "408 Request timeout" },
    good: false,
    says: /did not answer.*UDP/,
  },
  { name: "no answer", outcome: { type: "no answer" }, good: false, says: /-d/ },
  {
    name: "cut",
    outcome: { type: "cut", reason: "remote party hung up", echo: echo({}) },
    good: false,
    says: /too soon/,
  },
];

for (const row of TABLE) {
  Deno.test(`verdict: ${row.name}`, () => {
    const verdict = judge(row.outcome);
    assert.equal(verdict.good, row.good);
    assert.match(verdict.text, row.says);
  });
}

const NAMES = { client: "RTMP client", gateway: "gateway", sip: "SIP" };

Deno.test("arrows reach from party to party and every line keeps the columns", () => {
  const steps: LadderStep[] = [
    { atMs: 12, from: "gateway", to: "sip", text: "INVITE sip:echo@127.0.0.1" },
    { atMs: 0, from: "client", to: "gateway", text: "connect sip/me@127.0.0.1" },
    { atMs: 15.4, from: "sip", to: "gateway", text: "180 Ringing" },
    { atMs: 16, from: "gateway", to: "client", text: "ringing" },
    { atMs: 20, from: "client", to: "client", text: "500 packets sent" },
  ];
  const lines = formatLadder(steps, NAMES);
  assert.equal(lines[0], "         RTMP client                       gateway                           SIP");
  assert.equal(lines[1], "         |                                 |                                 |");
  assert.equal(lines.at(-2), "   20 ms | 500 packets sent");
  for (const line of lines.slice(2, 6)) {
    assert.equal(line[9], "|");
    assert.equal(line[9 + 34], "|");
    assert.equal(line[9 + 68], "|");
  }
  assert.match(lines[2]!, /- connect sip\/me@127\.0\.0\.1 -+>\|/);
  assert.match(lines[4]!, /\|<-+ 180 Ringing -\|$/);
});

Deno.test("a text too long for its lane is cut, not wrapped", () => {
  const [, , row] = formatLadder([{ atMs: 0, from: "sip", to: "gateway", text: "x".repeat(200) }], NAMES);
  assert.equal(row!.length, 9 + 69);
  assert.match(row!, /x\.\. -\|$/);
});
