import assert from "node:assert/strict";
import fc from "fast-check";
import {
  flashCapability,
  NO_TRANSCODING,
  planAnyCodec,
  planCodecs,
  plannedFormats,
  type RtmpCapability,
  type Transcoding,
} from "../../lib/call/codec_tokens.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { formatName } from "../../lib/sdp/media_format.ts";
import { FULL_TRANSCODING } from "../support/audio_formats.ts";

const plain = flashCapability("wideband", NO_TRANSCODING);
const transcoding = flashCapability("wideband", FULL_TRANSCODING);
const narrow = flashCapability("narrowband", NO_TRANSCODING);
const without = (...codecs: string[]): RtmpCapability => ({
  ...plain,
  transcoding: new Set([...FULL_TRANSCODING].filter((codec) => !codecs.includes(codec))),
});
const narrowTranscoding = flashCapability("narrowband", FULL_TRANSCODING);

function formatsOf(codecs: readonly string[], capability: RtmpCapability): string {
  const plan = planCodecs(codecs, capability);
  return (["audio", "video"] as const)
    .map((kind) => plannedFormats(plan, kind).map((format) => `${format.payloadType} ${formatName(format)}`))
    .map((formats) => formats.join(", "))
    .join(" | ");
}

/** Behaviour 1.6, line by line: what the client names, what we have, the audio and video of the offer. */
const offers: [codecs: string[], capability: RtmpCapability, formats: string][] = [
  [["wideband"], plain, "96 speex/16000 | "],
  [["narrowband"], plain, "98 speex/8000 | "],
  [["pcmu"], plain, "0 pcmu/8000 | "],
  [["pcma"], plain, "8 pcma/8000 | "],
  [["wideband", "dtmf"], plain, "96 speex/16000, 101 telephone-event/8000, 100 red/8000 | "],
  [["wideband", "h264"], plain, "96 speex/16000 | 99 h264/90000"],
  [["wideband", "H264/baseline"], plain, "96 speex/16000 | 99 h264/90000"],
  [["flv"], plain, " | 97 x-flv/90000"],
  [
    ["pcma", "narrowband", "wideband", "pcmu"],
    plain,
    "8 pcma/8000, 98 speex/8000, 96 speex/16000, 0 pcmu/8000 | ",
  ],
  [["wideband", "wideband", "WideBand "], plain, "96 speex/16000 | "],
  // without transcoding ulaw and alaw are dropped
  [["ulaw", "h264"], plain, " | 99 h264/90000"],
  [["wideband", "ulaw", "alaw"], plain, "96 speex/16000 | "],
  [["ulaw"], plain, " | "],
  [
    ["ulaw"],
    transcoding,
    "0 pcmu/8000, 8 pcma/8000, 98 speex/8000, 9 G722/8000, 107 opus/48000/2, 96 speex/16000 | ",
  ],
  // DTMF alone are no offer (defect 2)
  [["dtmf"], plain, " | "],
  [["dtmf", "h264"], transcoding, " | 99 h264/90000"],
  // the lists of the VideoPhone for Flash 11 and Flash 10
  [
    ["wideband", "narrowband", "pcmu", "pcma", "ulaw", "alaw", "dtmf", "h264", "flv"],
    plain,
    "96 speex/16000, 98 speex/8000, 0 pcmu/8000, 8 pcma/8000, 101 telephone-event/8000, 100 red/8000" +
    " | 99 h264/90000, 97 x-flv/90000",
  ],
  [
    ["wideband", "narrowband", "ulaw", "alaw", "dtmf", "flv"],
    transcoding,
    "96 speex/16000, 98 speex/8000, 107 opus/48000/2, 9 G722/8000, 0 pcmu/8000, 8 pcma/8000, " +
    "101 telephone-event/8000, 100 red/8000 | 97 x-flv/90000",
  ],
  // what passes through as it is stays in front, also in the list for Flash 11
  [
    ["wideband", "narrowband", "pcmu", "pcma", "ulaw", "alaw"],
    transcoding,
    "96 speex/16000, 98 speex/8000, 0 pcmu/8000, 8 pcma/8000, 107 opus/48000/2, 9 G722/8000 | ",
  ],
  // clients that send AAC or Opus
  [
    ["aac"],
    transcoding,
    "107 opus/48000/2, 9 G722/8000, 96 speex/16000, 0 pcmu/8000, 8 pcma/8000, 98 speex/8000 | ",
  ],
  [
    ["opus"],
    transcoding,
    "107 opus/48000/2, 9 G722/8000, 96 speex/16000, 0 pcmu/8000, 8 pcma/8000, 98 speex/8000 | ",
  ],
  [["opus"], plain, "107 opus/48000/2 | "],
  [["aac"], plain, " | "],
  // a module that is missing takes its codec with it
  [["aac"], without("opus"), "9 G722/8000, 96 speex/16000, 0 pcmu/8000, 8 pcma/8000, 98 speex/8000 | "],
  [
    ["wideband"],
    without("opus", "aac"),
    "96 speex/16000, 9 G722/8000, 0 pcmu/8000, 8 pcma/8000, 98 speex/8000 | ",
  ],
  [["wideband", "ulaw"], without("speex"), "96 speex/16000 | "],
  [["pcmu"], without("speex"), "0 pcmu/8000, 8 pcma/8000, 9 G722/8000, 107 opus/48000/2 | "],
  // G.711 beside whatever was named, once it can be made
  [
    ["wideband", "dtmf"],
    transcoding,
    "96 speex/16000, 107 opus/48000/2, 9 G722/8000, 0 pcmu/8000, 8 pcma/8000, 98 speex/8000, " +
    "101 telephone-event/8000, 100 red/8000 | ",
  ],
  [
    ["pcma", "wideband"],
    transcoding,
    "8 pcma/8000, 96 speex/16000, 0 pcmu/8000, 98 speex/8000, 9 G722/8000, 107 opus/48000/2 | ",
  ],
  // no list
  [[], plain, "96 speex/16000, 101 telephone-event/8000, 100 red/8000 | 97 x-flv/90000"],
  [[], narrow, "98 speex/8000, 101 telephone-event/8000, 100 red/8000 | 97 x-flv/90000"],
  [
    [],
    transcoding,
    "96 speex/16000, 98 speex/8000, 107 opus/48000/2, 9 G722/8000, 0 pcmu/8000, 8 pcma/8000, " +
    "101 telephone-event/8000, 100 red/8000 | 97 x-flv/90000",
  ],
  [
    [],
    narrowTranscoding,
    "98 speex/8000, 0 pcmu/8000, 8 pcma/8000, 9 G722/8000, 107 opus/48000/2, 96 speex/16000, 101 telephone-event/8000, 100 red/8000 | 97 x-flv/90000",
  ],
  // the rate of connect counts only without a list
  [["wideband"], narrow, "96 speex/16000 | "],
  // a client known to send G.711 by itself
  [[], { ...plain, audio: ["pcmu"] }, "0 pcmu/8000, 101 telephone-event/8000, 100 red/8000 | 97 x-flv/90000"],
  [
    [],
    { ...plain, audio: ["pcma", "speex"] },
    "8 pcma/8000, 96 speex/16000, 101 telephone-event/8000, 100 red/8000 | 97 x-flv/90000",
  ],
];

