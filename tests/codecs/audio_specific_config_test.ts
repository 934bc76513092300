// AudioSpecificConfig both ways, the kinds that are refused, and any bytes.
import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../lib/base/errors.ts";
import { formatAacConfig, parseAacConfig } from "../../lib/codecs/audio_specific_config.ts";
import { fromHex, toHex } from "../../lib/base/bytes.ts";

const TABLE: readonly [string, number, 1 | 2, boolean][] = [
  ["1210", 44100, 2, false],
  ["1208", 44100, 1, false],
  ["1190", 48000, 2, false],
  ["1408", 16000, 1, false],
  ["1588", 8000, 1, false],
];

for (const [hex, sampleRate, channels, highEfficiency] of TABLE) {
  Deno.test(`${hex}: AAC-LC ${sampleRate} Hz, ${channels} channels`, () => {
    assert.deepEqual(parseAacConfig(fromHex(hex)), { sampleRate, channels, highEfficiency });
    assert.equal(toHex(formatAacConfig(sampleRate, channels)), hex);
  });
}

Deno.test("HE-AAC is read as its core", () => {
  // type 5, core 24000 (index 6), mono, extension 48000 (3), type 2
  assert.deepEqual(parseAacConfig(fromHex("2b098800")), {
    sampleRate: 24000,
    channels: 1,
    highEfficiency: true,
  });
  // type 29: parametric stereo over a mono core
  assert.deepEqual(parseAacConfig(fromHex("eb098800")), {
    sampleRate: 24000,
    channels: 1,
    highEfficiency: true,
  });
});

Deno.test("a rate written out is taken when it is a known one", () => {
  // type 2, index 15, 24 bits of 44100, stereo
  const bits = "00010" + "1111" + (44100).toString(2).padStart(24, "0") + "0010" + "000";
  const bytes = Uint8Array.from(bits.match(/.{8}/g)!, (octet) => parseInt(octet, 2));
  assert.deepEqual(parseAacConfig(bytes), { sampleRate: 44100, channels: 2, highEfficiency: false });
});

for (
  const [hex, what] of [
    ["", "ends too early"],
    ["12", "ends too early"],
    ["0a10", "object type 1"],
    ["1218", "channel configuration 3"],
    ["1010", "96000 Hz"],
    ["1690", "no known sample rate"],
    ["1214", "960 samples"],
  ]
) {
  Deno.test(`refused: ${hex} (${what})`, () => {
    assert.throws(
      () => parseAacConfig(fromHex(hex!)),
      (error) => error instanceof WireError && error.message.includes(what!),
    );
  });
}

Deno.test("any bytes are a config or a WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
    try {
      const { sampleRate, channels } = parseAacConfig(bytes);
      const again = parseAacConfig(formatAacConfig(sampleRate, channels));
      assert.deepEqual([again.sampleRate, again.channels], [sampleRate, channels]);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }));
});

Deno.test("a rate without an index cannot be written", () => {
  assert.throws(() => formatAacConfig(44000, 1), /44000/);
});
