import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, encodeUtf8, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  answerClient,
  answerServer,
  createHello,
  findDigest,
  HANDSHAKE_KEYS,
  HANDSHAKE_SIZE,
  isSigned,
  type RandomBytes,
} from "../../lib/rtmp/handshake.ts";

function random(seed: number): RandomBytes {
  const source = seededRandom(seed);
  return (count) => source.bytes(count);
}

Deno.test("handshake: plain client gets an echo", () => {
  const hello = createHello(null, 1234, random(1));
  assert.equal(hello.hello.length, 1537);
  assert.equal(toHex(hello.hello.subarray(0, 9)), "03000004d200000000");
  const { reply, scheme } = answerClient(hello.hello, 5, random(2));
  assert.equal(scheme, null);
  assert.equal(toHex(reply.subarray(0, 9)), "030000000500000000");
  assert.deepEqual(reply.subarray(1 + HANDSHAKE_SIZE), hello.hello.subarray(1));
  const finish = answerServer(reply, hello, random(3));
  assert.deepEqual(finish.reply, reply.slice(1, 1 + HANDSHAKE_SIZE));
  assert.equal(finish.verified, false);
});

for (const scheme of [0, 1] as const) {
  Deno.test(`handshake: digests of scheme ${scheme}, wherever they fall`, () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const hello = createHello(scheme, 0, random(seed));
        const answer = answerClient(hello.hello, 7, random(seed + 1));
        assert.equal(answer.scheme, scheme);
        const finish = answerServer(answer.reply, hello, random(seed + 2));
        assert.equal(finish.verified, true);
        const s1 = answer.reply.subarray(1, 1 + HANDSHAKE_SIZE);
        const found = findDigest(s1, HANDSHAKE_KEYS.server.subarray(0, 36));
        assert.equal(found?.scheme, scheme);
        assert.equal(isSigned(finish.reply, HANDSHAKE_KEYS.client, found!.digest), true);
      }),
      { numRuns: 40 },
    );
  });
}

Deno.test("handshake: the public keys are the known ones", () => {
  assert.equal(HANDSHAKE_KEYS.client.length, 62);
  assert.equal(HANDSHAKE_KEYS.server.length, 68);
  assert.deepEqual(HANDSHAKE_KEYS.client.subarray(0, 30), encodeUtf8("Genuine Adobe Flash Player 001"));
});

Deno.test("handshake: a version without a right digest gets an echo", () => {
  const { hello } = createHello(0, 0, random(1));
  hello[700]! ^= 1;
  hello[1400]! ^= 1;
  const { reply, scheme } = answerClient(hello, 0, random(2));
  assert.equal(scheme, null);
  assert.deepEqual(reply.subarray(1 + HANDSHAKE_SIZE), hello.subarray(1));
});

Deno.test("handshake: a signed client accepts a server that only echoes", () => {
  const hello = createHello(1, 0, random(1));
  const echo = concatBytes([Uint8Array.of(3), random(2)(HANDSHAKE_SIZE), hello.hello.subarray(1)]);
  const finish = answerServer(echo, hello, random(3));
  assert.equal(finish.verified, false);
  assert.deepEqual(finish.reply, echo.slice(1, 1 + HANDSHAKE_SIZE));
});

Deno.test("handshake: encrypted and foreign versions are refused", () => {
  const table: [version: number, says: RegExp][] = [
    ...[0, 2, 4, 255].map((version): [number, RegExp] => [version, /: not RTMP$/]),
    ...[6, 8, 9, 22, 71].map((version): [number, RegExp] => [version, /: not RTMP$/]),
  ];
  for (const [version, says] of table) {
    const hello = new Uint8Array(1537);
    hello[0] = version;
    assert.throws(
      () => answerClient(hello, 0, random(1)),
      (error) => error instanceof WireError && says.test(error.message),
    );
  }
  assert.throws(() => answerClient(new Uint8Array([3, 0]), 0, random(1)), WireError);
  assert.throws(
    () => answerServer(new Uint8Array(3073), createHello(null, 0, random(1)), random(1)),
    WireError,
  );
  assert.throws(
    () => answerServer(new Uint8Array([3]), createHello(null, 0, random(1)), random(1)),
    WireError,
  );
});
