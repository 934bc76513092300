// What passes as it is, what is unpacked how, what is left to transcoding.

import assert from "node:assert/strict";
import {
  codecForPlayer,
  createPacketizer,
  createReceivedFormats,
  formatOfFrame,
  passesAsItIs,
  refusalOf,
  silentPayload,
} from "../../lib/call/audio_passthrough.ts";
import type { NegotiatedAudio, ReceivedAudio } from "../../lib/call/negotiation.ts";
import type { Codec } from "../../lib/codecs/codec.ts";
import { loadCodecs } from "../../lib/codecs/load.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { countSpeexFrames, stripWidebandLayer } from "../../lib/codecs/speex_bits.ts";
import { decodeTag } from "../../lib/media/flv_tag.ts";
import { type CodecName, createFrame } from "../../lib/media/frame.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import {
  type ClientAudio,
  clientFormat,
  codecNamed,
  type SipAudio,
  sipFormat,
} from "../support/audio_formats.ts";
import { FakeClock } from "../support/fake_clock.ts";

const received = (payloadType: number, codec: SipAudio, toClient: ClientAudio): ReceivedAudio => ({
  payloadType,
  codec,
  clockRate: codec === "speex" ? 16000 : codec === "opus" ? 48000 : 8000,
  toClient,
});

const line = { kind: "codec" as const, clockRate: 8000, sendPayloadType: 0, ptimeMs: null };
const PCMU: NegotiatedAudio = {
  client: "pcmu",
  remote: "pcmu",
  ...line,
  receive: [received(0, "pcmu", "pcmu"), received(8, "pcma", "pcmu"), received(9, "g722", "pcmu")],
};
const AAC: NegotiatedAudio = {
  client: "aac",
  remote: "g722",
  ...line,
  receive: [received(9, "g722", "aac"), received(0, "pcmu", "aac")],
};
const OPUS: NegotiatedAudio = {
  client: "opus",
  remote: "opus",
  ...line,
  clockRate: 48000,
  receive: [received(107, "opus", "opus")],
};

Deno.test("both ends of each chain", () => {
  const table: [NegotiatedAudio, SipAudio, ClientAudio, ClientAudio][] = [
    [PCMU, "pcmu", "pcmu", "pcmu"],
    [AAC, "g722", "aac", "aac"],
    [OPUS, "opus", "opus", "opus"],
    [
      { ...PCMU, receive: [received(0, "pcmu", "pcmu"), received(9, "g722", "speex")] },
      "pcmu",
      "pcmu",
      "speex",
    ],
  ];
  for (const [chain, peer, client, player] of table) {
    assert.deepEqual([chain.remote, chain.client, codecForPlayer(chain)], [
      peer,
      client,
      player,
    ]);
  }
});

Deno.test("equal codecs pass, and G.711 of either law", () => {
  const passes = (sent: string, taken: string) => passesAsItIs(codecNamed(sent), codecNamed(taken));
  assert.ok(passes("speex", "speex") && passes("opus", "opus"));
  assert.ok(passes("pcma", "pcmu") && passes("pcmu", "pcma"));
  assert.ok(!passes("speex", "pcmu") && !passes("aac", "opus") && !passes("aac", "aac"));
});

Deno.test("every codec of a peer has a packetizer, but G.722, which no client sends", () => {
  const clock = new FakeClock();
  assert.ok(createPacketizer(PCMU, builtInCodecs, clock) !== null);
  assert.ok(createPacketizer(OPUS, builtInCodecs, clock) !== null);
  assert.equal(createPacketizer(AAC, builtInCodecs, clock), null);
});

Deno.test("payload types of the peer: unpacked when the client plays them, else left to transcoding", () => {
  const voices = createReceivedFormats(PCMU.receive, {
    registry: builtInCodecs,
    clock: new FakeClock(),
    originMs: 0,
  });
  assert.ok(voices[0]?.pass && voices[8]?.pass && voices[9]?.pass === null);
  assert.deepEqual([voices[9]?.format.sampleRate, voices[9]?.clockRate], [16000, 8000]);
  assert.equal(voices[96], null);
  const exchanged: string[] = [];
  voices[8]!.pass!.push(new Uint8Array(160).fill(0xd5), 0, false, (frame) => {
    exchanged.push(`${frame.codec} ${frame.data.subarray(0, 2).toHex()}`);
  }, 0);
  assert.deepEqual(exchanged, ["pcmu fefe"]);
  const opus = createReceivedFormats(OPUS.receive, {
    registry: builtInCodecs,
    clock: new FakeClock(),
    originMs: 0,
  })[107]!;
  const played: string[] = [];
  opus.pass?.push(Uint8Array.of(0xfc), 0, false, (frame) => played.push(frame.codec), 0);
  assert.deepEqual(played, ["opus"]);
});

function silence(client: string, remote: string, clockRate: number): Uint8Array | null {
  const stream = { clockRate, sendPayloadType: 0, receive: [], ptimeMs: null };
  return silentPayload({ kind: "codec", client, remote, ...stream }, builtInCodecs);
}

