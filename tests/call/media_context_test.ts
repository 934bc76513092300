import assert from "node:assert/strict";
import fc from "fast-check";
import { TransportError } from "../../lib/base/errors.ts";
import { flashCapability, NO_TRANSCODING, planCodecs } from "../../lib/call/codec_tokens.ts";
import { MediaContext } from "../../lib/call/media_context.ts";
import { joinSpeexFrames, stripWidebandLayer } from "../../lib/codecs/speex_bits.ts";
import { RtpPorts } from "../../lib/net/rtp_ports.ts";
import { bodyText, SDP_TYPE } from "../../lib/sip/message/body.ts";
import { decodeRtp } from "../../lib/rtp/packet.ts";
import { settle } from "../support/fake_clock.ts";
import {
  description,
  fakeMediaBench,
  g711Frames,
  hexOf,
  linesOf,
  loopbackMediaBench,
  type MediaSide,
  negotiate,
  publish,
  speexFrames,
  tag,
} from "../support/gateway_media.ts";
import { mutate } from "../support/mutate.ts";
import { rtpBytes } from "../support/rtp_packets.ts";

const [A, B] = ["192.0.2.1", "192.0.2.2"];
const PHONE = { hostname: "192.0.2.9", port: 4000 };

/** Offerer's list, answerer's list, what each publishes (tag byte, frames), and what each is told. */
const PASS_THROUGH: {
  name: string;
  lists: [string[], string[]];
  first: number;
  frames: () => Uint8Array[];
  told: [string, string];
}[] = [
  {
    name: "Speex wideband",
    lists: [["wideband"], ["wideband"]],
    first: 0xb2,
    frames: () => speexFrames(40),
    told: ["speex", "speex"],
  },
  {
    name: "Speex wideband, three frames to a tag",
    lists: [["wideband"], ["narrowband", "wideband"]],
    first: 0xb2,
    frames: () => Array.from({ length: 10 }, () => joinSpeexFrames(speexFrames(3))),
    told: ["speex", "speex"],
  },
  {
    name: "Speex narrowband",
    lists: [["narrowband"], ["narrowband"]],
    first: 0xb2,
    frames: () => speexFrames(40, "narrowband"),
    told: ["speex", "speex"],
  },
  {
    name: "PCMU",
    lists: [["wideband", "pcmu", "dtmf"], ["pcmu", "pcma"]],
    first: 0x82,
    frames: () => g711Frames(40),
    told: ["pcmu", "pcmu"],
  },
  {
    name: "PCMA",
    lists: [["pcma", "pcmu"], ["pcmu", "pcma"]],
    first: 0x72,
    frames: () => g711Frames(40),
    told: ["pcma", "pcma"],
  },
];

for (const { name, lists, first, frames, told } of PASS_THROUGH) {
  Deno.test(`${name} passes both ways byte for byte`, async () => {
    await using bench = fakeMediaBench();
    const [a, b] = [bench.open(A, lists[0]), bench.open(B, lists[1])];
    using _a = a.media;
    using _b = b.media;
    assert.deepEqual(negotiate(a, b).reports, [[told[0], null], [told[1], null]]);
    const [toB, toA] = [frames(), frames()];
    await publish(bench.clock, a, first, toB);
    await publish(bench.clock, b, first, toA, 5000);
    assert.deepEqual(hexOf(b.played), hexOf(toB.map((frame) => tag(first, frame))));
    assert.deepEqual(hexOf(a.played), hexOf(toA.map((frame) => tag(first, frame))));
    assert.ok(b.timesMs.every((timeMs, i) => i === 0 || timeMs > b.timesMs[i - 1]!));
  });
}

Deno.test("a client without a codec list is told nothing, and sends Speex at its rate", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, [], "narrowband"), bench.open(B, ["wideband", "narrowband"])];
  using _a = a.media;
  using _b = b.media;
  const { offer, reports } = negotiate(a, b);
  assert.deepEqual(reports, [[], ["speex", null]]);
  assert.deepEqual(linesOf(offer, "m="), ["m=audio 30000 RTP/AVP 98 101 100"]);
});

