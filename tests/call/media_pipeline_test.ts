import assert from "node:assert/strict";
import { decodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray } from "../../lib/amf/value.ts";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import type { TagSink } from "../../lib/call/call_media.ts";
import type { ClientAudio } from "../support/audio_formats.ts";
import {
  AnnouncedOutlet,
  MediaPipeline,
  metadataOf,
  type PipelineSession,
} from "../../lib/call/media_pipeline.ts";
import type { MediaChoice, VideoChain } from "../../lib/call/negotiation.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import type { MediaMessage } from "../../lib/rtmp/message.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { avc, CONFIG, slice } from "../support/media_h264.ts";

type Kind = "audio" | "video";

class FakeSession implements PipelineSession {
  sent: { payload: Uint8Array; timestamp: number; marker: boolean; payloadType: number }[] = [];
  feedback: string[] = [];
  canAsk = true;
  anchors: { timestamp: number; atMs: number }[] = [];
  receiver: PipelineSession["receiver"] = null;
  onSourceChange: PipelineSession["onSourceChange"] = null;
  onRtcp: PipelineSession["onRtcp"] = null;
  send = (payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): void => {
    this.sent.push({ payload: payload.slice(), timestamp, marker, payloadType });
  };
  anchor(timestamp: number, atMs: number): void {
    this.anchors.push({ timestamp, atMs });
  }
  sendFeedback(kind: "pli" | "fir"): boolean {
    this.feedback.push(kind);
    return this.canAsk;
  }
}

const PCMU: MediaChoice["audio"] = {
  kind: "codec",
  client: "pcmu",
  remote: "pcmu",
  clockRate: 8000,
  sendPayloadType: 0,
  receive: [{ payloadType: 0, codec: "pcmu", clockRate: 8000, toClient: "pcmu" }],
  ptimeMs: null,
};

const h264 = (rtcpFb: string[]): VideoChain => ({
  kind: "h264",
  mode: 1,
  fmtp: null,
  sprop: null,
  localFmtp: null,
  rtcpFb,
  sendPayloadType: 99,
  receivePayloadTypes: [99],
});

function lines(audio: MediaChoice["audio"], video: VideoChain) {
  const clock = new FakeClock();
  const sessions = new Map<Kind, FakeSession>();
  const tags: number[] = [];
  const asked: string[] = [];
  const warnings: string[] = [];
  const made = new MediaPipeline({
    choice: { audio, video, telephoneEvents: [], redundancy: null, comfortNoise: [] },
    clock,
    originMs: clock.now(),
    session: (kind) => sessions.get(kind) ?? (sessions.set(kind, new FakeSession()), sessions.get(kind)!),
    toRtmp: { play: (type) => void tags.push(type) },
    onDigit: () => {},
    askPublisher: () => void asked.push("publisher"),
    askPeerByInfo: () => void asked.push("peer by INFO"),
    onWarning: ({ text }) => void warnings.push(text),
  });
  return { lines: made, sessions, tags, asked, warnings, clock };
}

function put(pipeline: MediaPipeline, message: MediaMessage): void {
  const tag = readTag(message.type, message.body, createTag());
  pipeline.takerOf(message.type)?.fromRtmp(message, tag);
}

const audio = { type: 8, timeMs: 0, body: concatBytes([fromHex("82"), new Uint8Array(160)]) } as const;
const config = { type: 9, timeMs: 0, body: concatBytes([fromHex("1700000000"), CONFIG]) } as const;
const key = {
  type: 9,
  timeMs: 0,
  body: concatBytes([fromHex("1701000000"), avc([slice("I", 300)])]),
} as const;

Deno.test("audio goes to the audio session, video to the video session", () => {
  const made = lines(PCMU, h264([]));
  for (const message of [audio, config, key]) put(made.lines, message);
  assert.deepEqual(made.sessions.get("audio")?.sent.map((packet) => packet.payloadType), [0]);
  assert.ok((made.sessions.get("video")?.sent.length ?? 0) > 0);
});

Deno.test("without agreed video, video of the client goes nowhere; with x-flv everything goes there", () => {
  const quiet = lines(PCMU, { kind: "none" });
  put(quiet.lines, key);
  assert.equal(quiet.sessions.has("video"), false);
  const flv = lines({ kind: "x-flv" }, { kind: "x-flv", sendPayloadType: 97, receivePayloadTypes: [97] });
  put(flv.lines, audio);
  put(flv.lines, key);
  const session = flv.sessions.get("video")!;
  assert.equal(session.sent.length, 2);
  assert.equal(flv.sessions.has("audio"), false);
  for (const packet of session.sent) {
    session.receiver?.fromRtp(packet.payload, packet.timestamp, false, 97, 0);
  }
  assert.deepEqual(flv.tags, [8, 9]);
});

const ASKING: { name: string; rtcpFb: string[]; canAsk: boolean; feedback: string[]; asked: string[] }[] = [
  { name: "PLI when agreed", rtcpFb: ["nack pli", "ccm fir"], canAsk: true, feedback: ["pli"], asked: [] },
  { name: "FIR when only that was agreed", rtcpFb: ["ccm fir"], canAsk: true, feedback: ["fir"], asked: [] },
  { name: "INFO when nothing was agreed", rtcpFb: [], canAsk: true, feedback: [], asked: ["peer by INFO"] },
  {
    name: "INFO when RTCP is not up yet",
    rtcpFb: ["nack pli"],
    canAsk: false,
    feedback: ["pli"],
    asked: ["peer by INFO"],
  },
];

