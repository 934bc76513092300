// Speex by its module: the built-in sample, several frames, bandwidths that differ, loss, damage.
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { SpeexDecoder, SpeexEncoder } from "../../lib/codecs/speex.ts";
import { joinSpeexFrames, splitSpeexFrames, stripWidebandLayer } from "../../lib/codecs/speex/bits.ts";
import { speechSamples, speexSample } from "../../lib/codecs/sample.ts";
import { levelDb, measureTone, SampleCollector, tone } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";
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
