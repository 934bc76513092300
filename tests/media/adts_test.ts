import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { AdtsFrames, configOfAdts, isLoas } from "../../lib/media/adts.ts";
import { adts, loas } from "../support/adts.ts";

/** Frames found, each with the configuration it has. */
function framesOf(data: Uint8Array, frames = new AdtsFrames()): string[] | null {
  if (!frames.open(data)) return null;
  const found: string[] = [];
  while (frames.next()) {
    found.push(
      `${toHex(frames.config)} ${toHex(data.subarray(frames.start, frames.end))}${
        frames.changed ? " new" : ""
      }`,
    );
  }
  return found;
}

const FRAME = fromHex("211045aabb");
const CONFIGS: readonly (readonly [what: string, config: string])[] = [
  ["44.1 kHz stereo", "1210"],
  ["44.1 kHz mono", "1208"],
  ["48 kHz stereo", "1190"],
  ["16 kHz mono", "1408"],
  ["8 kHz mono", "1588"],
  ["22.05 kHz, the core of HE-AAC", "1390"],
  ["5.1", "11b0"],
  ["AAC Main", "0a10"],
];

for (const [what, config] of CONFIGS) {
  Deno.test(`ADTS is read: ${what}`, () => {
    for (const crc of [false, true]) {
      const data = adts(FRAME, fromHex(config), crc);
      assert.deepEqual(framesOf(data), [`${config} ${toHex(FRAME)} new`]);
      assert.equal(toHex(configOfAdts(data)!), config);
    }
  });
}

Deno.test("several frames in one tag, and what is the same, are told apart", () => {
  const frames = new AdtsFrames();
  const [stereo, mono] = [fromHex("1210"), fromHex("1208")];
  const data = concatBytes([adts(FRAME, stereo), adts(fromHex("2122"), stereo), adts(FRAME, mono)]);
  assert.deepEqual(framesOf(data, frames), ["1210 211045aabb new", "1210 2122", "1208 211045aabb new"]);
  assert.deepEqual(framesOf(adts(FRAME, mono), frames), ["1208 211045aabb"]);
  assert.deepEqual(framesOf(data.subarray(0, data.length - 1), frames)?.length, 2, "a frame that is cut off");
});

Deno.test("raw frames, cut headers and other framings are not ADTS", () => {
  const whole = adts(FRAME, fromHex("1210"));
  for (let length = 0; length < whole.length; length++) {
    assert.equal(framesOf(whole.subarray(0, length)), null);
  }
  for (const hex of ["", "211045", "fff9", "ffffffffffffffffff", "ffe150800bfffcaa", "fff1f0800b7ffcaabb"]) {
    assert.equal(framesOf(fromHex(hex)), null, hex);
  }
  assert.equal(framesOf(loas(FRAME)), null);
  assert.equal(configOfAdts(fromHex("1210")), null);
});

Deno.test("LOAS is told by its first octets and its length", () => {
  assert.equal(isLoas(loas(FRAME)), true);
  for (const hex of ["", "56", "56e0", "56e005aa", "2110", "56c000aa"]) {
    assert.equal(isLoas(fromHex(hex)), false, hex);
  }
});

Deno.test("any octets give frames within them", () => {
  const frames = new AdtsFrames();
  const octet = fc.oneof(fc.constantFrom(0xff, 0xf1, 0x50, 0x80, 0, 1), fc.integer({ min: 0, max: 255 }));
  fc.assert(fc.property(fc.array(octet, { maxLength: 60 }), (octets) => {
    const data = Uint8Array.from(octets);
    if (!frames.open(data)) return;
    let last = 0;
    while (frames.next()) {
      assert.ok(frames.start >= last && frames.start < frames.end && frames.end <= data.length);
      last = frames.end;
    }
  }));
});