Deno.test("towards a narrowband peer the wideband layer is cut off, and nothing else", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["wideband", "narrowband"]), bench.open(B, ["narrowband"])];
  using _a = a.media;
  using _b = b.media;
  negotiate(a, b);
  const [wide, narrow] = [speexFrames(20), speexFrames(20, "narrowband")];
  await publish(bench.clock, a, 0xb2, wide);
  await publish(bench.clock, b, 0xb2, narrow);
  assert.deepEqual(hexOf(b.played), hexOf(wide.map((frame) => tag(0xb2, stripWidebandLayer(frame)))));
  assert.deepEqual(hexOf(a.played), hexOf(narrow.map((frame) => tag(0xb2, frame))));
});

Deno.test("a plan without video offers none, and an offered one is refused", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A), bench.open(B)];
  using _a = a.media;
  using _b = b.media;
  assert.deepEqual(linesOf(bodyText(a.media.makeOffer()), "m="), ["m=audio 30000 RTP/AVP 96 101 100"]);
  const answered = b.media.takeOffer(description(
    PHONE.hostname,
    "m=audio 4000 RTP/AVP 96",
    "a=rtpmap:96 speex/16000",
    "m=video 4002 RTP/AVP 97",
    "a=rtpmap:97 x-flv/90000",
  ));
  assert.ok(answered.type === "agreed");
  assert.deepEqual(linesOf(bodyText(answered.answer), "m="), [
    "m=audio 30002 RTP/AVP 96",
    "m=video 0 RTP/AVP 97",
  ]);
});

Deno.test("hold: the peer knows, hears us on, and is not heard; afterwards all is as before", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu"]), bench.open(B, ["pcmu"])];
  using _a = a.media;
  using _b = b.media;
  negotiate(a, b);
  const both = async (fromMs: number): Promise<[number, number]> => {
    const [heardByA, heardByB] = [a.played.length, b.played.length];
    await publish(bench.clock, a, 0x82, g711Frames(10), fromMs);
    await publish(bench.clock, b, 0x82, g711Frames(10), fromMs);
    return [a.played.length - heardByA, b.played.length - heardByB];
  };
  assert.deepEqual(await both(0), [10, 10]);
  a.media.setHold(true);
  const held = negotiate(a, b);
  assert.deepEqual([linesOf(held.offer, "a=sendonly").length, linesOf(held.answer, "a=recvonly").length], [
    1,
    1,
  ]);
  assert.deepEqual([a.media.heldByRemote, b.media.heldByRemote], [false, true]);
  assert.deepEqual(await both(1000), [0, 10]);
  a.media.setHold(false);
  const back = negotiate(a, b);
  assert.deepEqual([linesOf(back.offer, "a=sendrecv").length, b.media.heldByRemote], [1, false]);
  assert.deepEqual(await both(2000), [10, 10]);
  assert.ok(b.timesMs.every((timeMs, i) => i === 0 || timeMs > b.timesMs[i - 1]!), "time went on");
  const versions = [held, back].map(({ offer }) => Number(/^o=\S+ \d+ (\d+)/m.exec(offer)?.[1]));
  assert.equal(versions[1], versions[0]! + 1);
});

for (const hold of ["a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0"]) {
  Deno.test(`a phone that holds us with ${hold} hears nothing until it comes back`, async () => {
    await using bench = fakeMediaBench();
    const phone = bench.network.bind(PHONE);
    const a = bench.open(A, ["pcmu"]);
    using _a = a.media;
    let heard = 0;
    const running = phone.run(() => heard++);
    assert.equal(a.media.takeOffer(description(PHONE.hostname, "m=audio 4000 RTP/AVP 0")).type, "agreed");
    await publish(bench.clock, a, 0x82, g711Frames(5));
    const outcome = a.media.takeOffer(description(PHONE.hostname, "m=audio 4000 RTP/AVP 0", hold));
    assert.deepEqual([outcome.type, a.media.heldByRemote], ["agreed", true]);
    await publish(bench.clock, a, 0x82, g711Frames(5), 100);
    assert.equal(heard, 5);
    a.media.takeOffer(description(PHONE.hostname, "m=audio 4000 RTP/AVP 0"));
    assert.equal(a.media.heldByRemote, false);
    await publish(bench.clock, a, 0x82, g711Frames(5), 200);
    assert.equal(heard, 10);
    phone.close();
    await running;
  });
}

