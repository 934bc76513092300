// The video of whole calls on a network in memory: parameter sets in descriptions, key-frame requests from one side
// to the other, lines that are built anew; and DTMF that survive a bad network.

import assert from "node:assert/strict";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import { flashCapability, NO_TRANSCODING, planCodecs } from "../../lib/call/codec_tokens.ts";
import { MediaContext } from "../../lib/call/media_context.ts";
import { parseH264Parameters } from "../../lib/sdp/h264_format.ts";
import { bodyText } from "../../lib/sip/message/body.ts";
import { settle } from "../support/fake_clock.ts";
import { description, type FakeMediaBench, fakeMediaBench, linesOf } from "../support/gateway_media.ts";
import { avc, CONFIG, PPS, slice, SPS } from "../support/media_h264.ts";

const [A, B] = ["192.0.2.1", "192.0.2.2"];
const SPROP = `${SPS.toBase64()},${PPS.toBase64()}`;

const config = (): Uint8Array => concatBytes([fromHex("1700000000"), CONFIG]);
const key = (seed: number): Uint8Array =>
  concatBytes([fromHex("1701000000"), avc([slice("I", 300, { seed })])]);
const inter = (seed: number): Uint8Array =>
  concatBytes([fromHex("2701000000"), avc([slice("P", 200, { seed })])]);

/** One side of a call with video: its media, what its client saw and was told. */
function open(
  bench: FakeMediaBench,
  localAddress: string,
  codecs: readonly string[] = ["pcmu", "h264", "dtmf"],
) {
  const seen: string[] = [];
  const told: string[] = [];
  const digits: string[] = [];
  const media = new MediaContext({
    services: bench.services,
    log: bench.log,
    plan: planCodecs(codecs, flashCapability("wideband", NO_TRANSCODING)),
    localAddress,
    bind: localAddress,
    originMs: bench.clock.now(),
    onEnd: () => {},
  });
  media.toRtmp = {
    play: (type, _timeMs, body) => {
      if (type === 9) seen.push(body.toHex());
    },
  };
  media.onDigit = (digit) => void digits.push(digit);
  media.onKeyFrameWanted = () => void told.push("key frame");
  media.onPictureWanted = () => void told.push("ask by INFO");
  media.onPublisherWarning = (code) => void told.push(code);
  return { media, seen, told, digits };
}

type Side = ReturnType<typeof open>;

function agree(offerer: Side, answerer: Side): { offer: string; answer: string } {
  const offer = offerer.media.makeOffer();
  const answered = answerer.media.takeOffer(offer);
  assert.ok(answered.type === "agreed");
  assert.equal(offerer.media.takeAnswer(answered.answer).type, "agreed");
  return { offer: bodyText(offer), answer: bodyText(answered.answer) };
}

async function publish(bench: FakeMediaBench, side: Side, bodies: readonly Uint8Array[]): Promise<void> {
  for (const body of bodies) {
    side.media.fromRtmp({ type: 9, timeMs: bench.clock.now(), body });
    await bench.clock.advanceAsync(40);
  }
}

const spropOf = (text: string): string[] => {
  const [fmtp = ""] = linesOf(text, "a=fmtp:99 ");
  return [...parseH264Parameters(fmtp.slice(10)).parameterSets];
};

/** How often the lines of a call were built. */
const built = (bench: FakeMediaBench): number =>
  bench.log.at("info").filter((line) => line.includes("video: h264")).length;

Deno.test("what was published before the call is in the offer and in the answer, and is sent first", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [open(bench, A), open(bench, B)];
  using _a = a.media;
  using _b = b.media;
  for (const side of [a, b]) side.media.fromRtmp({ type: 9, timeMs: 0, body: config() });
  const { offer, answer } = agree(a, b);
  assert.deepEqual([spropOf(offer).join(), spropOf(answer).join()], [SPROP, SPROP]);
  assert.deepEqual(linesOf(offer, "a=rtcp-fb"), ["a=rtcp-fb:99 nack pli", "a=rtcp-fb:99 ccm fir"]);
  assert.deepEqual(linesOf(answer, "a=rtcp-fb"), ["a=rtcp-fb:99 nack pli", "a=rtcp-fb:99 ccm fir"]);
  await settle();
  await publish(bench, a, [key(1), inter(2)]);
  assert.deepEqual(b.seen, [config(), key(1), inter(2)].map((body) => body.toHex()));
});

Deno.test("what is published later is in the next offer, and changes nothing of the streams", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [open(bench, A), open(bench, B)];
  using _a = a.media;
  using _b = b.media;
  assert.deepEqual(spropOf(agree(a, b).offer), []);
  await settle();
  await publish(bench, a, [config(), key(1)]);
  const before = built(bench);
  assert.equal(spropOf(agree(a, b).offer).join(), SPROP);
  await publish(bench, a, [inter(2)]);
  assert.equal(built(bench), before, "no line was built anew");
  assert.deepEqual(b.seen, [config(), key(1), inter(2)].map((body) => body.toHex()));
  a.media.publisherChanged();
  assert.deepEqual(spropOf(agree(a, b).offer), [], "another publisher's are not known yet");
});

