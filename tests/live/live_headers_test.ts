import assert from "node:assert/strict";
import {
  type LiveHeaders,
  MAX_LIVE_HEADER_BYTES,
  NO_HEADERS,
  withHeader,
} from "../../lib/live/live_headers.ts";

Deno.test("the latest of each kind is kept, as its own copy", () => {
  const body = Uint8Array.of(1);
  let headers: LiveHeaders = withHeader(NO_HEADERS, "metadata", body);
  headers = withHeader(headers, "video header", Uint8Array.of(2));
  headers = withHeader(headers, "audio header", Uint8Array.of(3));
  headers = withHeader(headers, "video header", Uint8Array.of(4));
  body.fill(9);
  assert.deepEqual(headers, { metadata: Uint8Array.of(1), video: Uint8Array.of(4), audio: Uint8Array.of(3) });
});

Deno.test("what says nothing new changes nothing", () => {
  const headers = withHeader(NO_HEADERS, "audio header", Uint8Array.of(3));
  assert.equal(withHeader(headers, "audio header", Uint8Array.of(3)), headers);
  for (const kind of ["data", "audio", "video", "key frame"] as const) {
    assert.equal(withHeader(headers, kind, Uint8Array.of(5)), headers);
  }
  assert.equal(withHeader(headers, "metadata", new Uint8Array(MAX_LIVE_HEADER_BYTES + 1)), headers);
});