Deno.test("both hold: ours stays when theirs ends", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu"]), bench.open(B, ["pcmu"])];
  using _a = a.media;
  using _b = b.media;
  negotiate(a, b);
  a.media.setHold(true);
  negotiate(a, b);
  b.media.setHold(true);
  assert.deepEqual(linesOf(negotiate(b, a).answer, "a=inactive").length, 1);
  assert.deepEqual([a.media.heldByRemote, b.media.heldByRemote], [true, true]);
  b.media.setHold(false);
  negotiate(b, a);
  assert.deepEqual([a.media.heldByRemote, b.media.heldByRemote], [false, true]);
});

Deno.test("a delayed re-offer by the one who answered keeps ports and payload types", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["wideband", "dtmf"]), bench.open(B, ["wideband", "dtmf"])];
  using _a = a.media;
  using _b = b.media;
  const first = negotiate(a, b);
  const second = negotiate(b, a);
  assert.deepEqual(linesOf(second.offer, "m="), linesOf(first.answer, "m="));
  const frames = speexFrames(5);
  await publish(bench.clock, a, 0xb2, frames);
  assert.deepEqual(hexOf(b.played), hexOf(frames.map((frame) => tag(0xb2, frame))));
});

Deno.test("the phone's own payload types are used towards it and in the answer", async () => {
  await using bench = fakeMediaBench();
  const phone = bench.network.bind(PHONE);
  const a = bench.open(A, ["wideband", "dtmf"]);
  using _a = a.media;
  const types: number[] = [];
  const running = phone.run((bytes) => types.push(decodeRtp(bytes).payloadType));
  const outcome = a.media.takeOffer(description(
    PHONE.hostname,
    "m=audio 4000 RTP/AVP 9 110 115",
    "a=rtpmap:110 SPEEX/16000",
    "a=rtpmap:115 telephone-event/16000",
  ));
  assert.ok(outcome.type === "agreed");
  assert.deepEqual(linesOf(bodyText(outcome.answer), "m="), ["m=audio 30000 RTP/AVP 110 115"]);
  await publish(bench.clock, a, 0xb2, speexFrames(2));
  assert.equal(a.media.sendDigits("5", 40), true);
  await bench.clock.advanceAsync(500);
  assert.deepEqual([...new Set(types)], [110, 115]);
  phone.close();
  await running;
});

Deno.test("a renewed offer in another order does not change the codec the client was told of", async () => {
  await using bench = fakeMediaBench();
  const phone = bench.network.bind(PHONE);
  const a = bench.open(A, ["pcmu", "pcma"]);
  using _a = a.media;
  const types: number[] = [];
  const running = phone.run((bytes) => types.push(decodeRtp(bytes).payloadType));
  a.media.takeOffer(description(PHONE.hostname, "m=audio 4000 RTP/AVP 8 0"));
  await publish(bench.clock, a, 0x72, g711Frames(2));
  const again = a.media.takeOffer(description(PHONE.hostname, "m=audio 4000 RTP/AVP 0 8"));
  assert.deepEqual(again.type === "agreed" && again.report, ["pcma", null]);
  await publish(bench.clock, a, 0x72, g711Frames(2), 40);
  assert.deepEqual(types, [8, 8, 8, 8]);
  a.media.takeOffer(description(PHONE.hostname, "m=audio 4000 RTP/AVP 0"));
  await publish(bench.clock, a, 0x82, g711Frames(2), 80);
  assert.deepEqual(types, [8, 8, 8, 8, 0, 0]);
  phone.close();
  await running;
});

