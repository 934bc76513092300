import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { TransportError } from "../../../lib/base/errors.ts";
import type { MediaSession } from "../../../lib/call/media_session.ts";
import { decodeRtp } from "../../../lib/rtp/packet.ts";
import type { AgreedMedia } from "../../../lib/sdp/agreed_media.ts";
import { formatSdp, parseSdp } from "../../../lib/sdp/description.ts";
import { type MediaFormat, mediaFormat } from "../../../lib/sdp/media_format.ts";
import { createOffer } from "../../../lib/sdp/offer_answer.ts";
import { SDP_TYPE, type SipBody } from "../../../lib/sip/message/body.ts";
import { type MediaTreatment, NumberMedia } from "../../../lib/tools/sipd/number_media.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { mutate } from "../../support/mutate.ts";
import {
  answerOf,
  CALLER_RTP,
  memoryServices,
  offerOf,
  PCMA,
  PCMU,
  rtpPacket,
  SPEEX,
  understood,
} from "../../support/sipd_bench.ts";

const DIGITS = mediaFormat(101, "telephone-event", 8000);
const VIDEO = mediaFormat(97, "x-flv", 90000);

/** Takes G.711, DTMF and x-flv, does nothing with them. */
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
  const { log } = services;
  const told: string[] = [];
  const media = new NumberMedia({ services, log, treatment: silent(told), localAddress: "10.0.0.2" });
  const finish = async () => {
    media[Symbol.dispose]();
    await services.scope.close();
    assert.equal(services.rtp.size, 0, "sockets are left");
    assert.equal(clock.pending, 0, "timers are left");
  };
  return { media, session: media.session, told, services, finish };
}

/** What is wrong with an answer; null: nothing. */
function answered(session: MediaSession, answer: SipBody): string | null {
  const outcome = session.takeAnswer(answer);
  return outcome.type === "none" ? outcome.reason : null;
}

const sdp = (text: string) => ({ type: SDP_TYPE, bytes: encodeUtf8(text) });

Deno.test("an offer is answered with the formats taken, in its order", async () => {
  const { media, session, told, services, finish } = bench();
  const offer = { formats: [SPEEX, PCMA, DIGITS, PCMU] };
  const outcome = session.takeOffer(offerOf(offer));
  assert.ok(outcome.type === "agreed");
  assert.deepEqual(understood(outcome.answer, offer).formats.map(({ name }) => name), ["PCMA", "PCMU"]);
  assert.deepEqual(told, ["audio PCMA PCMU"]);
  assert.equal(parseSdp(outcome.answer.bytes).connection, "10.0.0.2");
  assert.equal(services.rtp.size, 2);
  assert.match(media.summary(), /^audio packets: 0 sent, 0 received/);
  await finish();
});

Deno.test("nothing in common is refused, DTMF alone is nothing, and no port is bound", async () => {
  const { media, session, services, finish } = bench();
  for (const formats of [[SPEEX], [DIGITS]]) {
    const outcome = session.takeOffer(offerOf({ formats }));
    assert.ok(outcome.type === "none");
    assert.equal(outcome.malformed, undefined);
  }
  assert.equal(services.rtp.size, 0);
  assert.equal(media.summary(), "no media");
  await finish();
});

Deno.test("what is no description is told from what cannot be agreed on", async () => {
  const { session, finish } = bench();
  for (const text of ["hello", "v=0\r\nm=audio x"]) {
    const outcome = session.takeOffer(sdp(text));
    assert.ok(outcome.type === "none");
    assert.equal(outcome.malformed, true);
  }
  const secured = sdp("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=audio 5 RTP/SAVP 0\r\n");
  const outcome = session.takeOffer(secured);
  assert.ok(outcome.type === "none" && outcome.malformed === undefined);
  await finish();
});

