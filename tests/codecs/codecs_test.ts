// Which codecs there are with which modules; none of this needs them built.

import assert from "node:assert/strict";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { Codecs, moduleNames } from "../../lib/codecs/codecs.ts";
import { G711Decoder, G711Encoder } from "../../lib/codecs/g711.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { codecs as built } from "../support/codecs_audio.ts";

/** The smallest module; the libraries do not look inside before a codec is opened. */
const EMPTY = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

const ALL = ["speex", "pcmu", "pcma", "g722", "aac", "opus"] as const;
type Name = typeof ALL[number];
const RATES: Readonly<Record<Name, number>> = {
  speex: 16000,
  pcmu: 8000,
  pcma: 8000,
  g722: 16000,
  aac: 44100,
  opus: 48000,
};
const format = (codec: Name): AudioFormat => ({ codec, sampleRate: RATES[codec] });

function withModules(...names: string[]): Codecs {
  return new Codecs(new Map(names.map((name) => [name, EMPTY])));
}

Deno.test("without modules there are G.711 and G.722, between equal rates", () => {
  const none = withModules();
  assert.deepEqual(none.missing, moduleNames(builtInCodecs));
  assert.deepEqual(ALL.filter((codec) => none.canDecode(codec)), ["pcmu", "pcma", "g722"]);
  assert.deepEqual(ALL.filter((codec) => none.canEncode(codec)), ["pcmu", "pcma", "g722"]);
  assert.ok(none.canTranscode(format("pcmu"), format("pcma")));
  assert.ok(!none.canTranscode(format("pcmu"), format("g722")));
  assert.throws(() => none.createDecoder(format("speex"), 16000), /deno task codecs/);
  assert.throws(() => none.createResampler(8000, 16000), /deno task codecs/);
});

Deno.test("what can be turned into one another: nothing without the resampler, AAC with both its modules", () => {
  assert.deepEqual([...withModules().transcodable], []);
  assert.deepEqual([...withModules("speex", "opus").transcodable], []);
  assert.deepEqual([...withModules("resampler").transcodable], ["pcmu", "pcma", "g722"]);
  assert.deepEqual([...withModules("resampler", "aac_decoder").transcodable], ["pcmu", "pcma", "g722"]);
  assert.deepEqual(
    [...withModules("resampler", "aac_decoder", "aac_encoder", "speex").transcodable],
    ["speex", "pcmu", "pcma", "g722", "aac"],
  );
});

Deno.test("each module brings what it is for", () => {
  assert.ok(withModules("speex").canDecode("speex"));
  assert.ok(withModules("opus").canEncode("opus"));
  assert.ok(!withModules("aac_decoder").canEncode("aac"));
  assert.ok(withModules("aac_encoder").canEncode("aac"));
  assert.ok(!withModules("aac_encoder").canDecode("aac"));
  assert.ok(withModules("resampler").canTranscode(format("pcmu"), format("g722")));
  assert.ok(!withModules("aac_decoder").canTranscode(format("aac"), format("pcmu")));
  assert.ok(withModules("aac_decoder", "resampler").canTranscode(format("aac"), format("pcmu")));
});

Deno.test({
  name: "every codec can be opened",
  ignore: built.missing.length > 0,
  fn: () => {
    for (const codec of ALL) {
      using encoder = built.createEncoder({ ...format(codec), packetMs: 40 }, 48000);
      assert.equal(encoder.frameSamples, codec === "aac" ? 1024 : encoder.sampleRate / 25);
      const packet = encoder.encode(new Int16Array(encoder.frameSamples)).slice();
      if (codec === "aac") continue;
      using decoder = built.createDecoder(format(codec), 48000);
      assert.equal(decoder.decode(packet).length, decoder.sampleRate / 25);
    }
    assert.throws(() => built.createDecoder(format("aac"), 44100), /AudioSpecificConfig/);
  },
});

for (const law of ["pcmu", "pcma"] as const) {
  Deno.test(`${law}: every octet decodes to a sample that encodes to it`, () => {
    const octets = Uint8Array.from({ length: 256 }, (_, i) => i);
    const samples = new G711Decoder(law).decode(octets).slice();
    const again = new G711Encoder(law, 256).encode(samples).slice();
    // u-law has two zeros; the encoder makes one of them.
    const expected = octets.map((octet) => law === "pcmu" && octet === 0x7f ? 0xff : octet);
    assert.deepEqual(again, expected);
  });
}

Deno.test("stereo is left interleaved, half a pair is dropped", () => {
  const decoder = new G711Decoder("pcma", 2);
  assert.equal(decoder.channels, 2);
  assert.equal(decoder.decode(new Uint8Array(321)).length, 320);
  assert.equal(decoder.decode(new Uint8Array(1)).length, 0);
});

Deno.test("packets of any size are decoded, up to half a second", () => {
  const decoder = new G711Decoder("pcmu");
  for (const size of [0, 1, 80, 160, 240, 4000]) {
    assert.equal(decoder.decode(new Uint8Array(size)).length, size);
  }
  assert.equal(decoder.decode(new Uint8Array(65000)).length, 4000);
  assert.equal(decoder.conceal().length, 0);
});