Deno.test("a phone that starts over, or is another one: the player's time goes on", async () => {
  await using bench = fakeMediaBench();
  const phone = bench.network.bind(PHONE);
  const a = bench.open(A, ["pcmu"]);
  using _a = a.media;
  const outcome = a.media.takeOffer(description(PHONE.hostname, "m=audio 4000 RTP/AVP 0"));
  assert.ok(outcome.type === "agreed");
  const say = async (ssrc: number, timestamp: number): Promise<void> => {
    for (let n = 1; n <= 10; n++) {
      const fields = {
        ssrc,
        sequenceNumber: n,
        timestamp: timestamp + 160 * n,
        payload: new Uint8Array(160),
      };
      phone.send(rtpBytes(fields), { hostname: A, port: 30000 });
      await bench.clock.advanceAsync(20);
    }
  };
  await say(7, 4_000_000_000);
  await say(8, 0);
  await say(7, 1_000);
  assert.ok(a.played.length >= 24, `${a.played.length} of 30`);
  assert.ok(a.timesMs.every((timeMs, i) => i === 0 || timeMs > a.timesMs[i - 1]!), a.timesMs.join());
  assert.ok(a.timesMs.at(-1)! < 1000, "and it does not run ahead");
  phone.close();
});

Deno.test("another publisher starts at 0: the phone's timestamps go on", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu"]), bench.open(B, ["pcmu"])];
  using _a = a.media;
  using _b = b.media;
  negotiate(a, b);
  await publish(bench.clock, a, 0x82, g711Frames(10), 60_000);
  a.media.publisherChanged();
  await publish(bench.clock, a, 0x82, g711Frames(10), 0);
  assert.equal(b.played.length, 20);
  const gaps = b.timesMs.slice(1).map((timeMs, i) => timeMs - b.timesMs[i]!);
  assert.ok(gaps.every((gap) => gap >= 15 && gap <= 45), gaps.join());
});

Deno.test("DTMF travel both ways, each told once with its length, and audio rests meanwhile", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu", "dtmf"]), bench.open(B, ["pcmu", "dtmf"])];
  using _a = a.media;
  using _b = b.media;
  negotiate(a, b);
  assert.equal(a.media.sendDigits("12#", 160), true);
  assert.equal(b.media.sendDigits("D", 40), true);
  a.media.fromRtmp({ type: 8, timeMs: 0, body: tag(0x82, g711Frames(1)[0]!) });
  await bench.clock.advanceAsync(2000);
  assert.deepEqual([a.digits, b.digits], [["D/40"], ["1/160", "2/160", "#/160"]]);
  assert.equal(b.played.length, 0);
  await publish(bench.clock, a, 0x82, g711Frames(3), 2000);
  assert.equal(b.played.length, 3);
});

Deno.test("a peer without telephone-event takes no DTMF", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu", "dtmf"]), bench.open(B, ["pcmu"])];
  using _a = a.media;
  using _b = b.media;
  assert.equal(a.media.sendDigits("1", 160), false);
  negotiate(a, b);
  assert.equal(a.media.sendDigits("1", 160), false);
});

Deno.test("what cannot be passed on is counted, and the summary says what it was", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu"]), bench.open(B, ["pcmu"])];
  using _a = a.media;
  using _b = b.media;
  assert.equal(a.media.summary(), "no media");
  negotiate(a, b);
  await publish(bench.clock, a, 0xaf, [new Uint8Array([1, 2, 3])]);
  a.media.fromRtmp({ type: 9, timeMs: 0, body: new Uint8Array([0x17, 1, 0, 0, 0]) });
  await publish(bench.clock, a, 0x82, g711Frames(3));
  assert.match(
    a.media.summary(),
    /^audio packets: 3 sent, 0 received.*1 audio messages of the client dropped \(aac\)$/,
  );
  assert.match(b.media.summary(), /^audio packets: 0 sent, 3 received, 0 lost/);
});

