import assert from "node:assert/strict";
import type { RtpSession } from "../../../lib/rtp/session.ts";
import { type MediaFormat, mediaFormat } from "../../../lib/sdp/media_format.ts";
import { readAnswer } from "../../../lib/sdp/offer_answer.ts";
import { createAnswer, createOffer } from "../../../lib/sdp/offer_answer.ts";
import { echoTreatment } from "../../../lib/tools/sipd/echo_line.ts";
import { agreedOn, PCMU, RecordingSession, SPEEX } from "../../support/sipd_bench.ts";

const KNOWN: readonly MediaFormat[] = [
  SPEEX,
  mediaFormat(98, "Speex", 8000),
  PCMU,
  mediaFormat(8, "PCMA", 8000),
  mediaFormat(9, "G722", 8000),
  mediaFormat(107, "opus", 48000, { channels: 2, fmtp: "useinbandfec=1" }),
  mediaFormat(101, "telephone-event", 8000, { fmtp: "0-15" }),
  mediaFormat(120, "H264", 90000, { fmtp: "profile-level-id=640028" }),
  mediaFormat(97, "x-flv", 90000),
];
const UNKNOWN: readonly MediaFormat[] = [
  mediaFormat(18, "G729", 8000),
  mediaFormat(100, "red", 8000),
  mediaFormat(102, "opus", 48000),
  mediaFormat(103, "", 0),
];

Deno.test("echo takes every format the project knows, as it was offered", () => {
  assert.deepEqual(echoTreatment.accept("audio", [...UNKNOWN, ...KNOWN]), KNOWN);
});

Deno.test("of the feedback only key frame requests are taken", () => {
  const rtcpFb = ["nack", "nack pli", "ccm fir", "transport-cc"];
  const [taken] = echoTreatment.accept("video", [mediaFormat(99, "H264", 90000, { rtcpFb })]);
  assert.deepEqual(taken!.rtcpFb, ["nack pli", "ccm fir"]);
});

Deno.test("packets keep payload, timestamp and marker; what was not agreed is dropped", () => {
  const session = new RecordingSession();
  const agreed = agreedOn({ formats: [SPEEX, mediaFormat(101, "telephone-event", 8000), PCMU] });
  const connection = echoTreatment.connect(agreed, session as unknown as RtpSession);
  session.receiver?.fromRtp(Uint8Array.of(1, 2), 320, true, 96, 0);
  session.receiver?.fromRtp(Uint8Array.of(3), 640, false, 101, 0);
  session.receiver?.fromRtp(Uint8Array.of(4), 640, false, 8, 0);
  session.receiver?.fromRtp(Uint8Array.of(5), 4_294_967_296 + 7, false, 0, 3);
  assert.deepEqual(session.sent, [
    { payload: [1, 2], timestamp: 320, marker: true, payloadType: 96 },
    { payload: [3], timestamp: 640, marker: false, payloadType: 101 },
    { payload: [5], timestamp: 4_294_967_303, marker: false, payloadType: 0 },
  ]);
  connection[Symbol.dispose]();
  assert.equal(session.receiver, null);
});

Deno.test("each direction has its payload types when the caller renumbers our offer", () => {
  const fields = { address: "10.0.0.2", sessionId: 1, sessionVersion: 1 };
  const offer = createOffer({ ...fields, media: [{ ...echoTreatment.offered[0]!, port: 9 }] });
  const theirs = createAnswer(offer, { ...fields, media: [{ kind: "audio", port: 9, formats: [SPEEX] }] });
  assert.ok(theirs.type === "answer");
  const section = theirs.answer.media[0]!;
  const renumbered = {
    ...theirs.answer,
    media: [{ ...section, formats: section.formats.map((format) => ({ ...format, payloadType: 119 })) }],
  };
  const outcome = readAnswer(offer, renumbered);
  assert.ok(outcome.type === "answer");
  const session = new RecordingSession();
  using _connection = echoTreatment.connect(outcome.agreed[0]!, session as unknown as RtpSession);
  session.receiver?.fromRtp(Uint8Array.of(1), 0, false, 96, 0);
  session.receiver?.fromRtp(Uint8Array.of(1), 0, false, 119, 0);
  assert.deepEqual(session.sent.map(({ payloadType }) => payloadType), [119, 119]);
});

Deno.test("a request for a key frame goes back as well, where that was agreed", () => {
  const withFeedback = mediaFormat(99, "H264", 90000, { rtcpFb: ["nack pli"] });
  const rows = [
    { format: withFeedback, passed: ["pli"] },
    { format: mediaFormat(97, "x-flv", 90000), passed: [] },
  ];
  for (const { format, passed } of rows) {
    const session = new RecordingSession();
    const agreed = agreedOn({ kind: "video", formats: [format] });
    using _connection = echoTreatment.connect(agreed, session as unknown as RtpSession);
    session.onRtcp?.({ type: "pli" });
    session.onRtcp?.({ type: "bye" });
    assert.deepEqual(session.feedback, passed);
  }
});
