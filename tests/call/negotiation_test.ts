import assert from "node:assert/strict";
import {
  type CodecPlan,
  flashCapability,
  NO_TRANSCODING,
  planCodecs,
  type PlannedFormat,
  type RtmpCapability,
} from "../../lib/call/codec_tokens.ts";
import {
  acceptedReport,
  type Candidate,
  chooseMedia,
  chooseVideo,
  describeChoice,
  formatWarning,
  localMedia,
  type MediaChoice,
  objectionTo,
  planForAnswer,
  planKeeping,
  streamCodecs,
} from "../../lib/call/negotiation.ts";
import { parseSdp, type SessionDescription } from "../../lib/sdp/description.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";
import { createAnswer, createOffer, readAnswer } from "../../lib/sdp/offer_answer.ts";
import { FULL_TRANSCODING } from "../support/audio_formats.ts";

const plain = flashCapability("wideband", NO_TRANSCODING);
const transcoding = flashCapability("wideband", FULL_TRANSCODING);
const fields = { address: "192.0.2.1", sessionId: 1, sessionVersion: 1 };
const ports = { audio: 10000, video: 10002 };

/** A description with one m-line for each text: "audio 0 8 101=telephone-event/8000". */
function described(...lines: string[]): SessionDescription {
  const media = lines.map((line) => {
    const [kind = "", ...formats] = line.split(" ");
    const types = formats.map((format) => format.split("=")[0]);
    const maps = formats.filter((format) => format.includes("=")).map((format) => {
      const [type = "", name = "", fmtp] = format.split(/=(.*)/s).flatMap((part, i) =>
        i === 1 ? part.split("|") : [part]
      );
      return `a=rtpmap:${type} ${name}\r\n` + (fmtp ? `a=fmtp:${type} ${fmtp}\r\n` : "");
    });
    return `m=${kind} 20000 RTP/AVP ${types.join(" ")}\r\n${maps.join("")}`;
  });
  const head = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
  return parseSdp(head + media.join(""));
}

/** We called: the peer answers our offer with these lines. */
function asCaller(codecs: string[], capability: RtmpCapability, answer: SessionDescription) {
  const plan = planCodecs(codecs, capability);
  const offer = createOffer({ ...fields, media: localMedia(plan, ports) });
  const outcome = readAnswer(offer, answer);
  return outcome.type === "none" ? null : settled(chooseMedia(outcome.agreed, plan, "local"), plan);
}

/** We were called with these lines, and the client accepts with a codec list. */
function asCallee(codecs: string[], capability: RtmpCapability, offer: SessionDescription) {
  const plan = planForAnswer(offer, planCodecs(codecs, capability), null);
  const outcome = createAnswer(offer, { ...fields, media: localMedia(plan, ports) });
  return outcome.type === "none" ? null : settled(chooseMedia(outcome.agreed, plan, "remote"), plan);
}

function settled(choice: MediaChoice, plan: CodecPlan): { choice: MediaChoice; told: string } {
  return { choice, told: acceptedReport(choice, plan).map(String).join(",") };
}

function brief(choice: MediaChoice): string {
  const { audio, video } = choice;
  const parts: string[] = [];
  switch (audio.kind) {
    case "none":
    case "x-flv":
      parts.push(audio.kind);
      break;
    case "codec": {
      const { client, remote, clockRate } = audio;
      const strip = clockRate === 8000 ? " strip" : "";
      const passed = client === "speex" ? `speex/${clockRate}${strip}` : client;
      parts.push(`${client === remote ? passed : `${client}>${remote}`}@${audio.sendPayloadType}`);
    }
  }
  if (video.kind === "h264") parts.push(`h264 mode ${video.mode}@${video.sendPayloadType}`);
  else if (video.kind === "x-flv") parts.push(`x-flv@${video.sendPayloadType}`);
  for (const events of choice.telephoneEvents.slice(0, 1)) parts.push(`dtmf@${events.sendPayloadType}`);
  return parts.join(", ");
}

