import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import {
  formatDtmf,
  formatDtmfRelay,
  formatPictureFastUpdate,
  parseInfo,
} from "../../../lib/sip/message/info_bodies.ts";
import { mutate } from "../../support/mutate.ts";

const digit = (digits: string, durationMs: number) => ({ type: "digits", digits, durationMs });

const BODIES: { name: string; type: string; text: string; meaning: unknown }[] = [
  {
    name: "dtmf-relay",
    type: "application/dtmf-relay",
    text: "Signal=5\r\nDuration=250\r\n",
    meaning: digit("5", 250),
  },
  {
    name: "dtmf-relay with spaces (Cisco)",
    type: "application/dtmf-relay",
    text: "Signal= #\nDuration= 100",
    meaning: digit("#", 100),
  },
  {
    name: "dtmf-relay without duration",
    type: "application/dtmf-relay",
    text: "signal=a",
    meaning: digit("A", 160),
  },
  {
    name: "dtmf-relay with an event number",
    type: "application/dtmf-relay",
    text: "Signal=11\r\n",
    meaning: digit("#", 160),
  },
  {
    name: "dtmf-relay too long",
    type: "application/dtmf-relay",
    text: "Signal=1\r\nDuration=999999",
    meaning: digit("1", 10_000),
  },
  {
    name: "dtmf-relay behind empty lines and fields",
    type: "application/dtmf-relay",
    text: "\n\r\n\u2028\nSignal=\n Signal = 7 x\nOther=\u2028\n\tDuration\t=\t80ms\n",
    meaning: digit("7", 80),
  },
  {
    name: "dtmf-relay of nothing but line feeds",
    type: "application/dtmf-relay",
    text: "\n".repeat(4096),
    meaning: { type: "unknown" },
  },
  { name: "plain dtmf", type: "application/dtmf", text: "*", meaning: digit("*", 160) },
  { name: "parameters in the type", type: "Application/DTMF; x=1", text: "0", meaning: digit("0", 160) },
  { name: "flash hook", type: "application/dtmf-relay", text: "Signal=16", meaning: { type: "nothing" } },
  { name: "no key", type: "application/dtmf", text: "", meaning: { type: "unknown" } },
  { name: "another type", type: "application/xml", text: "5", meaning: { type: "unknown" } },
  {
    name: "picture_fast_update",
    type: "application/media_control+xml",
    text:
      "<media_control><vc_primitive><to_encoder><picture_fast_update></picture_fast_update></to_encoder></vc_primitive></media_control>",
    meaning: { type: "key frame" },
  },
  {
    name: "no media control",
    type: "application/media_control+xml",
    text: "<mess",
    meaning: { type: "unknown" },
  },
  { name: "no signal", type: "application/dtmf-relay", text: "Duration=5", meaning: { type: "unknown" } },
  {
    name: "other media control",
    type: "application/media_control+xml",
    text: "<media_control/>",
    meaning: { type: "nothing" },
  },
];

