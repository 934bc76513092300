import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import {
  formatSdp,
  parseSdp,
  readSdpLines,
  sdpError,
  type SessionDescription,
} from "../../lib/sdp/description.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";
import { mutate } from "../support/mutate.ts";
import { fromPhone, sdpText } from "../support/sdp_lines.ts";

const SECTION = {
  kind: "audio",
  port: 4000,
  protocol: "RTP/AVP",
  formats: [],
  otherFormats: [],
  connection: null,
  rtcpPort: null,
  rtcpAddress: null,
  direction: null,
  ptimeMs: null,
  otherAttributes: [],
};

const SESSION = {
  originUser: "-",
  sessionId: "1700000000",
  sessionVersion: "1700000000",
  originAddress: "192.0.2.1",
  connection: "192.0.2.1",
  direction: null,
  otherAttributes: [],
  media: [],
};

const TABLE: { name: string; value: SessionDescription; text: string }[] = [
  {
    name: "the offer of behaviour 1.6",
    value: {
      ...SESSION,
      media: [
        {
          ...SECTION,
          port: 10000,
          formats: [mediaFormat(96, "speex", 16000), mediaFormat(101, "telephone-event", 8000)],
        },
        { ...SECTION, kind: "video", port: 10002, formats: [mediaFormat(97, "x-flv", 90000)] },
      ],
    },
    text: sdpText(
      "v=0",
      "o=- 1700000000 1700000000 IN IP4 192.0.2.1",
      "s=-",
      "c=IN IP4 192.0.2.1",
      "t=0 0",
      "m=audio 10000 RTP/AVP 96 101",
      "a=rtpmap:96 speex/16000",
      "a=rtpmap:101 telephone-event/8000",
      "m=video 10002 RTP/AVP 97",
      "a=rtpmap:97 x-flv/90000",
    ),
  },
  {
    name: "every field, 64-bit numbers, IPv6",
    value: {
      ...SESSION,
      originUser: "alice",
      sessionId: "18446744073709551615",
      sessionVersion: "18446744073709551614",
      originAddress: "2001:db8::1",
      connection: "2001:db8::2",
      direction: "recvonly",
      otherAttributes: ["tool:test", "ice-lite"],
      media: [{
        ...SECTION,
        kind: "video",
        protocol: "RTP/AVPF",
        formats: [
          mediaFormat(99, "H264", 90000, {
            fmtp: "profile-level-id=42e01f;packetization-mode=1",
            rtcpFb: ["nack pli", "ccm fir", "nack"],
          }),
          mediaFormat(111, "opus", 48000, { channels: 2, fmtp: "useinbandfec=1" }),
        ],
        connection: "192.0.2.77",
        rtcpPort: 53020,
        rtcpAddress: "192.0.2.78",
        direction: "sendonly",
        ptimeMs: 20,
        otherAttributes: ["framerate:15", "mid:0"],
      }],
    },
    text: sdpText(
      "v=0",
      "o=alice 18446744073709551615 18446744073709551614 IN IP6 2001:db8::1",
      "s=-",
      "c=IN IP6 2001:db8::2",
      "t=0 0",
      "a=recvonly",
      "a=tool:test",
      "a=ice-lite",
      "m=video 4000 RTP/AVPF 99 111",
      "c=IN IP4 192.0.2.77",
      "a=rtpmap:99 H264/90000",
      "a=rtpmap:111 opus/48000/2",
      "a=fmtp:99 profile-level-id=42e01f;packetization-mode=1",
      "a=fmtp:111 useinbandfec=1",
      "a=rtcp:53020 IN IP4 192.0.2.78",
      "a=rtcp-fb:99 nack pli",
      "a=rtcp-fb:99 ccm fir",
      "a=rtcp-fb:99 nack",
      "a=ptime:20",
      "a=sendonly",
      "a=framerate:15",
      "a=mid:0",
    ),
  },
  {
    name: "refused media and media that is not RTP",
    value: {
      ...SESSION,
      media: [{ ...SECTION, kind: "image", port: 0, protocol: "udptl", otherFormats: ["t38"] }],
    },
    text: sdpText(
      "v=0",
      "o=- 1700000000 1700000000 IN IP4 192.0.2.1",
      "s=-",
      "c=IN IP4 192.0.2.1",
      "t=0 0",
      "m=image 0 udptl t38",
    ),
  },
];

for (const { name, value, text } of TABLE) {
  Deno.test(`SDP both ways: ${name}`, () => {
    assert.equal(formatSdp(value), text);
    assert.deepEqual(parseSdp(text), value);
    assert.deepEqual(parseSdp(encodeUtf8(text)), value);
    assert.deepEqual(parseSdp(text.replaceAll("\r\n", "\n")), value);
  });
}

