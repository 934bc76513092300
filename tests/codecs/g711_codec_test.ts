// G.711 in the shape of a codec: every octet there and back, odd packet sizes, a bound.
import assert from "node:assert/strict";
import { G711Decoder, G711Encoder } from "../../lib/codecs/g711_codec.ts";

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
