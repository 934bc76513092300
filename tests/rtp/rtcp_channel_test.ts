import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { formatEndpoint, parseEndpoint } from "../../lib/net/endpoint.ts";
import { RemoteLock } from "../../lib/rtp/remote_lock.ts";
import { Reporter, RtcpChannel, type RtcpEvent } from "../../lib/rtp/rtcp_channel.ts";
import {
  decodeRtcp,
  encodeRtcp,
  type ReportBlock,
  type RtcpPacket,
  type SenderReport,
} from "../../lib/rtp/rtcp.ts";
import { RtpSource } from "../../lib/rtp/source.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { hex } from "../support/hex.ts";
import { rtpPacket } from "../support/rtp_packets.ts";

const OURS = 0xaaaa0001;
const THEIRS = 0xbbbb0002;

class Bench {
  readonly clock = new FakeClock();
  readonly lock: RemoteLock;
  readonly source = new RtpSource(8000);
  readonly reporter: Reporter;
  readonly channel: RtcpChannel;
  readonly sent: { packets: RtcpPacket[]; to: string }[] = [];
  readonly events: RtcpEvent[] = [];

  constructor(latch = true) {
    const { clock, source } = this;
    this.lock = new RemoteLock({ latch });
    const random = seededRandom(3);
    this.reporter = new Reporter({ clock, random, clockRate: 8000, ssrc: OURS, cname: "c", source });
    this.channel = new RtcpChannel({
      clock,
      latch,
      ssrc: OURS,
      reporter: this.reporter,
      source,
      lock: this.lock,
      send: (bytes, to) => this.sent.push({ packets: decodeRtcp(bytes), to: formatEndpoint(to) }),
      onEvent: (event) => this.onEvent(event),
    });
  }

  onEvent(event: RtcpEvent): void {
    this.events.push(event);
  }

  describe(rtp: string | null, rtcp: string | null): void {
    this.lock.setRemote(rtp === null ? null : parseEndpoint(rtp, 0), this.clock.now());
    this.channel.setRemote(rtcp === null ? null : parseEndpoint(rtcp, 0));
  }

  hearRtp(from: string): void {
    const packet = rtpPacket({ ssrc: THEIRS });
    const at = parseEndpoint(from, 0);
    this.lock.signalling = [at.hostname];
    assert.ok(this.lock.accept(at, this.clock.now(), packet));
    this.source.receive(packet, this.clock.now());
  }

  hear(from: string, ...packets: RtcpPacket[]): void {
    this.channel.receive(encodeRtcp(packets), parseEndpoint(from, 0));
  }

  /** So much time passes, in ticks of 10 ms. */
  pass(ms: number): void {
    for (const endMs = this.clock.now() + ms; this.clock.now() < endMs;) {
      this.clock.advance(10);
      this.channel.tick(this.clock.now());
    }
  }

  get target(): string | null {
    return this.channel.target && formatEndpoint(this.channel.target);
  }
}

const RTP = "192.0.2.5:4000";
const RTCP = "192.0.2.5:4001";
const EMPTY: RtcpPacket = { type: "rr", ssrc: THEIRS, reports: [] };

Deno.test("RTCP channel: reports go out spread around five seconds while the peer has an address", () => {
  const bench = new Bench();
  bench.channel.start();
  bench.pass(10_000);
  assert.equal(bench.sent.length, 0);
  bench.describe(RTP, RTCP);
  bench.pass(60_000);
  assert.ok(bench.sent.length >= 9 && bench.sent.length <= 24, `${bench.sent.length} reports`);
  assert.ok(bench.sent.every(({ to }) => to === RTCP));
  bench.describe(null, null);
  const before = bench.sent.length;
  bench.pass(30_000);
  assert.equal(bench.sent.length, before);
  assert.equal(bench.clock.pending, 0, "a timer of its own");
  bench.describe(RTP, RTCP);
  bench.channel[Symbol.dispose]();
  const said = bench.sent.length;
  bench.pass(30_000);
  assert.equal(bench.sent.length, said);
});

