import assert from "node:assert/strict";
import {
  describeFormats,
  formatName,
  isAuxiliary,
  mediaFormat,
  sameFormat,
  staticFormat,
} from "../../lib/sdp/media_format.ts";

Deno.test("media format: static payload types of RFC 3551", () => {
  const expected: [number, string][] = [
    [0, "PCMU/8000"],
    [3, "GSM/8000"],
    [8, "PCMA/8000"],
    [9, "G722/8000"],
    [10, "L16/44100/2"],
    [13, "CN/8000"],
    [18, "G729/8000"],
    [34, "H263/90000"],
  ];
  for (const [payloadType, name] of expected) assert.equal(formatName(staticFormat(payloadType)!), name);
  for (const dynamic of [1, 35, 96, 127, 128, -1]) assert.equal(staticFormat(dynamic), null);
});

Deno.test("media format: the same codec under other numbers and spellings", () => {
  const pcmu = mediaFormat(0, "PCMU", 8000);
  assert.ok(sameFormat(pcmu, mediaFormat(97, "pcmu", 8000, { fmtp: "x=y" })));
  assert.ok(!sameFormat(pcmu, mediaFormat(0, "PCMU", 16000)));
  assert.ok(!sameFormat(pcmu, mediaFormat(0, "PCMU", 8000, { channels: 2 })));
  assert.ok(!sameFormat(mediaFormat(96, "speex", 16000), mediaFormat(96, "speex", 8000)));
  assert.ok(!sameFormat(mediaFormat(96, "", 0), mediaFormat(96, "", 0)));
  const one = mediaFormat(99, "H264", 90000, { fmtp: "profile-level-id=42e01f;packetization-mode=1" });
  assert.ok(sameFormat(one, mediaFormat(97, "h264", 90000, { fmtp: "profile-level-id=42e00a" })));
  assert.ok(!sameFormat(one, mediaFormat(97, "h264", 90000, { fmtp: "profile-level-id=640028" })));
});

Deno.test("media format: DTMF, redundancy and comfort noise only accompany", () => {
  for (const name of ["telephone-event", "Telephone-Event", "red", "CN", "cn"]) {
    assert.ok(isAuxiliary(mediaFormat(101, name, 8000)), name);
  }
  assert.ok(!isAuxiliary(mediaFormat(0, "PCMU", 8000)));
});

Deno.test("media format: lists for people", () => {
  const opus = mediaFormat(111, "opus", 48000, { channels: 2 });
  assert.equal(
    describeFormats([staticFormat(0)!, opus, mediaFormat(99, "", 0)]),
    "PCMU/8000, opus/48000/2, payload type 99",
  );
  assert.equal(describeFormats([]), "nothing");
});
