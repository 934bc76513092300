import assert from "node:assert/strict";
import { ConfigError, TransportError } from "../../lib/base/errors.ts";
import { errorOf, postedError } from "../../lib/workers/messages.ts";

Deno.test("errors that were posted are what they were", () => {
  const taken = new TransportError("port 1 is taken", "addr-in-use", { cause: new Error("os") });
  const back = errorOf(structuredClone(postedError(taken)));
  assert.ok(back instanceof TransportError);
  assert.deepEqual([back.code, back.message], ["addr-in-use", "port 1 is taken"]);
  const wrong = errorOf(postedError(new ConfigError("port must be a number")));
  assert.ok(wrong instanceof ConfigError);
  assert.equal(wrong.message, "port must be a number");
  const defect = errorOf(postedError(new RangeError("our mistake")));
  assert.match(defect.message, /RangeError: our mistake\n\s+at /);
  assert.equal(errorOf(postedError("text")).message, "text");
});
