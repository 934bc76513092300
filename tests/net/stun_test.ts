// Answers to: lib/net/stun.ts. The first vectors are those of RFC 5769 2.1 to 2.3.

import fc from "fast-check";
import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { formatIp } from "../../lib/net/endpoint.ts";
import {
  answerStun,
  decodeStun,
  encodeStun,
  isStun,
  type StunMessage,
  type StunOutcome,
  StunQuery,
} from "../../lib/net/stun.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { mutate } from "../support/mutate.ts";

const ID = "b7e7a701bc34d686fa87dfae";
const HEAD = `2112a442 ${ID}`;
const V4 = { hostname: "192.0.2.1", port: 32853 };
const V6 = { hostname: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 };

const RFC_5769: [name: string, hex: string, message: StunMessage][] = [
  [
    "2.1 request; USERNAME is not understood here",
    `0001 0058 ${HEAD}
     8022 0010 5354554e207465737420636c69656e74
     0024 0004 6e0001ff 8029 0008 932ff9b151263b36
     0006 0009 6576746a3a68367659202020
     0008 0014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 8028 0004 e57a3bcf`,
    { type: "request", id: ID, unknown: [0x0024, 0x0006] },
  ],
  [
    "2.2 IPv4 answer",
    `0101 003c ${HEAD} 8022 000b 7465737420766563746f7220 0020 0008 0001a147e112a643
     0008 0014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 8028 0004 c07d4c96`,
    { type: "success", id: ID, mapped: V4 },
  ],
  [
    "2.3 IPv6 answer",
    `0101 0048 ${HEAD} 8022 000b 7465737420766563746f7220
     0020 0014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
     0008 0014 a382954e4be67bf11784c97c8292c275bfe3ed41 8028 0004 c8fb0b4c`,
    { type: "success", id: ID, mapped: V6 },
  ],
];

const BOTH_WAYS: [name: string, hex: string, message: StunMessage][] = [
  ["request", `0001 0000 ${HEAD}`, { type: "request", id: ID, unknown: [] }],
  ["indication", `0011 0000 ${HEAD}`, { type: "indication", id: ID }],
  ["answer, IPv4", `0101 000c ${HEAD} 0020 0008 0001a147e112a643`, { type: "success", id: ID, mapped: V4 }],
  ["answer, IPv6", `0101 0018 ${HEAD} 0020 0014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9`, {
    type: "success",
    id: ID,
    mapped: V6,
  }],
  ["error, padded", `0111 0014 ${HEAD} 0009 0005 00000414 78 000000 000a 0004 7ff07ff1`, {
    type: "error",
    id: ID,
    code: 420,
    reason: "x",
    unknown: [0x7ff0, 0x7ff1],
  }],
];

const ONE_WAY: [name: string, hex: string, message: StunMessage][] = [
  [
    "an old server: MAPPED-ADDRESS, SOURCE-ADDRESS, CHANGED-ADDRESS",
    `0101 0024 ${HEAD} 0001 0008 00018055c0000201 0004 0008 00010d96c0000203 0005 0008 00010d97c0000204`,
    { type: "success", id: ID, mapped: V4 },
  ],
  [
    "both kinds of address: the hidden one counts, whatever the order",
    `0101 0018 ${HEAD} 0001 0008 000180550a000001 0020 0008 0001a147e112a643`,
    { type: "success", id: ID, mapped: V4 },
  ],
  [
    "of repeated addresses the first counts",
    `0101 0018 ${HEAD} 0020 0008 0001a147e112a643 0020 0008 0001a147e112a644`,
    { type: "success", id: ID, mapped: V4 },
  ],
  [
    "what is optional and unknown is passed over",
    `0101 0014 ${HEAD} fff0 0003 01020300 0020 0008 0001a147e112a643`,
    { type: "success", id: ID, mapped: V4 },
  ],
];

for (const [name, hex, message] of [...RFC_5769, ...BOTH_WAYS, ...ONE_WAY]) {
  Deno.test(`stun: ${name}: decoded`, () => assert.deepEqual(decodeStun(fromHex(hex)), message));
}

for (const [name, hex, message] of BOTH_WAYS) {
  Deno.test(`stun: ${name}: encoded`, () => assert.equal(toHex(encodeStun(message)), hex.replace(/\s/g, "")));
}

