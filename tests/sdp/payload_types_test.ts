// Payload types of answers: what is sent, and what may arrive, when a peer numbers formats in its own way, leaves out
// what has one meaning, or repeats our numbers (RFC 3264 5.1, 6.1).
import assert from "node:assert/strict";
import fc from "fast-check";
import { type AgreedFormat, withEarlierNumbers } from "../../lib/sdp/agreed_media.ts";
import { formatSdp, parseSdp } from "../../lib/sdp/description.ts";
import { type MediaFormat, mediaFormat } from "../../lib/sdp/media_format.ts";
import { createAnswer, createOffer, type LocalMedia, readAnswer } from "../../lib/sdp/offer_answer.ts";
import { fromPhone } from "../support/sdp_lines.ts";

const FIELDS = { address: "192.0.2.1", sessionId: 1, sessionVersion: 1 };
const OPUS = mediaFormat(107, "opus", 48000, { channels: 2 });
const FORMATS: readonly MediaFormat[] = [
  OPUS,
  mediaFormat(96, "speex", 16000),
  mediaFormat(98, "speex", 8000),
  mediaFormat(9, "G722", 8000),
  mediaFormat(0, "pcmu", 8000),
  mediaFormat(8, "pcma", 8000),
  mediaFormat(101, "telephone-event", 8000),
  mediaFormat(100, "red", 8000, { fmtp: "101/101/101" }),
];
const H264 = mediaFormat(99, "h264", 90000, { fmtp: "profile-level-id=42e01f;packetization-mode=1" });
const FLV = mediaFormat(97, "x-flv", 90000);

const audio: LocalMedia = { kind: "audio", port: 10000, formats: FORMATS };
const video: LocalMedia = { kind: "video", port: 10002, formats: [H264, FLV] };

/** "opus/48000 111<-107,111": sent with 111, taken with 107 and 111. */
function shown({ name, clockRate, sendPayloadType, receivePayloadTypes }: AgreedFormat): string {
  return `${name}/${clockRate} ${sendPayloadType}<-${receivePayloadTypes.join(",")}`;
}

/** What an answer to our offer settles, or the reason of a refusal. */
function settled(lines: readonly string[], media: readonly LocalMedia[] = [audio, video]): string[] {
  const offer = createOffer({ ...FIELDS, media });
  const outcome = readAnswer(offer, parseSdp(fromPhone(...lines)));
  if (outcome.type === "none") return [outcome.reason];
  return outcome.agreed.flatMap(({ formats, telephoneEvents, redundancy, comfortNoise }) =>
    [...formats, ...telephoneEvents, ...(redundancy === null ? [] : [redundancy]), ...comfortNoise].map(shown)
  );
}