type Row = [
  codecs: string[],
  capability: RtmpCapability,
  lines: string[],
  chosen: string | null,
  told: string,
];

const flash11 = ["wideband", "narrowband", "pcmu", "pcma", "ulaw", "alaw", "dtmf", "h264", "flv"];

Deno.test("outgoing calls: our order decides, the answer's payload types are used", () => {
  const rows: Row[] = [
    [[], plain, ["audio 96=speex/16000"], "speex/16000@96", ""],
    [[], plain, ["audio 96=speex/16000 101=telephone-event/8000"], "speex/16000@96, dtmf@101", ""],
    [[], plain, ["audio 96=speex/16000", "video 97=x-flv/90000"], "x-flv, x-flv@97", ""],
    [["wideband"], plain, ["audio 110=speex/16000"], "speex/16000@110", "speex,null"],
    [["narrowband"], plain, ["audio 98=speex/8000"], "speex/8000 strip@98", "speex,null"],
    [["pcmu", "pcma"], plain, ["audio 8 0"], "pcmu@0", "pcmu,null"],
    [["pcma", "pcmu"], plain, ["audio 0 8"], "pcma@8", "pcma,null"],
    [flash11, plain, ["audio 8 101=telephone-event/8000"], "pcma@8, dtmf@101", "pcma,null"],
    [flash11, transcoding, ["audio 0"], "pcmu@0", "pcmu,null"],
    [flash11, plain, ["audio 98=speex/8000 96=speex/16000"], "speex/16000@96", "speex,null"],
    [["wideband", "ulaw"], transcoding, ["audio 0"], "speex>pcmu@0", "speex,null"],
    [["wideband"], transcoding, ["audio 8"], "speex>pcma@8", "speex,null"],
    [["pcma"], transcoding, ["audio 0"], "pcma>pcmu@0", "pcma,null"],
    [[], transcoding, ["audio 0"], "speex>pcmu@0", ""],
    // wideband where both ends can, and whatever the client named first
    [[], transcoding, ["audio 0 9 107=opus/48000/2"], "speex>opus@107", ""],
    [["wideband", "ulaw"], transcoding, ["audio 9 0"], "speex>g722@9", "speex,null"],
    [["narrowband", "ulaw"], transcoding, ["audio 9 0"], "speex>pcmu@0", "speex,null"],
    [["pcmu"], transcoding, ["audio 9"], "pcmu>g722@9", "pcmu,null"],
    [["pcmu"], transcoding, ["audio 96=speex/16000"], "pcmu>speex@96", "pcmu,null"],
    [["wideband"], transcoding, ["audio 98=speex/8000"], "speex/8000 strip@98", "speex,null"],
    [["aac"], transcoding, ["audio 0 107=opus/48000/2"], "aac>opus@107", "aac,null"],
    [["aac"], transcoding, ["audio 8"], "aac>pcma@8", "aac,null"],
    [["opus"], transcoding, ["audio 111=opus/48000/2"], "opus@111", "opus,null"],
    [["opus"], transcoding, ["audio 0"], "opus>pcmu@0", "opus,null"],
    [flash11, transcoding, ["audio 9 0"], "pcmu@0", "pcmu,null"],
    [flash11, transcoding, ["audio 9"], "speex>g722@9", "speex,null"],
    [
      flash11,
      plain,
      ["audio 0", "video 97=H264/90000|profile-level-id=42e01e"],
      "pcmu@0, h264 mode 0@97",
      "pcmu,h264",
    ],
    [
      flash11,
      plain,
      ["audio 0", "video 99=H264/90000|profile-level-id=42e01e;packetization-mode=1"],
      "pcmu@0, h264 mode 1@99",
      "pcmu,h264",
    ],
    [flash11, plain, ["audio 96=speex/16000", "video 97=x-flv/90000"], "x-flv, x-flv@97", "default,default"],
    [
      flash11,
      plain,
      [
        "audio 96=speex/16000",
        "video 97=x-flv/90000 99=H264/90000|profile-level-id=42e01e;packetization-mode=1",
      ],
      "speex/16000@96, h264 mode 1@99",
      "speex,h264",
    ],
    [["wideband"], plain, ["audio 0"], null, ""],
  ];
  for (const [codecs, capability, lines, chosen, told] of rows) {
    const outcome = asCaller(codecs, capability, described(...lines));
    const label = JSON.stringify([codecs, lines]);
    assert.equal(outcome === null ? null : brief(outcome.choice), chosen, label);
    assert.equal(outcome?.told ?? "", told, label);
  }
});

