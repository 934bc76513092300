import assert from "node:assert/strict";
import fc from "fast-check";
import {
  agreeMedia,
  answerFormat,
  commonFeedback,
  directionFrom,
  held,
  narrowedDirection,
  receives,
  remoteEndpoint,
  rtcpEndpoint,
  sends,
} from "../../lib/sdp/agreed_media.ts";
import { type Direction, parseSdp } from "../../lib/sdp/description.ts";
import { mediaFormat, staticFormat } from "../../lib/sdp/media_format.ts";
import { fromPhone, sdpText } from "../support/sdp_lines.ts";

const DIRECTIONS: Direction[] = ["sendrecv", "sendonly", "recvonly", "inactive"];

Deno.test("directions: taken apart and put together", () => {
  for (const direction of DIRECTIONS) {
    assert.equal(directionFrom(sends(direction), receives(direction)), direction);
  }
});

Deno.test("directions: what the peer leaves of ours (RFC 3264 6.1, table)", () => {
  const expected: Record<Direction, [Direction, Direction, Direction, Direction]> = {
    // theirs:  sendrecv    sendonly    recvonly    inactive
    sendrecv: ["sendrecv", "recvonly", "sendonly", "inactive"],
    sendonly: ["sendonly", "inactive", "sendonly", "inactive"],
    recvonly: ["recvonly", "recvonly", "inactive", "inactive"],
    inactive: ["inactive", "inactive", "inactive", "inactive"],
  };
  for (const ours of DIRECTIONS) {
    DIRECTIONS.forEach((theirs, column) => {
      const description = parseSdp(fromPhone("m=audio 4000 RTP/AVP 0", `a=${theirs}`));
      assert.equal(narrowedDirection(ours, description, description.media[0]!), expected[ours][column]);
    });
  }
});

const HOLDS: [name: string, text: string, expected: boolean, ours: Direction][] = [
  ["nothing said", fromPhone("m=audio 4000 RTP/AVP 0"), false, "sendrecv"],
  ["a=sendonly", fromPhone("m=audio 4000 RTP/AVP 0", "a=sendonly"), true, "recvonly"],
  ["a=inactive", fromPhone("m=audio 4000 RTP/AVP 0", "a=inactive"), true, "inactive"],
  ["a=recvonly", fromPhone("m=audio 4000 RTP/AVP 0", "a=recvonly"), false, "sendonly"],
  ["media c=0.0.0.0", fromPhone("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"), true, "recvonly"],
  ["media c=::", fromPhone("m=audio 4000 RTP/AVP 0", "c=IN IP6 ::"), true, "recvonly"],
  ["media c=0:0:0:0:0:0:0:0", fromPhone("m=audio 1 RTP/AVP 0", "c=IN IP6 0:0:0:0:0:0:0:0"), true, "recvonly"],
  [
    "session c=0.0.0.0",
    sdpText("v=0", "c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"),
    true,
    "recvonly",
  ],
  [
    "session c=0.0.0.0 and another of the media",
    sdpText("v=0", "c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.5"),
    false,
    "sendrecv",
  ],
  [
    "session a=sendonly",
    sdpText("v=0", "c=IN IP4 192.0.2.5", "a=sendonly", "m=audio 4000 RTP/AVP 0"),
    true,
    "recvonly",
  ],
  [
    "session a=sendonly and media a=sendrecv",
    sdpText("v=0", "c=IN IP4 192.0.2.5", "a=sendonly", "m=audio 4000 RTP/AVP 0", "a=sendrecv"),
    false,
    "sendrecv",
  ],
];

for (const [name, text, expected, ours] of HOLDS) {
  Deno.test(`hold: ${name}`, () => {
    const description = parseSdp(text);
    assert.equal(held(description, description.media[0]!), expected);
    assert.equal(narrowedDirection("sendrecv", description, description.media[0]!), ours);
  });
}

