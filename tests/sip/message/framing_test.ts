// Answers to: lib/sip/message/framing.ts.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { findHeadEnd, isFiller, isKeepAlive } from "../../../lib/sip/message/framing.ts";

const ENDS: [text: string, from: number, head: number | null, body: number][] = [
  ["a\r\n\r\nb", 0, 1, 5],
  ["a\n\nb", 0, 1, 3],
  ["a\r\n\nb", 0, 1, 4],
  ["a\n\r\nb", 0, 1, 4],
  ["a\r\nb\r\n\r\n", 0, 4, 8],
  ["a\r\nb\r\n\r\n", 5, 4, 8],
  ["a\r\nb\r\n\r", 0, null, 0],
  ["", 0, null, 0],
];

Deno.test("framing: the end of the head", () => {
  for (const [text, from, head, body] of ENDS) {
    assert.deepEqual(
      findHeadEnd(encodeUtf8(text), from),
      head === null ? null : { head, body },
      JSON.stringify(text),
    );
  }
});

Deno.test("framing: fillers and keep-alives", () => {
  assert.deepEqual([0, 10, 13, 32, 65].map(isFiller), [true, true, true, false, false]);
  assert.equal(isKeepAlive(new Uint8Array(2000)), true);
  assert.equal(isKeepAlive(encodeUtf8("\r\n\r\n\r\nx")), false);
});