Deno.test("incoming calls: the caller's order decides, its payload types are used", () => {
  const rows: Row[] = [
    [[], plain, ["audio 100=speex/16000 0"], "speex/16000@100", ""],
    [["pcmu", "pcma"], plain, ["audio 8 0"], "pcma@8", "pcma,null"],
    [
      ["wideband", "narrowband"],
      plain,
      ["audio 110=speex/8000 111=speex/16000"],
      "speex/8000 strip@110",
      "speex,null",
    ],
    [
      ["wideband", "pcmu", "dtmf"],
      plain,
      ["audio 0 97=telephone-event/8000"],
      "pcmu@0, dtmf@97",
      "pcmu,null",
    ],
    [["wideband", "alaw"], transcoding, ["audio 8"], "speex>pcma@8", "speex,null"],
    [[], transcoding, ["audio 0 8"], "speex>pcmu@0", ""],
    // defect 2 is cured: the G.711-only caller of before, and a client that named Speex alone
    [[], transcoding, ["audio 0 8 101=telephone-event/8000"], "speex>pcmu@0, dtmf@101", ""],
    [["wideband"], transcoding, ["audio 0 8"], "speex>pcmu@0", "speex,null"],
    // what passes as it is comes before the caller's order, what does not follows it
    [["pcmu"], transcoding, ["audio 9 111=opus/48000/2 0"], "pcmu@0", "pcmu,null"],
    [["wideband"], transcoding, ["audio 0 9 96=speex/16000"], "speex/16000@96", "speex,null"],
    [["wideband"], transcoding, ["audio 9 0 111=opus/48000/2"], "speex>g722@9", "speex,null"],
    [["opus"], transcoding, ["audio 0 111=opus/48000/2"], "opus@111", "opus,null"],
    [["aac"], transcoding, ["audio 8 0"], "aac>pcma@8", "aac,null"],
    // defect 3: the peer's payload type and parameters
    [
      ["pcmu", "h264"],
      plain,
      ["audio 0", "video 97=H264/90000|profile-level-id=42e01f"],
      "pcmu@0, h264 mode 0@97",
      "pcmu,h264",
    ],
    // both modes: the one that cuts pictures into packets
    [
      ["pcmu", "h264"],
      plain,
      [
        "audio 0",
        "video 97=H264/90000|profile-level-id=42e01f" +
        " 98=H264/90000|profile-level-id=42e01f;packetization-mode=1",
      ],
      "pcmu@0, h264 mode 1@98",
      "pcmu,h264",
    ],
    // no audio agreed
    [
      ["h264"],
      plain,
      ["audio 0", "video 97=H264/90000|profile-level-id=42e01f"],
      "none, h264 mode 0@97",
      "null,h264",
    ],
    [["flv"], plain, ["audio 0", "video 97=x-flv/90000"], "x-flv, x-flv@97", "default,default"],
    // defect 2: a G.711-only caller and a client with default codecs, and DTMF alone
    [[], plain, ["audio 0 8 101=telephone-event/8000"], null, ""],
    [["dtmf", "wideband"], plain, ["audio 18 101=telephone-event/8000"], null, ""],
    [["wideband"], plain, ["audio 0 8"], null, ""],
  ];
  for (const [codecs, capability, lines, chosen, told] of rows) {
    const outcome = asCallee(codecs, capability, described(...lines));
    const label = JSON.stringify([codecs, lines]);
    assert.equal(outcome === null ? null : brief(outcome.choice), chosen, label);
    assert.equal(outcome?.told ?? "", told, label);
  }
});

