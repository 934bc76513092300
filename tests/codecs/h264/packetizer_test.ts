// H.264 to RTP: the vectors of behaviour.md 1.8, every NAL unit, both modes, all length sizes, bad frames.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Frame } from "../../../lib/media/frame.ts";
import { H264Packetizer, type H264PacketizerOptions } from "../../../lib/codecs/h264/packetizer.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { toHex } from "../../support/hex.ts";
import { H264_FORMS } from "../../support/h264_forms.ts";
import { avc, CONFIG, configFrame, PPS, slice, SPS, videoFrame } from "../../support/media_h264.ts";
import { mutate } from "../../support/mutate.ts";

interface Sent {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
}

function open(options: Partial<H264PacketizerOptions> = {}): {
  packetizer: H264Packetizer;
  clock: FakeClock;
  send: (frame: Frame) => Sent[];
  repeat: () => Sent[];
} {
  const clock = new FakeClock();
  const packetizer = new H264Packetizer({ clock, packetizationMode: 1, ...options });
  const sent: Sent[] = [];
  const emit = (payload: Uint8Array, timestamp: number, marker: boolean): void => {
    sent.push({ payload: payload.slice(), timestamp, marker });
  };
  return {
    packetizer,
    clock,
    send: (frame) => {
      packetizer.push(frame, emit);
      return sent.splice(0);
    },
    repeat: () => {
      packetizer.repeatKeyFrame(emit);
      return sent.splice(0);
    },
  };
}

const stapA = (...nals: Uint8Array[]): string =>
  "78" + nals.map((nal) => nal.length.toString(16).padStart(4, "0") + toHex(nal)).join("");
const payloads = (sent: readonly Sent[]): string[] => sent.map((packet) => toHex(packet.payload));

Deno.test("an IDR of 3001 octets leaves in the fragments siprtmp made", () => {
  const { send } = open();
  assert.deepEqual(send(configFrame()), []);
  const idr = slice("I", 3001);
  const [sets, ...fragments] = send(videoFrame(0, [idr]));
  assert.equal(toHex(sets!.payload), stapA(SPS, PPS));
  assert.deepEqual(fragments.map((packet) => packet.payload.length), [1446, 1446, 114]);
  assert.deepEqual(fragments.map((packet) => toHex(packet.payload.subarray(0, 2))), ["7c85", "7c05", "7c45"]);
  assert.deepEqual([sets, ...fragments].map((packet) => packet!.marker), [false, false, false, true]);
  assert.equal("65" + fragments.map((packet) => toHex(packet.payload.subarray(2))).join(""), toHex(idr));
});

Deno.test("the largest NAL unit sent alone has 1445 octets", () => {
  const { send } = open({ aggregate: false });
  send(configFrame());
  assert.deepEqual(send(videoFrame(0, [slice("I", 1445)])).map((packet) => packet.payload.length), [
    6,
    4,
    1445,
  ]);
  assert.deepEqual(send(videoFrame(40, [slice("P", 1446)])).map((packet) => packet.payload.length), [
    1446,
    3,
  ]);
});

Deno.test("every slice of a picture is sent, the marker is on the last (defect 7)", () => {
  const { send } = open();
  send(configFrame());
  const slices = [slice("I", 900), slice("I", 1000, { first: false }), slice("I", 2000, { first: false })];
  const sent = send(videoFrame(0, slices));
  assert.deepEqual(payloads(sent).slice(0, 2), [stapA(SPS, PPS, slices[0]!), toHex(slices[1]!)]);
  assert.deepEqual(sent.map((packet) => packet.marker), [false, false, false, true]);
});

Deno.test("small NAL units go together, with the importance of the highest", () => {
  const { send } = open();
  send(configFrame());
  send(videoFrame(0, [slice("I", 50)]));
  const sei = Uint8Array.of(0x06, 5, 1, 0, 0x80);
  const parts = [sei, slice("P", 20), slice("P", 30, { first: false })];
  const [together, ...rest] = send(videoFrame(40, parts));
  assert.deepEqual(rest, []);
  assert.equal(toHex(together!.payload), stapA(...parts).replace(/^78/, "58"));
  assert.ok(together!.marker);
});

