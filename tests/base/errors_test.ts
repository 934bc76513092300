// Messages and codes of the error classes.

import assert from "node:assert/strict";
import {
  ConfigError,
  messageOf,
  nullIfMalformed,
  TransportError,
  unreachable,
  WireError,
} from "../../lib/base/errors.ts";

Deno.test("WireError says which format broke, and where if that is known", () => {
  const somewhere = new WireError("RTMP chunk", "message length 20000000 exceeds 16777215", 7);
  assert.equal(
    somewhere.message,
    "Cannot decode RTMP chunk: message length 20000000 exceeds 16777215 (at byte 7)",
  );
  assert.deepEqual([somewhere.protocol, somewhere.offset, somewhere.name], ["RTMP chunk", 7, "WireError"]);
  const nowhere = new WireError("SDP", "no v= line");
  assert.equal(nowhere.message, "Cannot decode SDP: no v= line");
  assert.equal(nowhere.offset, undefined);
});

Deno.test("TransportError keeps code and cause, ConfigError its line", () => {
  const cause = new Error("os");
  const error = new TransportError("Cannot bind", "addr-in-use", { cause });
  assert.deepEqual([error.code, error.cause, error.message], ["addr-in-use", cause, "Cannot bind"]);
  assert.equal(new TransportError("x", "failed").cause, undefined);
  assert.equal(new ConfigError("port must be a number").message, "port must be a number");
});

Deno.test("messageOf makes one plain line of whatever was thrown", () => {
  const cases: [unknown, string][] = [
    [new Error("plain"), "plain"],
    [new Error("two\r\n  lines\nand a third\n"), "two lines and a third"],
    [new TypeError(""), "TypeError"],
    ["text", "text"],
    [undefined, "undefined"],
    [null, "null"],
    [{ toString: () => "object" }, "object"],
  ];
  for (const [thrown, line] of cases) assert.equal(messageOf(thrown), line);
});

Deno.test("unreachable throws with the value that came", () => {
  assert.throws(() => unreachable("surprise" as never), /Unexpected value: surprise/);
});

Deno.test("what is malformed and can be done without is null; our own bugs are thrown on", () => {
  assert.equal(nullIfMalformed(() => 7), 7);
  assert.equal(
    nullIfMalformed(() => {
      throw new WireError("SIP", "bad Contact");
    }),
    null,
  );
  assert.throws(() =>
    nullIfMalformed(() => {
      throw new TypeError("ours");
    }), TypeError);
});
