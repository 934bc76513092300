// The Speex bit walk: every submode and layer, several frames, in-band messages, terminators, damage.
// tests/peers/speex_test.ts proves the same against libspeex.
import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  countSpeexFrames,
  joinSpeexFrames,
  SpeexBitWriter,
  SpeexWalker,
  splitSpeexFrames,
  stripWidebandLayer,
} from "../../lib/codecs/speex_bits.ts";
import { speexSample } from "../../lib/codecs/sample.ts";
import { coreBits, layerBits, packBits } from "../support/media_speex.ts";

const random = seededRandom(7);

for (let submode = 0; submode <= 8; submode++) {
  for (let layer = -1; layer <= 4; layer++) {
    const name = layer < 0 ? `core ${submode}` : `core ${submode} with layer ${layer}`;
    Deno.test(`walks and strips ${name}`, () => {
      const core = coreBits(submode, random);
      const packet = packBits(core + (layer < 0 ? "" : layerBits(layer, random)));
      const walker = new SpeexWalker();
      walker.start(packet);
      assert.ok(walker.next());
      assert.deepEqual([walker.submode, walker.layers, walker.coreEnd], [
        submode,
        layer < 0 ? 0 : 1,
        core.length,
      ]);
      assert.ok(!walker.next());
      assert.ok(!walker.broken);
      assert.deepEqual(stripWidebandLayer(packet), packBits(core));
    });
  }
}

const frameList = fc.array(
  fc.record({ submode: fc.nat(8), layers: fc.array(fc.nat(4), { maxLength: 2 }) }),
  { minLength: 1, maxLength: 12 },
);

Deno.test("any list of frames is counted, split, joined and stripped bit by bit", () => {
  fc.assert(fc.property(frameList, fc.nat(), (list, seed) => {
    const bits = seededRandom(seed);
    const frames = list.map(({ submode, layers }) => ({
      core: coreBits(submode, bits),
      layers: layers.map((layer) => layerBits(layer, bits)).join(""),
    }));
    const packet = packBits(frames.map((frame) => frame.core + frame.layers).join(""));
    assert.equal(countSpeexFrames(packet), list.length);
    const parts = splitSpeexFrames(packet);
    assert.deepEqual(parts, frames.map((frame) => packBits(frame.core + frame.layers)));
    assert.deepEqual(joinSpeexFrames(parts), packet);
    assert.deepEqual(stripWidebandLayer(packet), packBits(frames.map((frame) => frame.core).join("")));
  }));
});

Deno.test("in-band requests and user data travel with the frame behind them", () => {
  for (const [id, bits] of [[0, 1], [7, 4], [9, 8], [11, 16], [13, 32], [15, 64]] as const) {
    const request = "01110" + id.toString(2).padStart(4, "0") + "1".repeat(bits);
    const packet = packBits(request + coreBits(3, random) + layerBits(1, random) + coreBits(3, random));
    assert.equal(countSpeexFrames(packet), 2);
    const [first] = splitSpeexFrames(packet);
    assert.deepEqual(joinSpeexFrames(splitSpeexFrames(packet)), packet);
    assert.equal(stripWidebandLayer(first!).length, Math.ceil((request.length + 160) / 8));
  }
  const userData = "01101" + "0010" + "0".repeat(5 + 16);
  assert.equal(countSpeexFrames(packBits(userData + coreBits(1, random))), 1);
});

Deno.test("what follows a terminator is ignored", () => {
  const frame = packBits(coreBits(1, random)); // 43 bits and 5 of terminator
  assert.equal(countSpeexFrames(Uint8Array.of(...frame, 0xff, 0x12)), 1);
  assert.equal(countSpeexFrames(new Uint8Array(0)), 0);
});

Deno.test("a layer without its core is passed over", () => {
  const core = coreBits(5, random);
  assert.deepEqual(joinSpeexFrames([packBits(layerBits(2, random) + core)]), packBits(core));
});

const BROKEN: readonly (readonly [name: string, bits: string])[] = [
  ["core submode 9", "01001" + "0".repeat(43)],
  ["core submode 12", "01100" + "0".repeat(43)],
  ["core cut off", coreBits(5, random).slice(0, 200)],
  ["layer submode 5", coreBits(3, random) + "1101" + "0".repeat(60)],
  ["layer cut off", coreBits(3, random) + layerBits(4, random).slice(0, 96)],
  ["three layers", coreBits(3, random) + "1000".repeat(3)],
  ["user data cut off", "01101" + "1111" + "0".repeat(15)],
  ["request without a frame", "01110" + "0000" + "1"],
  ["65 frames", "00000".repeat(65)],
];

for (const [name, bits] of BROKEN) {
  Deno.test(`broken packet: ${name}`, () => {
    const packet = packBits(bits);
    for (const run of [countSpeexFrames, splitSpeexFrames, stripWidebandLayer]) {
      assert.throws(() => run(packet), WireError);
    }
    assert.throws(() => joinSpeexFrames([packet]), WireError);
  });
}

Deno.test("frames before a break are still seen by the walker", () => {
  const walker = new SpeexWalker();
  assert.equal(walker.count(packBits(coreBits(3, random) + coreBits(5, random).slice(0, 100))), 1);
  assert.ok(walker.broken);
  assert.equal(walker.count(packBits(coreBits(3, random))), 1);
  assert.ok(!walker.broken);
});

Deno.test("random octets are counted or refused, and what is accepted survives split and join", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (packet) => {
      try {
        const parts = splitSpeexFrames(packet);
        assert.equal(countSpeexFrames(joinSpeexFrames(parts)), parts.length);
        const narrow = stripWidebandLayer(packet);
        assert.equal(countSpeexFrames(narrow), parts.length);
        assert.deepEqual(stripWidebandLayer(narrow), narrow);
      } catch (error) {
        assert.ok(error instanceof WireError);
      }
    }),
    { numRuns: 3000 },
  );
});

Deno.test("a bit writer copies any range to any place", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 30 }),
      fc.nat(),
      fc.nat(),
      fc.nat(20),
      (source, a, b, lead) => {
        const total = source.length * 8;
        const [from, to] = [a % (total + 1), b % (total + 1)].sort((x, y) => x - y) as [number, number];
        const writer = new SpeexBitWriter(1);
        writer.copy(new Uint8Array(3), 0, lead);
        writer.copy(source, from, to);
        assert.equal(writer.bits, lead + to - from);
        const text = Array.from(source, (octet) => octet.toString(2).padStart(8, "0")).join("");
        assert.deepEqual(writer.finish(), packBits("0".repeat(lead) + text.slice(from, to)));
      },
    ),
  );
});

Deno.test("the built-in sample is valid wideband", () => {
  const walker = new SpeexWalker();
  for (const packet of speexSample()) {
    assert.equal(walker.count(packet), 1);
    assert.deepEqual([walker.broken, walker.submode, walker.layers], [false, 5, 1]);
  }
});