/** Forms met in phones: type, body, and the keys with their length; null: nothing to do. */
const PHONES: [type: string, text: string, keys: string | null, durationMs?: number][] = [
  ["application/dtmf-relay", "Signal=9", "9"],
  ["application/dtmf-relay", "Signal:9\r\nDuration:120\r\n", "9", 120],
  ["application/dtmf-relay", "SIGNAL = 9\r\nDURATION = 120\r\n", "9", 120],
  ["application/dtmf-relay", "Signal= *\r\nDuration= 90", "*", 90],
  ["application/dtmf-relay", 'Signal="#"\n', "#"],
  ["application/dtmf-relay", "Signal=10\r\n", "*"],
  ["application/dtmf-relay", "Signal=123\r\nDuration=0", "123"],
  ["application/dtmf-relay", "Duration=100\r\nSignal=b", "B", 100],
  ["application/dtmf-relay", "d=1", "1"],
  ["application/dtmf-relay", "5", "5"],
  ["application/dtmf-relay", "Signal=hf", null],
  ["application/dtmf-relay", "Signal=16\r\nDuration=250", null],
  ["APPLICATION/DTMF-RELAY; charset=utf-8", "Signal=9", "9"],
  ["application/dtmf", "9", "9"],
  ["application/dtmf", " 9\r\n", "9"],
  ["application/dtmf", "12#", "12#"],
  ["application/dtmf", "1 2, 3", "123"],
  ["application/dtmf", "Signal=9\r\nDuration=160", "9"],
  ["Application/DTMF;", "d", "D"],
  ["application/dtmf", "hf", null],
  ["audio/telephone-event", "\x05\x8a\x03\x20", "5"],
  ["audio/telephone-event", "\x0b\x0a\x00\x50", "#"],
  ["audio/telephone-event", "\x10\x0a\x00\x50", null],
  ["audio/telephone-event", "1234", "1234"],
  ["audio/telephone-event", "Signal=4\r\nDuration=70", "4", 70],
  ["audio/telephone-event; rate=8000", "d=4", "4"],
  ["application/vnd.nortelnetworks.digits", "d=1", "1"],
  [
    "application/vnd.nortelnetworks.digits",
    "p=Digit-Collection\r\ny=Digits\r\ns=success\r\nu=12345678\r\ni=87654321\r\nd=4\r\n",
    "4",
  ],
];

Deno.test("INFO bodies: the forms that phones send", () => {
  for (const [type, text, keys, durationMs = 160] of PHONES) {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const meaning = keys === null ? { type: "nothing" } : digit(keys, durationMs);
    assert.deepEqual(parseInfo({ type, bytes }), meaning, `${type} ${JSON.stringify(text)}`);
  }
});

const NOT_UNDERSTOOD: [type: string, text: string][] = [
  ["application/dtmf-relay", "Signal=X"],
  ["application/dtmf-relay", "Signal=1E"],
  ["application/dtmf-relay", "Tone=5"],
  ["application/dtmf", "hello"],
  ["application/dtmf", "1".repeat(40)],
  ["audio/telephone-event", "\x20\x0a\x00\x50"],
  ["application/vnd.nortelnetworks.digits", "p=Digit-Collection"],
  ["application/qsig", "5"],
  ["text/plain", "5"],
  ["", "5"],
];

Deno.test("INFO bodies: what is not understood", () => {
  for (const [type, text] of NOT_UNDERSTOOD) {
    assert.deepEqual(parseInfo({ type, bytes: encodeUtf8(text) }), { type: "unknown" }, `${type} ${text}`);
  }
});

for (const { name, type, text, meaning } of BODIES) {
  Deno.test(`INFO body: ${name}`, () =>
    assert.deepEqual(parseInfo({ type, bytes: encodeUtf8(text) }), meaning));
}

Deno.test("what we write is what we read", () => {
  for (const key of "0123456789*#ABCD") {
    assert.deepEqual(parseInfo(formatDtmfRelay({ digit: key, durationMs: 200 })), digit(key, 200));
    assert.deepEqual(parseInfo(formatDtmf(key)), digit(key, 160));
  }
  assert.deepEqual(parseInfo(formatPictureFastUpdate()), { type: "key frame" });
});

Deno.test("no body of any type is an exception", () => {
  const types = ["application/dtmf-relay", "application/dtmf", "application/media_control+xml"];
  fc.assert(fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 300 }), (type, bytes) => {
    assert.ok(["digits", "key frame", "nothing", "unknown"].includes(parseInfo({ type, bytes }).type));
  }));
  assert.equal(parseInfo({ type: "application/dtmf", bytes: new Uint8Array(1 << 20) }).type, "unknown");
  assert.equal(parseInfo({ type: "text/plain", bytes: new Uint8Array(1 << 20) }).type, "unknown");
});

Deno.test("damaged bodies: the key, nothing, or another key; never an exception", () => {
  for (let seed = 0; seed < 1000; seed++) {
    const body = seed % 2 === 0
      ? formatDtmfRelay({ digit: "5", durationMs: 250 })
      : formatPictureFastUpdate();
    const { type } = parseInfo({ ...body, bytes: mutate(body.bytes, seed) });
    assert.ok(["digits", "key frame", "nothing", "unknown"].includes(type));
  }
});
