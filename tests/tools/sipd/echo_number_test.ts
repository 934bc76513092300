import assert from "node:assert/strict";
import type { RtpSession } from "../../../lib/rtp/session.ts";
import { type MediaFormat, mediaFormat } from "../../../lib/sdp/media_format.ts";
import { createAnswer, createOffer, readAnswer } from "../../../lib/sdp/offer_answer.ts";
import { type SipBody, textBody } from "../../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";
import {
  echoTreatment,
  MAX_REPLIES,
  MAX_REPLIES_PER_SECOND,
  MAX_TEXT_OCTETS,
  MessageEcho,
} from "../../../lib/tools/sipd/echo_number.ts";
import { FakeClock } from "../../support/fake_clock.ts";
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

function bench() {
  const clock = new FakeClock();
  const sent: string[] = [];
  const open: (() => void)[] = [];
  const echo = new MessageEcho({
    clock,
    neverTo: new Set(["echo", "tone"]),
    send: (to, body, done) => {
      sent.push(`${formatSipUri(to)} ${new TextDecoder().decode(body.bytes)}`);
      open.push(done);
    },
  });
  return { clock, sent, open, echo };
}

const from = (address: string, body: SipBody = textBody("hi")) => ({
  from: parseNameAddr(address),
  to: parseNameAddr("<sip:echo@x>"),
  body,
});

Deno.test("a message goes back to its sender", () => {
  const { echo, sent } = bench();
  echo.receive(from('"Al" <sip:alice@10.0.0.1:5070>;tag=1'));
  assert.deepEqual(sent, ["sip:alice@10.0.0.1:5070 hi"]);
});

Deno.test("built-in numbers, nameless senders and very long texts get no reply", () => {
  const { echo, sent } = bench();
  echo.receive(from("<sip:echo@10.0.0.1>;tag=1"));
  echo.receive(from("<sip:tone@10.0.0.1>;tag=1"));
  echo.receive(from("<sip:10.0.0.1>;tag=1"));
  echo.receive(from("<sip:alice@x>", { type: "text/plain", bytes: new Uint8Array(MAX_TEXT_OCTETS + 1) }));
  assert.deepEqual(sent, []);
  assert.equal(echo.dropped, 4);
});

Deno.test("so many replies under way, and so many in a second", () => {
  const { echo, sent, open, clock } = bench();
  const receive = (count: number) => {
    for (let i = 0; i < count; i++) echo.receive(from("<sip:alice@x>"));
  };
  receive(MAX_REPLIES + 3);
  assert.equal(sent.length, MAX_REPLIES);
  for (const done of open.splice(0)) {
    done();
    done(); // twice counts once
  }
  receive(MAX_REPLIES);
  assert.equal(sent.length, MAX_REPLIES_PER_SECOND);
  for (const done of open.splice(0)) done();
  clock.advance(1000);
  receive(1);
  assert.equal(sent.length, MAX_REPLIES_PER_SECOND + 1);
});

Deno.test("messages of calls count like the others", () => {
  const { echo } = bench();
  let replies = 0;
  for (let i = 0; i < MAX_REPLIES + 2; i++) {
    echo.receiveInCall(textBody("hi"), () => void replies++);
  }
  assert.equal(replies, MAX_REPLIES);
});
