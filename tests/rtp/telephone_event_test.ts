import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeTelephoneEvent,
  decodeTelephoneEvents,
  digitOfEvent,
  encodeTelephoneEvent,
  eventOfDigit,
  type TelephoneEvent,
} from "../../lib/rtp/telephone_event.ts";
import { WireError } from "../../lib/base/errors.ts";
import { hex, toHex } from "../support/hex.ts";

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