Deno.test("everything agreed may arrive, each as what the client was told or plays", () => {
  const offer = described("audio 110=speex/16000 111=speex/8000 0 101=telephone-event/8000");
  const passed = asCallee(["wideband", "narrowband", "pcmu"], plain, offer)?.choice.audio;
  assert.ok(passed?.kind === "codec" && passed.client === "speex" && passed.remote === "speex");
  assert.deepEqual(passed.receive, [
    { payloadType: 110, codec: "speex", clockRate: 16000, toClient: "speex" },
    { payloadType: 111, codec: "speex", clockRate: 8000, toClient: "speex" },
    { payloadType: 0, codec: "pcmu", clockRate: 8000, toClient: "pcmu" },
  ]);
  const converted = asCallee(["wideband", "ulaw"], transcoding, described("audio 0 8"))?.choice.audio;
  assert.ok(converted?.kind === "codec" && converted.client !== converted.remote);
  assert.deepEqual(converted.receive, [
    { payloadType: 0, codec: "pcmu", clockRate: 8000, toClient: "speex" },
    { payloadType: 8, codec: "pcma", clockRate: 8000, toClient: "speex" },
  ]);
});

Deno.test("an answer names nothing that would be transcoded when something passes as it is", () => {
  const offer = described("audio 9 0 111=opus/48000/2", "video 34");
  const formatsOf = (codecs: string[], inUse: MediaChoice | null = null): string[] =>
    planForAnswer(offer, planCodecs(codecs, transcoding), inUse).formats
      .filter((planned) => planned.kind === "audio").map(({ format }) => format.name);
  assert.deepEqual(formatsOf(["pcmu"]), ["pcmu"]);
  assert.deepEqual(formatsOf(["pcmu", "h264"]), ["pcmu"]);
  assert.deepEqual(formatsOf(["wideband"]), ["speex", "opus", "G722", "pcmu", "pcma", "speex"]);
  const inUse = asCaller(["pcmu"], transcoding, described("audio 9"))!.choice;
  assert.equal(formatsOf(["pcmu"], inUse).length, 6, "a call that is transcoded stays so");
});

const CLOCKS_OF_KEYS: [codecs: string[], offer: string, sent: number[]][] = [
  [["opus", "pcmu", "dtmf"], "111=opus/48000/2 0 101=telephone-event/48000 102=telephone-event/8000", [
    101,
    102,
  ]],
  [["pcmu", "dtmf"], "111=opus/48000/2 0 101=telephone-event/48000 102=telephone-event/8000", [102]],
  [["pcmu", "opus", "dtmf"], "0 111=opus/48000/2 101=telephone-event/48000 102=telephone-event/8000", [
    102,
    101,
  ]],
  [["wideband", "pcmu", "dtmf"], "96=speex/16000 0 101=telephone-event/8000 103=telephone-event/16000", [
    103,
    101,
  ]],
  [["opus", "dtmf"], "111=opus/48000/2 101=telephone-event/8000", [101]],
  [["pcmu", "dtmf"], "0 101=telephone-event/8000 102=telephone-event/8000", [101, 102]],
  [["pcmu"], "0 101=telephone-event/8000", []],
];

Deno.test("DTMF are sent on the clock of the audio that is sent, those of other clocks may arrive", () => {
  for (const [codecs, offer, sent] of CLOCKS_OF_KEYS) {
    const { choice } = asCallee(codecs, plain, described(`audio ${offer}`))!;
    assert.deepEqual(choice.telephoneEvents.map(({ sendPayloadType }) => sendPayloadType), sent, offer);
  }
  const answered = described("audio 0 122=telephone-event/48000 123=telephone-event/8000 99=CN/8000");
  const { choice } = asCaller(["pcmu", "dtmf"], plain, answered)!;
  assert.deepEqual(choice.telephoneEvents.map(({ receivePayloadTypes }) => receivePayloadTypes), [
    [101, 123],
    [122],
  ]);
  assert.deepEqual(choice.comfortNoise, [99]);
});

