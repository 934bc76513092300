import assert from "node:assert/strict";
import fc from "fast-check";
import { RtpSession, type RtpSessionOptions } from "../../lib/rtp/session.ts";
import { decodeRtp } from "../../lib/rtp/packet.ts";
import { decodeRtcp, encodeRtcp, type RtcpPacket } from "../../lib/rtp/rtcp.ts";
import type { RtcpEvent } from "../../lib/rtp/rtcp_channel.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import { type HeardStream, type RtpPortPair, RtpPorts } from "../../lib/net/rtp_ports.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeUdpNetwork, type FakeUdpSocket } from "../support/fake_udp.ts";
import { RecordLog } from "../support/record_log.ts";
import { mutate } from "../support/mutate.ts";
import { rtpBytes } from "../support/rtp_packets.ts";

const PHONE: Endpoint = { hostname: "192.0.2.5", port: 4000 };
const PHONE_RTCP: Endpoint = { hostname: "192.0.2.5", port: 4001 };

interface Heard {
  payload: string;
  timestamp: number;
  marker: boolean;
  payloadType: number;
  lostBefore: number;
}

/** A session in a fake network, beside a phone that is only two sockets. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly ticker = new Ticker(this.clock, 10);
  readonly log = new RecordLog();
  readonly network: FakeUdpNetwork;
  readonly phone: FakeUdpSocket;
  readonly phoneRtcp: FakeUdpSocket;
  readonly session: RtpSession;
  readonly heard: Heard[] = [];
  readonly events: RtcpEvent[] = [];
  readonly sources: number[] = [];
  readonly toPhone: Uint8Array[] = [];
  readonly toPhoneRtcp: RtcpPacket[][] = [];
  readonly running: Promise<void>[];

  /** What its last call leaves to the next one. */
  readonly pair: RtpPortPair;

  constructor(options: Partial<RtpSessionOptions> = {}, earlier: HeardStream | null = null) {
    this.network = new FakeUdpNetwork({ clock: this.clock });
    this.pair = { ...this.network.bindPair("192.0.2.1"), earlier };
    this.phone = this.network.bind(PHONE);
    this.phoneRtcp = this.network.bind(PHONE_RTCP);
    this.session = createSession(this, this.network, { pair: this.pair, ...options });
    this.session.receiver = {
      fromRtp: (payload, timestamp, marker, payloadType, lostBefore) =>
        this.heard.push({ payload: text(payload), timestamp, marker, payloadType, lostBefore }),
    };
    this.session.setPeer({ signalling: [PHONE.hostname], payloadTypes: new Set([0]) });
    this.session.onRtcp = (event) => this.events.push(event);
    this.session.onSourceChange = (ssrc) => this.sources.push(ssrc);
    this.running = [
      this.session.run(),
      this.phone.run((bytes) => this.toPhone.push(bytes.slice())),
      this.phoneRtcp.run((bytes) => this.toPhoneRtcp.push(decodeRtcp(bytes.slice()))),
    ];
  }

  get at(): Endpoint {
    return { hostname: "192.0.2.1", port: this.session.localPort };
  }

  /** The phone says "1", "2", ... with matching numbers. */
  async say(sequence: number, from: FakeUdpSocket = this.phone, ssrc = 7): Promise<void> {
    const payload = new TextEncoder().encode(String(sequence));
    const fields = { sequenceNumber: sequence & 0xffff, timestamp: 160 * sequence >>> 0, ssrc, payload };
    from.send(rtpBytes(fields), this.at);
    await settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.session[Symbol.dispose]();
    this.phone.close();
    this.phoneRtcp.close();
    await Promise.all(this.running);
    assert.equal(this.clock.pending, 0);
    assert.equal(this.network.size, 0);
  }
}