Deno.test("without joining, and in mode 0, every NAL unit goes alone; mode 0 cuts nothing", () => {
  for (
    const [options, sizes] of [
      [{ aggregate: false }, [6, 4, 5, 1446, 558]],
      [{ packetizationMode: 0 }, [6, 4, 5, 2001]],
    ] as const
  ) {
    const { send } = open(options);
    send(configFrame());
    const sent = send(videoFrame(0, [Uint8Array.of(6, 5, 1, 0, 0x80), slice("I", 2001)]));
    assert.deepEqual(sent.map((packet) => packet.payload.length), sizes);
    assert.deepEqual(sent.map((packet) => packet.marker), sizes.map((_, i) => i === sizes.length - 1));
  }
});

Deno.test("mode 0 drops what no datagram holds", () => {
  const { packetizer, send } = open({ packetizationMode: 0 });
  send(configFrame());
  assert.deepEqual(send(videoFrame(0, [slice("I", 65001)])), []);
  assert.equal(packetizer.dropped, 1);
});

for (const lengthSize of [1, 2, 4] as const) {
  Deno.test(`NAL unit lengths of ${lengthSize} octets`, () => {
    const { send } = open({ aggregate: false });
    const record = CONFIG.slice();
    record[4] = 0xfc | lengthSize - 1;
    send(configFrame(record));
    const nals = [slice("I", 200), slice("I", 100, { first: false })];
    const sent = send(videoFrame(0, nals, { data: avc(nals, lengthSize) }));
    assert.deepEqual(payloads(sent).slice(2), nals.map(toHex));
  });
}

Deno.test("delimiters, ends and filler stay behind; own parameter sets of a frame are not doubled", () => {
  const { packetizer, send } = open({ aggregate: false });
  send(configFrame());
  const sps = SPS.map((octet, i) => i === 3 ? 0x1f : octet);
  const idr = slice("I", 30);
  const nals = [Uint8Array.of(9, 0x10), sps, PPS, idr, Uint8Array.of(12, 0xff, 0x80), Uint8Array.of(10)];
  const sent = send(videoFrame(0, nals));
  assert.deepEqual(payloads(sent), [sps, PPS, idr].map(toHex));
  assert.ok(sent[2]!.marker);
  assert.equal(packetizer.parameterSets.profileLevelId, "42c01f");
  assert.equal(payloads(send(videoFrame(40, [idr])))[0], toHex(sps));
});

Deno.test("a publisher without configuration may bring the parameter sets in its key frame", () => {
  const { send } = open({ aggregate: false });
  const nals = [SPS, PPS, slice("I", 30)];
  assert.deepEqual(payloads(send(videoFrame(0, nals))), nals.map(toHex));
});

Deno.test("timestamps are presentation times at 90 kHz", () => {
  const { clock, send } = open({ aggregate: false });
  send(configFrame());
  const stamps: number[] = [];
  for (const [timeMs, compositionMs, kind] of [[1000, 80, "I"], [1040, 120, "P"], [1080, 0, "B"]] as const) {
    stamps.push(send(videoFrame(timeMs, [slice(kind, 20)], { compositionMs })).at(-1)!.timestamp);
    clock.advance(40);
  }
  assert.deepEqual(stamps, [1080 * 90, 1160 * 90, 1080 * 90]);
});

Deno.test("frames with B slices are noticed", () => {
  const { packetizer, send } = open();
  send(configFrame());
  send(videoFrame(0, [slice("I", 20)]));
  send(videoFrame(40, [slice("P", 20), slice("P", 20, { first: false })]));
  assert.equal(packetizer.bFrames, 0);
  send(videoFrame(80, [slice("B", 20), slice("B", 20, { first: false })]));
  assert.equal(packetizer.bFrames, 1);
});

