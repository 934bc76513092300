import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeAmf0, encodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray, type AmfValue, propertiesOf } from "../../lib/amf/value.ts";
import {
  durationOffset,
  encodeMetaData,
  encodePlayerMetaData,
  type FlvSummary,
  KeyFrameIndex,
  MAX_HEADERS,
  MAX_KEY_FRAMES,
  METADATA_BYTES,
  parseMetaData,
  publisherProperties,
} from "../../lib/flv/metadata.ts";
import { mutate } from "../support/mutate.ts";

Deno.test("the place at or before a time is found", () => {
  const index = new KeyFrameIndex();
  assert.equal(index.before(0), null);
  for (const [timeMs, position] of [[1000, 100], [2000, 300], [2000, 350], [5000, 900]] as const) {
    index.add(timeMs, position);
  }
  const table: [number, number | null][] = [[999, null], [1000, 100], [1999, 100], [2000, 350], [4999, 350], [
    9e9,
    900,
  ]];
  for (const [timeMs, position] of table) {
    assert.equal(index.before(timeMs)?.position ?? null, position, `${timeMs}`);
  }
  index.clear();
  assert.deepEqual([index.size, index.before(9e9)], [0, null]);
});

Deno.test("places out of order are not believed", () => {
  const index = new KeyFrameIndex();
  index.add(1000, 100);
  index.add(900, 200);
  index.add(1100, 100);
  index.add(1200, 50);
  index.add(Number.NaN, 500);
  index.add(2000, 300);
  assert.deepEqual(index.entries(), [{ timeMs: 1000, position: 100 }, { timeMs: 2000, position: 300 }]);
});

Deno.test("a full index becomes coarser, evenly, and keeps its first place", () => {
  const index = new KeyFrameIndex(8);
  for (let i = 0; i < 1000; i++) index.add(i * 1000, 13 + i * 10);
  const times = index.entries().map(({ timeMs }) => timeMs / 1000);
  assert.ok(times.length >= 4 && times.length <= 8, `${times}`);
  assert.equal(times[0], 0);
  const steps = new Set(times.slice(1).map((time, at) => time - times[at]!));
  assert.ok(Math.max(...steps) <= 2 * Math.min(...steps), `${times}`);
  assert.ok(times.at(-1)! >= 744, `${times}`);
});

Deno.test("whatever is added, the answer is the last kept place not behind the time", () => {
  const places = fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { maxLength: 60 });
  fc.assert(fc.property(places, fc.nat(3000), (steps, timeMs) => {
    const index = new KeyFrameIndex(10);
    let time = 0;
    let position = 0;
    for (const [later, further] of steps) index.add(time += later, position += further);
    const kept = index.entries();
    assert.ok(kept.length <= 10);
    assert.deepEqual(index.before(timeMs), kept.filter((place) => place.timeMs <= timeMs).at(-1) ?? null);
  }));
});

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