Deno.test("what a peer numbers in its own way is one codec under two numbers", () => {
  const { choice } = asCaller(["opus", "pcmu"], plain, described("audio 111=opus/48000/2 0"))!;
  assert.ok(choice.audio.kind === "codec" && choice.audio.remote === "opus");
  assert.deepEqual(choice.audio.receive.map(({ payloadType, codec }) => [payloadType, codec]), [
    [107, "opus"],
    [111, "opus"],
    [0, "pcmu"],
  ]);
});

Deno.test("a renewed offer keeps what is in use, transcoded or not", () => {
  const plan = planCodecs(["wideband"], transcoding);
  const { choice } = asCaller(["wideband"], transcoding, described("audio 9"))!;
  const agreed = readAnswer(
    createOffer({ ...fields, media: localMedia(plan, ports) }),
    described("audio 96=speex/16000 9"),
  );
  assert.ok(agreed.type === "answer");
  const again = chooseMedia(agreed.agreed, planKeeping(plan, choice), "local");
  assert.equal(brief(again), "speex>g722@9");
});

Deno.test("the log says what is transcoded to what", () => {
  const { choice } = asCaller(["aac"], transcoding, described("audio 9"))!;
  assert.equal(
    describeChoice(choice),
    "audio: aac of the client transcoded to g722 at 8000 Hz, payload type 9; video: none",
  );
});

Deno.test("the peer's packet time and H.264 parameters come along", () => {
  const offer = parseSdp(
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n" +
      "m=audio 20000 RTP/AVP 0\r\na=ptime:30\r\n" +
      "m=video 20002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n" +
      "a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n",
  );
  const choice = asCallee(["pcmu", "h264"], plain, offer)?.choice;
  assert.ok(choice?.audio.kind === "codec" && choice.audio.remote === "pcmu" && choice.video.kind === "h264");
  assert.equal(choice.audio.ptimeMs, 30);
  assert.equal(choice.video.fmtp, "profile-level-id=42e01f;packetization-mode=1");
  assert.equal(choice.video.mode, 1);
});

Deno.test("an offer nobody could accept is objected to before the user is alerted", () => {
  const table: [lines: string[], objection: RegExp | null][] = [
    [["audio 0"], null],
    [["audio 96=speex/8000"], null],
    [["video 97=x-flv/90000"], null],
    [["audio 18", "video 97=H264/90000|profile-level-id=42e01f"], null],
    [["audio 18 3 101=telephone-event/8000"], /G729\/8000.*GSM\/8000.*speex\/16000.*pcmu\/8000/],
    [["audio 101=telephone-event/8000"], /telephone-event/],
    [["video 34"], /H263\/90000.*h264\/90000/],
    [[], /no media/],
  ];
  for (const [lines, expected] of table) {
    const objection = objectionTo(described(...lines), plain);
    if (expected === null) assert.equal(objection, null, lines.join());
    else assert.match(objection ?? "", expected, lines.join());
  }
});

Deno.test("with transcoding an offer of G.722 or Opus alone is no reason to object", () => {
  for (const lines of ["audio 9", "audio 111=opus/48000/2"]) {
    assert.match(objectionTo(described(lines), plain) ?? "", /No common media format/);
    assert.equal(objectionTo(described(lines), transcoding), null);
  }
});

Deno.test("a Warning header is one quoted line, whatever the peer called its codecs", () => {
  assert.equal(formatWarning("siprtmp", "no common codec"), '305 siprtmp "no common codec"');
  assert.equal(formatWarning("h", 'a"b\\c\r\nVia: x'), '305 h "a\\"b\\\\c Via: x"');
  assert.ok(formatWarning("h", "x".repeat(10_000)).length < 450);
  assert.equal(formatWarning("h", "x".repeat(399) + "\u{1F600}").isWellFormed(), true);
});

