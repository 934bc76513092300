import assert from "node:assert/strict";
import fc from "fast-check";
import { formatFmtp, parseEventCodes, parseFmtp, parseRedPayloadTypes } from "../../lib/sdp/fmtp.ts";

const TABLE: { text: string; parameters: [string, string][] }[] = [
  {
    text: "profile-level-id=42e01f;packetization-mode=1",
    parameters: [["profile-level-id", "42e01f"], ["packetization-mode", "1"]],
  },
  { text: "useinbandfec=1;minptime=10", parameters: [["useinbandfec", "1"], ["minptime", "10"]] },
  { text: "sprop-parameter-sets=Z0IAKQ==,aM4=", parameters: [["sprop-parameter-sets", "Z0IAKQ==,aM4="]] },
  { text: "0-15", parameters: [["0-15", ""]] },
];

Deno.test("fmtp: parameters read and written", () => {
  for (const { text, parameters } of TABLE) {
    assert.deepEqual([...parseFmtp(text)], parameters);
    assert.equal(formatFmtp(new Map(parameters)), text);
  }
});

Deno.test("fmtp: spaces, case of names, empty parts and repeated names", () => {
  assert.deepEqual([...parseFmtp(" Profile-Level-ID = 42E01F ; ; x=1;X=2 ")], [
    ["profile-level-id", "42E01F"],
    ["x", "1"],
  ]);
  assert.equal(parseFmtp(null).size, 0);
  assert.equal(parseFmtp("").size, 0);
  assert.equal(parseFmtp("a;".repeat(10_000)).size, 1);
});

Deno.test("fmtp: event codes of telephone-event", () => {
  assert.deepEqual([...parseEventCodes("0-3,16")], [0, 1, 2, 3, 16]);
  assert.equal(parseEventCodes(null).size, 16);
  assert.equal(parseEventCodes("").size, 16);
  assert.deepEqual([...parseEventCodes("events=1,2")], [1, 2]);
  assert.deepEqual([...parseEventCodes("9-1,x,-,300-999,254-999")], [254, 255]);
});

Deno.test("fmtp: payload types of red", () => {
  assert.deepEqual(parseRedPayloadTypes("101/101/97"), [101, 101, 97]);
  assert.deepEqual(parseRedPayloadTypes("0/ 5 /128/x"), [0, 5]);
  assert.deepEqual(parseRedPayloadTypes(null), []);
});

Deno.test("fmtp: any text gives bounded parameters, and what was written reads the same", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    const once = parseFmtp(text);
    assert.ok(once.size <= 64);
    assert.deepEqual([...parseFmtp(formatFmtp(once))], [...once]);
    assert.ok(parseEventCodes(text).size <= 256);
    assert.ok(parseRedPayloadTypes(text).length <= 32);
  }));
});