Deno.test("lines that are built anew, for a peer with other payload types, begin with the configuration", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [open(bench, A), open(bench, B)];
  using _a = a.media;
  using _b = b.media;
  const { answer } = agree(a, b);
  await settle();
  await publish(bench, a, [config(), key(1)]);
  await bench.clock.advanceAsync(200); // a first picture waits for proof that it is whole
  const [port] = /\d+/.exec(linesOf(answer, "m=video")[0]!)!;
  const renumbered = a.media.takeOffer(description(
    B,
    `m=audio ${/\d+/.exec(linesOf(answer, "m=audio")[0]!)} RTP/AVP 0`,
    `m=video ${port} RTP/AVP 99`,
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=42e01f",
  ));
  assert.equal(renumbered.type, "agreed");
  const before = b.seen.length;
  await publish(bench, a, [key(2)]); // the client does not send its configuration again
  await bench.clock.advanceAsync(200);
  assert.deepEqual(b.seen.slice(before), [config(), key(2)].map((body) => body.toHex()));
});

Deno.test("a late player asks the remote party by RTCP; it gets the last key frame at once, its publisher is told", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [open(bench, A), open(bench, B)];
  using _a = a.media;
  using _b = b.media;
  agree(a, b);
  await settle();
  await publish(bench, a, [config(), key(1), inter(2)]);
  b.media.playerChanged();
  await bench.clock.advanceAsync(40);
  const asked = () => a.told.filter((told) => told === "key frame").length;
  assert.deepEqual([asked(), b.told], [1, []]);
  assert.deepEqual(b.seen.slice(-2), [config(), key(1)].map((body) => body.toHex()));
  b.media.playerChanged();
  await bench.clock.advanceAsync(40);
  assert.equal(asked(), 1, "rate-limited");
});

Deno.test("a remote party that names no feedback is asked by INFO", async () => {
  await using bench = fakeMediaBench();
  const a = open(bench, A);
  using _a = a.media;
  a.media.makeOffer();
  const answered = a.media.takeAnswer(description(
    B,
    "m=audio 4000 RTP/AVP 0",
    "m=video 4002 RTP/AVP 99",
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=42e01f;packetization-mode=1",
  ));
  assert.equal(answered.type, "agreed");
  a.media.playerChanged();
  assert.deepEqual(a.told, ["ask by INFO"]);
});

Deno.test("an answer with another profile is named in the log; the publisher learns what of it does not fit", async () => {
  await using bench = fakeMediaBench();
  const a = open(bench, A);
  using _a = a.media;
  a.media.makeOffer();
  a.media.takeAnswer(description(
    B,
    "m=audio 4000 RTP/AVP 0",
    "m=video 4002 RTP/AVP 99",
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=4d0014;packetization-mode=1",
  ));
  const warnings = bench.log.at("warn");
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0]!,
    /answers with H.264 main 2\.0 \(4d0014\), offered was constrained-baseline 3\.1/,
  );
  await publish(bench, a, [config(), key(1)]); // baseline 3.0
  assert.deepEqual(a.told, ["NetStream.Publish.ProfileMismatch"]);
});

Deno.test("x-flv: a lost message asks by INFO, and a request of the remote party reaches the publisher", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [open(bench, A, []), open(bench, B, [])];
  using _a = a.media;
  using _b = b.media;
  agree(a, b);
  await settle();
  await publish(bench, a, [config(), key(1)]);
  bench.network.options.loss = 1;
  await publish(bench, a, [inter(2)]);
  bench.network.options.loss = 0;
  await publish(bench, a, [inter(3), inter(4), inter(5)]);
  assert.deepEqual(b.told, ["ask by INFO"]);
  a.media.keyFrameRequested();
  assert.deepEqual(a.told, ["key frame"]);
});

Deno.test("x-flv: DTMF go on the audio line, which is silent otherwise", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [open(bench, A, []), open(bench, B, [])];
  using _a = a.media;
  using _b = b.media;
  assert.equal(a.media.sendDigits("1", 100), false);
  agree(a, b);
  await settle();
  assert.equal(a.media.sendDigits("12#", 100), true);
  assert.equal(a.media.sendDigits("3", 100, "inband"), false);
  await publish(bench, a, [config(), key(1)]);
  await bench.clock.advanceAsync(2000);
  assert.deepEqual([b.digits.join(""), b.seen.length], ["12#", 2]);
});

Deno.test("redundant DTMF: with every third packet lost each key arrives once, in order", async () => {
  const digits = "1234567890*#ABCD";
  for (let seed = 1; seed <= 5; seed++) {
    await using bench = fakeMediaBench();
    const [a, b] = [open(bench, A, ["pcmu", "dtmf"]), open(bench, B, ["pcmu", "dtmf"])];
    using _a = a.media;
    using _b = b.media;
    const { offer } = agree(a, b);
    assert.deepEqual(linesOf(offer, "a=fmtp:100"), ["a=fmtp:100 101/101/101"]);
    await settle();
    bench.network.options.loss = 1 / 3;
    for (let i = 0; i < seed; i++) { // which packets are lost depends on how many went before
      a.media.fromRtmp({ type: 8, timeMs: i * 20, body: new Uint8Array(161).fill(0x82) });
      await bench.clock.advanceAsync(20);
    }
    assert.equal(a.media.sendDigits(digits, 60), true);
    await bench.clock.advanceAsync(8000);
    bench.network.options.loss = 0;
    assert.equal(b.digits.join(""), digits, `seed ${seed}`);
  }
});