Deno.test("SDP: static payload types need no rtpmap", () => {
  const [audio] = parseSdp(fromPhone("m=audio 4000 RTP/AVP 0 8 9 18 96")).media;
  assert.deepEqual(audio!.formats, [
    mediaFormat(0, "PCMU", 8000),
    mediaFormat(8, "PCMA", 8000),
    mediaFormat(9, "G722", 8000),
    mediaFormat(18, "G729", 8000),
    mediaFormat(96, "", 0),
  ]);
});

Deno.test("SDP: an rtpmap overrides the static meaning, its first line counts", () => {
  const text = fromPhone("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 pcmu/8000/1", "a=rtpmap:0 GSM/8000");
  assert.deepEqual(parseSdp(text).media[0]!.formats, [mediaFormat(0, "pcmu", 8000)]);
});

const MENDED: { name: string; lines: string[]; check: (value: SessionDescription) => void }[] = [
  {
    name: "upper-case attribute names and doubled spaces",
    lines: ["m=audio  4000  RTP/AVP  0   97 ", "a=RTPMAP:97   speex/16000", "a=SendOnly  ", "a=PTIME: 30"],
    check: ({ media: [audio] }) => {
      assert.deepEqual(audio!.formats[1], mediaFormat(97, "speex", 16000));
      assert.equal(audio!.direction, "sendonly");
      assert.equal(audio!.ptimeMs, 30);
    },
  },
  {
    name: "port count, multicast time to live, fmtp without a value, several fmtp lines",
    lines: [
      "m=audio 4000/2 RTP/AVP 97",
      "c=IN IP4 224.2.1.1/127/3",
      "a=rtpmap:97 H264/90000",
      "a=fmtp:97",
      "a=fmtp:97 x=1",
      "a=fmtp:97 y=2",
    ],
    check: ({ media: [audio] }) => {
      assert.equal(audio!.port, 4000);
      assert.equal(audio!.connection, "224.2.1.1");
      assert.equal(audio!.formats[0]!.fmtp, "x=1;y=2");
    },
  },
  {
    name: "a feedback line for all formats",
    lines: ["m=video 4000 RTP/AVPF 97 98", "a=rtcp-fb:* nack pli", "a=rtcp-fb:98 ccm fir"],
    check: ({ media: [video] }) => {
      assert.deepEqual(video!.formats.map((format) => format.rtcpFb), [["nack pli"], [
        "nack pli",
        "ccm fir",
      ]]);
    },
  },
  {
    name: "lines that are none, unknown types, a cut last line",
    lines: ["", "garbage", "x=1", "b=AS:64", "k=clear:1", "m=audio 4000 RTP/AVP 0 0 8", "a=rtpm", "a"],
    check: ({ media: [audio] }) => {
      assert.deepEqual(audio!.formats.map((format) => format.payloadType), [0, 8]);
      assert.deepEqual(audio!.otherAttributes, ["rtpm"]);
    },
  },
  {
    name: "payload types out of range, silly clock rates and packet times",
    lines: ["m=audio 4000 RTP/AVP 0 200 x 99", "a=rtpmap:99 speex/99999999999", "a=ptime:5000"],
    check: ({ media: [audio] }) => {
      assert.deepEqual(audio!.formats.map((format) => format.clockRate), [8000, 0]);
      assert.deepEqual(audio!.otherFormats, ["200", "x"]);
      assert.equal(audio!.ptimeMs, null);
    },
  },
];

for (const { name, lines, check } of MENDED) {
  Deno.test(`SDP tolerated: ${name}`, () => check(parseSdp(fromPhone(...lines))));
}

Deno.test("SDP: missing o=, s= and t= are forgiven", () => {
  const value = parseSdp("v=0\r\nc=IN IP4 192.0.2.5\r\nm=audio 4000 RTP/AVP 0\r\n");
  assert.equal(value.sessionId, "0");
  assert.equal(value.connection, "192.0.2.5");
  assert.equal(value.media.length, 1);
});

const REFUSED: [name: string, text: string, message: RegExp][] = [
  ["nothing", "", /empty/],
  ["no version first", "o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n", /v=0/],
  ["another version", "v=1\r\n", /v=0/],
  ["a broken m= line", fromPhone("m=audio RTP/AVP 0"), /m= line/],
  ["a port above 65535", fromPhone("m=audio 65536 RTP/AVP 0"), /m= line/],
  ["a broken c= line", fromPhone("c=IN IP5 1.2.3.4"), /c= line/],
  ["too many lines", "v=0\r\n" + "a=x\r\n".repeat(1000), /1000 lines/],
  ["a long line", `v=0\r\na=${"x".repeat(5000)}\r\n`, /exceeds 4096/],
  ["too many media", fromPhone(...Array(17).fill("m=audio 4000 RTP/AVP 0")), /16 m= lines/],
  ["too many formats", fromPhone(`m=audio 4000 RTP/AVP${" 0".repeat(129)}`), /128 formats/],
  ["too long", "v=0\r\n" + "a=x\r\n".repeat(20_000), /65536/],
];