function createSession(
  env: { clock: FakeClock; ticker: Ticker; log: RecordLog },
  network: FakeUdpNetwork,
  options: Partial<RtpSessionOptions> = {},
): RtpSession {
  const { clock, ticker, log } = env;
  const pair = options.pair ?? network.bindPair("192.0.2.1");
  const random = seededRandom(9);
  return new RtpSession({
    pair,
    clockRate: 8000,
    cname: "call@gw",
    clock,
    random,
    log,
    ticker,
    latch: true,
    ...options,
  });
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function bytesOf(line: string): Uint8Array {
  return new TextEncoder().encode(line);
}

Deno.test("session: what is sent arrives as RTP with rising numbers and one random base", async () => {
  await using bench = new Bench();
  const { session } = bench;
  session.setRemote(PHONE, PHONE_RTCP);
  session.send(bytesOf("first"), 0, true, 96);
  session.send(bytesOf("longer than before"), 160, false, 96);
  session.send(bytesOf("x"), 2 ** 32 + 320.4, false, 0);
  await settle();
  const packets = bench.toPhone.map(decodeRtp);
  assert.deepEqual(packets.map(({ payload }) => text(payload)), ["first", "longer than before", "x"]);
  assert.deepEqual(packets.map(({ marker, payloadType }) => [marker, payloadType]), [
    [true, 96],
    [false, 96],
    [false, 0],
  ]);
  const [first, second, third] = packets as [typeof packets[0], typeof packets[0], typeof packets[0]];
  assert.equal(second!.sequenceNumber, first!.sequenceNumber + 1 & 0xffff);
  assert.equal(second!.timestamp, first!.timestamp + 160 >>> 0);
  assert.equal(third!.timestamp, first!.timestamp + 320 >>> 0);
  assert.ok(packets.every(({ ssrc, padding }) => ssrc === session.ssrc && padding === 0));
  assert.equal(session.stats.sent, 3);
});

Deno.test("session: sequence numbers wrap, large payloads pass, too large ones do not", async () => {
  await using bench = new Bench({ random: { ...seededRandom(9), u16: () => 0xffff } });
  bench.session.setRemote(PHONE, PHONE_RTCP);
  bench.session.send(new Uint8Array(60_000).fill(7), 0, false, 0);
  bench.session.send(bytesOf("a"), 0, false, 0);
  bench.session.send(new Uint8Array(65_500), 0, false, 0);
  await settle();
  const packets = bench.toPhone.map(decodeRtp);
  assert.deepEqual(packets.map(({ sequenceNumber }) => sequenceNumber), [0xffff, 0]);
  assert.equal(packets[0]!.payload.length, 60_000);
  assert.ok(packets[0]!.payload.every((byte) => byte === 7));
  assert.equal(bench.session.stats.suppressed, 1);
});

Deno.test("session: nothing is sent before an address is known, on hold, or after the end", async () => {
  await using bench = new Bench();
  const { session } = bench;
  session.send(bytesOf("a"), 0, false, 0);
  session.setRemote(PHONE, PHONE_RTCP);
  session.send(bytesOf("b"), 160, false, 0);
  session.setRemote(null, null);
  session.send(bytesOf("c"), 320, false, 0);
  session.setRemote(PHONE, PHONE_RTCP);
  session.send(bytesOf("d"), 480, false, 0);
  await settle();
  session[Symbol.dispose]();
  session.send(bytesOf("e"), 640, false, 0);
  assert.deepEqual(bench.toPhone.map((bytes) => text(decodeRtp(bytes).payload)), ["b", "d"]);
  assert.equal(session.stats.suppressed, 3);
});

Deno.test("session: what arrives is handed on in order, with time from 0", async () => {
  await using bench = new Bench();
  for (const sequence of [65534, 65535, 65537, 65536, 65536, 65538]) await bench.say(sequence);
  assert.deepEqual(bench.heard.map(({ payload, timestamp }) => [payload, timestamp]), [
    ["65534", 0],
    ["65535", 160],
    ["65536", 320],
    ["65537", 480],
    ["65538", 640],
  ]);
  const { received, lost, duplicates, invalid } = bench.session.stats;
  assert.deepEqual({ received, lost, duplicates, invalid }, {
    received: 6,
    lost: 0,
    duplicates: 1,
    invalid: 0,
  });
});

Deno.test("session: a gap is waited for, then told", async () => {
  await using bench = new Bench({ reorderMs: 40 });
  await bench.say(1);
  await bench.say(3);
  assert.equal(bench.heard.length, 1);
  await bench.clock.advanceAsync(50);
  assert.deepEqual(bench.heard.map(({ payload, lostBefore }) => [payload, lostBefore]), [["1", 0], ["3", 1]]);
  await bench.say(2);
  assert.equal(bench.session.stats.late, 1);
  assert.equal(bench.session.stats.lost, 1);
});

Deno.test("session: padding, sources, extensions and empty payloads of others", async () => {
  await using bench = new Bench();
  const base = { payloadType: 8, marker: true, timestamp: 100 };
  bench.phone.send(
    rtpBytes({
      ...base,
      sequenceNumber: 1,
      csrcs: [1, 2],
      extension: { profile: 1, data: new Uint8Array(8) },
      payload: bytesOf("in"),
      padding: 9,
    }),
    bench.at,
  );
  bench.phone.send(rtpBytes({ ...base, sequenceNumber: 2, padding: 4 }), bench.at);
  await settle();
  assert.deepEqual(bench.heard, [
    { payload: "in", timestamp: 0, marker: true, payloadType: 8, lostBefore: 0 },
    { payload: "", timestamp: 0, marker: true, payloadType: 8, lostBefore: 0 },
  ]);
});

Deno.test("session: symmetric RTP with a source lock", async () => {
  await using bench = new Bench();
  const nat = bench.network.bind({ hostname: "198.51.100.9", port: 61000 });
  const thief = bench.network.bind({ hostname: "203.0.113.66", port: 1 });
  bench.session.setPeer({ signalling: ["198.51.100.9"], payloadTypes: new Set([0]) });
  bench.session.setRemote({ hostname: "10.0.0.5", port: 4000 }, { hostname: "10.0.0.5", port: 4001 });
  await bench.say(8, thief, 8);
  await bench.say(1, nat);
  await bench.say(9, thief, 8);
  await bench.say(2, nat);
  assert.deepEqual(bench.heard.map(({ payload }) => payload), ["1", "2"]);
  assert.deepEqual(bench.session.target, nat.local);
  assert.equal(bench.session.stats.wrongSource, 2);
  assert.deepEqual(bench.log.at("debug"), ["debug main RTP port 20000 latched to 198.51.100.9:61000"]);
  nat.close();
  thief.close();
});

Deno.test("session: a new SSRC delivers what waited, is announced, and time goes on", async () => {
  await using bench = new Bench();
  await bench.say(10);
  await bench.say(12);
  await bench.clock.advanceAsync(20);
  await bench.say(500, bench.phone, 8);
  await bench.say(501, bench.phone, 8);
  assert.deepEqual(
    bench.heard.map(({ payload, timestamp, lostBefore }) => [payload, timestamp, lostBefore]),
    [
      ["10", 0, 0],
      ["12", 320, 1],
      ["500", 480, 0],
      ["501", 640, 0],
    ],
  );
  assert.deepEqual(bench.sources, [8]);
});

Deno.test("session: packets that are none are counted, the stream goes on", async () => {
  await using bench = new Bench();
  await bench.say(1);
  for (const bytes of [new Uint8Array(0), bytesOf("not RTP at all"), rtpBytes().subarray(0, 11)]) {
    bench.phone.send(bytes, bench.at);
  }
  await bench.say(2);
  bench.phoneRtcp.send(bytesOf("junk"), { ...bench.at, port: bench.at.port + 1 });
  await settle();
  assert.equal(bench.session.stats.invalid, 4);
  assert.equal(bench.heard.length, 2);
});

Deno.test("session: RTCP on its own port and, unasked, on the RTP port", async () => {
  await using bench = new Bench();
  bench.session.setRemote(PHONE, PHONE_RTCP);
  await bench.say(1);
  const pli = encodeRtcp([{ type: "pli", ssrc: 7, mediaSsrc: bench.session.ssrc }]);
  bench.phoneRtcp.send(pli, { ...bench.at, port: bench.at.port + 1 });
  await settle();
  const bye = encodeRtcp([{ type: "rr", ssrc: 7, reports: [] }, { type: "bye", ssrcs: [7], reason: null }]);
  bench.phone.send(bye, bench.at);
  await settle();
  assert.deepEqual(bench.events, [{ type: "pli" }, { type: "bye", reason: null }]);
  assert.equal(bench.heard.length, 1);
});

Deno.test("session: reports, feedback and goodbye reach the phone", async () => {
  await using bench = new Bench();
  const { session } = bench;
  session.setRemote(PHONE, PHONE_RTCP);
  session.anchor(0, bench.clock.now());
  session.send(bytesOf("hello"), 0, false, 0);
  await bench.say(1);
  await bench.clock.advanceAsync(4000);
  const [report] = bench.toPhoneRtcp;
  const sender = report!.find((packet) => packet.type === "sr")!;
  assert.deepEqual([sender.packetCount, sender.octetCount, sender.reports[0]!.ssrc], [1, 5, 7]);
  assert.equal(session.sendFeedback("fir"), true);
  session[Symbol.dispose]();
  await settle();
  assert.deepEqual(bench.toPhoneRtcp.at(-1)!.map(({ type }) => type), ["sr", "sdes", "bye"]);
  assert.ok(bench.toPhoneRtcp.some((packets) => packets.some(({ type }) => type === "fir")));
});

Deno.test("session: the peer's clock and another clock rate", async () => {
  await using bench = new Bench();
  const { session } = bench;
  session.setRemote(PHONE, PHONE_RTCP);
  assert.equal(session.senderClock, null);
  await bench.say(1);
  const report: RtcpPacket = {
    type: "sr",
    ssrc: 7,
    ntpSeconds: 2_208_988_802,
    ntpFraction: 0,
    rtpTimestamp: 320,
    packetCount: 1,
    octetCount: 1,
    reports: [],
  };
  bench.phoneRtcp.send(encodeRtcp([report]), { ...bench.at, port: bench.at.port + 1 });
  await settle();
  assert.deepEqual(session.senderClock, { wallMs: 2000, timestamp: 160 });
  session.setClockRate(16_000);
  assert.equal(session.senderClock, null);
});

Deno.test("session: disposed within its own outlets", async () => {
  for (const outlet of ["receiver", "onSourceChange", "onRtcp"] as const) {
    await using bench = new Bench();
    const { session } = bench;
    session.setRemote(PHONE, PHONE_RTCP);
    let calls = 0;
    await bench.say(0);
    const end = (): void => {
      calls++;
      session[Symbol.dispose]();
    };
    if (outlet === "receiver") session.receiver = { fromRtp: end };
    else session[outlet] = end;
    await bench.say(2);
    await bench.say(3);
    if (outlet === "receiver") await bench.say(1);
    if (outlet === "onSourceChange") await bench.say(9, bench.phone, 8);
    const bye: RtcpPacket = { type: "bye", ssrcs: [7], reason: null };
    bench.phoneRtcp.send(encodeRtcp([bye, bye]), { ...bench.at, port: bench.at.port + 1 });
    await settle();
    assert.equal(calls, 1, outlet);
  }
});

Deno.test("session: an outlet that throws is reported once and the stream goes on", async () => {
  await using bench = new Bench();
  const { session } = bench;
  session.receiver = {
    fromRtp: () => {
      throw new Error("our own bug");
    },
  };
  await bench.say(1);
  await bench.say(2);
  assert.deepEqual(bench.log.at("error"), [
    "error main RTP port 20000 failed on a received packet: our own bug",
  ]);
  session.receiver = { fromRtp: (payload) => bench.heard.push({ payload: text(payload) } as Heard) };
  await bench.say(3);
  assert.deepEqual(bench.heard.map(({ payload }) => payload), ["3"]);
});

Deno.test("session: two sessions over a lossy, doubling, reordering network", async () => {
  const shape = fc.record({
    seed: fc.nat(),
    loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
    duplication: fc.double({ min: 0, max: 0.3, noNaN: true }),
    jitterMs: fc.nat(150),
    reorderMs: fc.nat(200),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ reorderMs, ...shape }) => {
      const clock = new FakeClock();
      const ticker = new Ticker(clock, 10);
      const env = { clock, ticker, log: new RecordLog() };
      const network = new FakeUdpNetwork({ clock, delayMs: 20, ...shape });
      const a = createSession(env, network, { random: seededRandom(shape.seed) });
      const b = createSession(env, network, { random: seededRandom(shape.seed + 1), reorderMs });
      const running = [a.run(), b.run()];
      const at = (session: RtpSession, up = 0) => ({ hostname: "192.0.2.1", port: session.localPort + up });
      a.setRemote(at(b), at(b, 1));
      b.setRemote(at(a), at(a, 1));
      const sentAtMs: number[] = [];
      let first = -1;
      let next = 0;
      let delivered = 0;
      b.receiver = {
        fromRtp: (payload, timestamp, _marker, _payloadType, lostBefore) => {
          const index = Number(text(payload));
          if (delivered++ === 0) first = next = index;
          assert.equal(index, next + lostBefore);
          assert.equal(timestamp, 160 * (index - first));
          next = index + 1;
          const delayMs = clock.now() - sentAtMs[index]!;
          assert.ok(delayMs <= 20 + shape.jitterMs + reorderMs + 10, `${delayMs} ms`);
        },
      };
      for (let index = 0; index < 200; index++) {
        sentAtMs.push(clock.now());
        a.send(bytesOf(String(index)), 160 * index, false, 0);
        await clock.advanceAsync(20);
      }
      await clock.advanceAsync(500);
      const { received, lost, late, duplicates, wrongSource } = b.stats;
      assert.equal(wrongSource, 0);
      assert.ok(delivered > 0);
      assert.equal(delivered + lost, next - first);
      assert.equal(delivered + late + duplicates, received);
      a[Symbol.dispose]();
      b[Symbol.dispose]();
      await clock.advanceAsync(300);
      await Promise.all(running);
      assert.equal(clock.pending, 0);
    }),
    { numRuns: 12 },
  );
});

