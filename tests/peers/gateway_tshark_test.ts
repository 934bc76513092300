// A second opinion on every octet the gateway sends: tshark captures whole calls and finds nothing wrong with
// SIP, SDP, RTP, RTCP or RTMP; sequence numbers and reports are checked against the packets it saw.

import assert from "node:assert/strict";
import { runInNamespace } from "../support/netns.ts";
import { hasPeer } from "../support/peers.ts";
import { type Row, SCENARIO_SCRIPT, type Seen, SPOKEN } from "./tshark_scenario.ts";

const ignore = !hasPeer("tshark", "sipp", "unshare", "ip");

function play(name: string): Promise<Seen> {
  return runInNamespace<Seen>({ script: SCENARIO_SCRIPT, args: [name], timeoutMs: 90_000 });
}

/** The RTP packets of each sender's port, in their order. */
function streamsOf({ rtp }: Seen): Map<string, Row[]> {
  return Map.groupBy(rtp, (packet) => packet["udp.srcport"]!);
}

const HEADERS = 8 + 12;
const TICKS_PER_SECOND = 8000;
const BYE = "203";

/** A field with one value. */
const int = (row: Row, field: string) => Number(row[field]);

/** Steps from one value to the next, as numbers of this many bits. */
function steps(packets: readonly Row[], field: string, bits: number): number[] {
  return packets.slice(1).map((packet, i) => {
    const step = int(packet, field) - int(packets[i]!, field);
    return step < 0 ? step + 2 ** bits : step;
  });
}

function assertNoComplaints(seen: Seen): void {
  assert.deepEqual(seen.complaints, []);
  assert.deepEqual(seen.unknown, []);
}

/** One source per port, its numbers without a gap. */
function assertNoGaps(packets: readonly Row[]): void {
  assert.equal(new Set(packets.map((packet) => packet["rtp.ssrc"])).size, 1);
  assert.deepEqual(steps(packets, "rtp.seq", 16).filter((step) => step !== 1), []);
  assert.equal(packets[0]!["rtp.marker"], "1", "the first packet opens a talk spurt");
}

/** Methods and statuses in their order, repetitions left out. */
function signalling({ sip }: Seen): string[] {
  return [
    ...new Set(sip.map((row) => row["sip.Method"] || `${row["sip.Status-Code"]} ${row["sip.CSeq.method"]}`)),
  ];
}

/** Audio messages as tshark counts them, to and from the gateway. */
function audioMessages({ rtmp, rtmpPort }: Seen): { toGateway: number; fromGateway: number } {
  const count = (field: string) =>
    rtmp.filter((row) => row[field] === String(rtmpPort) && row["rtmpt.audio.format"] !== "")
      .reduce((sum, row) => sum + row["rtmpt.audio.format"]!.split("|").length, 0);
  return { toGateway: count("tcp.dstport"), fromGateway: count("tcp.srcport") };
}

const ntpSeconds = (row: Row) =>
  int(row, "rtcp.timestamp.ntp.msw") - 2_208_988_800 + int(row, "rtcp.timestamp.ntp.lsw") / 2 ** 32;

/** The middle 32 bits, as the receiver repeats them (RFC 3550 6.4.1). */
const lastSr = (row: Row) =>
  (int(row, "rtcp.timestamp.ntp.msw") % 65536) * 65536 +
  Math.floor(int(row, "rtcp.timestamp.ntp.lsw") / 65536);

/** Every compound is whole, and a sender report counts exactly the packets tshark saw before it. */
function assertReports(packets: readonly Row[], compounds: readonly Row[]): void {
  for (const compound of compounds) {
    assert.match(
      compound["rtcp.pt"]!,
      /^200\|202(\|203)?$/,
      "sender report, source description, perhaps a BYE",
    );
    assert.match(compound["rtcp.sdes.type"]!, /^1\|0$/, "a CNAME");
    assert.equal(compound["rtcp.senderssrc"], packets[0]!["rtp.ssrc"]);
    const before = packets.filter((packet) => int(packet, "frame.number") < int(compound, "frame.number"));
    assert.equal(int(compound, "rtcp.sender.packetcount"), before.length);
    const octets = before.reduce((sum, packet) => sum + int(packet, "udp.length") - HEADERS, 0);
    assert.equal(int(compound, "rtcp.sender.octetcount"), octets);
    assert.ok(Math.abs(ntpSeconds(compound) - int(compound, "frame.time_epoch")) < 1, "the time of day");
  }
  const byes = compounds.map((compound) => compound["rtcp.pt"]!.endsWith(BYE));
  assert.equal(byes.indexOf(true), compounds.length - 1, "the last report says BYE");
}

