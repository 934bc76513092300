// Parameter sets by id, changes, and their form in SDP.
import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteWriter } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import { ParameterSets, parseSprop } from "../../../lib/codecs/h264/parameter_sets.ts";
import { fromHex, toHex } from "../../support/hex.ts";
import { CONFIG, PPS, SPS } from "../../support/media_h264.ts";

Deno.test("sets are complete with one of each, and only changes are reported", () => {
  const sets = new ParameterSets();
  assert.deepEqual([sets.complete, sets.profileLevelId], [false, null]);
  assert.ok(sets.update(SPS));
  assert.ok(!sets.complete);
  assert.ok(sets.update(PPS));
  assert.ok(sets.complete);
  assert.ok(!sets.update(SPS.slice()));
  assert.ok(!sets.update(PPS.slice()));
  assert.equal(sets.profileLevelId, "42c01e");
  const writer = new ByteWriter();
  sets.encodeConfig(writer);
  assert.deepEqual(writer.view(), CONFIG);
});

Deno.test("a set with the id of another replaces it, one with a new id is added", () => {
  const sets = new ParameterSets();
  for (const nal of ["6742c01eabcd", "68ce3c80", "6742c01f99", "6842", "68ce3c81"]) {
    assert.ok(sets.update(fromHex(nal)));
  }
  assert.deepEqual(sets.nals.map(toHex), ["6742c01f99", "68ce3c81", "6842"]);
  sets.clear();
  assert.deepEqual(sets.nals, []);
});

Deno.test("sets are own copies", () => {
  const nal = SPS.slice();
  const sets = new ParameterSets();
  sets.update(nal);
  nal.fill(0);
  assert.deepEqual(sets.nals, [SPS]);
});

Deno.test("broken and too many sets are not taken", () => {
  const sets = new ParameterSets();
  for (const nal of ["", "67", "6742c01e", "68", "680000000000"]) assert.ok(!sets.update(fromHex(nal)), nal);
  assert.ok(!sets.update(new Uint8Array(2000).fill(0xff, 1).fill(0x67, 0, 1)));
  let taken = 0;
  for (let id = 0; id < 200; id++) {
    const bits = (id + 1).toString(2);
    const code = ("0".repeat(bits.length - 1) + bits + "1").padEnd(24, "0");
    if (sets.update(Uint8Array.of(0x68, ...code.match(/.{8}/g)!.map((octet) => parseInt(octet, 2))))) taken++;
  }
  assert.equal(taken, 16);
});

Deno.test("sprop-parameter-sets both ways", () => {
  const sets = new ParameterSets();
  const text = "Z0LAHqvN,aM48gA==";
  for (const nal of parseSprop(text)) sets.update(nal);
  assert.deepEqual(sets.nals, [SPS, PPS]);
  assert.equal(sets.formatSprop(), text);
  assert.deepEqual(parseSprop("Z0LAHqvN , aM48gA"), [SPS, PPS]);
  assert.deepEqual(parseSprop(""), []);
  assert.deepEqual(parseSprop("AAAA"), []);
});

Deno.test("sprop-parameter-sets that are no base64 are a wire error", () => {
  for (const text of ["!", "Z0LAHqvN;x", "A", "AAAAA===="]) {
    assert.throws(() => parseSprop(text), WireError, text);
  }
  fc.assert(fc.property(fc.string({ maxLength: 60 }), (text) => {
    try {
      for (const nal of parseSprop(text)) assert.ok([7, 8].includes(nal[0]! & 31));
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }));
});
