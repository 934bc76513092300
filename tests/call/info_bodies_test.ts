import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import {
  formatDtmf,
  formatDtmfRelay,
  formatPictureFastUpdate,
  parseInfo,
} from "../../lib/call/info_bodies.ts";
import { mutate } from "../support/mutate.ts";

const digit = (key: string, durationMs: number) => ({ type: "digit", digit: { digit: key, durationMs } });

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
    meaning: { type: "broken" },
  },
  { name: "plain dtmf", type: "application/dtmf", text: "*", meaning: digit("*", 160) },
  { name: "parameters in the type", type: "Application/DTMF; x=1", text: "0", meaning: digit("0", 160) },
  { name: "flash hook", type: "application/dtmf-relay", text: "Signal=16", meaning: { type: "unknown" } },
  { name: "no key", type: "application/dtmf", text: "", meaning: { type: "broken" } },
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
    meaning: { type: "broken" },
  },
  { name: "no signal", type: "application/dtmf-relay", text: "Duration=5", meaning: { type: "broken" } },
  {
    name: "other media control",
    type: "application/media_control+xml",
    text: "<media_control/>",
    meaning: { type: "unknown" },
  },
];

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
    assert.ok(["digit", "key frame", "broken", "unknown"].includes(parseInfo({ type, bytes }).type));
  }));
  assert.equal(parseInfo({ type: "application/dtmf", bytes: new Uint8Array(1 << 20) }).type, "broken");
  assert.equal(parseInfo({ type: "text/plain", bytes: new Uint8Array(1 << 20) }).type, "unknown");
});

Deno.test("damaged bodies: the key, nothing, or another key; never an exception", () => {
  for (let seed = 0; seed < 1000; seed++) {
    const body = seed % 2 === 0
      ? formatDtmfRelay({ digit: "5", durationMs: 250 })
      : formatPictureFastUpdate();
    const { type } = parseInfo({ ...body, bytes: mutate(body.bytes, seed) });
    assert.ok(["digit", "key frame", "broken", "unknown"].includes(type));
  }
});