const STREAMS: [
  name: string,
  codecs: string[],
  offer: string[],
  audio: string | null,
  video: string | null,
][] = [
  ["passed through", ["pcmu"], ["audio 0"], "8000 0 pcmu:pcmu < 0 pcmu:pcmu", null],
  ["transcoded", ["aac"], ["audio 8"], "8000 8 pcma:aac < 8 pcma:aac", null],
  [
    "with pictures",
    ["pcmu", "h264"],
    ["audio 0", "video 99=H264/90000|packetization-mode=1"],
    "8000 0 pcmu:pcmu < 0 pcmu:pcmu",
    "90000 99 h264:h264 < 99 h264:h264",
  ],
  [
    "in x-flv",
    ["flv"],
    ["audio 0", "video 97=x-flv/90000"],
    null,
    "90000 97 x-flv:x-flv < 97 x-flv:x-flv",
  ],
];

for (const [name, codecs, offer, audio, video] of STREAMS) {
  Deno.test(`stream codecs, ${name}: payload types, on the wire and at the client`, () => {
    const settled = asCallee(codecs, transcoding, described(...offer));
    assert.ok(settled !== null);
    const text = (kind: "audio" | "video"): string | null => {
      const found = streamCodecs(settled.choice, kind);
      if (found === null) return null;
      const codec = (of: typeof found.send): string => `${of.payloadType} ${of.codec}:${of.client}`;
      return `${found.clockRate} ${codec(found.send)} < ${found.receive.map(codec).join(", ")}`;
    };
    assert.deepEqual([text("audio"), text("video")], [audio, video]);
  });
}

const LOCAL = "profile-level-id=420014;packetization-mode=1";

function candidate(
  client: "h264" | "x-flv",
  payloadType: number,
  fmtp: string | null = null,
): Candidate {
  const name = client === "h264" ? "H264" : "x-flv";
  const planned: PlannedFormat = {
    format: mediaFormat(99, name, 90_000),
    kind: "video",
    remote: client,
    client,
  };
  const agreed = {
    sendPayloadType: payloadType,
    receivePayloadTypes: [payloadType + 1],
    name,
    clockRate: 90_000,
    channels: 1,
    fmtp,
    localFmtp: client === "h264" ? LOCAL : null,
    rtcpFb: ["nack pli"],
  };
  return { agreed, planned };
}

Deno.test("nothing in common, and x-flv first", () => {
  assert.deepEqual(chooseVideo([]), { kind: "none" });
  assert.deepEqual(chooseVideo([candidate("x-flv", 97), candidate("h264", 99)]), {
    kind: "x-flv",
    sendPayloadType: 97,
    receivePayloadTypes: [98],
  });
});

Deno.test("H.264: parameter sets apart from the other parameters, feedback and payload types kept", () => {
  const fmtp = "profile-level-id=42e01f;sprop-parameter-sets=Z0I=,aM4=;packetization-mode=1";
  assert.deepEqual(chooseVideo([candidate("h264", 96, fmtp), candidate("x-flv", 97)]), {
    kind: "h264",
    mode: 1,
    fmtp: "profile-level-id=42e01f;packetization-mode=1",
    sprop: "Z0I=,aM4=",
    localFmtp: LOCAL,
    rtcpFb: ["nack pli"],
    sendPayloadType: 96,
    receivePayloadTypes: [97],
  });
});

Deno.test("H.264 in several modes: mode 1 is sent, each is heard", () => {
  const chosen = chooseVideo([
    candidate("h264", 96, null),
    candidate("h264", 102, "packetization-mode=1"),
    candidate("h264", 104, "profile-level-id=42e01f"),
  ]);
  assert.ok(chosen.kind === "h264");
  assert.deepEqual([chosen.mode, chosen.sendPayloadType, chosen.receivePayloadTypes], [
    1,
    102,
    [97, 103, 105],
  ]);
  const single = chooseVideo([candidate("h264", 96), candidate("h264", 104)]);
  assert.deepEqual(single.kind === "h264" && [single.mode, single.sendPayloadType, single.fmtp], [
    0,
    96,
    null,
  ]);
});