Deno.test("RTCP channel: a peer that holds us hears no RTP, but reports (RFC 3264 8.4)", () => {
  const bench = new Bench();
  bench.describe(null, RTCP);
  assert.equal(bench.target, RTCP);
  bench.hearRtp(RTP);
  bench.channel.start();
  bench.pass(10_000);
  assert.ok(bench.sent.length > 0);
  assert.equal(bench.channel.sendFeedback("pli"), true);
  bench.describe(null, null);
  assert.equal(bench.target, null);
  bench.channel[Symbol.dispose]();
});

Deno.test("RTCP channel: goodbye once, after a report; none when nothing was ever said", () => {
  const silent = new Bench();
  silent.describe(RTP, RTCP);
  silent.channel[Symbol.dispose]();
  assert.equal(silent.sent.length, 0);

  const bench = new Bench();
  bench.describe(RTP, RTCP);
  bench.reporter.packetSent(160, 0, 0);
  bench.channel[Symbol.dispose]();
  bench.channel[Symbol.dispose]();
  bench.channel.start();
  assert.deepEqual(bench.sent.map(({ packets }) => packets.map(({ type }) => type)), [["sr", "sdes", "bye"]]);
  bench.hear(RTCP, { type: "pli", ssrc: THEIRS, mediaSsrc: OURS });
  assert.equal(bench.events.length, 0);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("RTCP channel: where reports go as addresses become known", () => {
  const bench = new Bench();
  bench.describe(RTP, "192.0.2.5:7777");
  assert.equal(bench.target, "192.0.2.5:7777");
  bench.hearRtp(RTP);
  assert.equal(bench.target, "192.0.2.5:7777");
  bench.hear("192.0.2.5:4001", EMPTY);
  assert.equal(bench.target, "192.0.2.5:4001");
  bench.describe(RTP, "192.0.2.5:8888");
  assert.equal(bench.target, "192.0.2.5:8888");
});

Deno.test("RTCP channel: follows RTP through an address translator", () => {
  const bench = new Bench();
  bench.describe("10.0.0.5:4000", "10.0.0.5:4001");
  bench.hearRtp("198.51.100.9:61000");
  assert.equal(bench.target, "198.51.100.9:61001");
  bench.hear("198.51.100.9:62222", EMPTY);
  assert.equal(bench.target, "198.51.100.9:62222");
});

Deno.test("RTCP channel: without latching reports go as described", () => {
  const bench = new Bench(false);
  bench.describe(RTP, RTCP);
  bench.hear("192.0.2.5:5555", EMPTY);
  assert.equal(bench.target, RTCP);
});

Deno.test("RTCP channel: packets of unknown sources and broken packets are counted and change nothing", () => {
  const bench = new Bench();
  bench.hear(RTCP, EMPTY); // nothing is known about the peer yet
  bench.describe(RTP, RTCP);
  bench.hear("203.0.113.66:1", { type: "bye", ssrcs: [THEIRS], reason: null });
  assert.equal(bench.channel.wrongSource, 2);
  bench.channel.receive(hex`80c8ffff`, parseEndpoint(RTCP, 0));
  bench.channel.receive(hex``, parseEndpoint(RTCP, 0));
  assert.equal(bench.channel.invalid, 2);
  assert.deepEqual(bench.events, []);
});

Deno.test("RTCP channel: what the peer says becomes events; repeated full intra requests only once", () => {
  const bench = new Bench();
  bench.describe(RTP, RTCP);
  bench.hearRtp(RTP);
  const fir = (sequence: number, ssrc = OURS): RtcpPacket => ({
    type: "fir",
    ssrc: THEIRS,
    requests: [{ ssrc, sequence }],
  });
  bench.hear(RTCP, EMPTY, { type: "pli", ssrc: THEIRS, mediaSsrc: OURS }, fir(1));
  bench.hear(RTCP, fir(1));
  bench.hear(RTCP, fir(2), fir(3, 0x5555));
  bench.hear(RTCP, { type: "bye", ssrcs: [THEIRS], reason: "end" });
  assert.deepEqual(bench.events, [
    { type: "pli" },
    { type: "fir" },
    { type: "fir" },
    { type: "bye", reason: "end" },
  ]);
});

Deno.test("RTCP channel: sender reports of our source tell its clocks", () => {
  const bench = new Bench();
  bench.describe(RTP, RTCP);
  bench.hearRtp(RTP);
  const report = (ssrc: number): RtcpPacket => ({
    type: "sr",
    ssrc,
    ntpSeconds: 2_208_988_801,
    ntpFraction: 0,
    rtpTimestamp: 320,
    packetCount: 1,
    octetCount: 1,
    reports: [],
  });
  bench.hear(RTCP, report(THEIRS), report(0x7777));
  assert.deepEqual(bench.events, [{ type: "sr", clock: { wallMs: 1000, timestamp: 160 } }]);
});

Deno.test("RTCP channel: asking for key frames, each request with a number of its own", () => {
  const bench = new Bench();
  bench.describe(RTP, RTCP);
  assert.equal(bench.channel.sendFeedback("pli"), false);
  bench.hearRtp(RTP);
  for (const kind of ["pli", "fir", "fir"] as const) assert.equal(bench.channel.sendFeedback(kind), true);
  assert.deepEqual(bench.sent.map(({ packets }) => packets[2]), [
    { type: "pli", ssrc: OURS, mediaSsrc: THEIRS },
    { type: "fir", ssrc: OURS, requests: [{ ssrc: THEIRS, sequence: 1 }] },
    { type: "fir", ssrc: OURS, requests: [{ ssrc: THEIRS, sequence: 2 }] },
  ]);
  bench.describe(null, null);
  assert.equal(bench.channel.sendFeedback("pli"), false);
});

Deno.test("RTCP channel: closed by its own event, the rest of the packet is dropped", () => {
  const bench = new Bench();
  bench.describe(RTP, RTCP);
  bench.onEvent = (event) => {
    bench.events.push(event);
    bench.channel[Symbol.dispose]();
  };
  bench.hear(RTCP, { type: "bye", ssrcs: [THEIRS], reason: null }, {
    type: "pli",
    ssrc: THEIRS,
    mediaSsrc: OURS,
  });
  assert.deepEqual(bench.events, [{ type: "bye", reason: null }]);
});

Deno.test("RTCP channel: before RTP the signalling host is heard, nobody else", () => {
  const bench = new Bench();
  bench.describe("10.0.0.5:4000", "10.0.0.5:4001");
  bench.lock.signalling = ["198.51.100.9"];
  bench.hear("203.0.113.66:1", EMPTY);
  assert.deepEqual([bench.target, bench.channel.wrongSource], ["10.0.0.5:4001", 1]);
  bench.hear("198.51.100.9:62222", EMPTY);
  assert.equal(bench.channel.heardMs, bench.clock.now());
});

Deno.test("RTCP channel: another port of the peer's host takes the reports only by the peer's SSRC", () => {
  const bench = new Bench();
  bench.describe(RTP, RTCP);
  bench.hearRtp(RTP);
  bench.hear("192.0.2.5:5000", EMPTY); // not where it said, but nobody else has reported yet
  assert.equal(bench.target, "192.0.2.5:5000");
  for (
    const packet of [{ type: "rr", ssrc: 99, reports: [] }, { type: "bye", ssrcs: [THEIRS], reason: null }]
  ) {
    bench.hear("192.0.2.5:6000", packet as RtcpPacket);
  }
  assert.deepEqual([bench.target, bench.channel.wrongSource, bench.events], ["192.0.2.5:5000", 2, []]);
  bench.hear("192.0.2.5:6000", EMPTY);
  assert.equal(bench.target, "192.0.2.5:6000");
  bench.hear(RTCP, { type: "rr", ssrc: 98, reports: [] });
  assert.equal(bench.target, RTCP);
});

Deno.test("RTCP channel: an address nobody knows is where RTP comes from", () => {
  const bench = new Bench();
  bench.lock.setRemote("unknown", 0);
  bench.channel.setRemote("unknown");
  assert.equal(bench.target, null);
  bench.hearRtp("198.51.100.9:61000");
  assert.equal(bench.target, "198.51.100.9:61001");
  bench.hear("198.51.100.9:62222", EMPTY);
  assert.equal(bench.target, "198.51.100.9:62222");
});

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
  source.receive(
    rtpPacket({ ssrc: THEIRS, sequenceNumber, timestamp: 160 * sequenceNumber }),
    nowMs,
  );
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