Deno.test("descriptions that cannot be used are outcomes with a reason", async () => {
  await using bench = fakeMediaBench();
  const a = bench.open(A, ["pcmu"]);
  using _a = a.media;
  const unusable = [
    description(PHONE.hostname, "m=audio 4000 RTP/AVP 18"),
    description(PHONE.hostname, "m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
    description(PHONE.hostname),
    { type: SDP_TYPE, bytes: new TextEncoder().encode("nonsense") },
    { type: SDP_TYPE, bytes: new Uint8Array(0) },
  ];
  assert.deepEqual(a.media.takeAnswer(unusable[0]!), {
    type: "none",
    reason: "there was no offer to answer",
  });
  for (const body of unusable) {
    const asOffer = a.media.takeOffer(body);
    assert.ok(asOffer.type === "none" && asOffer.reason.length > 0);
  }
  a.media.makeOffer();
  for (const body of unusable) assert.equal(a.media.takeAnswer(body).type, "none");
});

Deno.test("an address that is a name is said in the log and not sent to", async () => {
  await using bench = fakeMediaBench();
  const a = bench.open(A, ["pcmu"]);
  using _a = a.media;
  assert.equal(a.media.takeOffer(description("phone.example", "m=audio 4000 RTP/AVP 0")).type, "agreed");
  await publish(bench.clock, a, 0x82, g711Frames(2));
  assert.ok(bench.log.at("warn").some((line) => line.includes("phone.example")));
  assert.match(a.media.summary(), /^audio packets: 0 sent/);
});

Deno.test("disposing frees the ports at once and again does nothing; afterwards nothing comes to life", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu", "dtmf"]), bench.open(B, ["pcmu", "dtmf"])];
  const { answer } = negotiate(a, b);
  a.media.sendDigits("123", 160);
  await publish(bench.clock, a, 0x82, g711Frames(1));
  a.media[Symbol.dispose]();
  assert.equal(bench.services.ports.inUse, 1);
  a.media[Symbol.dispose]();
  assert.equal(bench.ended(), 1);
  a.media.fromRtmp({ type: 8, timeMs: 0, body: tag(0x82, g711Frames(1)[0]!) });
  a.media.publisherChanged();
  assert.equal(a.media.sendDigits("1", 160), false);
  const late = a.media.takeAnswer({ type: SDP_TYPE, bytes: new TextEncoder().encode(answer) });
  assert.equal(late.type, "none");
  b.media[Symbol.dispose]();
  assert.deepEqual([bench.services.ports.inUse, bench.ended()], [0, 2]);
  await settle();
  assert.deepEqual([bench.clock.pending, bench.network.size, bench.services.scope.size], [0, 0, 0]);
});

Deno.test("disposing inside the player's or the digit's outlet", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu", "dtmf"]), bench.open(B, ["pcmu", "dtmf"])];
  negotiate(a, b);
  b.media.toRtmp = { play: () => b.media[Symbol.dispose]() };
  a.media.onDigit = () => a.media[Symbol.dispose]();
  b.media.sendDigits("1", 40);
  await bench.clock.advanceAsync(300);
  assert.equal(bench.services.ports.inUse, 1);
  const c = bench.open(A, ["pcmu"]);
  negotiate(c, b);
  await publish(bench.clock, c, 0x82, g711Frames(3));
  assert.equal(bench.services.ports.inUse, 1);
  c.media[Symbol.dispose]();
});

Deno.test("when the second pair cannot be bound the first is not left open", async () => {
  await using bench = fakeMediaBench();
  let binds = 0;
  const ports = new RtpPorts({ min: 31000, max: 31003 }, bench.clock, (at) => {
    if (++binds > 2) throw new TransportError("out of sockets", "failed");
    return bench.network.bind(at);
  });
  const plan = planCodecs(["pcmu", "h264"], flashCapability("wideband", NO_TRANSCODING, true));
  assert.throws(() =>
    new MediaContext({
      services: { ...bench.services, ports },
      log: bench.log,
      plan,
      localAddress: A,
      bind: A,
      originMs: 0,
      onEnd: () => assert.fail("it never began"),
    }), TransportError);
  assert.deepEqual([ports.inUse, bench.network.size], [0, 0]);
});

Deno.test("no description, however damaged, is more than an outcome", async () => {
  await using bench = fakeMediaBench();
  const a = bench.open(A, ["wideband", "pcmu", "dtmf"]);
  using _a = a.media;
  const good = description(
    PHONE.hostname,
    "m=audio 4000 RTP/AVP 96 0 101",
    "a=rtpmap:96 speex/16000",
    "a=rtpmap:101 telephone-event/16000",
    "a=ptime:40",
    "a=sendrecv",
  );
  a.media.makeOffer();
  fc.assert(fc.property(fc.nat(), (seed) => {
    const body = { type: SDP_TYPE, bytes: mutate(good.bytes, seed) };
    assert.match(a.media.takeAnswer(body).type, /^(agreed|none)$/);
    assert.match(a.media.takeOffer(body).type, /^(agreed|none)$/);
  }));
});