Deno.test("nothing leaves before configuration and key frame, nor after a new publish", () => {
  const { packetizer, send } = open();
  assert.deepEqual(send(videoFrame(0, [slice("I", 20)])), []);
  send(configFrame());
  assert.deepEqual(send(videoFrame(40, [slice("P", 20)])), []);
  assert.equal(send(videoFrame(80, [slice("I", 20)])).length, 1);
  assert.equal(packetizer.dropped, 2);
  packetizer.restart();
  assert.deepEqual(send(videoFrame(0, [slice("P", 20)])), []);
  send(configFrame());
  assert.equal(send(videoFrame(40, [slice("I", 20)])).length, 1);
});

Deno.test("the last key frame can be sent again, later than what was sent", () => {
  const { packetizer, send, repeat } = open({ aggregate: false });
  assert.ok(!packetizer.hasKeyFrame);
  assert.deepEqual(repeat(), []);
  send(configFrame());
  const idr = slice("I", 40);
  send(videoFrame(0, [idr]));
  const [last] = send(videoFrame(40, [slice("P", 20)]));
  const again = repeat();
  assert.deepEqual(payloads(again), [SPS, PPS, idr].map(toHex));
  assert.ok(again.every((packet) => packet.timestamp > last!.timestamp));
  const [next] = send(videoFrame(80, [slice("P", 20)]));
  assert.ok(next!.timestamp > again[0]!.timestamp);
  send(configFrame());
  assert.ok(!packetizer.hasKeyFrame);
});

Deno.test("broken frames, broken configurations and other codecs are dropped whole and counted", () => {
  const { packetizer, send } = open();
  send(configFrame());
  send(videoFrame(0, [slice("I", 20)]));
  const whole = avc([slice("P", 20), slice("P", 20, { first: false })]);
  const bad = [
    videoFrame(40, [], { data: whole.subarray(0, whole.length - 1) }),
    videoFrame(40, [], { data: whole.subarray(0, 26) }),
    videoFrame(40, [], { data: Uint8Array.of(0, 0, 0, 0) }),
    videoFrame(40, [], { data: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x41) }),
    videoFrame(40, [], { codec: "h263", data: whole }),
    configFrame(CONFIG.subarray(0, 9)),
  ];
  for (const frame of bad) assert.deepEqual(send(frame), []);
  assert.equal(packetizer.dropped, bad.length);
  assert.deepEqual(send(videoFrame(40, [], { data: new Uint8Array(0) })), []);
  assert.equal(send(videoFrame(80, [slice("P", 20)])).length, 1);
});

