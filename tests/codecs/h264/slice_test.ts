// NAL unit types and slice headers.
import assert from "node:assert/strict";
import fc from "fast-check";
import { expGolombAt, isSlice, nalType, sliceTypeOf, startsPicture } from "../../../lib/codecs/h264/slice.ts";
import { fromHex } from "../../support/hex.ts";
import { slice } from "../../support/media_h264.ts";

Deno.test("NAL unit types", () => {
  assert.deepEqual([0x65, 0x41, 0x67, 0x68, 0x7c].map(nalType), [5, 1, 7, 8, 28]);
  assert.deepEqual([0, 1, 2, 5, 6, 24].map(isSlice), [false, true, true, true, false, false]);
});

Deno.test("slice types are read behind any first macroblock", () => {
  for (const kind of ["P", "B", "I"] as const) {
    for (const first of [true, false]) {
      const nal = slice(kind, 20, { first });
      assert.equal(sliceTypeOf(nal), kind);
      assert.equal(startsPicture(nal), first);
    }
  }
  // first_mb_in_slice 3599 (23 bits), slice_type 7: this slice is I and so are all others
  assert.equal(sliceTypeOf(fromHex("41 00 1c 20 20 ff")), "I");
  assert.equal(sliceTypeOf(fromHex("65 88 84")), "I");
});

Deno.test("what is cut off or no slice header has no type", () => {
  for (const nal of ["", "41", "4100", "41000000000000", "4181"]) {
    assert.equal(sliceTypeOf(fromHex(nal)), null, nal);
  }
  assert.equal(startsPicture(fromHex("41")), false);
});

Deno.test("Exp-Golomb codes of H.264 table 9-2", () => {
  const codes = ["1", "010", "011", "00100", "00101", "00110", "00111", "0001000"];
  codes.forEach((code, value) => {
    for (let shift = 0; shift < 9; shift++) {
      const bits = "0".repeat(shift) + code;
      const bytes = Uint8Array.from(bits.padEnd(24, "0").match(/.{8}/g)!, (octet) => parseInt(octet, 2));
      assert.deepEqual(expGolombAt(bytes, shift), { value, end: shift + code.length });
    }
  });
  assert.equal(expGolombAt(fromHex("0000000000"), 0), null);
  assert.equal(expGolombAt(fromHex("01"), 0), null);
});

Deno.test("any octets have a slice type or none", () => {
  const types = new Set<string | null>(["P", "B", "I", "SP", "SI", null]);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), (nal) => assert.ok(types.has(sliceTypeOf(nal)))));
});