/** The media clock runs with the wall clock: lips would be in step. */
function assertClocks(compounds: readonly Row[]): void {
  const wall = compounds.slice(1).map((compound, i) => ntpSeconds(compound) - ntpSeconds(compounds[i]!));
  const media = steps(compounds, "rtcp.timestamp.rtp", 32).map((ticks) => ticks / TICKS_PER_SECOND);
  wall.forEach((seconds, i) => assert.ok(Math.abs(seconds - media[i]!) < 0.1, `${seconds} s, ${media[i]} s`));
}

/** Nothing is reported lost. */
function assertNothingLost(compounds: readonly Row[]): void {
  for (const compound of compounds) {
    assert.equal(compound["rtcp.ssrc.fraction"], "0");
    assert.equal(compound["rtcp.ssrc.cum_nr"], "0");
  }
}

const fromPort = (seen: Seen, port: number) => seen.rtcp.filter((row) => int(row, "udp.srcport") === port);

Deno.test({ name: "tshark finds nothing wrong with a call to SIPp and its echo", ignore }, async () => {
  const seen = await play("echoed");
  assertNoComplaints(seen);
  assert.deepEqual(signalling(seen), ["INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]);
  const streams = streamsOf(seen);
  const sent = streams.get("10000")!;
  assertNoGaps(sent);
  assert.equal(sent.length, SPOKEN);
  assert.deepEqual(steps(sent, "rtp.timestamp", 32).filter((step) => step !== 160), []);
  assert.deepEqual(audioMessages(seen), { toGateway: SPOKEN, fromGateway: SPOKEN });
  const reports = fromPort(seen, 10001);
  assert.ok(reports.length >= 2, `${reports.length} reports`);
  assertReports(sent, reports);
  assertClocks(reports);
  assertNothingLost(reports);
});

Deno.test({ name: "tshark finds nothing wrong with a call from SIPp", ignore }, async () => {
  const seen = await play("called");
  assertNoComplaints(seen);
  const all = ["INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"];
  assert.deepEqual(signalling(seen), all);
  const sent = streamsOf(seen).get("10000")!;
  assertNoGaps(sent);
  assertReports(sent, fromPort(seen, 10001));
});

Deno.test({
  name: "tshark finds nothing wrong with DTMF, messages and hold between two users",
  ignore,
}, async () => {
  const seen = await play("everything");
  assertNoComplaints(seen);
  assert.ok(signalling(seen).includes("MESSAGE"));
  const streams = streamsOf(seen);
  assert.equal(streams.size, 2);
  const middles = new Set(seen.rtcp.map(lastSr));
  for (const [port, packets] of streams) {
    assertNoGaps(packets);
    const reports = fromPort(seen, Number(port) + 1);
    assert.ok(reports.length >= 2, `${reports.length} reports`);
    assertReports(packets, reports);
    assertClocks(reports);
    assertNothingLost(reports);
    const repeated = reports.map((report) => int(report, "rtcp.ssrc.lsr")).filter((middle) => middle !== 0);
    assert.ok(repeated.length > 0, "reports of the remote party are acknowledged");
    assert.deepEqual(repeated.filter((middle) => !middles.has(middle)), [], "as they were sent");
  }
  assertDigits([...streams.values()].flat().filter((packet) => packet["rtpevent.event_id"] !== ""));
});

/** With redundancy (RFC 2198) the keys before stand first: the packet's own event is the last. */
function ownEvent(packet: Row, field: string): string {
  return packet[field]!.split("|").at(-1)!;
}

/** RFC 4733 2.5: one timestamp per key, the marker on its first packet, its end three times. */
function assertDigits(packets: readonly Row[]): void {
  const keys = [...Map.groupBy(packets, (packet) => packet["rtp.timestamp"]!).values()];
  assert.deepEqual(keys.map((key) => ownEvent(key[0]!, "rtpevent.event_id")), ["5", "11"]);
  for (const key of keys) {
    assert.deepEqual(key.map((packet) => packet["rtp.marker"]), ["1", ...Array(key.length - 1).fill("0")]);
    const ends = key.map((packet) => ownEvent(packet, "rtpevent.end_of_event"));
    assert.deepEqual(ends.slice(-4), ["0", "1", "1", "1"]);
    const durations = key.map((packet) => Number(ownEvent(packet, "rtpevent.duration")));
    assert.deepEqual(durations, durations.toSorted((a, b) => a - b), "it grows");
    assert.equal(new Set(durations.slice(-3)).size, 1, "the end is repeated as it is");
  }
}
