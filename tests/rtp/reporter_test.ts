import assert from "node:assert/strict";
import { Reporter } from "../../lib/rtp/reporter.ts";
import { RtpSource } from "../../lib/rtp/source.ts";
import type { ReportBlock, RtcpPacket, SenderReport } from "../../lib/rtp/rtcp.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { rtpPacket } from "../support/rtp_packets.ts";

const OURS = 0xaaaa0001;
const THEIRS = 0xbbbb0002;
const RATE = 8000;

function createReporter(clock: FakeClock): { reporter: Reporter; source: RtpSource } {
  const source = new RtpSource(RATE);
  const random = seededRandom(1);
  return {
    reporter: new Reporter({ clock, random, clockRate: RATE, ssrc: OURS, cname: "call@gw", source }),
    source,
  };
}

function hear(source: RtpSource, sequenceNumber: number, nowMs: number): void {
  source.receive(rtpPacket({ ssrc: THEIRS, sequenceNumber, timestamp: 160 * sequenceNumber }), nowMs);
}

const SDES = { type: "sdes", chunks: [{ ssrc: OURS, items: [{ type: 1, text: "call@gw" }] }] };

Deno.test("reporter: RR before anything was sent, SR afterwards, RR again after two quiet intervals", () => {
  const clock = new FakeClock();
  const { reporter } = createReporter(clock);
  assert.equal(reporter.spoke, false);
  const types: string[] = [];
  const report = () => types.push(reporter.createReport(clock.now()).map((packet) => packet.type).join("+"));
  report();
  reporter.packetSent(160, 0, clock.now());
  for (let count = 0; count < 3; count++) {
    report();
    clock.advance(5000);
  }
  assert.deepEqual(types, ["rr+sdes", "sr+sdes", "sr+sdes", "rr+sdes"]);
  assert.equal(reporter.spoke, true);
});

Deno.test("reporter: an SR names the moment on both clocks", () => {
  const clock = new FakeClock(12_345);
  const { reporter } = createReporter(clock);
  reporter.packetSent(100, 0xffffff00, clock.now());
  reporter.packetSent(60, 0xffffffa0, clock.now());
  clock.advance(250);
  const seconds = Math.floor(clock.wallMs() / 1000) + 2_208_988_800;
  assert.deepEqual(reporter.createReport(clock.now()), [
    {
      type: "sr",
      ssrc: OURS,
      ntpSeconds: seconds,
      ntpFraction: Math.floor(clock.wallMs() % 1000 / 1000 * 2 ** 32),
      rtpTimestamp: 0xffffffa0 + 250 * 8 - 2 ** 32,
      packetCount: 2,
      octetCount: 160,
      reports: [],
    },
    SDES,
  ]);
});

Deno.test("reporter: an anchor replaces the guess from sending times", () => {
  const clock = new FakeClock();
  const { reporter } = createReporter(clock);
  reporter.anchor(1000, 0);
  clock.advance(500);
  reporter.packetSent(160, 999_999, clock.now());
  const [report] = reporter.createReport(clock.now()) as [SenderReport];
  assert.equal(report.rtpTimestamp, 1000 + 500 * 8);
});

Deno.test("reporter: another clock rate forgets an anchor on the old one", () => {
  const clock = new FakeClock();
  const { reporter } = createReporter(clock);
  reporter.anchor(1000, 0);
  reporter.setClockRate(RATE);
  reporter.setClockRate(16_000);
  reporter.packetSent(160, 5000, clock.now());
  clock.advance(500);
  const [report] = reporter.createReport(clock.now()) as [SenderReport];
  assert.equal(report.rtpTimestamp, 5000 + 500 * 16);
});

Deno.test("reporter: a set wall clock does not bend the stream", () => {
  const clock = new FakeClock();
  let jumpMs = 0;
  const jumping = {
    now: () => clock.now(),
    wallMs: () => clock.wallMs() + jumpMs,
    after: (ms: number, run: () => void) => clock.after(ms, run),
  };
  const source = new RtpSource(RATE);
  const options = {
    clock: jumping,
    random: seededRandom(1),
    clockRate: RATE,
    ssrc: OURS,
    cname: "c",
    source,
  };
  const reporter = new Reporter(options);
  const seconds = () => {
    reporter.packetSent(160, 0, clock.now());
    return (reporter.createReport(clock.now())[0] as SenderReport).ntpSeconds;
  };
  const first = seconds();
  jumpMs = 3_600_000;
  clock.advance(1000);
  assert.equal(seconds(), first + 1);
});