Deno.test("a video line may join and leave within a call; versions grow", async () => {
  const { session, told, services, finish } = bench();
  const versions: number[] = [];
  const line = (text: string) =>
    `v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\n${text}`;
  const videoLine = (port: number) => line(`m=video ${port} RTP/AVP 97\r\na=rtpmap:97 x-flv/90000\r\n`);
  for (const text of [line(""), videoLine(7002), videoLine(0), videoLine(7002)]) {
    const outcome = session.takeOffer(sdp(text));
    assert.ok(outcome.type === "agreed");
    const description = parseSdp(outcome.answer.bytes);
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
  const { session, told, finish } = bench();
  assert.equal(answered(session, offerOf()), "there was no offer to answer");
  const offer = session.makeOffer();
  assert.deepEqual(parseSdp(offer.bytes).media[0]!.formats.map(({ payloadType }) => payloadType), [0, 8]);
  assert.equal(answered(session, answerOf(offer, { formats: [PCMA] })), null);
  assert.deepEqual(told, ["audio PCMA"]);
  const again = session.makeOffer();
  assert.equal(parseSdp(again.bytes).media[0]!.port, parseSdp(offer.bytes).media[0]!.port);
  assert.equal(answered(session, answerOf(again, { formats: [PCMA] })), null);
  assert.deepEqual(told, ["audio PCMA"], "the same agreement changes nothing");
  assert.match(answered(session, sdp("x")) ?? "", /SDP/);
  assert.match(
    answered(session, offerOf({ kind: "video", formats: [VIDEO] })) ?? "",
    /No common media format/,
  );
  await finish();
});

Deno.test("no offer, however damaged, does more than fail", async () => {
  const { session, finish } = bench();
  const good = offerOf({ formats: [PCMU, DIGITS] });
  fc.assert(fc.property(fc.nat(100_000), (seed) => {
    const outcome = session.takeOffer({ type: SDP_TYPE, bytes: mutate(good.bytes, seed) });
    assert.ok(outcome.type === "agreed" || outcome.reason !== "");
  }));
  await finish();
});

/** Returns what comes, and notes how often sound was connected. */
class Returning implements MediaTreatment {
  readonly offered = [];
  readonly told: string[] = [];
  accept = (_kind: unknown, offered: readonly MediaFormat[]) => offered;
  connect(agreed: AgreedMedia, session: Parameters<MediaTreatment["connect"]>[1]): Disposable {
    const { name, sendPayloadType } = agreed.formats[0]!;
    if (agreed.kind === "audio") this.told.push(`+${name}`);
    session.receiver = {
      fromRtp: (payload, timestamp, marker) => session.send(payload, timestamp, marker, sendPayloadType),
    };
    return { [Symbol.dispose]: () => void (agreed.kind === "audio" && this.told.push(`-${name}`)) };
  }
}

function returning() {
  const clock = new FakeClock();
  const services = memoryServices(clock);
  const treatment = new Returning();
  const media = new NumberMedia({ services, log: services.log, treatment, localAddress: "10.0.0.2" });
  let port = 0;
  const apply = (offer: SipBody = offerOf()) => {
    const outcome = media.session.takeOffer(offer);
    assert.ok(outcome.type === "agreed", JSON.stringify(outcome));
    port = parseSdp(outcome.answer.bytes).media[0]!.port || port;
  };
  const caller = services.rtp.bind(CALLER_RTP);
  const back: number[][] = [];
  const reading = caller.run((bytes) => void back.push([...decodeRtp(bytes).payload]));
  const send = async (sequence: number, octet: number) => {
    caller.send(rtpPacket(sequence, [octet]), { hostname: "10.0.0.2", port });
    await settle();
  };
  const finish = async () => {
    media[Symbol.dispose]();
    caller.close();
    await reading;
    await services.scope.close();
    assert.equal(services.rtp.size, 0, "sockets are left");
    assert.equal(clock.pending, 0, "timers are left");
  };
  return { services, treatment, media, apply, port: () => port, back, send, finish };
}

Deno.test("everything is received after an agreement", async () => {
  const { media, apply, port, back, send, treatment, finish } = returning();
  assert.equal(media.summary(), "no media");
  apply();
  await settle();
  assert.equal(port() % 2, 0);
  await send(1, 11);
  await send(2, 22);
  assert.deepEqual(back, [[11], [22]]);
  assert.deepEqual(treatment.told, ["+PCMU"]);
  assert.match(media.summary(), /^audio packets: 2 sent, 2 received, 0 lost/);
  await finish();
  assert.deepEqual(treatment.told, ["+PCMU", "-PCMU"]);
});

/** An offer that drops the sound and goes on with video. */
function videoOnly(): SipBody {
  const at = { address: CALLER_RTP.hostname, sessionId: 1, sessionVersion: 1 };
  const media = [
    { kind: "audio" as const, port: 0, formats: [PCMU] },
    { kind: "video" as const, port: 7002, formats: [VIDEO] },
  ];
  return { type: SDP_TYPE, bytes: encodeUtf8(formatSdp(createOffer({ ...at, media }))) };
}

Deno.test("hold in all its spellings sends nothing, and ends without a new connection", async () => {
  const { apply, back, send, treatment, finish } = returning();
  apply();
  await send(1, 1);
  const holds = [offerOf({ direction: "sendonly" }), offerOf({ address: "0.0.0.0" }), videoOnly()];
  let sequence = 2;
  for (const hold of holds) {
    apply(hold);
    await send(sequence++, 99);
    apply();
    await send(sequence++, 2);
  }
  assert.deepEqual(back, [[1], [2], [2], [2]]);
  assert.deepEqual(treatment.told, ["+PCMU"]);
  await finish();
});

Deno.test("other formats are another connection of the same stream", async () => {
  const { apply, port, treatment, finish, services } = returning();
  apply();
  const first = port();
  apply(offerOf({ formats: [PCMA] }));
  apply(offerOf({ formats: [PCMA] }));
  assert.deepEqual(treatment.told, ["+PCMU", "-PCMU", "+PCMA"]);
  assert.equal(port(), first);
  assert.equal(services.rtp.size, 3, "two ports and the caller's");
  await finish();
});

Deno.test("a host name is no address to send to", async () => {
  const { apply, back, send, finish } = returning();
  apply(offerOf({ formats: [PCMU], address: "phone.example" }));
  await send(1, 1);
  assert.deepEqual(back, []);
  await finish();
});

Deno.test("without a port there is no stream", () => {
  const clock = new FakeClock();
  const ports = {
    bindPair: () => {
      throw new TransportError("no port is left", "addr-in-use");
    },
  };
  const services = { ...memoryServices(clock), ports };
  const media = new NumberMedia({
    services,
    log: services.log,
    treatment: new Returning(),
    localAddress: "10.0.0.2",
  });
  assert.throws(() => media.session.takeOffer(offerOf()), TransportError);
  assert.equal(clock.pending, 0);
});
