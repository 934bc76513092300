import assert from "node:assert/strict";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import {
  isSound,
  PublishedAudio,
  PublishedVideo,
  publisherCodecs,
  PublisherConfigs,
} from "../../lib/call/publisher_configs.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import type { MediaMessage } from "../../lib/rtmp/message.ts";
import { parseH264Parameters } from "../../lib/sdp/h264_format.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";
import { createOffer } from "../../lib/sdp/offer_answer.ts";
import { RecordingMedia } from "../support/gateway_fakes.ts";
import { CONFIG, PPS, SPS } from "../support/media_h264.ts";
import { mutate } from "../support/mutate.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

function message(type: 8 | 9, timeMs: number, hex: string): MediaMessage {
  return { type, timeMs, body: Uint8Array.fromHex(hex) };
}

const AAC = message(8, 1, "af001210");
const AVC = message(9, 2, "170000000001420020");

function note(configs: Pick<PublisherConfigs, "note">, message: MediaMessage): void {
  configs.note(message, readTag(message.type, message.body, createTag()));
}

function primed(configs: PublisherConfigs): string[] {
  const media = new RecordingMedia();
  configs.prime(media);
  return media.log;
}

Deno.test("configurations of sound and pictures are kept for calls to come, frames are not", () => {
  const configs = new PublisherConfigs();
  assert.deepEqual([configs.hasVideo, primed(configs)], [false, []]);
  for (const each of [AAC, message(8, 20, "af0121"), AVC, message(9, 40, "2701000000")]) note(configs, each);
  assert.equal(configs.hasVideo, true);
  assert.deepEqual(primed(configs), ["8@1", "9@2"]);
  assert.deepEqual(primed(configs), ["8@1", "9@2"], "for each call again");
});

Deno.test("what is kept is a copy; another publisher begins without it", () => {
  const configs = new PublisherConfigs();
  const borrowed = { ...AVC, body: AVC.body.slice() };
  note(configs, borrowed);
  borrowed.body.fill(0);
  const bodies: string[] = [];
  const media = new RecordingMedia();
  media.fromRtmp = ({ body }) => void bodies.push(body.toHex());
  configs.prime(media);
  assert.deepEqual(bodies, [AVC.body.toHex()]);
  configs.forget();
  assert.deepEqual([configs.hasVideo, primed(configs)], [false, []]);
});

Deno.test("of every tag a call is given the configuration of its default track, of AAC and H.264", () => {
  for (const { what, type, body, content, codec, data, track = 0, cut = false } of TAG_TABLE) {
    const configs = new PublisherConfigs();
    note(configs, { type, timeMs: 3, body: Uint8Array.fromHex(body) });
    const mine = track === 0 && (codec === "aac" || codec === "h264");
    const kept = mine && content === "config" && data !== "";
    assert.deepEqual(primed(configs), kept ? [`${type}@3`] : [], what);
    const isPicture = ["config", "key", "frame"].includes(content) && !cut;
    assert.equal(configs.hasVideo, codec === "h264" && track === 0 && isPicture, what);
  }
});

Deno.test("pictures whose parameter sets are in band are known as well", () => {
  const configs = new PublisherConfigs();
  note(configs, message(9, 0, "270100000000000001"));
  assert.deepEqual([configs.hasVideo, primed(configs)], [true, []]);
  configs.forget();
  assert.equal(configs.hasVideo, false);
});

const TAGS: [body: string, codecs: string[]][] = [
  ["82ff", ["pcmu"]],
  ["72ff", ["pcma"]],
  ["b201", ["wideband", "narrowband"]],
  ["b601", ["wideband", "narrowband"]],
  ["af001210", ["aac"]],
  ["af0121", ["aac"]],
  ["906d7034611210", ["aac"]],
  ["914f707573fc", ["opus"]],
  ["2fff", []],
  ["00ff", []],
  ["60ff", []],
  ["91", []],
  ["af", ["aac"]], // cut off: the call tells
];

for (const [body, codecs] of TAGS) {
  Deno.test(`audio ${body} offers ${codecs.join(", ") || "nothing"}`, () => {
    assert.deepEqual(publisherCodecs(Uint8Array.fromHex(body)), codecs);
  });
}

const SOUNDS: [type: 8 | 9 | 18, body: string, sound: boolean][] = [
  [8, "82ff", true],
  [8, "af0121", true],
  [8, "af001210", false],
  [8, "906d7034611210", false],
  [8, "b2", false],
  [8, "", false],
  [9, "82ff", false],
  [18, "020003", false],
];

for (const [type, body, sound] of SOUNDS) {
  Deno.test(`a message ${type} of "${body}" ${sound ? "dials" : "does not dial"}`, () => {
    assert.equal(isSound({ type, timeMs: 0, body: Uint8Array.fromHex(body) }), sound);
  });
}

Deno.test("of every tag only sound of the default track dials", () => {
  for (const { what, type, body, content, track = 0 } of TAG_TABLE) {
    const sound = type === 8 && track === 0 && body.length > 2 && content === "frame";
    assert.equal(isSound({ type, timeMs: 0, body: Uint8Array.fromHex(body) }), sound, what);
  }
});

const BODIES: [body: string, config: boolean][] = [
  ["af001210", true],
  ["af0121", false],
  ["af00", false],
  ["906d7034611210", true],
  ["916d70346121", false],
  ["906d703461", false],
  ["904f707573", false],
  ["b20011", false],
  ["82", false],
  ["", false],
];

