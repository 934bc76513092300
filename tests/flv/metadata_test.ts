import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAmf0, encodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray, type AmfValue, propertiesOf } from "../../lib/amf/value.ts";
import { MAX_KEY_FRAMES } from "../../lib/flv/key_frame_index.ts";
import {
  durationOffset,
  encodeMetaData,
  encodePlayerMetaData,
  type FlvSummary,
  MAX_HEADERS,
  METADATA_BYTES,
  parseMetaData,
  publisherProperties,
} from "../../lib/flv/metadata.ts";
import { mutate } from "../support/mutate.ts";

const SUMMARY: FlvSummary = {
  durationMs: 12_340,
  fileBytes: 99_999,
  keyFrames: [{ timeMs: 0, position: 500 }, { timeMs: 2040, position: 7000 }],
  headers: [300, 400],
  properties: { width: 320, encoder: "Lavf", stereo: true },
};

function members(body: Uint8Array): Record<string, AmfValue> {
  const [name, value, ...rest] = decodeAmf0(body);
  assert.deepEqual([name, rest], ["onMetaData", []]);
  return propertiesOf(value);
}

Deno.test("a summary has the length that was asked for, and comes back", () => {
  for (const length of [600, 601, 1300, 1301, 1302, 1303, METADATA_BYTES, 70_000]) {
    const body = encodeMetaData(SUMMARY, length)!;
    assert.equal(body.length, length);
    assert.deepEqual(parseMetaData(body), SUMMARY);
  }
});

Deno.test("other programs find what they look for", () => {
  const { duration, keyframes, width, filesize } = members(encodeMetaData(SUMMARY, 1000)!);
  assert.deepEqual({ duration, width, filesize }, { duration: 12.34, width: 320, filesize: 99_999 });
  assert.deepEqual({ ...propertiesOf(keyframes) }, { filepositions: [500, 7000], times: [0, 2.04] });
});

Deno.test("the room of a new recording holds the largest summary", () => {
  const keyFrames = Array.from(
    { length: MAX_KEY_FRAMES },
    (_, i) => ({ timeMs: i * 2000, position: i * 100_000 }),
  );
  const headers = Array.from({ length: MAX_HEADERS }, (_, i) => i);
  const said = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`name${i}`, "x".repeat(200)]));
  const properties = publisherProperties(encodeAmf0(["onMetaData", said]));
  assert.ok(Object.keys(properties).length > 10);
  const body = encodeMetaData({ ...SUMMARY, keyFrames, headers, properties }, METADATA_BYTES)!;
  const found = parseMetaData(body)!;
  assert.deepEqual([found.keyFrames, found.headers, found.properties], [keyFrames, headers, properties]);
});

Deno.test("with little room the publisher's words go first, then nothing can be written", () => {
  const withoutWords = { ...SUMMARY, properties: {} };
  let least = 100;
  while (encodeMetaData(withoutWords, least) === null) least++;
  assert.deepEqual(encodeMetaData(SUMMARY, least), encodeMetaData(withoutWords, least));
  assert.equal(encodeMetaData(SUMMARY, least - 1), null);
});

Deno.test("of a publisher's words plain values are kept, and none that are ours", () => {
  const body = encodeAmf0([
    "onMetaData",
    new AmfEcmaArray({
      duration: 5,
      keyframes: 1,
      width: 640,
      list: [1],
      nothing: null,
      long: "x".repeat(257),
      ["n".repeat(65)]: 1,
      encoder: "obs",
    }),
  ]);
  assert.deepEqual(publisherProperties(body), { width: 640, encoder: "obs" });
  assert.deepEqual(publisherProperties(encodeAmf0(["onCuePoint", { a: 1 }])), {});
  const long = encodeAmf0(["onMetaData", { width: 640, nothing: new Array(70_000).fill(null) }]);
  assert.deepEqual(publisherProperties(long), {}, "longer than anybody's");
});

Deno.test("players get the duration and no index", () => {
  assert.deepEqual({ ...members(encodePlayerMetaData(SUMMARY, 5000)) }, {
    duration: 5,
    ...SUMMARY.properties,
  });
});

Deno.test("the duration is found in bodies of any program", () => {
  const body = encodeAmf0(["onMetaData", new AmfEcmaArray({ width: 1, duration: 2.5 })]);
  const at = durationOffset(body)!;
  assert.equal(new DataView(body.buffer, body.byteOffset).getFloat64(at), 2.5);
  assert.equal(durationOffset(encodeAmf0(["onMetaData", { duration: "long" }])), null);
  assert.equal(durationOffset(encodeAmf0(["onMetaData", {}])), null);
});

Deno.test("metadata of other programs is read as far as it makes sense", () => {
  const parse = (value: AmfValue) => parseMetaData(encodeAmf0(["onMetaData", value]));
  assert.deepEqual(
    parse({ duration: "x", filesize: -1, keyframes: { filepositions: [1, "2"], times: [0, 1] } }),
    {
      durationMs: 0,
      fileBytes: 0,
      keyFrames: [],
      headers: [],
      properties: {},
    },
  );
  assert.deepEqual(parse({ keyframes: { filepositions: { 0: 13, 1: 99 }, times: [0, 1.5, 3] } })?.keyFrames, [
    { timeMs: 0, position: 13 },
    { timeMs: 1500, position: 99 },
  ]);
  assert.deepEqual(parse(7)?.durationMs, 0);
  assert.equal(parseMetaData(encodeAmf0(["onCuePoint", {}])), null);
});

Deno.test("damaged metadata is none, or another one, never an exception", () => {
  const body = encodeMetaData(SUMMARY, 700)!;
  fc.assert(fc.property(fc.integer(), (seed) => {
    const damaged = mutate(body, seed);
    const found = parseMetaData(damaged);
    assert.ok(found === null || found.durationMs >= 0);
    publisherProperties(damaged);
    durationOffset(damaged);
  }));
});
