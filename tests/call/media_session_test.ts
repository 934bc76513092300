// Descriptions as bodies, and bodies that are none.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { readSdpBody, sdpBody } from "../../lib/call/media_session.ts";

const TEXT = [
  ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"],
  ["m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", ""],
].flat().join("\r\n");

Deno.test("what is written as a body is read back the same", () => {
  const first = readSdpBody({ type: "application/sdp", bytes: encodeUtf8(TEXT) });
  assert.ok(typeof first !== "string");
  assert.equal(first.media[0]!.port, 4000);
  const body = sdpBody(first);
  assert.equal(body.type, "application/sdp");
  assert.deepEqual(readSdpBody(body), first);
});

Deno.test("a body that is no description is told, not thrown", () => {
  const reason = readSdpBody({ type: "application/sdp", bytes: encodeUtf8("hello") });
  assert.equal(typeof reason, "string");
  assert.notEqual(reason, "");
});