for (const row of ASKING) {
  Deno.test(`a key frame of the peer is asked for by ${row.name}`, () => {
    const made = lines(PCMU, h264(row.rtcpFb));
    const session = made.sessions.get("video")!;
    session.canAsk = row.canAsk;
    made.lines.playerChanged();
    assert.deepEqual(session.feedback, row.feedback);
    assert.deepEqual(made.asked, row.asked);
  });
}

Deno.test("PLI and FIR of the peer reach the publisher; other RTCP does not", () => {
  const made = lines(PCMU, h264([]));
  const session = made.sessions.get("video")!;
  session.onRtcp?.({ type: "bye", reason: null });
  assert.deepEqual(made.asked, []);
  session.onRtcp?.({ type: "pli" });
  made.clock.advance(1000);
  session.onRtcp?.({ type: "fir" });
  assert.deepEqual(made.asked, ["publisher", "publisher"]);
});

const UNCARRIED: readonly (readonly [what: string, body: string, words: RegExp | null])[] = [
  ["H.264", "1701000000000000026588", null],
  ["HEVC", "9168766331000000aa", /HEVC/],
  ["HEVC by number", "1c01000000aa", /HEVC/],
  ["AV1", "9161763031aa", /AV1/],
  ["VP8", "a176703038aa", /VP8/],
  ["Sorenson", "12aa", /Sorenson/],
  ["screen video", "13aa", /screen video/],
  ["another track", "9601687663310100000000", null],
  ["a command", "5700", null],
  ["a configuration", "9068766331aa", null],
];

for (const [what, body, words] of UNCARRIED) {
  Deno.test(`in a call without video the publisher hears once what no call carries: ${what}`, () => {
    const made = lines(PCMU, { kind: "none" });
    for (let i = 0; i < 3; i++) put(made.lines, { type: 9, timeMs: i, body: fromHex(body) });
    assert.equal(made.warnings.length, words === null ? 0 : 1);
    if (words !== null) assert.match(made.warnings[0]!, words);
  });
}

const NO_VIDEO: VideoChain = { kind: "none" };
const XFLV: VideoChain = { kind: "x-flv", sendPayloadType: 97, receivePayloadTypes: [97] };
const H264: VideoChain = {
  kind: "h264",
  mode: 1,
  fmtp: null,
  sprop: null,
  localFmtp: null,
  rtcpFb: [],
  sendPayloadType: 99,
  receivePayloadTypes: [99],
};

/** A peer with G.711, whose audio reaches the player as `toClient`. */
function choiceOf(toClient: ClientAudio | null, video: VideoChain): MediaChoice {
  const received = { payloadType: 0, codec: "pcmu", clockRate: 8000 } as const;
  const audio: MediaChoice["audio"] = toClient === null ? { kind: "none" } : {
    kind: "codec",
    client: toClient,
    remote: "pcmu",
    clockRate: 8000,
    sendPayloadType: 0,
    receive: [{ ...received, toClient }],
    ptimeMs: null,
  };
  return { audio, video, telephoneEvents: [], redundancy: null, comfortNoise: [] };
}

function membersOf(body: Uint8Array | null): unknown {
  assert.ok(body !== null);
  const [name, members] = decodeAmf0(body);
  assert.equal(name, "onMetaData");
  assert.ok(members instanceof AmfEcmaArray, "ffmpeg reads an ECMA array only");
  return { ...members.properties };
}

const ANNOUNCED: readonly [ClientAudio | null, VideoChain, Record<string, number>][] = [
  ["pcmu", NO_VIDEO, { audiocodecid: 8 }],
  ["pcma", NO_VIDEO, { audiocodecid: 7 }],
  ["aac", NO_VIDEO, { audiocodecid: 10 }],
  ["speex", NO_VIDEO, { audiocodecid: 11 }],
  ["opus", NO_VIDEO, { audiocodecid: 0x4f707573 }],
  ["aac", H264, { audiocodecid: 10, videocodecid: 7 }],
  [null, H264, { videocodecid: 7 }],
];

for (const [audio, video, expected] of ANNOUNCED) {
  Deno.test(`metadata names what comes: audio ${audio}, video ${video.kind}`, () => {
    assert.deepEqual(membersOf(metadataOf(choiceOf(audio, video))), { duration: 0, ...expected });
  });
}

Deno.test("nothing is announced in x-flv, where the remote party's own metadata comes through", () => {
  const choice: MediaChoice = { ...choiceOf(null, XFLV), audio: { kind: "x-flv" } };
  assert.equal(metadataOf(choice), null);
  const told: number[] = [];
  new AnnouncedOutlet(choice, { play: (type) => void told.push(type) }, () => true).play(
    9,
    5,
    new Uint8Array([0x17, 1]),
  );
  assert.deepEqual(told, [9]);
});

Deno.test("each player hears it once, before its first tag, at time 0", () => {
  const told: [type: number, timeMs: number, bytes: number][] = [];
  const outlet: TagSink = { play: (type, timeMs, body) => void told.push([type, timeMs, body.length]) };
  let heard = false;
  const announced = new AnnouncedOutlet(choiceOf("pcmu", NO_VIDEO), outlet, () => heard);
  const tag = new Uint8Array([0x82, 1, 2]);
  announced.play(8, 80, tag); // goes nowhere: the call is not up yet
  heard = true;
  announced.play(8, 100, tag);
  announced.play(8, 120, tag);
  announced.playerChanged();
  announced.playerChanged();
  announced.play(8, 140, tag);
  announced.play(8, 160, tag);
  const length = metadataOf(choiceOf("pcmu", NO_VIDEO))!.length;
  assert.deepEqual(told, [[8, 80, 3], [18, 0, length], [8, 100, 3], [8, 120, 3], [18, 0, length], [
    8,
    140,
    3,
  ], [
    8,
    160,
    3,
  ]]);
});