const BAD: [name: string, hex: string, problem: RegExp][] = [
  ["nothing", "", /not a STUN message/],
  ["another cookie", `0001 0000 2112a443 ${ID}`, /not a STUN message/],
  ["longer than its bytes", `0001 0004 ${HEAD}`, /not a STUN message/],
  ["an odd length", `0001 0003 ${HEAD} 000000`, /not a STUN message/],
  ["RTP", `8001 0000 ${HEAD}`, /not a STUN message/],
  ["another method", `0003 0000 ${HEAD}`, /0x0003 is no binding/],
  ["an attribute that runs over", `0101 0008 ${HEAD} 0020 0008 0001a147`, /STUN/],
  ["half an attribute header", `0101 0004 ${HEAD} 0020 0008`, /STUN/],
  ["a success without address", `0101 0000 ${HEAD}`, /without an address/],
  [
    "a success that must be understood",
    `0101 0010 ${HEAD} 7ff0 0000 0020 0008 0001a147e112a643`,
    /unknown attribute 0x7ff0/,
  ],
  ["an address of no family", `0101 000c ${HEAD} 0020 0008 0003a147e112a643`, /unknown family 3/],
  ["an IPv4 address of 5 bytes", `0101 0010 ${HEAD} 0020 0009 0001a147e112a64300000000`, /too long/],
  ["an error without code", `0111 0000 ${HEAD}`, /without its code/],
  ["an error 200", `0111 0008 ${HEAD} 0009 0004 00000200`, /out of range/],
];

for (const [name, hex, problem] of BAD) {
  Deno.test(`stun: refused: ${name}`, () => {
    assert.throws(
      () => decodeStun(fromHex(hex)),
      (error) => error instanceof WireError && problem.test(error.message),
    );
  });
}

Deno.test("stun: an answer is owed to requests only; a demand not understood is answered 420", () => {
  const table: [StunMessage, StunMessage | null][] = [
    [{ type: "request", id: ID, unknown: [] }, { type: "success", id: ID, mapped: V4 }],
    [{ type: "request", id: ID, unknown: [6] }, {
      type: "error",
      id: ID,
      code: 420,
      reason: "Unknown Attribute",
      unknown: [6],
    }],
    [{ type: "indication", id: ID }, null],
    [{ type: "success", id: ID, mapped: V4 }, null],
    [{ type: "error", id: ID, code: 500, reason: "", unknown: [] }, null],
  ];
  for (const [message, answer] of table) assert.deepEqual(answerStun(message, V4), answer);
});

const ids = fc.uint8Array({ minLength: 12, maxLength: 12 }).map(toHex);
const optionalTypes = fc.array(fc.integer({ min: 0x7000, max: 0x7fff }), { maxLength: 4 });
const PLAIN = { noNullPrototype: true };
const endpoints = fc.record({
  hostname: fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  ).map(formatIp),
  port: fc.integer({ min: 0, max: 65535 }),
}, PLAIN);
const messages: fc.Arbitrary<StunMessage> = fc.oneof(
  fc.record({ type: fc.constant("request" as const), id: ids, unknown: optionalTypes }, PLAIN),
  fc.record({ type: fc.constant("indication" as const), id: ids }, PLAIN),
  fc.record({ type: fc.constant("success" as const), id: ids, mapped: endpoints }, PLAIN),
  fc.record({
    type: fc.constant("error" as const),
    id: ids,
    code: fc.integer({ min: 300, max: 699 }),
    reason: fc.string({ maxLength: 127, unit: "grapheme" }).map((text) => [...text].slice(0, 127).join("")),
    unknown: optionalTypes,
  }, PLAIN),
);

Deno.test("stun: what is encoded decodes to the same", () => {
  fc.assert(fc.property(messages, (message) => assert.deepEqual(decodeStun(encodeStun(message)), message)));
});

function decodeOrNull(bytes: Uint8Array): StunMessage | null {
  try {
    return decodeStun(bytes);
  } catch (error) {
    assert.ok(error instanceof WireError, String(error));
    return null;
  }
}

