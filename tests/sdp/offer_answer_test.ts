import assert from "node:assert/strict";
import fc from "fast-check";
import {
  createAnswer,
  createOffer,
  createReoffer,
  type LocalMedia,
  type Negotiation,
  readAnswer,
} from "../../lib/sdp/offer_answer.ts";
import { formatSdp, parseSdp } from "../../lib/sdp/description.ts";
import { isAuxiliary, type MediaFormat, mediaFormat } from "../../lib/sdp/media_format.ts";
import { fromPhone, sdpText } from "../support/sdp_lines.ts";

const SPEEX = mediaFormat(96, "speex", 16000);
const NARROW = mediaFormat(98, "speex", 8000);
const PCMU = mediaFormat(0, "PCMU", 8000);
const PCMA = mediaFormat(8, "PCMA", 8000);
const TONES = mediaFormat(101, "telephone-event", 8000, { fmtp: "0-15" });
const RED = mediaFormat(102, "red", 8000, { fmtp: "101/101" });
const H264 = mediaFormat(99, "H264", 90000, {
  fmtp: "profile-level-id=420014;packetization-mode=1",
  rtcpFb: ["nack pli", "ccm fir"],
});
const FLV = mediaFormat(97, "x-flv", 90000);

const audio = (...formats: MediaFormat[]): LocalMedia => ({ kind: "audio", port: 10000, formats });
const video = (...formats: MediaFormat[]): LocalMedia => ({ kind: "video", port: 10002, formats });
const FIELDS = { address: "192.0.2.1", sessionId: 1700000000, sessionVersion: 1700000000 };
const HEAD = ["v=0", "o=- 1700000000 1700000000 IN IP4 192.0.2.1", "s=-"];

Deno.test("offer: the shape of behaviour 1.6, with parameters for DTMF and feedback for video", () => {
  const offer = createOffer({ ...FIELDS, media: [audio(SPEEX, PCMU, TONES), video(H264)] });
  assert.equal(
    formatSdp(offer),
    sdpText(
      ...HEAD,
      "c=IN IP4 192.0.2.1",
      "t=0 0",
      "m=audio 10000 RTP/AVP 96 0 101",
      "a=rtpmap:96 speex/16000",
      "a=rtpmap:0 PCMU/8000",
      "a=rtpmap:101 telephone-event/8000",
      "a=fmtp:101 0-15",
      "m=video 10002 RTP/AVP 99",
      "a=rtpmap:99 H264/90000",
      "a=fmtp:99 profile-level-id=420014;packetization-mode=1",
      "a=rtcp-fb:99 nack pli",
      "a=rtcp-fb:99 ccm fir",
    ),
  );
});

Deno.test("offer: hold is c=0.0.0.0 and sendonly, its end says sendrecv", () => {
  const media = [{ ...audio(PCMU), ptimeMs: 20 }];
  const lines = (hold: boolean | undefined) => {
    const fields = hold === undefined ? FIELDS : { ...FIELDS, hold };
    return formatSdp(createOffer({ ...fields, media })).split("\r\n").slice(3);
  };
  const line = ["m=audio 10000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=ptime:20"];
  assert.deepEqual(lines(undefined), ["c=IN IP4 192.0.2.1", "t=0 0", ...line, ""]);
  assert.deepEqual(lines(true), ["c=IN IP4 0.0.0.0", "t=0 0", ...line, "a=sendonly", ""]);
  assert.deepEqual(lines(false), ["c=IN IP4 192.0.2.1", "t=0 0", ...line, "a=sendrecv", ""]);
});

Deno.test("offer: hold over IPv6 keeps the address", () => {
  const text = formatSdp(
    createOffer({ ...FIELDS, address: "2001:db8::1", hold: true, media: [audio(PCMU)] }),
  );
  assert.match(text, /o=- 1700000000 1700000000 IN IP6 2001:db8::1\r\n/);
  assert.match(text, /c=IN IP6 2001:db8::1\r\n/);
  assert.match(text, /a=sendonly\r\n/);
});

Deno.test("offer: directions of a medium, also together with hold", () => {
  const direction = (wanted: LocalMedia["direction"] & string, hold?: boolean) => {
    const media = [{ ...audio(PCMU), direction: wanted }];
    return createOffer(hold === undefined ? { ...FIELDS, media } : { ...FIELDS, hold, media }).media[0]!
      .direction;
  };
  assert.equal(direction("recvonly"), "recvonly");
  assert.equal(direction("recvonly", true), "inactive");
  assert.equal(direction("sendonly", true), "sendonly");
  assert.equal(direction("inactive", false), "inactive");
});

