import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../../lib/base/bytes.ts";
import { isKeyPicture, PictureUnits } from "../../../lib/codecs/h264/picture_units.ts";
import { annexB, H264_FORMS } from "../../support/h264_forms.ts";
import { avc, PPS, slice, SPS } from "../../support/media_h264.ts";

const AUD = fromHex("09f0");
const SEI = fromHex("0605ff80");

/** The units as texts; null when the picture cannot be read. */
function unitsOf(data: Uint8Array, key = true, units = new PictureUnits()): string[] | null {
  if (!units.open(data, 0, data.length, key)) return null;
  const found: string[] = [];
  while (units.next()) found.push(toHex(data.subarray(units.start, units.end)));
  return found;
}

const PICTURES: readonly (readonly Uint8Array[])[] = [
  [SPS, PPS, slice("I", 40)],
  [AUD, SPS, PPS, SEI, slice("I", 100), slice("I", 90, { first: false })],
  [SEI, slice("P", 30)],
  [slice("P", 60), slice("P", 50, { first: false })],
];

for (const { what, lengthSize = 4, of } of H264_FORMS) {
  Deno.test(`NAL units are found: ${what}`, () => {
    for (const [at, nals] of PICTURES.entries()) {
      const units = new PictureUnits();
      units.reset(lengthSize);
      assert.deepEqual(unitsOf(of(nals), true, units), nals.map(toHex), `picture ${at}`);
      assert.deepEqual(unitsOf(of(nals), true, units), nals.map(toHex), `picture ${at}, again`);
    }
  });
}

Deno.test("within a message they are found between their bounds", () => {
  const units = new PictureUnits();
  for (const body of [avc([SEI, slice("P", 30)]), annexB([SEI, slice("P", 30)])]) {
    const data = concatBytes([fromHex("2701000000"), body, fromHex("000001aa")]);
    assert.ok(units.open(data, 5, 5 + body.length, false));
    const found: string[] = [];
    while (units.next()) found.push(toHex(data.subarray(units.start, units.end)));
    assert.deepEqual(found, [SEI, slice("P", 30)].map(toHex));
  }
});

Deno.test("a length that could be a start code is what the picture before had", () => {
  // 00 00 01 2c: a length of 300, or a short start code before a NAL unit of type 12.
  const long = slice("P", 300);
  assert.deepEqual(unitsOf(avc([long]), false), [toHex(long)]);
  const units = new PictureUnits();
  const nals = [slice("P", 60), slice("P", 60, { first: false })];
  assert.deepEqual(unitsOf(annexB(nals), false, units), nals.map(toHex));
  const ambiguous = concatBytes([fromHex("000001"), fromHex("41"), slice("P", 0x141 - 1)]);
  assert.deepEqual(unitsOf(ambiguous.subarray(0, 4 + 0x141), false, units)?.length, 1);
});

Deno.test("once one picture had start codes within its lengths, slices are searched as well", () => {
  const units = new PictureUnits();
  const slices = [slice("P", 40), slice("P", 30, { first: false })];
  const nested = avc([concatBytes([slices[0]!, annexB(slices.slice(1))])]);
  assert.equal(unitsOf(nested, false, units)?.length, 1, "nobody has done so before");
  unitsOf(avc([concatBytes([SEI, annexB([slice("I", 40)])])]), true, units);
  assert.deepEqual(unitsOf(nested, false, units), slices.map(toHex));
  units.reset();
  assert.equal(unitsOf(nested, false, units)?.length, 1, "another sender");
});

Deno.test("what has neither lengths nor start codes cannot be read", () => {
  for (const hex of ["", "65", "0000ffff65", "6588aabbccdd", "00000005aabb", "0001", "ffffffff00"]) {
    assert.equal(unitsOf(fromHex(hex)), null, hex);
  }
  assert.deepEqual(unitsOf(fromHex("00000000")), [], "nothing, but well-formed");
});

Deno.test("the time it takes grows with the octets only", () => {
  const units = new PictureUnits();
  const size = 1 << 21;
  const zeros = new Uint8Array(size);
  const tiny = new Uint8Array(size - size % 6);
  for (let at = 0; at < tiny.length; at += 6) tiny.set([0, 0, 0, 2, 0x41, 0x41], at);
  const codes = new Uint8Array(size - size % 4);
  for (let at = 0; at < codes.length; at += 4) codes.set([0, 0, 1, 0x41], at);
  const startedMs = performance.now();
  assert.deepEqual(unitsOf(zeros, true, units), []);
  assert.equal(unitsOf(tiny, true, units)?.length, tiny.length / 6);
  assert.equal(unitsOf(codes, true, units)?.length, codes.length / 4);
  assert.ok(performance.now() - startedMs < 20_000);
});

Deno.test("any octets give units within them, in order", () => {
  const units = new PictureUnits();
  const octet = fc.oneof(fc.constantFrom(0, 0, 1, 2), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.array(octet, { maxLength: 60 }),
      fc.constantFrom<1 | 2 | 4>(1, 2, 4),
      fc.boolean(),
      (octets, size, key) => {
        units.lengthSize = size;
        const data = Uint8Array.from(octets);
        if (!units.open(data, 0, data.length, key)) return;
        let last = 0;
        while (units.next()) {
          assert.ok(units.start >= last && units.start < units.end && units.end <= data.length);
          last = units.end;
        }
      },
    ),
    { numRuns: 3000 },
  );
});

const KEYS:
  readonly (readonly [what: string, nals: readonly Uint8Array[], flagged: boolean, key: boolean])[] = [
    ["an IDR picture", [slice("I", 30)], true, true],
    ["an IDR picture flagged as an inter picture", [AUD, SEI, slice("I", 30)], false, true],
    ["an IDR picture behind its parameter sets, flagged so", [SPS, PPS, slice("I", 30)], false, true],
    ["an inter picture", [slice("P", 30)], false, false],
    ["an inter picture flagged as a key picture", [slice("P", 30)], true, false],
    ["a B picture flagged as a key picture", [AUD, slice("B", 30)], true, false],
    ["an intra picture that is no IDR", [slice("I", 30, { idr: false })], true, true],
    ["the same, not flagged", [slice("I", 30, { idr: false })], false, false],
    ["recovery by inter pictures, which SEI tells of", [SEI, slice("P", 30)], true, true],
    ["parameter sets alone", [SPS, PPS], true, true],
    ["parameter sets alone, not flagged", [SPS, PPS], false, false],
  ];

for (const [what, nals, flagged, key] of KEYS) {
  Deno.test(`a picture to start at: ${what}`, () => {
    for (const data of [avc(nals), annexB(nals)]) {
      assert.equal(isKeyPicture(new PictureUnits(), data, 0, data.length, flagged), key);
    }
  });
}

Deno.test("what cannot be read is what its tag says", () => {
  for (const flagged of [true, false]) {
    assert.equal(isKeyPicture(new PictureUnits(), fromHex("6588"), 0, 2, flagged), flagged);
  }
});