const ENDPOINTS: [lines: string[], rtp: string | null, rtcp: string | null][] = [
  [["m=audio 4000 RTP/AVP 0"], "192.0.2.5 4000", "192.0.2.5 4001"],
  [["m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.9"], "192.0.2.9 4000", "192.0.2.9 4001"],
  [["m=audio 4000 RTP/AVP 0", "a=rtcp:5005"], "192.0.2.5 4000", "192.0.2.5 5005"],
  [["m=audio 4000 RTP/AVP 0", "a=rtcp:5005 IN IP6 ::1"], "192.0.2.5 4000", "::1 5005"],
  [["m=audio 4000 RTP/AVP 0", "a=rtcp:5005 IN IP4 0.0.0.0"], "192.0.2.5 4000", "192.0.2.5 5005"],
  [["m=audio 4000 RTP/AVP 0", "a=rtcp:0"], "192.0.2.5 4000", "192.0.2.5 4001"],
  [["m=audio 65535 RTP/AVP 0"], "192.0.2.5 65535", "192.0.2.5 65535"],
  [["m=audio 0 RTP/AVP 0"], null, null],
  [["m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"], null, null],
];

Deno.test("endpoints: where RTP and RTCP go", () => {
  for (const [lines, rtp, rtcp] of ENDPOINTS) {
    const description = parseSdp(fromPhone(...lines));
    const show = (at: { hostname: string; port: number } | null) => at && `${at.hostname} ${at.port}`;
    assert.equal(show(remoteEndpoint(description, description.media[0]!)), rtp, lines.join());
    assert.equal(show(rtcpEndpoint(description, description.media[0]!)), rtcp, lines.join());
  }
});

Deno.test("agreement: DTMF on the clock of the preferred codec, helpers kept apart", () => {
  const description = parseSdp(fromPhone(
    "m=audio 4000 RTP/AVP 96 0 101 102 103 13",
    "a=rtpmap:96 speex/16000",
    "a=rtpmap:101 telephone-event/8000",
    "a=rtpmap:102 telephone-event/16000",
    "a=rtpmap:103 red/8000",
    "a=ptime:30",
  ));
  const pairs = description.media[0]!.formats.map((remote) => ({
    remote,
    local: { ...remote, payloadType: remote.payloadType + 10, fmtp: "ours" },
  }));
  const agreed = agreeMedia({ index: 0, remoteDescription: description, localDirection: "sendrecv", pairs });
  assert.deepEqual(agreed.formats.map((format) => format.name), ["speex", "PCMU"]);
  assert.equal(agreed.formats[0]!.sendPayloadType, 96);
  assert.deepEqual(agreed.formats[0]!.receivePayloadTypes, [106, 96]);
  assert.equal(agreed.formats[0]!.localFmtp, "ours");
  assert.equal(agreed.telephoneEvent!.sendPayloadType, 102);
  assert.deepEqual(agreed.telephoneEvents.map((format) => format.sendPayloadType), [101, 102]);
  assert.equal(agreed.redundancy!.sendPayloadType, 103);
  assert.deepEqual(agreed.comfortNoise.map((format) => format.receivePayloadTypes), [[23, 13]]);
  assert.equal(agreed.ptimeMs, 30);
  assert.equal(agreed.heldByRemote, false);
});

Deno.test("answers to formats: the offer's number and name, our parameters, common feedback", () => {
  const offered = mediaFormat(120, "VP8", 90000, { fmtp: "theirs", rtcpFb: ["nack", "nack pli"] });
  const ours = mediaFormat(99, "vp8", 90000, { fmtp: "ours", rtcpFb: ["nack pli", "ccm fir"] });
  assert.deepEqual(
    answerFormat(offered, ours),
    mediaFormat(120, "VP8", 90000, { fmtp: "ours", rtcpFb: ["nack pli"] }),
  );
  assert.deepEqual(commonFeedback(staticFormat(0)!, ours), []);
});

Deno.test("directions: the result never exceeds either side", () => {
  const any = fc.constantFrom(...DIRECTIONS);
  fc.assert(fc.property(any, any, fc.boolean(), (ours, theirs, zero) => {
    const lines = ["m=audio 4000 RTP/AVP 0", `a=${theirs}`, ...(zero ? ["c=IN IP4 0.0.0.0"] : [])];
    const description = parseSdp(fromPhone(...lines));
    const result = narrowedDirection(ours, description, description.media[0]!);
    assert.ok(!sends(result) || sends(ours) && receives(theirs) && !zero);
    assert.ok(!receives(result) || receives(ours) && sends(theirs));
  }));
});