Deno.test("codec lists become offers as siprtmp's clients know them (behaviour 1.6)", () => {
  for (const [codecs, capability, formats] of offers) {
    assert.equal(formatsOf(codecs, capability), formats, JSON.stringify([codecs, capability]));
  }
});

Deno.test("what each offered format is to the client", () => {
  const table: [codecs: string[], capability: RtmpCapability, clients: (string | null)[]][] = [
    [["pcmu", "ulaw"], transcoding, Array(6).fill("pcmu")],
    [["ulaw", "pcmu"], transcoding, Array(6).fill("speex")],
    [["wideband", "dtmf", "h264"], transcoding, [...Array(6).fill("speex"), null, null, "h264"]],
    [["pcma"], transcoding, Array(6).fill("pcma")],
    [["wideband", "pcma", "alaw"], transcoding, ["speex", "pcma", ...Array(4).fill("speex")]],
    [["aac"], transcoding, Array(6).fill("aac")],
    [["opus", "pcmu"], plain, ["opus", "pcmu"]],
    [["flv"], plain, ["x-flv"]],
  ];
  for (const [codecs, capability, clients] of table) {
    assert.deepEqual(planCodecs(codecs, capability).formats.map((planned) => planned.client), clients);
  }
});

Deno.test("names that cannot be used are told apart from those that can", () => {
  assert.deepEqual(planCodecs(["g729", "wideband", "ulaw", "aac"], plain).ignored, ["g729", "ulaw", "aac"]);
  assert.deepEqual(planCodecs(["g729", "wideband", "ulaw", "aac"], transcoding).ignored, ["g729"]);
  assert.deepEqual(planCodecs([], plain).ignored, []);
  assert.equal(planCodecs([], plain).listed, false);
  assert.equal(planCodecs(["g729"], plain).listed, true);
  assert.deepEqual(planCodecs(["g729"], plain).formats, []);
});