Deno.test("reoffer: lines and payload types of the last description stay", () => {
  const offer = parseSdp(fromPhone("m=audio 4000 RTP/AVP 18 8", "m=image 5000 udptl t38"));
  const result = createAnswer(offer, { ...FIELDS, media: [audio(PCMU, PCMA)] });
  assert.ok(result.type === "answer");
  const hold = createReoffer(result.answer, { ...FIELDS, sessionVersion: 1700000001, hold: true });
  assert.equal(
    formatSdp(hold),
    sdpText(
      "v=0",
      "o=- 1700000000 1700000001 IN IP4 192.0.2.1",
      "s=-",
      "c=IN IP4 0.0.0.0",
      "t=0 0",
      "m=audio 10000 RTP/AVP 8",
      "a=rtpmap:8 PCMA/8000",
      "a=sendonly",
      "m=image 0 udptl t38",
    ),
  );
  const back = createReoffer(hold, { ...FIELDS, sessionVersion: 1700000002, hold: false });
  assert.equal(back.connection, "192.0.2.1");
  assert.deepEqual(back.media.map((media) => media.direction), ["sendrecv", null]);
});

interface AnswerCase {
  name: string;
  offer: string[];
  media: LocalMedia[];
  /** Lines after t=0 0, or the reason of a refusal. */
  expected: string[] | RegExp;
}

