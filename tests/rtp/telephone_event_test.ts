import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import {
  decodeRedundancy,
  decodeTelephoneEvent,
  decodeTelephoneEvents,
  digitOfEvent,
  encodeRedundancy,
  encodeTelephoneEvent,
  eventOfDigit,
  type RedundantBlock,
  type TelephoneEvent,
} from "../../lib/rtp/telephone_event.ts";
import { hex, toHex } from "../support/hex.ts";
import { mutate } from "../support/mutate.ts";

const TABLE: [bytes: Uint8Array, event: TelephoneEvent][] = [
  // The one packet siprtmp sent for the key 5 (behaviour 1.4).
  [hex`05 80 00c8`, { event: 5, end: true, volume: 0, duration: 200 }],
  [hex`0b 0a 0320`, { event: 11, end: false, volume: 10, duration: 800 }],
  [hex`ff bf ffff`, { event: 255, end: true, volume: 63, duration: 65535 }],
  [hex`00 00 0000`, { event: 0, end: false, volume: 0, duration: 0 }],
];

Deno.test("telephone event: both ways", () => {
  for (const [bytes, event] of TABLE) {
    assert.deepEqual(decodeTelephoneEvent(bytes), event);
    assert.equal(toHex(encodeTelephoneEvent(event)), toHex(bytes));
  }
});

Deno.test("telephone event: the reserved bit is ignored, several reports are read in order", () => {
  assert.deepEqual(decodeTelephoneEvent(hex`05 ca 00a0`), { event: 5, end: true, volume: 10, duration: 160 });
  const both = decodeTelephoneEvents(hex`01 8a 0190 02 0a 00a0`);
  assert.deepEqual(both.map(({ event, end }) => [event, end]), [[1, true], [2, false]]);
});

Deno.test("telephone event: keys and codes", () => {
  const keys = "0123456789*#ABCD";
  for (let code = 0; code < 16; code++) {
    assert.equal(eventOfDigit(keys[code]!), code);
    assert.equal(digitOfEvent(code), keys[code]);
  }
  assert.equal(eventOfDigit("d"), 15);
  for (const text of ["", "12", "E", "é", " "]) assert.equal(eventOfDigit(text), null);
  for (const code of [16, 255, -1]) assert.equal(digitOfEvent(code), null);
});

Deno.test("telephone event: any bytes are whole reports or a WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    const whole = bytes.length > 0 && bytes.length % 4 === 0 && bytes.length <= 64;
    if (!whole) return assert.throws(() => decodeTelephoneEvents(bytes), WireError);
    const events = decodeTelephoneEvents(bytes);
    assert.equal(events.length, bytes.length / 4);
    for (const event of events) assert.deepEqual(decodeTelephoneEvent(encodeTelephoneEvent(event)), event);
  }));
});

const RED_TABLE: { name: string; earlier: RedundantBlock[]; newest: RedundantBlock; bytes: Uint8Array }[] = [
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

for (const { name, earlier, newest, bytes } of RED_TABLE) {
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
  for (const { bytes } of RED_TABLE) for (let seed = 0; seed < 300; seed++) check(mutate(bytes, seed));
});