Deno.test("over loopback sockets: audio both ways byte for byte, ports free afterwards", async () => {
  await using bench = loopbackMediaBench();
  const [a, b] = [bench.open("127.0.0.1", ["pcmu"]), bench.open("127.0.0.1", ["pcmu"])];
  using _a = a.media;
  using _b = b.media;
  const { offer, answer } = negotiate(a, b);
  const ports = [offer, answer].map((text) => Number(/^m=audio (\d+)/m.exec(text)?.[1]));
  assert.ok(ports.every((port) => port > 1023 && port % 2 === 0) && ports[0] !== ports[1]);
  const [toB, toA] = [g711Frames(20), g711Frames(20)];
  for (let n = 0; n < 20; n++) { // one at a time: packets of a burst may change places
    await heard(b, () => a.media.fromRtmp({ type: 8, timeMs: 20 * n, body: tag(0x82, toB[n]!) }));
    await heard(a, () => b.media.fromRtmp({ type: 8, timeMs: 20 * n, body: tag(0x82, toA[n]!) }));
  }
  assert.deepEqual(hexOf(b.played), hexOf(toB.map((frame) => tag(0x82, frame))));
  assert.deepEqual(hexOf(a.played), hexOf(toA.map((frame) => tag(0x82, frame))));
});

/** Sends, and waits until the receiver has played something. */
async function heard(side: MediaSide, send: () => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { toRtmp } = side.media;
  side.media.toRtmp = {
    play: (type, timeMs, body) => {
      toRtmp?.play(type, timeMs, body);
      resolve();
    },
  };
  send();
  await promise;
  side.media.toRtmp = toRtmp;
}

Deno.test("DTMF as sound reach a peer that takes no events, and are heard there once each", async () => {
  await using bench = fakeMediaBench();
  const [a, b] = [bench.open(A, ["pcmu"]), bench.open(B, ["pcmu", "dtmf"])];
  using _a = a.media;
  using _b = b.media;
  negotiate(a, b);
  await publish(bench.clock, a, 0x82, g711Frames(3));
  assert.equal(a.media.sendDigits("4*", 100, "rtp"), false);
  assert.equal(a.media.sendDigits("4*", 100, "inband"), true);
  const before = b.played.length;
  await publish(bench.clock, a, 0x82, g711Frames(20), 60);
  await bench.clock.advanceAsync(500);
  assert.deepEqual(b.digits.map((digit) => digit[0]), ["4", "*"]);
  assert.ok(b.played.length - before >= 20, "the sound is heard by the client, too");
  const steps = b.timesMs.slice(1).map((timeMs, i) => timeMs - b.timesMs[i]!);
  assert.ok(steps.every((step) => step === 20), steps.join());
});

Deno.test("a call is watched from its answer on: what is told, and when it is dead", async () => {
  await using bench = fakeMediaBench();
  const plan = planCodecs(["pcmu"], flashCapability("wideband", NO_TRANSCODING, false));
  using media = new MediaContext({
    services: { ...bench.services, timeouts: { initialMs: 30_000, silenceMs: 60_000 } },
    log: bench.log,
    plan,
    localAddress: A,
    bind: A,
    originMs: 0,
    onEnd: () => {},
  });
  const offer = { ...description("10.99.0.5", "m=audio 4000 RTP/AVP 0"), from: ["203.0.113.9"] };
  assert.ok(media.takeOffer(offer).type === "agreed");
  await bench.clock.advanceAsync(60_000);
  const told: string[] = [];
  media.watch({ quiet: (text) => told.push(text), dead: (reason) => told.push(reason) });
  await bench.clock.advanceAsync(4_000);
  assert.deepEqual(told, []);
  await bench.clock.advanceAsync(2_000);
  assert.deepEqual(told, [
    "no audio from 203.0.113.9:4000 for 5 s; its SDP said 10.99.0.5, a private address",
  ]);
  await bench.clock.advanceAsync(25_000);
  assert.deepEqual(told.slice(1), ["no RTP from 203.0.113.9:4000 for 30 s"]);
});
