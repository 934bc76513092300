import assert from "node:assert/strict";
import { answerMedia, offeredPort, sessionPart } from "../../bench/load/sdp_answer.ts";
import { parseSdp } from "../../lib/sdp/description.ts";
import { encodeUtf8 } from "../../lib/base/bytes.ts";

const OFFER = [
  "v=0",
  "o=- 1 1 IN IP4 127.0.0.1",
  "s=-",
  "c=IN IP4 127.0.0.1",
  "t=0 0",
  "m=audio 10002 RTP/AVP 96 0 101",
  "a=rtpmap:96 speex/16000",
  "a=rtpmap:101 telephone-event/8000",
  "m=video 10004 RTP/AVP 99",
  "a=rtpmap:99 H264/90000",
  "a=fmtp:99 profile-level-id=420014;packetization-mode=1;sprop-parameter-sets=Z0,aM",
  "",
].join("\r\n");

Deno.test("one codec per kind of media is taken", () => {
  assert.equal(
    answerMedia(OFFER, "audio", /^speex\/16000/i, 7000),
    "m=audio 7000 RTP/AVP 96\r\na=rtpmap:96 speex/16000\r\n",
  );
  assert.equal(
    answerMedia(OFFER, "audio", /^PCMU\/8000/i, 7000),
    "m=audio 7000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
  );
  assert.equal(answerMedia(OFFER, "audio", /^opus/i, 7000), null);
});

Deno.test("pictures are taken with their parameters, but the offerer's own parameter sets", () => {
  assert.equal(
    answerMedia(OFFER, "video", /^H264\/90000/i, 7002),
    "m=video 7002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n" +
      "a=fmtp:99 profile-level-id=420014;packetization-mode=1\r\n",
  );
});

Deno.test("the ports of the offer", () => {
  assert.deepEqual([offeredPort(OFFER, "audio"), offeredPort(OFFER, "video")], [10002, 10004]);
  assert.equal(offeredPort("v=0\r\n", "video"), 0);
});

Deno.test("the answer is a description", () => {
  const text = sessionPart(7) + answerMedia(OFFER, "audio", /^speex/i, 7000);
  assert.equal(parseSdp(encodeUtf8(text)).media.length, 1);
});