Deno.test("session: damaged packets of the right sender never end it", async () => {
  await using bench = new Bench();
  const rtp = rtpBytes({ payload: bytesOf("hello"), csrcs: [1], padding: 3, ssrc: 7 });
  const rtcp = encodeRtcp([{ type: "rr", ssrc: 7, reports: [] }, { type: "bye", ssrcs: [7], reason: "bye" }]);
  bench.session.setRemote(PHONE, PHONE_RTCP);
  for (let seed = 0; seed < 500; seed++) {
    bench.phone.send(mutate(rtp, seed), bench.at);
    bench.phone.send(mutate(rtcp, seed), bench.at);
    bench.phoneRtcp.send(mutate(rtcp, seed), { ...bench.at, port: bench.at.port + 1 });
    await bench.clock.advanceAsync(5);
  }
  assert.deepEqual(bench.log.at("error"), []);
  const { received, invalid } = bench.session.stats;
  assert.ok(received > 0 && invalid > 0 && received + invalid <= 1500);
});

Deno.test("session: real sockets on loopback, and the goodbye gets out before they close", async () => {
  using ticker = new Ticker(systemClock, 10);
  const ports = new RtpPorts({ min: 0, max: 0 }, systemClock);
  const create = (seed: number): RtpSession =>
    new RtpSession({
      pair: ports.bindPair("127.0.0.1"),
      clockRate: 8000,
      cname: "call@gw",
      clock: systemClock,
      random: seededRandom(seed),
      log: new RecordLog(),
      ticker,
      latch: true,
    });
  const a = create(1);
  const b = create(2);
  const running = [a.run(), b.run()];
  const at = (session: RtpSession, up = 0) => ({ hostname: "127.0.0.1", port: session.localPort + up });
  a.setRemote(at(b), at(b, 1));
  b.setRemote(at(a), at(a, 1));
  const goodbye = Promise.withResolvers<RtcpEvent>();
  b.receiver = {
    fromRtp: (payload, timestamp, marker, payloadType) => b.send(payload, timestamp, marker, payloadType),
  };
  b.onRtcp = (event) => event.type === "bye" && goodbye.resolve(event);
  for (let index = 0; index < 50; index++) {
    const echo = Promise.withResolvers<string>();
    a.receiver = { fromRtp: (payload) => echo.resolve(text(payload)) };
    a.send(bytesOf(`payload ${index}`), 160 * index, false, 0);
    assert.equal(await echo.promise, `payload ${index}`);
  }
  a[Symbol.dispose]();
  assert.deepEqual(await goodbye.promise, { type: "bye", reason: null });
  b[Symbol.dispose]();
  await Promise.all(running);
  assert.equal(ports.inUse, 0);
});