const ANSWERS: [name: string, lines: string[], expected: string[]][] = [
  ["our numbers", ["m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000"], [
    "PCMU/8000 0<-0",
    "telephone-event/8000 101<-101",
  ]],
  ["opus and DTMF with its own", [
    "m=audio 4000 RTP/AVP 111 122",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:122 telephone-event/8000",
  ], ["opus/48000 111<-107,111", "telephone-event/8000 122<-101,122"]],
  ["both rates of Speex renumbered", [
    "m=audio 4000 RTP/AVP 110 112",
    "a=rtpmap:110 speex/8000",
    "a=rtpmap:112 SPEEX/16000",
  ], ["speex/8000 110<-98,110", "SPEEX/16000 112<-96,112"]],
  ["both rates of Speex exchanged: the number is ours in what arrives", [
    "m=audio 4000 RTP/AVP 98 96",
    "a=rtpmap:98 speex/16000",
    "a=rtpmap:96 speex/8000",
  ], ["speex/16000 98<-96", "speex/8000 96<-98"]],
  ["a number of ours that was not agreed is free for it", [
    "m=audio 4000 RTP/AVP 0 96",
    "a=rtpmap:96 telephone-event/8000",
  ], ["PCMU/8000 0<-0", "telephone-event/8000 96<-101,96"]],
  ["static formats with dynamic numbers", [
    "m=audio 4000 RTP/AVP 105 106 109",
    "a=rtpmap:105 PCMU/8000",
    "a=rtpmap:106 PCMA/8000",
    "a=rtpmap:109 G722/8000",
  ], ["PCMU/8000 105<-0,105", "PCMA/8000 106<-8,106", "G722/8000 109<-9,109"]],
  ["redundancy and comfort noise", [
    "m=audio 4000 RTP/AVP 0 118 119 120",
    "a=rtpmap:118 telephone-event/8000",
    "a=rtpmap:119 red/8000",
    "a=fmtp:119 118/118",
    "a=rtpmap:120 CN/8000",
  ], [
    "PCMU/8000 0<-0",
    "telephone-event/8000 118<-101,118",
    "red/8000 119<-100,119",
    "CN/8000 120<-120",
  ]],
  ["comfort noise with a number that is ours for something agreed", [
    "m=audio 4000 RTP/AVP 122 107",
    "a=rtpmap:122 opus/48000/2",
    "a=rtpmap:107 CN/8000",
  ], ["opus/48000 122<-107,122"]],
  ["video", [
    "m=audio 0 RTP/AVP 0",
    "m=video 4002 RTP/AVP 126 125",
    "a=rtpmap:126 H264/90000",
    "a=fmtp:126 profile-level-id=42e01f;packetization-mode=1",
    "a=rtpmap:125 X-FLV/90000",
  ], ["H264/90000 126<-99,126", "X-FLV/90000 125<-97,125"]],
  ["H.264 and x-flv exchanged", [
    "m=audio 0 RTP/AVP 0",
    "m=video 4002 RTP/AVP 97 99",
    "a=rtpmap:97 H264/90000",
    "a=fmtp:97 profile-level-id=42e01f;packetization-mode=1",
    "a=rtpmap:99 x-flv/90000",
  ], ["H264/90000 97<-99", "x-flv/90000 99<-97"]],
  ["H.264 renumbered and of another profile, where we offered it once", [
    "m=audio 0 RTP/AVP 0",
    "m=video 4002 RTP/AVP 126",
    "a=rtpmap:126 H264/90000",
    "a=fmtp:126 profile-level-id=640028",
  ], ["H264/90000 126<-99,126"]],
  ["our numbers without rtpmap", ["m=audio 4000 RTP/AVP 107 101 96", "m=video 4002 RTP/AVP 99"], [
    "opus/48000 107<-107",
    "speex/16000 96<-96",
    "telephone-event/8000 101<-101",
    "h264/90000 99<-99",
  ]],
  ["its own numbers without rtpmap mean nothing", ["m=audio 4000 RTP/AVP 0 121"], ["PCMU/8000 0<-0"]],
  ["clock rates left out", [
    "m=audio 4000 RTP/AVP 107 96 122 0",
    "a=rtpmap:107 opus",
    "a=rtpmap:96 speex",
    "a=rtpmap:122 telephone-event",
    "a=rtpmap:0 PCMU",
  ], ["opus/48000 107<-107", "speex/16000 96<-96", "PCMU/8000 0<-0", "telephone-event/8000 122<-101,122"]],
  ["opus without its channels, G.722 with the rate of its samples, spaces and case", [
    "m=audio 4000 RTP/AVP 111 9 122",
    "a=rtpmap:111 OPUS/48000",
    "a=rtpmap:9 g722/16000",
    "A=RTPMAP:122  Telephone-Event / 8000",
  ], ["OPUS/48000 111<-107,111", "g722/8000 9<-9", "Telephone-Event/8000 122<-101,122"]],
  ["fmtp before rtpmap, each number twice, one mapped twice", [
    "m=audio 4000 RTP/AVP 122 122 0 0",
    "a=fmtp:122 0-11",
    "a=rtpmap:122 telephone-event/8000",
    "a=rtpmap:122 G729/8000",
  ], ["PCMU/8000 0<-0", "telephone-event/8000 122<-101,122"]],
  ["more than was offered: further codecs are passed over, further DTMF are not", [
    "m=audio 4000 RTP/AVP 111 3 18 102 103",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:102 telephone-event/48000",
    "a=rtpmap:103 telephone-event/8000",
  ], ["opus/48000 111<-107,111", "telephone-event/48000 102<-102", "telephone-event/8000 103<-101,103"]],
  ["DTMF on another clock, with a number that is ours for an agreed codec: it stays the codec's", [
    "m=audio 4000 RTP/AVP 110 96",
    "a=rtpmap:110 speex/16000",
    "a=rtpmap:96 telephone-event/48000",
  ], ["speex/16000 110<-96,110"]],
  ["lines in another order", ["m=video 4002 RTP/AVP 99", "m=audio 4000 RTP/AVP 0"], [
    "PCMU/8000 0<-0",
    "h264/90000 99<-99",
  ]],
  ["the first line left out", ["m=video 4002 RTP/AVP 99"], ["h264/90000 99<-99"]],
  ["the last line left out", ["m=audio 4000 RTP/AVP 8"], ["PCMA/8000 8<-8"]],
  ["one line too many", ["m=audio 4000 RTP/AVP 8", "m=video 0 RTP/AVP 99", "m=image 4004 udptl t38"], [
    "PCMA/8000 8<-8",
  ]],
  ["two lines of one kind beside none: which it is cannot be told", [
    "m=video 4002 RTP/AVP 99",
    "m=audio 4000 RTP/AVP 0",
    "m=audio 4004 RTP/AVP 8",
  ], ["h264/90000 99<-99"]],
  ["DTMF alone", ["m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"], [
    "No common media format: peer has audio telephone-event/8000 without a codec, gateway has audio " +
    "opus/48000/2, speex/16000, speex/8000, G722/8000, pcmu/8000, pcma/8000, telephone-event/8000, red/8000; " +
    "video h264/90000, x-flv/90000",
  ]],
  ["every line refused", ["m=audio 0 RTP/AVP 0", "m=video 0 RTP/AVP 99"], [
    "No common media format: peer has audio refused; video refused, gateway has audio " +
    "opus/48000/2, speex/16000, speex/8000, G722/8000, pcmu/8000, pcma/8000, telephone-event/8000, red/8000; " +
    "video h264/90000, x-flv/90000",
  ]],
];

