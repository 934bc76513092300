import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { Scope } from "../../../lib/base/scope.ts";
import { parseSdp } from "../../../lib/sdp/description.ts";
import { type MediaFormat, mediaFormat } from "../../../lib/sdp/media_format.ts";
import { SDP_TYPE } from "../../../lib/sip/message/body.ts";
import { LineMedia, type MediaTreatment } from "../../../lib/tools/sipd/line_media.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { mutate } from "../../support/mutate.ts";
import {
  answerOf,
  memoryServices,
  offerOf,
  PCMA,
  PCMU,
  SPEEX,
  understood,
} from "../../support/sipd_bench.ts";

const DIGITS = mediaFormat(101, "telephone-event", 8000);
const VIDEO = mediaFormat(97, "x-flv", 90000);

/** Takes G.711, touch tones and x-flv, does nothing with them. */
function silent(told: string[]): MediaTreatment {
  const known = ["pcmu", "pcma", "telephone-event", "x-flv"];
  return {
    offered: [{ kind: "audio", formats: [PCMU, PCMA] }],
    accept: (_kind, offered: readonly MediaFormat[]) =>
      offered.filter((format) => known.includes(format.name.toLowerCase())),
    connect: ({ kind, formats }) => {
      told.push(`${kind} ${formats.map((format) => format.name).join(" ")}`);
      return { [Symbol.dispose]: () => {} };
    },
  };
}

function bench() {
  const clock = new FakeClock();
  const services = memoryServices(clock);
  const scope = new Scope("test");
  const told: string[] = [];
  const media = new LineMedia({ services, scope, treatment: silent(told), localAddress: "10.0.0.2" });
  const finish = async () => {
    media[Symbol.dispose]();
    await scope.close();
    assert.equal(services.rtp.size, 0, "sockets are left");
    assert.equal(clock.pending, 0, "timers are left");
  };
  return { media, told, services, finish };
}

const sdp = (text: string) => ({ type: SDP_TYPE, bytes: encodeUtf8(text) });

Deno.test("an offer is answered with the formats taken, in its order", async () => {
  const { media, told, services, finish } = bench();
  const offer = { formats: [SPEEX, PCMA, DIGITS, PCMU] };
  const outcome = media.takeOffer(offerOf(offer));
  assert.ok(outcome.type === "answer");
  assert.deepEqual(understood(outcome.body, offer).formats.map(({ name }) => name), ["PCMA", "PCMU"]);
  assert.deepEqual(told, ["audio PCMA PCMU"]);
  assert.equal(parseSdp(outcome.body.bytes).connection, "10.0.0.2");
  assert.equal(services.rtp.size, 2);
  assert.match(media.summary(), /^audio 0 packets received/);
  await finish();
});

Deno.test("nothing in common is 488, touch tones alone are nothing, and nothing is bound", async () => {
  const { media, services, finish } = bench();
  for (const formats of [[SPEEX], [DIGITS]]) {
    const outcome = media.takeOffer(offerOf({ formats }));
    assert.ok(outcome.type === "none");
    assert.equal(outcome.status, 488);
  }
  assert.equal(services.rtp.size, 0);
  assert.equal(media.summary(), "no media");
  await finish();
});

Deno.test("what is no description is 400; secured media is 488", async () => {
  const { media, finish } = bench();
  for (const [text, status] of [["hello", 400], ["v=0\r\nm=audio x", 400]] as const) {
    const outcome = media.takeOffer(sdp(text));
    assert.ok(outcome.type === "none");
    assert.equal(outcome.status, status);
  }
  const secured = sdp("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=audio 5 RTP/SAVP 0\r\n");
  const outcome = media.takeOffer(secured);
  assert.ok(outcome.type === "none" && outcome.status === 488);
  await finish();
});

Deno.test("a video line may join and leave within a call; versions grow", async () => {
  const { media, told, services, finish } = bench();
  const versions: number[] = [];
  const line = (text: string) =>
    `v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\n${text}`;
  const videoLine = (port: number) => line(`m=video ${port} RTP/AVP 97\r\na=rtpmap:97 x-flv/90000\r\n`);
  for (const text of [line(""), videoLine(7002), videoLine(0), videoLine(7002)]) {
    const outcome = media.takeOffer(sdp(text));
    assert.ok(outcome.type === "answer");
    const description = parseSdp(outcome.body.bytes);
    versions.push(Number(description.sessionVersion));
    const video = description.media[1];
    if (video !== undefined) assert.equal(video.port === 0, text === videoLine(0));
  }
  assert.deepEqual(versions.map((version) => version - versions[0]!), [0, 1, 2, 3]);
  assert.deepEqual(told, ["audio PCMU", `video ${VIDEO.name}`]);
  assert.equal(services.rtp.size, 4);
  await finish();
});

Deno.test("our offer is answered by the caller, and repeated as it was", async () => {
  const { media, told, finish } = bench();
  assert.equal(media.takeAnswer(offerOf()), "there was no offer to answer");
  const offer = media.makeOffer();
  assert.deepEqual(parseSdp(offer.bytes).media[0]!.formats.map(({ payloadType }) => payloadType), [0, 8]);
  assert.equal(media.takeAnswer(answerOf(offer, { formats: [PCMA] })), null);
  assert.deepEqual(told, ["audio PCMA"]);
  const again = media.makeOffer();
  assert.equal(parseSdp(again.bytes).media[0]!.port, parseSdp(offer.bytes).media[0]!.port);
  assert.equal(media.takeAnswer(answerOf(again, { formats: [PCMA] })), null);
  assert.deepEqual(told, ["audio PCMA"], "the same agreement changes nothing");
  assert.match(media.takeAnswer(sdp("x")) ?? "", /SDP/);
  assert.match(
    media.takeAnswer(offerOf({ kind: "video", formats: [VIDEO] })) ?? "",
    /No common media format/,
  );
  await finish();
});

Deno.test("no offer, however damaged, does more than fail", async () => {
  const { media, finish } = bench();
  const good = offerOf({ formats: [PCMU, DIGITS] });
  fc.assert(fc.property(fc.nat(100_000), (seed) => {
    const outcome = media.takeOffer({ type: SDP_TYPE, bytes: mutate(good.bytes, seed) });
    assert.ok(outcome.type === "answer" || outcome.reason !== "");
  }));
  await finish();
});
