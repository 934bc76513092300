import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { EndOfStream } from "../../lib/net/end_of_stream.ts";

Deno.test("an end is an end; a failure is told once, and is an end afterwards", () => {
  const end = new EndOfStream();
  assert.equal(end.told(), null);
  const failure = new TransportError("too slow", "timeout");
  end.failed(failure);
  assert.throws(() => end.told(), (error) => error === failure);
  assert.equal(end.told(), null);
});
