import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import {
  decodeControlValue,
  decodePeerBandwidth,
  decodeUserControl,
  encodeControlValue,
  encodePeerBandwidth,
  encodeUserControl,
  isMediaType,
  splitAggregate,
  USER_CONTROL,
} from "../../lib/rtmp/message.ts";
import { keep, type KeptMessage } from "../support/rtmp_bytes.ts";

Deno.test("control values, both ways", () => {
  for (const [value, bytes] of [[4096, "00001000"], [0xffffffff, "ffffffff"]] as const) {
    assert.equal(decodeControlValue(fromHex(bytes)), value);
    assert.equal(toHex(encodeControlValue(value)), bytes);
  }
  assert.throws(() => decodeControlValue(fromHex("000010")), WireError);
});

Deno.test("Set Peer Bandwidth, both ways", () => {
  const bandwidth = { windowSize: 2500000, limit: 2 };
  assert.deepEqual(decodePeerBandwidth(fromHex("002625a002")), bandwidth);
  assert.equal(toHex(encodePeerBandwidth(bandwidth)), "002625a002");
  assert.deepEqual(decodePeerBandwidth(fromHex("002625a0")), bandwidth);
});

const USER_CONTROLS = [
  {
    name: "Stream Begin",
    value: { event: USER_CONTROL.STREAM_BEGIN, value: 1, second: 0 },
    bytes: "000000000001",
  },
  {
    name: "Stream EOF",
    value: { event: USER_CONTROL.STREAM_EOF, value: 1, second: 0 },
    bytes: "000100000001",
  },
  {
    name: "Set Buffer Length",
    value: { event: USER_CONTROL.SET_BUFFER_LENGTH, value: 1, second: 3000 },
    bytes: "00030000000100000bb8",
  },
  {
    name: "Ping Request",
    value: { event: USER_CONTROL.PING_REQUEST, value: 123456, second: 0 },
    bytes: "00060001e240",
  },
  {
    name: "Ping Response",
    value: { event: USER_CONTROL.PING_RESPONSE, value: 123456, second: 0 },
    bytes: "00070001e240",
  },
];

for (const { name, value, bytes } of USER_CONTROLS) {
  Deno.test(`user control ${name}, both ways`, () => {
    assert.deepEqual(decodeUserControl(fromHex(bytes)), value);
    assert.equal(toHex(encodeUserControl(value.event, value.value, value.second)), bytes);
  });
}

Deno.test("a user control event without a value is no error, a cut one is", () => {
  assert.deepEqual(decodeUserControl(fromHex("001a")), { event: 26, value: 0, second: 0 });
  assert.throws(() => decodeUserControl(fromHex("00")), WireError);
});

function split(body: string, timestamp = 1000): KeptMessage[] {
  const parts: KeptMessage[] = [];
  splitAggregate({ type: 22, streamId: 5, timestamp, body: fromHex(body) }, (part) => parts.push(keep(part)));
  return parts;
}

const AUDIO_PART = "08 000002 000064 00 000001 af01 0000000d";
const VIDEO_PART = "09 000001 000078 00 000001 17 0000000c";

Deno.test("an aggregate is split, its times start at its own time", () => {
  assert.deepEqual(split(AUDIO_PART + VIDEO_PART), [
    { type: 8, streamId: 5, timestamp: 1000, body: "af01" },
    { type: 9, streamId: 5, timestamp: 1020, body: "17" },
  ]);
});

Deno.test("an aggregate's times wrap, and their high byte counts", () => {
  const parts = split("08 000000 ffffff 00 000000 0000000b 08 000000 000000 01 000000 0000000b", 0xffffffff);
  assert.deepEqual(parts.map((part) => part.timestamp), [0xffffffff, 0]);
});

Deno.test("only media comes out of an aggregate", () => {
  const command = "14 000001 000064 00 000001 05 0000000c";
  assert.deepEqual(split(command + AUDIO_PART).map((part) => part.type), [8]);
});

Deno.test("the last back pointer may be missing, nothing else", () => {
  assert.equal(split(AUDIO_PART.slice(0, -9)).length, 1);
  assert.throws(() => split("08 000005 000064 00 000001 af01"), WireError);
  assert.throws(() => split(AUDIO_PART + "0800"), WireError);
});

Deno.test("any aggregate: parts that lie inside it, or a WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (body) => {
    let bytes = 0;
    try {
      splitAggregate({ type: 22, streamId: 1, timestamp: 0, body }, (part) => bytes += 11 + part.body.length);
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
    assert.ok(bytes <= body.length);
  }));
});

Deno.test("media types are audio, video and AMF0 data", () => {
  assert.deepEqual([8, 9, 18].map(isMediaType), [true, true, true]);
  assert.deepEqual([0, 15, 17, 20, 22].map(isMediaType), [false, false, false, false, false]);
});
