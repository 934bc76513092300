// Speex by its module: the built-in sample, several frames, bandwidths that differ, loss, damage.

import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { speechSamples, speexSample } from "../../lib/codecs/sample.ts";
import { SpeexDecoder, SpeexEncoder } from "../../lib/codecs/speex.ts";
import { joinSpeexFrames, splitSpeexFrames, stripWidebandLayer } from "../../lib/codecs/speex_bits.ts";
import { audioFrame, packetizer, receiver } from "../support/audio_packets.ts";
import { levelDb, measureTone, SampleCollector, tone } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";
import { coreBits, packBits } from "../support/media_speex.ts";
import { mutate } from "../support/mutate.ts";

const library = libraries.speex!;
const ignore = libraries.speex === null;
const test = (name: string, fn: () => void): void => Deno.test({ name: `Speex: ${name}`, ignore, fn });

function decodeAll(packets: readonly Uint8Array[], sampleRate: number): Int16Array {
  using decoder = new SpeexDecoder(library, sampleRate);
  const heard = new SampleCollector();
  for (const packet of packets) heard.add(decoder.decode(packet));
  return heard.all();
}

function encodeAll(
  samples: Int16Array,
  sampleRate: number,
  quality: number,
  framesPerPacket = 1,
): Uint8Array[] {
  using encoder = new SpeexEncoder(library, { sampleRate, quality, framesPerPacket });
  const packets: Uint8Array[] = [];
  const block = encoder.frameSamples;
  for (let at = 0; at + block <= samples.length; at += block) {
    packets.push(encoder.encode(samples.subarray(at, at + block)).slice());
  }
  return packets;
}

test("the built-in sample sounds as loud as what it was made from", () => {
  const heard = decodeAll(speexSample(), 16000);
  assert.equal(heard.length, 32000);
  assert.ok(Math.abs(levelDb(heard) - levelDb(speechSamples(16000))) < 1);
});

test("every quality of both bandwidths keeps a tone", () => {
  for (const sampleRate of [8000, 16000]) {
    let octets = 0;
    for (let quality = 0; quality <= 10; quality++) {
      const packets = encodeAll(tone(1004, sampleRate, 1500), sampleRate, quality);
      assert.ok(packets[10]!.length >= octets, "better is larger");
      octets = packets[10]!.length;
      if (quality < 4) continue;
      const heard = decodeAll(packets, sampleRate).subarray(sampleRate * 0.4, sampleRate * 1.4);
      const { amplitude } = measureTone(heard, 1004, sampleRate);
      assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 2, `quality ${quality}: ${amplitude}`);
    }
  }
});

test("several frames in a packet are the frames one by one", () => {
  const speech = speechSamples(16000);
  const single = encodeAll(speech, 16000, 6);
  const triple = encodeAll(speech.subarray(0, 99 * 320), 16000, 6, 3);
  assert.equal(triple.length, 33);
  assert.deepEqual(triple.flatMap((packet) => splitSpeexFrames(packet)), single.slice(0, 99));
  assert.deepEqual(decodeAll(triple, 16000), decodeAll(single.slice(0, 99), 16000));
});

test("64 frames are decoded at once, of more the first 64", () => {
  const packets = speexSample();
  assert.equal(decodeAll([joinSpeexFrames(packets.slice(0, 64))], 16000).length, 64 * 320);
  assert.equal(decodeAll([joinSpeexFrames(packets.slice(0, 64)), packets[64]!], 16000).length, 65 * 320);
});

test("a narrowband decoder takes the core of wideband packets, a wideband decoder plain cores", () => {
  const packets = speexSample();
  const stripped = packets.map(stripWidebandLayer);
  assert.deepEqual(decodeAll(packets, 8000), decodeAll(stripped, 8000));
  assert.equal(decodeAll(stripped, 16000).length, 32000);
});

test("a lost packet is concealed, and the sound goes on", () => {
  const packets = speexSample();
  using decoder = new SpeexDecoder(library, 16000);
  const heard = new SampleCollector();
  packets.forEach((packet, i) => heard.add(i % 10 === 5 ? decoder.conceal(320) : decoder.decode(packet)));
  assert.equal(heard.all().length, 32000);
  assert.ok(Math.abs(levelDb(heard.all()) - levelDb(decodeAll(packets, 16000))) < 2);
});