const ANSWERS: AnswerCase[] = [
  {
    name: "static payload types without rtpmap, the offerer's order",
    offer: ["m=audio 4000 RTP/AVP 8 0 9"],
    media: [audio(PCMU, PCMA)],
    expected: ["m=audio 10000 RTP/AVP 8 0", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000"],
  },
  {
    name: "the peer's payload types, names in any case",
    offer: ["m=audio 4000 RTP/AVP 110 0", "a=rtpmap:110 SPEEX/16000", "a=rtpmap:0 pcmu/8000/1"],
    media: [audio(SPEEX, PCMU)],
    expected: ["m=audio 10000 RTP/AVP 110 0", "a=rtpmap:110 SPEEX/16000", "a=rtpmap:0 pcmu/8000"],
  },
  {
    name: "defect 2: DTMF alone are no match",
    offer: ["m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000"],
    media: [audio(SPEEX, TONES)],
    expected:
      /^No common media format: peer has audio PCMU\/8000, PCMA\/8000, telephone-event\/8000, gateway has audio speex\/16000, telephone-event\/8000$/,
  },
  {
    name: "DTMF and comfort noise offered alone are no match either",
    offer: ["m=audio 4000 RTP/AVP 13 101", "a=rtpmap:101 telephone-event/8000"],
    media: [audio(PCMU, TONES, mediaFormat(13, "CN", 8000))],
    expected: /peer has audio CN\/8000, telephone-event\/8000/,
  },
  {
    name: "one port-0 line for each unmatched medium",
    offer: [
      "m=audio 4000 RTP/AVP 0",
      "m=video 4002 RTP/AVP 96 34",
      "a=rtpmap:96 VP8/90000",
      "m=image 4004 udptl t38",
    ],
    media: [audio(PCMU), video(H264)],
    expected: [
      "m=audio 10000 RTP/AVP 0",
      "a=rtpmap:0 PCMU/8000",
      "m=video 0 RTP/AVP 96 34",
      "m=image 0 udptl t38",
    ],
  },
  {
    name: "media switched off and media over SRTP are refused, the plain line behind them is taken",
    offer: ["m=audio 0 RTP/AVP 0", "m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 0"],
    media: [audio(PCMU)],
    expected: [
      "m=audio 0 RTP/AVP 0",
      "m=audio 0 RTP/SAVP 0",
      "m=audio 10000 RTP/AVP 0",
      "a=rtpmap:0 PCMU/8000",
    ],
  },
  {
    name: "only SRTP: the reason says so",
    offer: ["m=audio 4000 RTP/SAVP 0"],
    media: [audio(PCMU)],
    expected: /peer has audio over RTP\/SAVP PCMU\/8000, gateway has audio PCMU\/8000$/,
  },
  {
    name: "a second audio line stays refused: one local medium, one line",
    offer: ["m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 8"],
    media: [audio(PCMU, PCMA)],
    expected: ["m=audio 10000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "m=audio 0 RTP/AVP 8"],
  },
  {
    name: "defect 3: parameters follow the payload type, profile and mode the offer's, the lower level ours",
    offer: [
      "m=video 4002 RTP/AVPF 97",
      "a=rtpmap:97 H264/90000",
      "a=fmtp:97 profile-level-id=42E01F;packetization-mode=1",
      "a=rtcp-fb:* nack pli",
    ],
    media: [audio(PCMU), video(H264)],
    expected: [
      "m=video 10002 RTP/AVPF 97",
      "a=rtpmap:97 H264/90000",
      "a=fmtp:97 profile-level-id=42e014;packetization-mode=1",
      "a=rtcp-fb:97 nack pli",
    ],
  },
  {
    name: "H.264 of another profile is no match",
    offer: ["m=video 4002 RTP/AVP 97", "a=rtpmap:97 H264/90000", "a=fmtp:97 profile-level-id=640028"],
    media: [video(H264)],
    expected: /peer has video H264\/90000/,
  },
  {
    name: "DTMF on every clock of the agreed codecs, not on others",
    offer: [
      "m=audio 4000 RTP/AVP 96 0 101 102 103",
      "a=rtpmap:96 speex/16000",
      "a=rtpmap:101 telephone-event/8000",
      "a=rtpmap:102 telephone-event/16000",
      "a=rtpmap:103 telephone-event/48000",
      "a=fmtp:101 0-16",
    ],
    media: [audio(SPEEX, TONES)],
    expected: [
      "m=audio 10000 RTP/AVP 96 101 102",
      "a=rtpmap:96 speex/16000",
      "a=rtpmap:101 telephone-event/8000",
      "a=rtpmap:102 telephone-event/16000",
      "a=fmtp:101 0-15",
      "a=fmtp:102 0-15",
    ],
  },
  {
    name: "redundancy names the peer's payload types, and only agreed ones",
    offer: [
      "m=audio 4000 RTP/AVP 0 110 111",
      "a=rtpmap:110 telephone-event/8000",
      "a=rtpmap:111 red/8000",
      "a=fmtp:111 110/110/18",
    ],
    media: [audio(PCMU, TONES, RED)],
    expected: [
      "m=audio 10000 RTP/AVP 0 110 111",
      "a=rtpmap:0 PCMU/8000",
      "a=rtpmap:110 telephone-event/8000",
      "a=rtpmap:111 red/8000",
      "a=fmtp:110 0-15",
      "a=fmtp:111 110/110",
    ],
  },
  {
    name: "redundancy of formats we lack is left out",
    offer: ["m=audio 4000 RTP/AVP 0 111", "a=rtpmap:111 red/8000", "a=fmtp:111 18/18"],
    media: [audio(PCMU, TONES, RED)],
    expected: ["m=audio 10000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"],
  },
  {
    name: "hold is answered recvonly, an explicit sendrecv is repeated",
    offer: ["m=audio 4000 RTP/AVP 0", "a=sendonly", "m=video 4002 RTP/AVP 97", "a=rtpmap:97 x-flv/90000"]
      .concat("a=sendrecv"),
    media: [audio(PCMU), video(FLV)],
    expected: [
      "m=audio 10000 RTP/AVP 0",
      "a=rtpmap:0 PCMU/8000",
      "a=recvonly",
      "m=video 10002 RTP/AVP 97",
      "a=rtpmap:97 x-flv/90000",
      "a=sendrecv",
    ],
  },
  { name: "no media at all", offer: [], media: [audio(PCMU)], expected: /describes no media/ },
  {
    name: "nothing to offer from our side",
    offer: ["m=audio 4000 RTP/AVP 0"],
    media: [],
    expected: /gateway has nothing$/,
  },
];

for (const { name, offer, media, expected } of ANSWERS) {
  Deno.test(`answer: ${name}`, () => {
    const result = createAnswer(parseSdp(fromPhone(...offer)), { ...FIELDS, media });
    if (expected instanceof RegExp) {
      assert.equal(result.type, "none");
      assert.match(result.type === "none" ? result.reason : "", expected);
    } else {
      const text = result.type === "answer" ? formatSdp(result.answer) : result.reason;
      assert.equal(text, sdpText(...HEAD, "c=IN IP4 192.0.2.1", "t=0 0", ...expected));
    }
  });
}

Deno.test("answer: what was agreed", () => {
  const offer = parseSdp(fromPhone(
    "m=image 5000 udptl t38",
    "m=audio 4000 RTP/AVP 110 0 101",
    "a=rtpmap:110 speex/16000",
    "a=rtpmap:101 telephone-event/8000",
    "a=rtcp:4009",
  ));
  const result = createAnswer(offer, { ...FIELDS, media: [audio(SPEEX, TONES)] });
  assert.ok(result.type === "answer");
  assert.deepEqual(result.agreed, [{
    kind: "audio",
    index: 1,
    remote: { hostname: "192.0.2.5", port: 4000 },
    rtcpRemote: { hostname: "192.0.2.5", port: 4009 },
    direction: "sendrecv",
    heldByRemote: false,
    formats: [{
      sendPayloadType: 110,
      receivePayloadTypes: [110],
      name: "speex",
      clockRate: 16000,
      channels: 1,
      fmtp: null,
      localFmtp: null,
      rtcpFb: [],
    }],
    telephoneEvent: result.agreed[0]!.telephoneEvents[0],
    telephoneEvents: [{
      sendPayloadType: 101,
      receivePayloadTypes: [101],
      name: "telephone-event",
      clockRate: 8000,
      channels: 1,
      fmtp: null,
      localFmtp: "0-15",
      rtcpFb: [],
    }],
    redundancy: null,
    comfortNoise: [],
    ptimeMs: null,
  }]);
});

Deno.test("answer: while we hold, the answer sends only", () => {
  const offer = parseSdp(fromPhone("m=audio 4000 RTP/AVP 0"));
  const result = createAnswer(offer, { ...FIELDS, hold: true, media: [audio(PCMU)] });
  assert.ok(result.type === "answer");
  assert.equal(result.agreed[0]!.direction, "sendonly");
  assert.match(formatSdp(result.answer), /c=IN IP4 0\.0\.0\.0\r\n[^]*a=sendonly\r\n$/);
});

function answered(offerMedia: LocalMedia[], lines: string[], hold?: boolean): Negotiation {
  const fields = hold === undefined ? FIELDS : { ...FIELDS, hold };
  return readAnswer(createOffer({ ...fields, media: offerMedia }), parseSdp(fromPhone(...lines)));
}

Deno.test("reading answers: payload types may differ each way", () => {
  const result = answered([audio(SPEEX, PCMU, TONES)], [
    "m=audio 4000 RTP/AVP 120 121",
    "a=rtpmap:120 speex/16000",
    "a=rtpmap:121 telephone-event/8000",
  ]);
  assert.ok(result.type === "answer");
  const [agreed] = result.agreed;
  assert.equal(agreed!.formats[0]!.sendPayloadType, 120);
  assert.deepEqual(agreed!.formats[0]!.receivePayloadTypes, [96, 120]);
  assert.equal(agreed!.telephoneEvent!.sendPayloadType, 121);
  assert.deepEqual(agreed!.telephoneEvent!.receivePayloadTypes, [101, 121]);
});

Deno.test("reading answers: a payload type of ours counts although its parameters changed", () => {
  const result = answered([video(H264)], [
    "m=video 4000 RTP/AVP 99",
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=640028",
  ]);
  assert.ok(result.type === "answer");
  assert.equal(result.agreed[0]!.formats[0]!.fmtp, "profile-level-id=640028");
  assert.equal(result.agreed[0]!.formats[0]!.localFmtp, H264.fmtp);
});

Deno.test("reading answers: two speex rates are told apart", () => {
  const result = answered([audio(SPEEX, NARROW)], ["m=audio 4000 RTP/AVP 98", "a=rtpmap:98 speex/8000"]);
  assert.ok(result.type === "answer");
  assert.deepEqual(result.agreed[0]!.formats.map((format) => format.clockRate), [8000]);
});

Deno.test("reading answers: refused, missing, swapped and foreign lines", () => {
  const both = [audio(PCMU), video(FLV)];
  const one = answered(both, ["m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 97"]);
  assert.deepEqual(one.type === "answer" && one.agreed.map((media) => media.kind), ["audio"]);
  const missing = answered(both, ["m=audio 4000 RTP/AVP 0"]);
  assert.deepEqual(missing.type === "answer" && missing.agreed.map((media) => media.kind), ["audio"]);
  assert.equal(answered([audio(PCMU)], ["m=video 4000 RTP/AVP 97", "a=rtpmap:97 x-flv/90000"]).type, "none");
  assert.equal(answered([audio(PCMU)], ["m=audio 4000 RTP/AVP 8"]).type, "none");
  const refused = answered([audio(PCMU)], ["m=audio 0 RTP/AVP 0"]);
  assert.match(
    refused.type === "none" ? refused.reason : "",
    /peer has audio refused, gateway has audio PCMU/,
  );
  const tones = answered([audio(PCMU, TONES)], [
    "m=audio 4000 RTP/AVP 101",
    "a=rtpmap:101 telephone-event/8000",
  ]);
  assert.equal(tones.type, "none");
});

Deno.test("reading answers: direction and hold from both sides", () => {
  const direction = (lines: string[], hold?: boolean) => {
    const result = answered([audio(PCMU)], ["m=audio 4000 RTP/AVP 0", ...lines], hold);
    assert.ok(result.type === "answer");
    const { direction, heldByRemote, remote } = result.agreed[0]!;
    return [direction, heldByRemote, remote === null];
  };
  assert.deepEqual(direction([]), ["sendrecv", false, false]);
  assert.deepEqual(direction(["a=recvonly"], true), ["sendonly", false, false]);
  assert.deepEqual(direction([], true), ["sendonly", false, false]);
  assert.deepEqual(direction(["a=sendonly"]), ["recvonly", true, false]);
  assert.deepEqual(direction(["a=inactive"], true), ["inactive", true, false]);
  assert.deepEqual(direction(["c=IN IP4 0.0.0.0"]), ["recvonly", true, true]);
});

Deno.test("reasons stay short and quotable whatever the peer lists", () => {
  const types = Array.from({ length: 100 }, (_, index) => index + 20);
  const offer = parseSdp(fromPhone(`m=audio 4000 RTP/AVP ${types.join(" ")}`));
  const result = createAnswer(offer, { ...FIELDS, media: [audio(PCMU)] });
  assert.ok(result.type === "none" && result.reason.length <= 400);
});

const ALL = [SPEEX, NARROW, PCMU, PCMA, TONES, RED, mediaFormat(9, "G722", 8000)];
const anyAudio = fc.uniqueArray(fc.constantFrom(...ALL), { minLength: 1 });
const anyVideo = fc.subarray([H264, FLV], { minLength: 1 });
const anyMedia = fc.array(
  fc.oneof(anyAudio.map((formats) => audio(...formats)), anyVideo.map((formats) => video(...formats))),
  { maxLength: 4 },
);

/** Moves the payload types of one side up, as another implementation would number them. */
function renumbered(media: LocalMedia[]): LocalMedia[] {
  const move = (type: number) => type < 96 ? type : type + 10;
  return media.map((one) => ({
    ...one,
    port: one.port + 1000,
    formats: one.formats.map((format) => ({
      ...format,
      payloadType: move(format.payloadType),
      fmtp: format.name === "red" ? "111/111" : format.fmtp,
    })),
  }));
}

Deno.test("any two sides: the answer fits the offer and both come to the same agreement", () => {
  fc.assert(fc.property(anyMedia, anyMedia, (offering, answering) => {
    const offer = parseSdp(formatSdp(createOffer({ ...FIELDS, media: renumbered(offering) })));
    const result = createAnswer(offer, { ...FIELDS, address: "192.0.2.2", media: answering });
    const common = offering.some((a) =>
      answering.some((b) =>
        a.kind === b.kind && a.formats.some((format) => !isAuxiliary(format) && b.formats.includes(format))
      )
    );
    assert.equal(result.type === "answer", common);
    if (result.type === "none") return;
    const answer = parseSdp(formatSdp(result.answer));
    assert.deepEqual(answer.media.map((media) => media.kind), offer.media.map((media) => media.kind));
    const read = readAnswer(offer, answer);
    assert.ok(read.type === "answer");
    assert.deepEqual(
      read.agreed.map((media) => [media.index, media.formats.map((format) => format.sendPayloadType)]),
      result.agreed.map((media) => [media.index, media.formats.map((format) => format.sendPayloadType)]),
    );
  }));
});