Deno.test("stun: damaged and random bytes give WireError, or something that encodes again", () => {
  const damaged = fc.tuple(messages, fc.nat()).map(([message, seed]) => mutate(encodeStun(message), seed));
  const framed = fc.tuple(fc.constantFrom("0001", "0101", "0111"), fc.uint8Array({ maxLength: 120 }))
    .map(([type, body]) => {
      const length = body.length - body.length % 4;
      return fromHex(
        `${type}${length.toString(16).padStart(4, "0")}2112a442${ID}${toHex(body.subarray(0, length))}`,
      );
    });
  fc.assert(
    fc.property(fc.oneof(damaged, framed, fc.uint8Array({ maxLength: 64 })), (bytes) => {
      const message = decodeOrNull(bytes);
      if (message === null) return;
      assert.ok(isStun(bytes));
      const again = decodeStun(encodeStun(message));
      assert.deepEqual(again, message);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("stun: neither SIP, nor RTP, nor a keep-alive looks like it", () => {
  for (
    const text of ["OPTIONS sip:a@b SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", "\r\n\r\n", "\0".repeat(28)]
  ) {
    assert.equal(isStun(new TextEncoder().encode(text)), false, text);
  }
});

const STUN_QUERY_ID = "000102030405060708090a0b";
const MAPPED = { hostname: "203.0.113.7", port: 40000 };

class Bench {
  readonly clock = new FakeClock();
  readonly sentMs: number[] = [];
  readonly outcomes: StunOutcome[] = [];
  readonly query: StunQuery;

  constructor(requests?: number) {
    this.query = new StunQuery({
      clock: this.clock,
      id: STUN_QUERY_ID,
      send: (bytes) => {
        assert.deepEqual(decodeStun(bytes), { type: "request", id: STUN_QUERY_ID, unknown: [] });
        this.sentMs.push(this.clock.now());
      },
      onOutcome: (outcome) => void this.outcomes.push(outcome),
      ...requests === undefined ? {} : { requests },
    });
    this.query.start();
  }
}

Deno.test("stun query: repetitions and end are those of RFC 8489 6.2.1", () => {
  const bench = new Bench();
  bench.clock.advance(39_499);
  assert.deepEqual(bench.sentMs, [0, 500, 1500, 3500, 7500, 15500, 31500]);
  assert.deepEqual(bench.outcomes, []);
  bench.clock.advance(1);
  assert.deepEqual(bench.outcomes, [{ type: "silent" }]);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("stun query: fewer requests end sooner", () => {
  const bench = new Bench(2);
  bench.clock.advance(8_500);
  assert.deepEqual([bench.sentMs, bench.outcomes], [[0, 500], [{ type: "silent" }]]);
});

const ANSWERS: [name: string, message: StunMessage, taken: boolean, outcomes: StunOutcome[]][] = [
  ["an answer", { type: "success", id: STUN_QUERY_ID, mapped: MAPPED }, true, [{
    type: "mapped",
    mapped: MAPPED,
  }]],
  ["a refusal", { type: "error", id: STUN_QUERY_ID, code: 500, reason: "busy", unknown: [] }, true, [
    { type: "refused", code: 500, reason: "busy" },
  ]],
  ["an answer to somebody else", { type: "success", id: "0".repeat(24), mapped: MAPPED }, false, []],
  ["our own request, come back", { type: "request", id: STUN_QUERY_ID, unknown: [] }, false, []],
  ["an indication", { type: "indication", id: STUN_QUERY_ID }, false, []],
];

for (const [name, message, taken, outcomes] of ANSWERS) {
  Deno.test(`stun query: ${name}`, () => {
    const bench = new Bench();
    bench.clock.advance(600);
    assert.equal(bench.query.receive(message), taken);
    assert.deepEqual(bench.outcomes, outcomes);
    assert.equal(bench.clock.pending, taken ? 0 : 1);
    bench.query[Symbol.dispose]();
    assert.equal(bench.clock.pending, 0);
  });
}

Deno.test("stun query: told once, whatever comes twice; nothing after it was given up", () => {
  const bench = new Bench();
  const answer: StunMessage = { type: "success", id: STUN_QUERY_ID, mapped: MAPPED };
  assert.equal(bench.query.receive(answer), true);
  assert.equal(bench.query.receive(answer), false);
  assert.equal(bench.outcomes.length, 1);
  const other = new Bench();
  other.query[Symbol.dispose]();
  assert.equal(other.query.receive(answer), false);
  other.clock.advance(60_000);
  assert.deepEqual([other.outcomes, other.sentMs], [[], [0]]);
});