Deno.test("RTP session: any number of sessions have one timer, and report from it", async () => {
  const clock = new FakeClock();
  using ticker = new Ticker(clock, 10);
  const network = new FakeUdpNetwork({ clock });
  const bench = { clock, ticker, log: new RecordLog() };
  const sessions = Array.from({ length: 50 }, () => createSession(bench, network, {}));
  const running = sessions.map((session) => session.run());
  for (const session of sessions) session.setRemote(PHONE, PHONE_RTCP);
  using phone = network.bind(PHONE_RTCP);
  let reports = 0;
  const listening = phone.run(() => void reports++);
  assert.equal(clock.pending, 1);
  await clock.advanceAsync(8000);
  assert.equal(clock.pending, 1);
  assert.ok(reports >= 50, `${reports} reports`);
  for (const session of sessions) session[Symbol.dispose]();
  await settle();
  phone.close();
  await Promise.all([...running, listening]);
  assert.equal(clock.pending, 0);
});

Deno.test("session: a stream of an earlier call on the port is not heard, the new call's is", async () => {
  const earlier = { ssrc: 7, sequence: 40, atMs: 0 };
  await using bench = new Bench({}, earlier);
  await bench.say(60);
  await bench.say(61);
  assert.deepEqual(bench.heard, []);
  await bench.say(5, bench.phone, 8);
  await bench.say(62);
  await bench.say(6, bench.phone, 8);
  assert.deepEqual(bench.heard.map(({ payload }) => payload), ["5", "6"]);
  assert.equal(bench.session.stats.wrongSource, 3);
  bench.session[Symbol.dispose]();
  assert.deepEqual(bench.pair.heard && { ...bench.pair.heard, atMs: 0 }, { ssrc: 8, sequence: 6, atMs: 0 });
});

Deno.test("session: when the peer was heard last, by RTP or by RTCP", async () => {
  await using bench = new Bench();
  bench.session.setRemote(PHONE, PHONE_RTCP);
  assert.equal(bench.session.heardMs, -Infinity);
  await bench.clock.advanceAsync(100);
  await bench.say(1);
  assert.equal(bench.session.heardMs, bench.clock.now());
  await bench.clock.advanceAsync(100);
  bench.phoneRtcp.send(encodeRtcp([{ type: "rr", ssrc: 7, reports: [] }]), {
    ...bench.at,
    port: bench.at.port + 1,
  });
  await settle();
  assert.equal(bench.session.heardMs, bench.clock.now());
});