test("a long loss fades away", () => {
  using decoder = new SpeexDecoder(library, 8000);
  for (const packet of encodeAll(tone(304, 8000, 400), 8000, 8)) decoder.decode(packet);
  assert.equal(decoder.conceal(321).length, 480);
  const later = decoder.conceal(8000).slice();
  assert.ok(levelDb(later.subarray(-800)) < -60);
});

test("damaged packets give samples or a WireError, and the decoder goes on", () => {
  using decoder = new SpeexDecoder(library, 16000);
  const packets = speexSample();
  assert.throws(() => decoder.decode(new Uint8Array(0)), WireError);
  assert.throws(() => decoder.decode(new Uint8Array(9000)), WireError);
  for (let seed = 0; seed < 500; seed++) {
    try {
      const samples = decoder.decode(mutate(packets[seed % 100]!, seed));
      assert.equal(samples.length % 320, 0);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }
  for (const packet of packets) decoder.decode(packet);
  assert.equal(decoder.decode(packets[0]!).length, 320);
});

test("hundreds of codecs fit side by side and give back their memory", () => {
  for (let round = 0; round < 3; round++) {
    const decoders = Array.from({ length: 300 }, () => new SpeexDecoder(library, 16000));
    const { buffer } = library.instance().exports.memory;
    assert.ok(buffer.byteLength < 64 * 1024 * 1024, `${buffer.byteLength} octets`);
    for (const decoder of decoders) decoder[Symbol.dispose]();
  }
});

test("a rate that is no Speex rate is refused", () => {
  assert.throws(() => new SpeexDecoder(library, 11025), /cannot be opened/);
});

const SAMPLE = speexSample();
const pair = (at: number): Uint8Array => joinSpeexFrames([SAMPLE[at]!, SAMPLE[at + 1]!]);

Deno.test("wideband Speex goes to a wideband peer as it is, one or several frames", () => {
  const { send } = packetizer("speex", 16000);
  assert.deepEqual(send(audioFrame("speex", 0, SAMPLE[0]!)), [{
    payload: SAMPLE[0]!,
    timestamp: 0,
    marker: true,
  }]);
  assert.deepEqual(send(audioFrame("speex", 20, pair(1))), [{
    payload: pair(1),
    timestamp: 320,
    marker: false,
  }]);
  assert.deepEqual(send(audioFrame("speex", 60, SAMPLE[3]!)), [{
    payload: SAMPLE[3]!,
    timestamp: 960,
    marker: false,
  }]);
});

Deno.test("towards a narrowband peer the wideband layer is stripped, and narrowband stays as it is", () => {
  const { send } = packetizer("speex", 8000);
  const narrow = stripWidebandLayer(pair(0));
  assert.deepEqual(send(audioFrame("speex", 0, pair(0))), [{ payload: narrow, timestamp: 0, marker: true }]);
  const padded = Uint8Array.of(...packBits(coreBits(3, seededRandom(1))), 0x7f);
  assert.deepEqual(send(audioFrame("speex", 40, padded)), [{
    payload: padded,
    timestamp: 320,
    marker: false,
  }]);
});

Deno.test("a packet time the peer asked for splits longer tags", () => {
  const { send } = packetizer("speex", 16000, 20);
  const sent = send(audioFrame("speex", 0, pair(0)));
  assert.deepEqual(sent, [
    { payload: SAMPLE[0]!, timestamp: 0, marker: true },
    { payload: SAMPLE[1]!, timestamp: 320, marker: false },
  ]);
  const three = packetizer("speex", 8000, 60).send(
    audioFrame("speex", 0, joinSpeexFrames(SAMPLE.slice(0, 7))),
  );
  assert.deepEqual(three.map((packet) => [splitSpeexFrames(packet.payload).length, packet.timestamp]), [
    [3, 0],
    [3, 480],
    [1, 960],
  ]);
});

Deno.test("a tag of more than 200 ms is split even when nobody asked", () => {
  const { send } = packetizer("speex", 16000);
  const sent = send(audioFrame("speex", 0, joinSpeexFrames(SAMPLE.slice(0, 25))));
  assert.deepEqual(sent.map((packet) => splitSpeexFrames(packet.payload).length), [10, 10, 5]);
  assert.deepEqual(
    joinSpeexFrames(sent.map((packet) => packet.payload)),
    joinSpeexFrames(SAMPLE.slice(0, 25)),
  );
});

Deno.test("a pause in RTMP time is a gap in RTP time, and the marker opens the next talk spurt", () => {
  const { clock, send } = packetizer("speex", 16000);
  send(audioFrame("speex", 1000, SAMPLE[0]!));
  clock.advance(520);
  assert.deepEqual(send(audioFrame("speex", 1520, SAMPLE[1]!))[0]!.timestamp, 1520 * 16);
  clock.advance(20);
  const [next] = send(audioFrame("speex", 1540, SAMPLE[2]!));
  assert.deepEqual([next!.timestamp, next!.marker], [1540 * 16, false]);
});

Deno.test("a new publish opens a talk spurt", () => {
  const { clock, packetizer: made, send } = packetizer("pcmu", 8000);
  send(audioFrame("pcmu", 4000, new Uint8Array(160)));
  clock.advance(20);
  made.restart();
  assert.deepEqual(send(audioFrame("pcmu", 0, new Uint8Array(160)))[0]!.marker, true);
});

Deno.test("timestamps are cut to 32 bits", () => {
  const { send } = packetizer("pcmu", 8000);
  const [sent] = send(audioFrame("pcmu", 2 ** 32 / 8 + 10, new Uint8Array(160)));
  assert.equal(sent!.timestamp, 80);
});

Deno.test("other codecs and broken Speex are dropped and counted; whole frames before a break pass", () => {
  const { packetizer: made, send } = packetizer("speex", 16000);
  for (const frame of [audioFrame("aac", 0, SAMPLE[0]!), audioFrame("speex", 0, Uint8Array.of(0x48, 0, 0))]) {
    assert.deepEqual(send(frame), []);
  }
  assert.equal(made.dropped, 2);
  assert.deepEqual(send(audioFrame("speex", 0, new Uint8Array(0))), []);
  assert.equal(made.dropped, 2);
  const cut = pair(0).subarray(0, 60);
  assert.deepEqual(send(audioFrame("speex", 0, cut)).map((packet) => packet.payload), [SAMPLE[0]]);
});

Deno.test("Speex from RTP keeps its packets, its time follows the timestamps", () => {
  const { clock, receive } = receiver("speex", 16000);
  clock.advance(300);
  const frames = [receive(pair(0), 5000), receive(SAMPLE[2]!, 5640), receive(SAMPLE[3]!, 5960)].flat();
  assert.deepEqual(frames, [
    { timeMs: 300, data: pair(0), codec: "speex" },
    { timeMs: 340, data: SAMPLE[2], codec: "speex" },
    { timeMs: 360, data: SAMPLE[3], codec: "speex" },
  ]);
});

Deno.test("payloads that are no Speex are dropped", () => {
  const { dropped, receive } = receiver("speex", 16000);
  assert.deepEqual(receive(new Uint8Array(0), 0), []);
  assert.deepEqual(receive(Uint8Array.of(0x7f), 0), []);
  assert.deepEqual(receive(Uint8Array.of(0x58, 1, 2), 0), []);
  assert.equal(dropped(), 3);
});

Deno.test("what is packed comes back equal, for any frame counts", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 12 }), (counts) => {
    const { clock, send } = packetizer("speex", 16000);
    const { clock: farClock, receive } = receiver("speex", 16000);
    let at = 0;
    for (const count of counts) {
      const tag = joinSpeexFrames(Array.from({ length: count }, (_, i) => SAMPLE[(at + i) % 100]!));
      const frames = send(audioFrame("speex", at * 20, tag)).flatMap((p) => receive(p.payload, p.timestamp));
      assert.deepEqual(frames, [{ timeMs: at * 20, data: tag, codec: "speex" }]);
      clock.advance(20 * count);
      farClock.advance(20 * count);
      at += count;
    }
  }));
});

Deno.test("damaged and random input never throws and never grows", () => {
  for (const codec of ["speex", "pcmu"] as const) {
    const { send } = packetizer(codec, 8000);
    const { receive } = receiver(codec, 8000);
    for (let seed = 0; seed < 500; seed++) {
      const octets = mutate(pair(seed % 90), seed);
      const total = send(audioFrame(codec, seed * 40, octets)).reduce((sum, p) => sum + p.payload.length, 0);
      assert.ok(total <= octets.length + 320);
      assert.ok(receive(octets, seed * 320).length <= 3);
    }
  }
});