for (const [name, text, message] of REFUSED) {
  Deno.test(`SDP refused: ${name}`, () => {
    assert.throws(
      () => parseSdp(text),
      (error) => error instanceof WireError && message.test(error.message),
    );
  });
}

function parsesOrRefuses(input: string | Uint8Array): void {
  let value: SessionDescription;
  try {
    value = parseSdp(input);
  } catch (error) {
    assert.ok(error instanceof WireError, String(error));
    return;
  }
  const text = formatSdp(value);
  assert.equal(formatSdp(parseSdp(text)), text);
}

Deno.test("SDP: damaged descriptions give a WireError or a value that writes and reads the same", () => {
  for (const { text } of TABLE) {
    const bytes = encodeUtf8(text);
    for (let seed = 0; seed < 400; seed++) parsesOrRefuses(mutate(bytes, seed));
  }
});

Deno.test("SDP: any lines and any text", () => {
  const line = fc.tuple(fc.constantFrom("v", "o", "c", "m", "a", "t", "b"), fc.string()).map(([type, rest]) =>
    `${type}=${rest}`
  );
  fc.assert(fc.property(fc.array(line), (lines) => parsesOrRefuses(sdpText("v=0", ...lines))));
  fc.assert(fc.property(fc.string(), (text) => parsesOrRefuses(text)));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => parsesOrRefuses(bytes)));
});

Deno.test("SDP lines: cut at m= lines, mended, unread attributes kept", () => {
  const text = sdpText(
    "v=0",
    "o=-   1  2 IN IP4 192.0.2.1",
    "s=a  name",
    "a=group:BUNDLE 0",
    "m=Audio 4000/2 RTP/AVP 0  8",
    "c=in ip4 192.0.2.9/64",
    "A=Rtpmap: 0  PCMU/8000",
    "a=mid:0",
    "a=",
  );
  assert.deepEqual(readSdpLines(text), [
    { mediaLine: null, lines: ["o=- 1 2 IN IP4 192.0.2.1"], otherAttributes: ["group:BUNDLE 0"] },
    {
      mediaLine: { kind: "audio", port: 4000, protocol: "RTP/AVP", formats: ["0", "8"] },
      lines: ["m=x 0 x x", "c=IN IP4 192.0.2.9", "a=rtpmap:0 PCMU/8000"],
      otherAttributes: ["mid:0"],
    },
  ]);
});

Deno.test("SDP lines: separators of lines and paragraphs are characters, tabs are blanks", () => {
  const [session, audio] = readSdpLines(sdpText(
    "v=0",
    "o=- 1 2 IN IP4 192.0.2.1",
    "s=a\u2028name",
    "a=tool:x\u2029y",
    "m=audio\t4000 RTP/AVP\t0 \u2028 8",
    "a=mid:\u20280",
    "a=fmtp:8 x=1;\u2028y=2",
  ));
  assert.deepEqual(session!.otherAttributes, ["tool:x\u2029y"]);
  assert.deepEqual(audio, {
    mediaLine: { kind: "audio", port: 4000, protocol: "RTP/AVP", formats: ["0", "8"] },
    lines: ["m=x 0 x x", "a=fmtp:8 x=1; y=2"],
    otherAttributes: ["mid:\u20280"],
  });
});

Deno.test("SDP lines: a broken m= line is refused", () => {
  for (
    const line of [
      "m=",
      "m=audio",
      "m=audio 1",
      "m=audio x RTP/AVP 0",
      "m=audio 65536 RTP/AVP 0",
      "m=a( 1 x 0",
    ]
  ) {
    assert.throws(() => readSdpLines(sdpText("v=0", line)), /broken m= line/, line);
  }
});

Deno.test("SDP lines: every line ending counts", () => {
  for (const end of ["\r\n", "\n", "\r"]) {
    const [session, audio] = readSdpLines(["v=0", "m=audio 1 RTP/AVP 0", "a=mid:1", ""].join(end));
    assert.deepEqual(session!.lines, []);
    assert.deepEqual(audio!.otherAttributes, ["mid:1"]);
  }
});

Deno.test("SDP lines: errors name the protocol", () => {
  assert.ok(sdpError("x") instanceof WireError);
  assert.throws(() => readSdpLines("m=audio 1 RTP/AVP 0"), /SDP: it does not begin with v=0/);
});
