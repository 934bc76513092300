import assert from "node:assert/strict";
import { isSound, publisherCodecs, PublisherConfigs } from "../../lib/call/publisher_configs.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import type { MediaMessage } from "../../lib/rtmp/message.ts";
import { RecordingMedia } from "../support/gateway_fakes.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

function message(type: 8 | 9, timeMs: number, hex: string): MediaMessage {
  return { type, timeMs, body: Uint8Array.fromHex(hex) };
}

const AAC = message(8, 1, "af001210");
const AVC = message(9, 2, "170000000001420020");

function note(configs: PublisherConfigs, message: MediaMessage): void {
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