Deno.test("early silence: a packet of every codec that passes through", () => {
  const TABLE: readonly (readonly [codec: string, clockRate: number, hex: string | null])[] = [
    ["pcmu", 8000, "ff".repeat(160)],
    ["pcma", 8000, "d5".repeat(160)],
    ["speex", 8000, "03"],
    ["speex", 16000, "043f"],
    ["opus", 48000, "f8fffe"],
  ];
  for (const [codec, clockRate, hex] of TABLE) {
    assert.equal(silence(codec, codec, clockRate)?.toHex() ?? null, hex, `${codec}/${clockRate}`);
  }
  assert.equal(silence("speex", "pcmu", 8000), null, "transcoding makes its own");
});

Deno.test("early silence: a Speex packet is one frame, and its narrowband part another", () => {
  const [narrow, wide] = [8000, 16000].map((clockRate) => silence("speex", "speex", clockRate)!);
  assert.deepEqual([countSpeexFrames(narrow!), countSpeexFrames(wide!)], [1, 1]);
  assert.equal(stripWidebandLayer(wide!).toHex(), narrow!.toHex());
});

const codecs = await loadCodecs();

for (const [codec, sampleRate] of [["speex", 8000], ["speex", 16000], ["opus", 48000]] as const) {
  const ignore = !codecs.transcodable.has(codec);
  Deno.test(
    { name: `early silence: a real decoder of ${codec} at ${sampleRate} Hz hears nothing`, ignore },
    () => {
      using decoder = codecs.createDecoder({ codec, sampleRate }, sampleRate);
      for (let n = 0; n < 20; n++) {
        const samples = decoder.decode(silence(codec, codec, sampleRate)!);
        assert.equal(samples.length, sampleRate / 50);
        assert.ok(samples.every((sample) => Math.abs(sample) < 20));
      }
    },
  );
}

const FRAMES: [body: string, format: string | null][] = [
  ["b201", "speex 16000"],
  ["b601", "speex 16000"],
  ["82ff", "pcmu 8000"],
  ["83ffff", "pcmu 8000 x2"],
  ["72ff", "pcma 8000"],
  ["73ffff", "pcma 8000 x2"],
  ["af0121", "aac 48000"],
  ["916d70346121", "aac 48000"],
  ["914f707573fc", "opus 48000"],
  ["00ff", null],
  ["2fff", null],
  ["52ff", null],
  ["95ff", null],
];

Deno.test("each audio tag says by itself what it is, and the same kind is the same object", () => {
  for (const [body, expected] of FRAMES) {
    const frame = createFrame();
    decodeTag(8, 0, Uint8Array.fromHex(body), frame);
    const codec = builtInCodecs.ofFlvId(readTag(8, Uint8Array.fromHex(body), createTag()).codecId);
    const format = codec === null ? null : formatOfFrame(codec, frame);
    const { sampleRate, channels } = format ?? {};
    const text = format === null ? null : `${format.codec} ${sampleRate}${channels === 2 ? " x2" : ""}`;
    assert.equal(text, expected, body);
    assert.equal(codec === null ? null : formatOfFrame(codec, frame), format);
  }
});

Deno.test("a client plays the format of its codec", () => {
  assert.deepEqual(clientFormat("speex"), { codec: "speex", sampleRate: 16000 });
  assert.deepEqual(clientFormat("aac"), { codec: "aac", sampleRate: 48000 });
  assert.equal(clientFormat("pcmu"), clientFormat("pcmu"));
});

Deno.test("SIP formats: sample rates of their own, packets of 20, 40 or 60 ms", () => {
  const rates = [sipFormat("g722", 8000), sipFormat("opus", 48000), sipFormat("speex", 8000)];
  assert.deepEqual(rates.map(({ sampleRate }) => sampleRate), [16000, 48000, 8000]);
  const table: [ptimeMs: number | null, packetMs: number][] = [
    [null, 20],
    [10, 20],
    [20, 20],
    [30, 20],
    [40, 40],
    [60, 60],
    [200, 60],
  ];
  for (const [ptimeMs, packetMs] of table) {
    assert.equal(sipFormat("pcmu", 8000, ptimeMs).packetMs, packetMs, `${ptimeMs}`);
  }
});

const refusal = (sent: Codec | CodecName, transcoding: boolean): string =>
  refusalOf({ sent, taken: codecNamed("pcmu"), registry: builtInCodecs, transcoding });

Deno.test("a refusal names the codec, and what can be sent instead", () => {
  const table: [codec: CodecName, words: RegExp][] = [
    ["linear16", /^linear PCM cannot be carried.*send AAC, Opus, Speex or G\.711$/],
    ["mp3", /^MP3 cannot be carried/],
    ["nellymoser", /^Nellymoser cannot be carried/],
    ["unknown", /^this audio codec cannot be carried/],
  ];
  for (const [codec, words] of table) assert.match(refusal(codec, true), words);
  assert.match(
    refusal(codecNamed("aac"), false),
    /^AAC is not what the remote party takes.*can convert it.*G\.711 \(mu-law\)$/,
  );
});