Deno.test("Opus that is decoded here is asked for with in-band FEC; a player could not use it", () => {
  const fmtpOf = (token: string): string | null | undefined =>
    plannedFormats(planCodecs([token], transcoding), "audio").find(({ name }) => name === "opus")?.fmtp;
  for (const token of ["aac", "wideband", "pcmu"]) assert.equal(fmtpOf(token), "useinbandfec=1", token);
  assert.equal(fmtpOf("opus"), null);
});

Deno.test("a client still to answer may name anything", () => {
  const plan = planAnyCodec(plain);
  assert.deepEqual(plannedFormats(plan, "audio").map((format) => format.payloadType), [
    96,
    98,
    0,
    8,
    101,
    100,
  ]);
  assert.deepEqual(plannedFormats(plan, "video").map((format) => format.payloadType), [99, 97]);
});

Deno.test("any list gives each payload type once, and DTMF only beside a voice", () => {
  const token = fc.oneof(
    fc.constantFrom(...builtInCodecs.tokens.map(({ token }) => token)),
    fc.string(),
  );
  const capability = fc.record({
    audio: fc.uniqueArray(fc.constantFrom("speex" as const, "pcmu" as const, "pcma" as const)),
    rate: fc.constantFrom("wideband" as const, "narrowband" as const),
    transcoding: fc.subarray([...FULL_TRANSCODING]).map((codecs): Transcoding => new Set(codecs)),
    video: fc.boolean(),
    registry: fc.constant(builtInCodecs),
  });
  fc.assert(fc.property(fc.array(token, { maxLength: 32 }), capability, (codecs, can) => {
    const plan = planCodecs(codecs, can);
    const types = plan.formats.map((planned) => planned.format.payloadType);
    assert.equal(new Set(types).size, types.length);
    const audio = plan.formats.filter((planned) => planned.kind === "audio");
    assert.equal(audio.length === 0 || audio.some((planned) => planned.client !== null), true);
    const voices = audio.filter((planned) => planned.client !== null);
    if (can.transcoding.size === 6 && audio.length > 0) assert.equal(voices.length, 6);
    const made = voices.filter(({ format, client }) =>
      builtInCodecs.ofEncoding(format.name)?.name !== client
    );
    for (const { format, client } of made) {
      for (const codec of [client, builtInCodecs.ofEncoding(format.name)?.name]) {
        assert.ok([...can.transcoding].some((name) => name === codec), `${client} ${format.name}`);
      }
    }
  }));
});

Deno.test("a gateway that carries no video offers none, and says which tokens it left out", () => {
  const audioOnly = flashCapability("wideband", NO_TRANSCODING, false);
  assert.deepEqual(planCodecs([], audioOnly).formats.map(({ format }) => format.name), [
    "speex",
    "telephone-event",
    "red",
  ]);
  const listed = planCodecs(["pcmu", "h264", "flv"], audioOnly);
  assert.deepEqual(listed.formats.map(({ format }) => format.payloadType), [0]);
  assert.deepEqual(listed.ignored, ["h264", "flv"]);
  assert.deepEqual(planCodecs(["flv"], audioOnly).formats, []);
});