for (const [name, lines, expected] of ANSWERS) {
  Deno.test(`answer: ${name}`, () => assert.deepEqual(settled(lines), expected));
}

Deno.test("a number repeated without rtpmap has the parameters of our offer, but no parameter sets of ours", () => {
  const fmtp = `${H264.fmtp};sprop-parameter-sets=Z0LA,aM4=`;
  const offer = createOffer({ ...FIELDS, media: [{ ...video, formats: [{ ...H264, fmtp }] }] });
  const outcome = readAnswer(offer, parseSdp(fromPhone("m=video 4000 RTP/AVP 99")));
  assert.ok(outcome.type === "answer");
  assert.equal(outcome.agreed[0]!.formats[0]!.fmtp, H264.fmtp);
});

const EVENTS: [name: string, lines: string[], expected: string[]][] = [
  ["on the clocks of both codecs", [
    "m=audio 4000 RTP/AVP 111 0 101 102",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:101 telephone-event/48000",
    "a=rtpmap:102 telephone-event/8000",
  ], ["111 opus/48000/2", "0 PCMU/8000", "101 telephone-event/48000 0-15", "102 telephone-event/8000 0-15"]],
  ["on three", [
    "m=audio 4000 RTP/AVP 111 96 0 101 102 103",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:96 speex/16000",
    "a=rtpmap:101 telephone-event/48000",
    "a=rtpmap:102 telephone-event/8000",
    "a=rtpmap:103 telephone-event/16000",
    "a=fmtp:101 0-16",
    "a=fmtp:102 0-11,16",
    "a=fmtp:103 events=0-15",
  ], [
    "111 opus/48000/2",
    "96 speex/16000",
    "0 PCMU/8000",
    "101 telephone-event/48000 0-15",
    "102 telephone-event/8000 0-15",
    "103 telephone-event/16000 0-15",
  ]],
  ["twice on one", [
    "m=audio 4000 RTP/AVP 0 101 102",
    "a=rtpmap:101 telephone-event/8000",
    "a=rtpmap:102 telephone-event/8000",
  ], ["0 PCMU/8000", "101 telephone-event/8000 0-15", "102 telephone-event/8000 0-15"]],
  ["on 8000 beside opus alone", [
    "m=audio 4000 RTP/AVP 111 101",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:101 telephone-event/8000",
  ], ["111 opus/48000/2", "101 telephone-event/8000 0-15"]],
  ["not on the clock of a codec we lack", [
    "m=audio 4000 RTP/AVP 0 121 101 102",
    "a=rtpmap:121 SILK/24000",
    "a=rtpmap:101 telephone-event/24000",
    "a=rtpmap:102 telephone-event/8000",
  ], ["0 PCMU/8000", "102 telephone-event/8000 0-15"]],
  ["without a clock rate", ["m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event"], [
    "0 PCMU/8000",
    "101 telephone-event/8000 0-15",
  ]],
  ["with redundancy that would carry sound, which is left out", [
    "m=audio 4000 RTP/AVP 0 101 121",
    "a=rtpmap:101 telephone-event/8000",
    "a=rtpmap:121 red/8000",
    "a=fmtp:121 0/0",
  ], ["0 PCMU/8000", "101 telephone-event/8000 0-15"]],
];