Deno.test("any frame leaves in payloads that fit, or not at all", () => {
  const nalSize = fc.integer({ min: 2, max: 5000 });
  fc.assert(
    fc.property(
      fc.array(nalSize, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 100, max: 1500 }),
      (sizes, max) => {
        const { send } = open({ maxPayloadOctets: max });
        send(configFrame());
        const nals = sizes.map((size, i) => slice("I", size, { first: i === 0 }));
        const sent = send(videoFrame(0, nals));
        assert.ok(sent.every((packet) => packet.payload.length <= max));
        assert.deepEqual(sent.map((packet) => packet.marker), sent.map((_, i) => i === sent.length - 1));
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("damaged frames never throw", () => {
  const { send } = open();
  send(configFrame());
  const data = avc([slice("I", 40), slice("I", 3000, { first: false }), Uint8Array.of(6, 1)]);
  let some = 0;
  for (let seed = 0; seed < 500; seed++) {
    if (send(videoFrame(seed * 40, [], { key: true, data: mutate(data, seed) })).length > 0) some++;
    send(configFrame(mutate(CONFIG, seed)));
    send(configFrame());
  }
  assert.ok(some > 50);
});

const AUD = Uint8Array.of(9, 0xf0);
const FILLER = Uint8Array.of(12, 0xff, 0x80);
const SEI = Uint8Array.of(6, 5, 0xff, 0x80);

for (const { what, lengthSize = 4, of } of H264_FORMS) {
  Deno.test(`however the publisher puts pictures together, the same is sent: ${what}`, () => {
    const { packetizer, send } = open({ aggregate: false });
    const record = CONFIG.slice();
    record[4] = 0xfc | lengthSize - 1;
    send(configFrame(record));
    const [key, inter] = [slice("I", 40), slice("P", 30)];
    const sentKey = send(videoFrame(0, [], { key: true, data: of([AUD, SEI, key, FILLER]) }));
    assert.deepEqual(payloads(sentKey), [SPS, PPS, SEI, key].map(toHex));
    assert.deepEqual(sentKey.map(({ marker }) => marker), [false, false, false, true]);
    assert.deepEqual(payloads(send(videoFrame(40, [], { key: false, data: of([inter]) }))), [toHex(inter)]);
    assert.equal(packetizer.dropped, 0);
  });
}

for (const { what, lengthSize, of } of H264_FORMS) {
  if (lengthSize !== undefined) continue; // is said by a configuration only
  Deno.test(`without a configuration, sets in band, flagged as an inter picture: ${what}`, () => {
    const { packetizer, send } = open({ aggregate: false });
    const nals = [SPS, PPS, slice("I", 40)];
    assert.deepEqual(payloads(send(videoFrame(0, [], { key: false, data: of(nals) }))), nals.map(toHex));
    assert.deepEqual([packetizer.dropped, packetizer.sentKey], [0, true]);
  });
}

Deno.test("parameter sets may come in tags of their own, and change there", () => {
  const { send } = open({ aggregate: false });
  const key = slice("I", 40);
  const changed = Uint8Array.of(...SPS.subarray(0, 3), 0x1f, ...SPS.subarray(4));
  assert.deepEqual(send(videoFrame(0, [SPS], { key: false })), []);
  assert.deepEqual(send(videoFrame(0, [PPS], { key: true })), []);
  assert.deepEqual(payloads(send(videoFrame(0, [key], { key: false }))), [SPS, PPS, key].map(toHex));
  send(videoFrame(40, [changed], { key: false }));
  assert.deepEqual(payloads(send(videoFrame(40, [key]))), [changed, PPS, key].map(toHex));
});

Deno.test("a configuration of start codes, or of no sets at all, is one", () => {
  const key = slice("I", 40);
  const started = open({ aggregate: false });
  started.send(configFrame(Uint8Array.of(0, 0, 0, 1, ...SPS, 0, 0, 1, ...PPS)));
  assert.deepEqual(payloads(started.send(videoFrame(0, [key]))), [SPS, PPS, key].map(toHex));
  const empty = open({ aggregate: false });
  empty.send(configFrame(Uint8Array.of(1, 0x42, 0xc0, 0x1e, 0xfd, 0xe0, 0)));
  const nals = [SPS, PPS, key];
  assert.deepEqual(payloads(empty.send(videoFrame(0, nals, { data: avc(nals, 2) }))), nals.map(toHex));
});

Deno.test("why a picture was left out is known", () => {
  const { packetizer, send } = open({ packetizationMode: 0 });
  const reason = (frame: Frame): string | null => (send(frame), packetizer.lastDrop);
  assert.equal(reason(videoFrame(0, [slice("P", 20)])), "no key frame");
  assert.equal(reason(videoFrame(0, [slice("I", 20)])), "no parameter sets");
  assert.equal(reason(configFrame(Uint8Array.of(7))), "configuration");
  assert.equal(reason(videoFrame(0, [], { key: true, data: Uint8Array.of(0x65, 1, 2) })), "unreadable");
  send(configFrame());
  assert.equal(reason(videoFrame(0, [slice("I", 65_100)])), "too large");
  assert.equal(reason(videoFrame(0, [], { codec: "hevc" })), "codec");
});

Deno.test("another publisher begins without the parameter sets of the one before", () => {
  const { packetizer, send } = open();
  send(configFrame());
  send(videoFrame(0, [slice("I", 20)]));
  packetizer.restart();
  assert.deepEqual(send(videoFrame(0, [slice("I", 20)])), []);
  assert.equal(packetizer.lastDrop, "no parameter sets");
});
