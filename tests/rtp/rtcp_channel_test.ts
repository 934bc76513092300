import assert from "node:assert/strict";
import { RtcpChannel, type RtcpEvent } from "../../lib/rtp/rtcp_channel.ts";
import { RemoteLock } from "../../lib/rtp/remote_lock.ts";
import { Reporter } from "../../lib/rtp/reporter.ts";
import { decodeRtcp, encodeRtcp, type RtcpPacket } from "../../lib/rtp/rtcp.ts";
import { RtpSource } from "../../lib/rtp/source.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { formatEndpoint, parseEndpoint } from "../../lib/net/endpoint.ts";
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

Deno.test("RTCP channel: strangers and broken packets are counted and change nothing", () => {
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