for (const [name, lines, expected] of EVENTS) {
  Deno.test(`our answer: DTMF ${name}`, () => {
    const formats = FORMATS.map((format) =>
      format.name === "telephone-event" ? { ...format, fmtp: "0-15" } : format
    );
    const outcome = createAnswer(parseSdp(fromPhone(...lines)), {
      ...FIELDS,
      media: [{ ...audio, formats }],
    });
    assert.ok(outcome.type === "answer");
    const answered = parseSdp(formatSdp(outcome.answer)).media[0]!.formats;
    const text = ({ payloadType, name, clockRate, channels, fmtp }: MediaFormat) =>
      `${payloadType} ${name}/${clockRate}${channels > 1 ? `/${channels}` : ""}${
        fmtp === null ? "" : ` ${fmtp}`
      }`;
    assert.deepEqual(answered.map(text), expected);
  });
}

Deno.test("any renumbering: sent is theirs, and what arrives with a number of either side has one meaning, ours first", () => {
  const number = fc.integer({ min: 96, max: 127 });
  const chosen = fc.subarray(FORMATS.filter(({ name }) => name !== "red"), { minLength: 1 });
  const numbers = fc.uniqueArray(number, { minLength: FORMATS.length, maxLength: FORMATS.length });
  fc.assert(fc.property(chosen, numbers, (formats, types) => {
    const answered = formats.map((format, i) => ({ ...format, payloadType: types[i]! }));
    const section = createOffer({ ...FIELDS, media: [{ ...audio, formats: answered }] });
    const outcome = readAnswer(
      createOffer({ ...FIELDS, media: [audio] }),
      parseSdp(formatSdp(section)),
    );
    if (formats.every(({ name }) => name === "telephone-event")) return assert.equal(outcome.type, "none");
    assert.ok(outcome.type === "answer");
    const { formats: codecs, telephoneEvents } = outcome.agreed[0]!;
    const meanings = new Map<number, string>();
    for (const agreed of [...codecs, ...telephoneEvents]) {
      const index = formats.findIndex((format) =>
        format.name === agreed.name && format.clockRate === agreed.clockRate
      );
      assert.equal(agreed.sendPayloadType, types[index]);
      assert.equal(agreed.receivePayloadTypes[0], formats[index]!.payloadType);
      for (const type of agreed.receivePayloadTypes) {
        assert.ok(!meanings.has(type), `${type} is ${meanings.get(type)} and ${agreed.name}`);
        meanings.set(type, agreed.name);
      }
      const taken = formats.some((other) => other.payloadType === types[index]);
      assert.equal(
        agreed.receivePayloadTypes.includes(types[index]!),
        !taken || types[index] === formats[index]!.payloadType,
      );
    }
  }));
});

const RENEWED: [name: string, before: string[], now: string[], expected: string[]][] = [
  ["the same numbers", ["0 101", "101 telephone-event/8000"], ["0 101", "101 telephone-event/8000"], [
    "PCMU/8000 0<-0",
    "telephone-event/8000 101<-101",
  ]],
  ["other numbers", ["0 101", "101 telephone-event/8000"], ["0 126", "126 telephone-event/8000"], [
    "PCMU/8000 0<-0",
    "telephone-event/8000 126<-126,101",
  ]],
  ["a number of before for another codec", ["0 101", "101 telephone-event/8000"], [
    "101 126",
    "101 opus/48000/2",
    "126 telephone-event/8000",
  ], ["opus/48000 101<-101", "telephone-event/8000 126<-126"]],
  ["two numbers exchanged", ["96 98", "96 speex/16000", "98 speex/8000"], [
    "98 96",
    "98 speex/16000",
    "96 speex/8000",
  ], ["speex/16000 98<-98", "speex/8000 96<-96"]],
  ["a codec more", ["0"], ["111 0", "111 opus/48000/2"], ["opus/48000 111<-111", "PCMU/8000 0<-0"]],
  ["a codec less", ["111 0", "111 opus/48000/2"], ["0"], ["PCMU/8000 0<-0"]],
];

