import assert from "node:assert/strict";
import { decodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray } from "../../lib/amf/value.ts";
import type { TagSink } from "../../lib/call/call_media.ts";
import type { ClientAudio } from "../../lib/call/client_audio.ts";
import type { MediaChoice } from "../../lib/call/negotiation.ts";
import { AnnouncedOutlet, metadataOf } from "../../lib/call/player_metadata.ts";
import type { VideoChain } from "../../lib/call/video_choice.ts";

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
    ...(toClient === "pcmu" ? { kind: "pcmu" } : { kind: "transcode", from: toClient, to: "pcmu" }),
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

Deno.test("nothing is announced in x-flv, where the far end's own metadata comes through", () => {
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
