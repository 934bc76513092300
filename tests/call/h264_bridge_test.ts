import assert from "node:assert/strict";
import { ByteWriter, concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { H264Bridge } from "../../lib/call/h264_bridge.ts";
import { KEY_FRAME_REQUEST_MS } from "../../lib/call/video_bridge.ts";
import type { MediaWarning } from "../../lib/call/media_warnings.ts";
import type { H264Chain } from "../../lib/call/negotiation.ts";
import { encodeAvcConfig } from "../../lib/codecs/h264/avc_config.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { avc, CONFIG, PPS, slice, SPS } from "../support/media_h264.ts";
import { mutate } from "../support/mutate.ts";

interface Packet {
  payload: Uint8Array;
  timestamp: number;
  marker: boolean;
}

/** A peer that says nothing about its pictures. */
const PLAIN: H264Chain = {
  kind: "h264",
  mode: 1,
  fmtp: null,
  sprop: null,
  localFmtp: null,
  rtcpFb: [],
  sendPayloadType: 99,
  receivePayloadTypes: [99],
};

function line(clock: FakeClock, chain: H264Chain = PLAIN) {
  const packets: Packet[] = [];
  const tags: string[] = [];
  const asked: string[] = [];
  const warnings: MediaWarning[] = [];
  const placed: { timestamp: number; timeMs: number }[] = [];
  const made = new H264Bridge({
    chain,
    clock,
    originMs: clock.now(),
    toSip: {
      send: (payload, timestamp, marker) =>
        void packets.push({ payload: payload.slice(), timestamp, marker }),
    },
    toRtmp: { play: (_type, _timeMs, body) => void tags.push(toHex(body)) },
    askPeer: () => void asked.push("peer"),
    askPublisher: () => void asked.push("publisher"),
    onWarning: (warning) => void warnings.push(warning),
    onPlaced: (timestamp, timeMs) => void placed.push({ timestamp, timeMs }),
  });
  return { line: made, packets, tags, asked, placed, warnings };
}

const config = (): Uint8Array => concatBytes([fromHex("1700000000"), CONFIG]);
const key = (length: number): Uint8Array => concatBytes([fromHex("1701000000"), avc([slice("I", length)])]);
const inter = (seed: number): Uint8Array =>
  concatBytes([fromHex("2701000000"), avc([slice("P", 400, { seed })])]);

function publish(sender: H264Bridge, bodies: readonly Uint8Array[]): void {
  bodies.forEach((body, i) => sender.fromRtmp({ type: 9, timeMs: i * 40, body }));
}

function deliver(
  receiver: H264Bridge,
  packets: readonly Packet[],
  lost: ReadonlySet<number> = new Set(),
): void {
  let gap = 0;
  packets.forEach(({ payload, timestamp, marker }, i) => {
    if (lost.has(i)) gap++;
    else {
      receiver.fromRtp(payload, timestamp, marker, 99, gap);
      gap = 0;
    }
  });
}

Deno.test("a configuration, a key frame and an inter frame arrive as the same tags", () => {
  const clock = new FakeClock();
  const from = line(clock);
  const to = line(clock);
  publish(from.line, [config(), key(3001), inter(1)]);
  assert.ok(from.packets.length >= 5, "the key frame is cut in three");
  deliver(to.line, from.packets);
  assert.deepEqual(to.tags, [config(), key(3001), inter(1)].map(toHex));
  assert.equal(from.line.profileLevelId, "42c01e");
});

Deno.test("a lost part drops its picture whole and asks the peer for a key frame, once a second", () => {
  const clock = new FakeClock();
  const from = line(clock);
  const to = line(clock);
  publish(from.line, [config(), key(3001), inter(1), inter(2), inter(3)]);
  const firstInter = from.packets.length - 3;
  deliver(to.line, from.packets, new Set([firstInter]));
  assert.deepEqual(to.asked, ["peer"]);
  clock.advance(KEY_FRAME_REQUEST_MS);
  to.line.playerChanged();
  assert.deepEqual(to.asked, ["peer", "peer"]);
});

Deno.test("a request of the peer is served from the cached key frame and passed on to the publisher, rate-limited", () => {
  const clock = new FakeClock();
  const { line: sender, packets, asked } = line(clock);
  publish(sender, [config(), key(300), inter(1)]);
  const before = packets.length;
  sender.keyFrameRequested();
  sender.keyFrameRequested();
  assert.deepEqual(asked, ["publisher"]);
  const repeated = packets.slice(before);
  const again = line(clock);
  deliver(again.line, repeated);
  clock.advance(200); // a first picture waits for proof that it is whole
  assert.deepEqual(again.tags, [config(), key(300)].map(toHex), "a new watcher could start here");
  clock.advance(KEY_FRAME_REQUEST_MS);
  sender.keyFrameRequested();
  assert.deepEqual(asked, ["publisher", "publisher"]);
});

Deno.test("a key frame that does not come is asked for again with the packets that do, until it comes", () => {
  const clock = new FakeClock();
  const from = line(clock);
  publish(from.line, [config(), key(300), ...[1, 2, 3, 4, 5, 6, 7].map(inter), key(300), inter(8), inter(9)]);
  const to = line(clock);
  const asked: number[] = [];
  from.packets.forEach((packet, i) => {
    if (i !== 1) to.line.fromRtp(packet.payload, packet.timestamp, packet.marker, 99, i === 2 ? 1 : 0);
    asked.push(to.asked.length);
    clock.advance(100);
  });
  assert.deepEqual(asked, [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
});

Deno.test("a request that comes too early is served later, unless the publisher sent a key frame meanwhile", () => {
  const clock = new FakeClock();
  const { line: sender, packets, asked } = line(clock);
  publish(sender, [config(), key(300), inter(1)]);
  sender.keyFrameRequested();
  clock.advance(100);
  sender.keyFrameRequested();
  publish(sender, [inter(2)]);
  assert.equal(asked.length, 1);
  clock.advance(KEY_FRAME_REQUEST_MS);
  const before = packets.length;
  publish(sender, [inter(3)]);
  assert.deepEqual(
    [asked.length, packets.length - before],
    [2, 1 + 1],
    "the key frame again, behind the picture",
  );
  sender.keyFrameRequested();
  publish(sender, [key(300)]);
  clock.advance(KEY_FRAME_REQUEST_MS);
  publish(sender, [inter(4)]);
  assert.equal(asked.length, 2);
});

Deno.test("another codec, a cut tag and another payload type are counted or ignored, never thrown", () => {
  const { line: one, packets, tags } = line(new FakeClock());
  publish(one, [fromHex("22aabbcc"), fromHex("17"), fromHex("1701")]);
  assert.ok(one.unusable >= 2);
  one.fromRtp(fromHex("65aabb"), 0, true, 34, 0);
  assert.deepEqual([packets.length, tags.length], [0, 0]);
});

const CHAIN: H264Chain = {
  kind: "h264",
  mode: 1,
  fmtp: "profile-level-id=42e01f;packetization-mode=1",
  sprop: null,
  localFmtp: "profile-level-id=420014;packetization-mode=1",
  rtcpFb: [],
  sendPayloadType: 99,
  receivePayloadTypes: [99, 97],
};
const HIGH_SPS = fromHex("6764001fabcd");

/** A configuration whose profile is High 3.1. */
function highConfig(): Uint8Array {
  const record = new ByteWriter(64);
  encodeAvcConfig([HIGH_SPS], [PPS], record);
  return concatBytes([fromHex("1700000000"), record.take()]);
}

Deno.test("a profile the remote party does not take is told once to log and publisher, whatever comes after", () => {
  const { line: one, warnings } = line(new FakeClock(), CHAIN);
  publish(one, [config(), key(300)]);
  assert.equal(warnings.length, 0);
  publish(one, [highConfig(), key(300), inter(1), highConfig(), key(300), config(), highConfig()]);
  assert.deepEqual(warnings.map(({ status }) => status), ["NetStream.Publish.ProfileMismatch"]);
  assert.match(warnings[0]!.text, /sends H.264 high 3\.1 .* takes constrained-baseline 3\.1/);
});

Deno.test("B frames are told once to log and publisher", () => {
  const { line: one, warnings } = line(new FakeClock(), CHAIN);
  const b = concatBytes([fromHex("2701000000"), avc([slice("B", 100)])]);
  publish(one, [config(), key(300), inter(1), b, b]);
  assert.deepEqual(warnings.map(({ status }) => status), ["NetStream.Publish.BFrames"]);
});

Deno.test("an answer that names another profile, and pictures that have another, are told to the log", () => {
  const answered = line(new FakeClock(), { ...CHAIN, fmtp: "profile-level-id=64001f" });
  assert.deepEqual(answered.warnings.map(({ status }) => status), [null]);
  const from = line(new FakeClock(), { ...CHAIN, fmtp: null });
  const to = line(new FakeClock(), CHAIN);
  publish(from.line, [highConfig(), key(300), key(300)]);
  deliver(to.line, from.packets);
  assert.deepEqual(to.warnings.map(({ text }) => text), [
    "remote party sends H.264 high 3.1 (64001f), negotiated is baseline 2.0 (420014)",
  ]);
});

Deno.test("parameter sets of the remote party's description are enough to start, broken ones are told", () => {
  const sprop = `${SPS.toBase64()},${PPS.toBase64()}`;
  const clock = new FakeClock();
  const { line: one, tags, warnings } = line(clock, { ...CHAIN, sprop });
  one.fromRtp(slice("I", 300), 0, true, 97, 0);
  clock.advance(200);
  assert.deepEqual(tags, [config(), key(300)].map(toHex));
  one.takeSprop("no base64!");
  one.takeSprop(null);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!.text, /not base64/);
  one.takeSprop(`${HIGH_SPS.toBase64()},${PPS.toBase64()}`);
  one.fromRtp(slice("I", 300), 3600, true, 99, 0);
  assert.equal(tags[2], toHex(highConfig()), "changed ones make a new configuration");
});

Deno.test("broken input of either side is told once, counted, and the pictures after it pass", () => {
  const from = line(new FakeClock(), CHAIN);
  publish(from.line, [config(), key(300)]);
  for (let i = 0; i < 5; i++) {
    publish(from.line, [
      fromHex("17"),
      fromHex("1701000000000000ff65"),
      fromHex("22aabbcc"),
      fromHex("570000"),
    ]);
  }
  assert.deepEqual(from.warnings.map(({ text }) => text.slice(0, 30)), [
    "malformed video tag from the c",
    "key frame of the client droppe",
    "video dropped: client sends So",
  ]);
  assert.equal(from.line.unusable, 15, "a command to the player is no picture");
  const sent = from.packets.length;
  publish(from.line, [inter(1)]);
  assert.equal(from.packets.length, sent + 1);

  const to = line(new FakeClock(), CHAIN);
  deliver(to.line, from.packets.slice(0, 1));
  for (let i = 0; i < 5; i++) {
    to.line.fromRtp(fromHex("5c11"), 7200 + i * 90, true, 99, 0);
    to.line.fromRtp(fromHex("1e"), 8000 + i * 90, true, 99, 0);
  }
  assert.equal(to.line.brokenPictures, 10);
  assert.equal(to.warnings.length, 2);
  deliver(to.line, from.packets.slice(-1));
  assert.deepEqual(to.tags, [config(), key(300), inter(1)].map(toHex));
});

Deno.test("mutated messages and packets: never thrown, at most a few warnings, what follows still works", () => {
  const clock = new FakeClock();
  const from = line(clock, CHAIN);
  const to = line(clock, CHAIN);
  const bodies = [config(), key(3001), inter(1)];
  for (let seed = 0; seed < 600; seed++) {
    from.line.fromRtmp({ type: 9, timeMs: seed * 10, body: mutate(bodies[seed % 3]!, seed) });
    clock.advance(10);
  }
  from.packets.forEach(({ payload, timestamp, marker }, i) => {
    to.line.fromRtp(mutate(payload, i), timestamp, marker, 99, i % 17 === 0 ? 1 : 0);
  });
  assert.ok(from.warnings.length <= 16 && to.warnings.length <= 16);
  const [sent, shown] = [from.packets.length, to.tags.length];
  publish(from.line, bodies);
  deliver(to.line, from.packets.slice(sent));
  assert.deepEqual(to.tags.slice(shown).slice(-2), [key(3001), inter(1)].map(toHex));
});

Deno.test("pictures of the client are placed on the RTP clock, those of the peer can be moved in time", () => {
  const clock = new FakeClock();
  const from = line(clock, CHAIN);
  publish(from.line, [config(), key(300), inter(1)]);
  assert.deepEqual(from.placed, [{ timestamp: 3600, timeMs: 40 }, { timestamp: 7200, timeMs: 80 }]);
  const to = line(clock, CHAIN);
  assert.equal(to.line.peekMs(0), null);
  deliver(to.line, from.packets);
  assert.equal(to.line.peekMs(7200 + 9000), 140);
  to.line.shift(-4);
  to.line.fromRtp(slice("P", 100), 10_800, true, 99, 0);
  assert.equal(to.line.peekMs(7200 + 9000), 136);
});

const BROKEN = fromHex("1701000000ffeeddccbbaa");
const INTER = inter(1);

const UNSENT:
  readonly (readonly [what: string, first: readonly Uint8Array[], picture: Uint8Array, words: RegExp])[] = [
    ["neither lengths nor start codes", [config()], BROKEN, /neither lengths nor start codes/],
    ["no decoder configuration", [], key(40), /no decoder configuration \(SPS and PPS\)/],
    ["HEVC", [], fromHex("9168766331000000aa"), /HEVC \(H\.265\)/],
    ["AV1", [], fromHex("9161763031aa"), /AV1/],
    ["VP9", [], fromHex("9176703039aa"), /VP9/],
    ["screen video", [], fromHex("13aa"), /screen video/],
    ["VP6", [], fromHex("14aa"), /VP6/],
    ["an FLV codec nobody knows", [], fromHex("18aa"), /unknown codec/],
  ];

for (const [what, first, picture, words] of UNSENT) {
  Deno.test(`what cannot be sent is told to the publisher, once: ${what}`, () => {
    const { line: made, warnings } = line(new FakeClock());
    publish(made, first);
    for (let i = 0; i < 80; i++) publish(made, [picture]);
    const told = warnings.filter(({ status }) => status === "NetStream.Publish.UnsupportedCodec");
    assert.equal(told.length, 1);
    assert.match(told[0]!.text, words);
  });
}

Deno.test("without a key frame the publisher is asked for one, and after long told", () => {
  const { line: made, warnings, asked } = line(new FakeClock());
  publish(made, [config()]);
  for (let i = 0; i < 200; i++) publish(made, [INTER]);
  assert.deepEqual([warnings.length, asked[0]], [0, "publisher"]);
  for (let i = 0; i < 200; i++) publish(made, [INTER]);
  assert.match(warnings[0]!.text, /no key frame/);
  assert.equal(warnings.length, 1);
});

Deno.test("other tracks, colours and commands are no pictures of the call", () => {
  const { line: made, warnings, packets } = line(new FakeClock());
  publish(made, [config(), key(40)]);
  const sent = packets.length;
  for (const body of ["9601617663310100000000", "9600687663310101", "946176633102", "5700", "d100"]) {
    publish(made, [fromHex(body)]);
  }
  assert.deepEqual([packets.length, warnings.length, made.unusable], [sent, 0, 0]);
  publish(made, [
    concatBytes([fromHex("96116176633101000001aa00"), fromHex("00002f000000"), avc([slice("I", 40)])]),
  ]);
  assert.ok(packets.length > sent, "track 0 among many is the picture");
});

Deno.test("markers that do not end pictures are told of once", () => {
  const clock = new FakeClock();
  const { line: one, warnings, tags } = line(clock);
  for (let i = 0; i < 3; i++) {
    for (const nal of [SPS, PPS, slice("I", 30), slice("I", 30, { first: false })]) {
      one.fromRtp(nal, i * 3600, true, 99, 0);
    }
    clock.advance(40);
  }
  one[Symbol.dispose]();
  assert.equal(tags.length, 4, "two configurations and key frames; the third would have come with the next");
  assert.deepEqual(warnings.map(({ text }) => text), [
    "RTP markers of the remote party do not end its pictures: they are shown one picture later",
  ]);
  assert.equal(clock.pending, 0, "a timer is left");
});
