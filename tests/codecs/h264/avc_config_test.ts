// AVC configuration records: the vector of behaviour.md 1.8, High profiles, damage.
import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteWriter } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import { decodeAvcConfig, encodeAvcConfig, profileLevelIdOf } from "../../../lib/codecs/h264/avc_config.ts";
import { encodeTag } from "../../../lib/media/flv_tag.ts";
import { fromHex, toHex } from "../../support/hex.ts";
import { CONFIG, configFrame, PPS, SPS } from "../../support/media_h264.ts";
import { mutate } from "../../support/mutate.ts";

// As ffmpeg writes them: High profile 4:2:0 with 8 bits.
const HIGH_SPS = "67640014acd94141fb0110000003001000000303c8f142996000".slice(0, 48);
const HIGH_PPS = "68ebe3cb22c0";

const RECORDS: readonly (readonly [name: string, sps: string[], pps: string[], record: string])[] = [
  ["baseline", [toHex(SPS)], [toHex(PPS)], toHex(CONFIG)],
  ["no PPS", [toHex(SPS)], [], "0142c01effe100066742c01eabcd00"],
  [
    "two of each",
    [toHex(SPS), "6742c01e5a"],
    [toHex(PPS), "6853"],
    "0142c01effe200066742c01eabcd00056742c01e5a02000468ce3c8000026853",
  ],
  ["High", [HIGH_SPS], [HIGH_PPS], `01640014ffe10018${HIGH_SPS}010006${HIGH_PPS}fdf8f800`],
];

for (const [name, sps, pps, record] of RECORDS) {
  Deno.test(`configuration both ways: ${name}`, () => {
    const writer = new ByteWriter();
    encodeAvcConfig(sps.map(fromHex), pps.map(fromHex), writer);
    assert.equal(toHex(writer.view()), record);
    const config = decodeAvcConfig(fromHex(record));
    assert.deepEqual([config.lengthSize, config.sps.map(toHex), config.pps.map(toHex)], [4, sps, pps]);
  });
}

Deno.test("the AVC header tag of behaviour.md 1.8", () => {
  const writer = new ByteWriter();
  encodeTag(configFrame(), writer);
  assert.equal(toHex(writer.view()), "17000000000142c01effe100066742c01eabcd01000468ce3c80");
});

Deno.test("all length sizes are read", () => {
  for (const [octet, size] of [[0xfc, 1], [0xfd, 2], [0xff, 4], [0x03, 4]] as const) {
    const record = CONFIG.slice();
    record[4] = octet;
    assert.equal(decodeAvcConfig(record).lengthSize, size);
  }
});

Deno.test("profile-level-id is three octets of the SPS", () => {
  assert.equal(profileLevelIdOf(SPS), "42c01e");
  assert.equal(profileLevelIdOf(fromHex("67")), "000000");
});

for (
  const [name, record] of [
    ["empty", ""],
    ["another version", "0242c01effe100066742c01eabcd01000468ce3c80"],
    ["lengths of 3 octets", "0142c01efee100066742c01eabcd01000468ce3c80"],
    ["no SPS", "0142c01effe001000468ce3c80"],
    ["SPS cut off", "0142c01effe100066742c01e"],
    ["a PPS in place of the SPS", "0142c01effe1000468ce3c8000"],
    ["too many PPS", "0142c01effe100066742c01eabcdff"],
  ] as const
) {
  Deno.test(`broken configuration: ${name}`, () =>
    assert.throws(() => decodeAvcConfig(fromHex(record)), WireError));
}

Deno.test("an SPS that is none cannot be written", () => {
  assert.throws(() => encodeAvcConfig([], [PPS], new ByteWriter()), /needs a whole SPS/);
});

Deno.test("any record decodes or is a wire error, and what decodes encodes again", () => {
  const again = (record: Uint8Array): boolean => {
    try {
      const config = decodeAvcConfig(record);
      const writer = new ByteWriter();
      encodeAvcConfig(config.sps, config.pps, writer);
      assert.deepEqual({ ...decodeAvcConfig(writer.view()), lengthSize: 0 }, { ...config, lengthSize: 0 });
      return true;
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
      return false;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (record) => void again(record)));
  let whole = 0;
  for (let seed = 0; seed < 600; seed++) if (again(mutate(fromHex(RECORDS[seed % 4]![3]), seed))) whole++;
  assert.ok(whole > 50, `${whole} survived`);
});
