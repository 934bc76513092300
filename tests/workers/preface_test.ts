import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../lib/base/errors.ts";
import { decodePreface, encodePreface, MAX_PREFACE } from "../../lib/workers/preface.ts";

const encoder = new TextEncoder();

Deno.test("preface: what was encoded is read, however little has come", () => {
  for (const hostname of ["192.0.2.7", "2001:db8::7"]) {
    const line = encodePreface("s3cret", { hostname, port: 4711 });
    const bytes = new Uint8Array([...line, 3, 10, 32]);
    for (let length = 0; length < line.length; length++) {
      assert.equal(decodePreface(bytes.subarray(0, length)), null);
    }
    const expected = { secret: "s3cret", client: { hostname, port: 4711 }, length: line.length };
    assert.deepEqual(decodePreface(bytes), expected);
  }
});

const BAD = [
  "GET / HTTP/1.1\r\n",
  "siprtmp-carry s host.example 1\n",
  "siprtmp-carry s 192.0.2.7 70000\n",
  "siprtmp-carry s 192.0.2.7 1 2\n",
  "siprtmp-carry s 192.0.2.7\n",
  "\n",
  "x".repeat(MAX_PREFACE),
];

for (const text of BAD) {
  Deno.test(`preface: ${JSON.stringify(text.slice(0, 40))} is none`, () => {
    assert.throws(() => decodePreface(encoder.encode(text)), WireError);
  });
}

Deno.test("preface: any bytes are a preface, too few, or a WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    try {
      const preface = decodePreface(bytes);
      if (preface === null) assert.ok(bytes.length < MAX_PREFACE);
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }));
});