Deno.test("an AudioSpecificConfig is told from frames, in both forms of RTMP", () => {
  for (const [body, config] of BODIES) {
    const published = new PublishedAudio();
    note(published, { type: 8, timeMs: 0, body: Uint8Array.fromHex(body) });
    assert.equal(published.config !== null, config, body);
  }
});

Deno.test("the last configuration is kept as a copy, until another publisher comes", () => {
  const published = new PublishedAudio();
  const body = Uint8Array.fromHex("af001210");
  note(published, { type: 8, timeMs: 5, body });
  note(published, { type: 8, timeMs: 9, body: Uint8Array.fromHex("af0121") });
  note(published, { type: 9, timeMs: 9, body: Uint8Array.fromHex("af00ff") });
  body.fill(0);
  assert.deepEqual(published.config, { type: 8, timeMs: 5, body: Uint8Array.fromHex("af001210") });
  const large = new Uint8Array(100);
  large[0] = 0xaf;
  note(published, { type: 8, timeMs: 5, body: large });
  assert.equal(published.config?.body.length, 4);
  published.forget();
  assert.equal(published.config, null);
});

const FMTP = "profile-level-id=420014;packetization-mode=1";
const H264 = mediaFormat(99, "H264", 90_000, { fmtp: FMTP });
const SPROP = `sprop-parameter-sets=${SPS.toBase64()},${PPS.toBase64()}`;

const videoMessage = (body: Uint8Array, type: 8 | 9 = 9): MediaMessage => ({
  type,
  timeMs: 7,
  body,
});
const config = (): Uint8Array => concatBytes([fromHex("1700000000"), CONFIG]);

function isVideoConfig(body: Uint8Array): boolean {
  const published = new PublishedVideo();
  note(published, videoMessage(body));
  return published.config !== null;
}

Deno.test("a configuration is told from pictures, other codecs and what is cut off", () => {
  assert.equal(isVideoConfig(config()), true);
  assert.equal(isVideoConfig(concatBytes([fromHex("9061766331"), CONFIG])), true, "Enhanced RTMP");
  for (const hex of ["9161766331aa", "9068766331aa", "9061766331"]) {
    assert.equal(isVideoConfig(fromHex(hex)), false, hex);
  }
  for (const hex of ["", "1700000000", "170100000000", "1200000000aa", "2701000000aa"]) {
    assert.equal(isVideoConfig(fromHex(hex)), false, hex);
  }
});

Deno.test("nothing is known at first; then our formats name the parameter sets, and forget them", () => {
  const published = new PublishedVideo();
  const kept = () => published.config?.body ?? null;
  assert.equal(kept(), null);
  assert.equal(published.described(H264).fmtp, FMTP);
  const body = config();
  note(published, videoMessage(body));
  body.fill(0); // borrowed
  assert.deepEqual(kept(), config());
  const described = published.described(H264);
  assert.equal(
    described.fmtp,
    `${FMTP.replace("420014", "42001e")};${SPROP}`,
    "the level is what is published",
  );
  assert.deepEqual(parseH264Parameters(described.fmtp).parameterSets, [SPS.toBase64(), PPS.toBase64()]);
  published.forget();
  assert.equal(published.described(H264).fmtp, FMTP);
  assert.equal(published.described(described).fmtp, FMTP.replace("420014", "42001e"));
  assert.equal(kept(), null);
});

Deno.test("a level of ours that is high enough stays, and so does one that was agreed", () => {
  const published = new PublishedVideo();
  note(published, videoMessage(config()));
  const high = { ...H264, fmtp: "profile-level-id=42e01f;packetization-mode=1" };
  assert.equal(published.described(high).fmtp, `${high.fmtp};${SPROP}`);
  const session = { address: "192.0.2.1", sessionId: 1, sessionVersion: 1 };
  const agreed = createOffer({ ...session, media: [{ kind: "video", port: 9, formats: [H264] }] });
  assert.equal(published.describedIn(agreed).media[0]!.formats[0]!.fmtp, `${FMTP};${SPROP}`);
});

Deno.test("other formats, and other messages, change nothing", () => {
  const published = new PublishedVideo();
  note(published, videoMessage(config(), 8));
  note(published, videoMessage(fromHex("17010000000000000165")));
  assert.equal(published.config, null);
  note(published, videoMessage(config()));
  const flv = mediaFormat(97, "x-flv", 90_000);
  assert.deepEqual(published.described(flv), flv);
});

Deno.test("in a whole description every H.264 format has them", () => {
  const published = new PublishedVideo();
  note(published, videoMessage(config()));
  const description = createOffer({
    address: "192.0.2.1",
    sessionId: 1,
    sessionVersion: 1,
    media: [
      { kind: "audio", port: 4000, formats: [mediaFormat(0, "PCMU", 8000)] },
      { kind: "video", port: 4002, formats: [H264, mediaFormat(97, "x-flv", 90_000)] },
    ],
  });
  const fmtps = published.describedIn(description).media.map((section) =>
    section.formats.map(({ fmtp }) => fmtp)
  );
  assert.deepEqual(fmtps, [[null], [`${FMTP};${SPROP}`, null]]);
});

Deno.test("a damaged or endless configuration is kept for the player at most, and never thrown about", () => {
  for (let seed = 0; seed < 500; seed++) {
    const published = new PublishedVideo();
    note(published, videoMessage(mutate(config(), seed)));
    const { parameterSets } = parseH264Parameters(published.described(H264).fmtp);
    assert.ok(parameterSets.every((set) => /^[A-Za-z0-9+/]+=*$/.test(set)));
  }
  const published = new PublishedVideo();
  note(published, videoMessage(concatBytes([config(), new Uint8Array(4000)])));
  assert.equal(published.config, null);
});