for (const [name, before, now, expected] of RENEWED) {
  Deno.test(`a renewed offer with ${name}: numbers of before mean what they did, while they mean nothing else`, () => {
    const agreed = ([formats, ...maps]: string[]) => {
      const lines = [`m=audio 4000 RTP/AVP ${formats}`, ...maps.map((map) => `a=rtpmap:${map}`)];
      const outcome = createAnswer(parseSdp(fromPhone(...lines)), { ...FIELDS, media: [audio] });
      assert.ok(outcome.type === "answer");
      return outcome.agreed;
    };
    const [media] = withEarlierNumbers(agreed(now), agreed(before));
    assert.deepEqual([...media!.formats, ...media!.telephoneEvents].map(shown), expected);
    assert.equal(media!.telephoneEvent, media!.telephoneEvents[0] ?? null);
  });
}

Deno.test("a peer that renews what it answered changes nothing: our numbers stay beside its own", () => {
  const lines = [
    "m=audio 4000 RTP/AVP 111 122",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:122 telephone-event/8000",
  ];
  const answered = readAnswer(createOffer({ ...FIELDS, media: [audio] }), parseSdp(fromPhone(...lines)));
  const renewed = createAnswer(parseSdp(fromPhone(...lines)), { ...FIELDS, media: [audio] });
  assert.ok(answered.type === "answer" && renewed.type === "answer");
  const [media] = withEarlierNumbers(renewed.agreed, answered.agreed);
  assert.deepEqual([...media!.formats, ...media!.telephoneEvents].map(shown), [
    "opus/48000 111<-107,111",
    "telephone-event/8000 122<-101,122",
  ]);
});

const UNMAPPED: [fmtp: string, name: string][] = [
  ["0-15", "telephone-event"],
  ["0-16", "telephone-event"],
  ["0-11,16", "telephone-event"],
  ["0-15,66,70", "telephone-event"],
  ["0-15;x", ""],
  ["mode=20", ""],
  ["1-15", ""],
];

Deno.test("a number with the parameters of DTMF alone is DTMF", () => {
  for (const [fmtp, name] of UNMAPPED) {
    const text = fromPhone("m=audio 4000 RTP/AVP 0 101", `a=fmtp:101 ${fmtp}`);
    assert.equal(parseSdp(text).media[0]!.formats[1]!.name, name, fmtp);
  }
});

Deno.test("any lines at all: an answer is read or refused, and each number has one meaning", () => {
  const type = fc.integer({ min: 0, max: 127 }).map(String);
  const name = fc.constantFrom(
    "opus/48000/2",
    "opus",
    "speex/16000",
    "PCMU/8000",
    "telephone-event/8000",
    "telephone-event/48000",
    "CN/8000",
    "red/8000",
    "x/0",
    "",
  );
  const line = fc.oneof(
    fc.tuple(
      fc.constantFrom("audio", "video", "image"),
      fc.constantFrom("0", "4000"),
      fc.array(type, { maxLength: 6 }),
    )
      .map(([kind, port, types]) => `m=${kind} ${port} RTP/AVP ${types.join(" ")}`),
    fc.tuple(type, name).map(([number, mapped]) => `a=rtpmap:${number} ${mapped}`),
    fc.tuple(type, fc.constantFrom("0-15", "101/101", "profile-level-id=42e01f", "")).map((parts) =>
      `a=fmtp:${parts.join(" ")}`
    ),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const outcome = readAnswer(
        createOffer({ ...FIELDS, media: [audio, video] }),
        parseSdp(fromPhone(...lines)),
      );
      if (outcome.type === "none") return assert.ok(outcome.reason.length <= 400);
      for (const { formats, telephoneEvents } of outcome.agreed) {
        const meanings = new Map<number, string>();
        for (const { name, clockRate, receivePayloadTypes } of [...formats, ...telephoneEvents]) {
          for (const number of receivePayloadTypes) {
            const meaning = `${name.toLowerCase()}/${clockRate}`;
            assert.equal(meanings.get(number) ?? meaning, meaning, lines.join("\n"));
            meanings.set(number, meaning);
          }
        }
      }
    }),
    { numRuns: 2000 },
  );
});
