import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray } from "../../lib/amf/value.ts";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import {
  type Command,
  commandType,
  connectEncoding,
  createStatus,
  decodeCommand,
  encodeCommand,
  parseConnect,
  splitQuery,
  withoutFormatByte,
} from "../../lib/rtmp/command.ts";

const COMMANDS: { name: string; value: Command; bytes: string }[] = [
  {
    name: "createStream",
    value: { name: "createStream", transactionId: 2, object: null, args: [] },
    bytes: "02 000c 63726561746553747265616d 00 4000000000000000 05",
  },
  {
    name: "a result with undefined",
    value: { name: "_result", transactionId: 1, object: null, args: [undefined] },
    bytes: "02 0007 5f726573756c74 00 3ff0000000000000 05 06",
  },
];

for (const { name, value, bytes } of COMMANDS) {
  Deno.test(`command ${name}, both ways, in AMF0 and AMF3 messages`, () => {
    assert.deepEqual(decodeCommand(20, fromHex(bytes)), value);
    assert.equal(toHex(encodeCommand(value, false)), bytes.replaceAll(" ", ""));
    assert.deepEqual(decodeCommand(17, fromHex("00" + bytes)), value);
    assert.equal(toHex(encodeCommand(value, true)), "00" + bytes.replaceAll(" ", ""));
  });
}

Deno.test("command: what may be missing, and what may not", () => {
  assert.deepEqual(decodeCommand(20, encodeAmf0(["bye"])), {
    name: "bye",
    transactionId: 0,
    object: null,
    args: [],
  });
  for (const body of ["", "05", "00 3ff0000000000000", "02 0005 61"]) {
    assert.throws(() => decodeCommand(20, fromHex(body)), WireError);
  }
  assert.throws(() => decodeCommand(20, new Uint8Array(3_000_000)), WireError);
});

Deno.test("command: an AMF3 message without its first byte is read all the same", () => {
  const body = encodeAmf0(["bye", 0, null]);
  assert.equal(decodeCommand(17, body).name, "bye");
  assert.deepEqual(withoutFormatByte(15, concatBytes([Uint8Array.of(0), body])), body);
  assert.deepEqual(withoutFormatByte(18, body), body);
  assert.deepEqual([commandType(false), commandType(true)], [20, 17]);
});

function connect(properties: Record<string, string | number>, ...args: string[]): Command {
  return { name: "connect", transactionId: 1, object: properties, args };
}

Deno.test("connect: application, query, encoding and arguments", () => {
  const request = parseConnect(connect(
    {
      app: "sip/alice@example.net?x=1",
      tcUrl: "rtmp://gw/sip/alice@example.net?x=1",
      flashVer: "LNX 9,0",
      pageUrl: "http://page/",
      objectEncoding: 3,
    },
    "alice",
    "secret",
  ));
  const { properties, ...rest } = request;
  assert.deepEqual(rest, {
    app: "sip/alice@example.net",
    tcUrl: "rtmp://gw/sip/alice@example.net?x=1",
    query: "x=1",
    objectEncoding: 3,
    flashVer: "LNX 9,0",
    pageUrl: "http://page/",
    args: ["alice", "secret"],
  });
  assert.equal(properties["objectEncoding"], 3);
});

Deno.test("connect: the query of the URL counts when the application has none", () => {
  assert.equal(parseConnect(connect({ app: "live", tcUrl: "rtmp://gw/live?key=1" })).query, "key=1");
});

Deno.test("connect: everything may be missing, even the application", () => {
  const request = parseConnect(connect({}));
  assert.deepEqual([request.app, request.tcUrl, request.objectEncoding], ["", "", 0]);
  const asArray = { ...connect({}), object: new AmfEcmaArray({ app: "sip" }) };
  assert.equal(parseConnect(asArray).app, "sip");
  assert.throws(() => parseConnect({ ...connect({}), object: null }), WireError);
});

Deno.test("connect: the encoding asked for is told as it is", () => {
  assert.equal(connectEncoding(connect({ objectEncoding: 1 })), 1);
  assert.equal(connectEncoding(connect({})), 0);
});

Deno.test("status objects and queries", () => {
  assert.equal(createStatus("error", "A", "no sip:bob:hunter2@host").description, "no sip:bob:****@host");
  assert.deepEqual(createStatus("status", "A.B", "text", { details: "x" }), {
    level: "status",
    code: "A.B",
    description: "text",
    details: "x",
  });
  assert.deepEqual(splitQuery("a?b?c"), ["a", "b?c"]);
  assert.deepEqual(splitQuery("a"), ["a", ""]);
});

Deno.test("command: any bytes give a command or a WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(17, 20), (body, type) => {
    try {
      assert.equal(typeof decodeCommand(type, body).name, "string");
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }));
});
