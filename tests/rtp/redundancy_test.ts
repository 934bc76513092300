import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeRedundancy, encodeRedundancy, type RedundantBlock } from "../../lib/rtp/redundancy.ts";
import { WireError } from "../../lib/base/errors.ts";
import { hex, toHex } from "../support/hex.ts";
import { mutate } from "../support/mutate.ts";

const TABLE: { name: string; earlier: RedundantBlock[]; newest: RedundantBlock; bytes: Uint8Array }[] = [
  {
    name: "only the newest block",
    earlier: [],
    newest: { payloadType: 0, timestampOffset: 0, data: hex`aabb` },
    bytes: hex`00 aabb`,
  },
  {
    name: "the limits of the fields",
    earlier: [{ payloadType: 127, timestampOffset: 16383, data: new Uint8Array(1023).fill(7) }],
    newest: { payloadType: 101, timestampOffset: 0, data: hex`` },
    bytes: Uint8Array.from([...hex`ff ffffff 65`, ...new Uint8Array(1023).fill(7)]),
  },
  {
    name: "two keys before the one that sounds",
    earlier: [
      { payloadType: 101, timestampOffset: 3200, data: hex`018a0320` },
      { payloadType: 101, timestampOffset: 1600, data: hex`028a0320` },
    ],
    newest: { payloadType: 101, timestampOffset: 0, data: hex`030a00a0` },
    bytes: hex`e5 320004 e5 190004 65 018a0320 028a0320 030a00a0`,
  },
];

for (const { name, earlier, newest, bytes } of TABLE) {
  Deno.test(`redundancy both ways: ${name}`, () => {
    assert.deepEqual(decodeRedundancy(bytes), [...earlier, newest]);
    assert.equal(toHex(encodeRedundancy(earlier, newest)), toHex(bytes));
  });
}

Deno.test("redundancy: what does not fit the format is left out when written", () => {
  const data = hex`01`;
  const newest = { payloadType: 0, data };
  const blocks = [
    { payloadType: 1, timestampOffset: 16384, data },
    { payloadType: 2, timestampOffset: -1, data },
    { payloadType: 3, timestampOffset: 1, data: new Uint8Array(1024) },
    ...Array.from({ length: 20 }, (_, index) => ({ payloadType: 10 + index, timestampOffset: 1, data })),
  ];
  const types = decodeRedundancy(encodeRedundancy(blocks, newest)).map((block) => block.payloadType);
  assert.deepEqual(types, [...Array.from({ length: 15 }, (_, index) => 15 + index), 0]);
});

Deno.test("redundancy: what cannot be read", () => {
  const many = new Uint8Array(17 * 4).fill(0x80);
  const broken = [hex``, hex`80`, hex`800000`, hex`80000000`, hex`80000002 00 aa`, many];
  for (const bytes of broken) assert.throws(() => decodeRedundancy(bytes), WireError, toHex(bytes));
});

Deno.test("redundancy: any bytes give a WireError or read the same again", () => {
  const check = (bytes: Uint8Array) => {
    let blocks: RedundantBlock[];
    try {
      blocks = decodeRedundancy(bytes);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
      return;
    }
    assert.equal(toHex(encodeRedundancy(blocks.slice(0, -1), blocks.at(-1)!)), toHex(bytes));
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), check));
  for (const { bytes } of TABLE) for (let seed = 0; seed < 300; seed++) check(mutate(bytes, seed));
});