Deno.test("reporter: loss of what we hear, and the echo of the peer's report", () => {
  const clock = new FakeClock();
  const { reporter, source } = createReporter(clock);
  for (const sequence of [1, 2, 4]) hear(source, sequence, clock.now());
  const theirs: RtcpPacket = {
    type: "sr",
    ssrc: THEIRS,
    ntpSeconds: 0x00011234,
    ntpFraction: 0x5678ffff,
    rtpTimestamp: 0,
    packetCount: 4,
    octetCount: 0,
    reports: [],
  };
  reporter.receive(theirs, clock.now());
  clock.advance(1500);
  assert.deepEqual(reporter.createReport(clock.now())[0], {
    type: "rr",
    ssrc: OURS,
    reports: [{
      ssrc: THEIRS,
      fractionLost: 64,
      cumulativeLost: 1,
      highestSequence: 4,
      jitter: 29, // all at one moment: 160 / 16 = 10, then 10 + (320 - 10) / 16
      lastSenderReport: 0x12345678,
      delaySinceLastSenderReport: 98304,
    }],
  });
});

function block(fields: Partial<ReportBlock>): RtcpPacket {
  const report = {
    ssrc: OURS,
    fractionLost: 0,
    cumulativeLost: 0,
    highestSequence: 0,
    jitter: 0,
    lastSenderReport: 0,
    delaySinceLastSenderReport: 0,
    ...fields,
  };
  return { type: "rr", ssrc: THEIRS, reports: [report] };
}

Deno.test("reporter: round trip as in RFC 3550 6.4.1", () => {
  const clock = new FakeClock(777);
  const { reporter } = createReporter(clock);
  reporter.packetSent(160, 0, clock.now());
  const [sent] = reporter.createReport(clock.now()) as [SenderReport];
  const lastSenderReport = (sent.ntpSeconds << 16 | sent.ntpFraction >>> 16) >>> 0;
  clock.advance(5250);
  reporter.receive(block({ lastSenderReport, delaySinceLastSenderReport: 5 * 65536 }), clock.now());
  assert.ok(Math.abs(reporter.roundTripMs! - 250) < 0.1);
  // A delay longer than the time that passed teaches nothing.
  reporter.receive(block({ lastSenderReport, delaySinceLastSenderReport: 6 * 65536 }), clock.now());
  assert.ok(Math.abs(reporter.roundTripMs! - 250) < 0.1);
});

Deno.test("reporter: what the peer says about us, and not about others", () => {
  const clock = new FakeClock();
  const { reporter } = createReporter(clock);
  reporter.receive(block({ ssrc: 5, fractionLost: 255 }), clock.now());
  assert.equal(reporter.remoteLoss, null);
  reporter.receive(block({ fractionLost: 64, cumulativeLost: 9, jitter: 80 }), clock.now());
  assert.equal(reporter.remoteLoss, 0.25);
  assert.equal(reporter.remoteCumulativeLost, 9);
  assert.equal(reporter.remoteJitterMs, 10);
  assert.equal(reporter.roundTripMs, null);
});

Deno.test("reporter: the peer's clocks, unless it has none or is somebody else", () => {
  const clock = new FakeClock();
  const { reporter, source } = createReporter(clock);
  hear(source, 100, clock.now());
  const report = (fields: Partial<SenderReport>): SenderReport => ({
    type: "sr",
    ssrc: THEIRS,
    ntpSeconds: 2_208_988_800 + 10,
    ntpFraction: 0x80000000,
    rtpTimestamp: 16_080,
    packetCount: 0,
    octetCount: 0,
    reports: [],
    ...fields,
  });
  reporter.receive(report({ ssrc: 7 }), clock.now());
  reporter.receive(report({ ntpSeconds: 0, ntpFraction: 0 }), clock.now());
  assert.equal(reporter.senderClock, null);
  reporter.receive(report({}), clock.now());
  assert.deepEqual(reporter.senderClock, { wallMs: 10_500, timestamp: 80 });
});

Deno.test("reporter: intervals are spread around the mean, shorter before the first report (RFC 3550 6.3.1)", () => {
  const clock = new FakeClock();
  const { reporter } = createReporter(clock);
  const sample = () => Array.from({ length: 200 }, () => reporter.nextIntervalMs());
  const within = (values: number[], low: number, high: number) =>
    values.every((value) => value >= low / 1.21828 && value <= high / 1.21828);
  const first = sample();
  assert.ok(within(first, 1250, 3750));
  reporter.createReport(clock.now());
  const later = sample();
  assert.ok(within(later, 2500, 7500));
  assert.ok(Math.max(...later) - Math.min(...later) > 3000);
});
