// Our codecs against the native libraries of Debian, which work in turns on the same speech: Speex makes the same
// packets and samples, and no codec costs much more. Ratios of one run; times are nobody's business here.
import assert from "node:assert/strict";
import { measureRatio, openComparisons } from "../../bench/native/comparisons.ts";
import { openNative } from "../../bench/native/native_codecs.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { codecs, SampleCollector } from "../support/codecs_audio.ts";

const required = Deno.env.get("SIPRTMP_PEERS") === "required";
const comparisons = codecs.missing.length > 0 ? [] : await openComparisons(codecs);
const ignore = comparisons.length === 0 || comparisons.some(({ reason }) => reason !== "") && !required;

/** What issue 5 allows for Speex; all others stay below the second, which only a broken build exceeds. */
const SPEEX_LIMIT = 1.4;
const LIMIT = 2;
/** A machine busy with other things may spoil a measurement, not three. */
const TRIES = 3;

function bestRatio(names: readonly string[]): number {
  const chosen = comparisons.filter(({ name }) => names.includes(name));
  assert.equal(chosen.length, names.length);
  let best = Infinity;
  for (let i = 0; i < TRIES && best > SPEEX_LIMIT; i++) {
    const measured = chosen.map((one) => measureRatio(one, 9, 5));
    const ours = measured.reduce((sum, { oursMs }) => sum + oursMs, 0);
    const native = measured.reduce((sum, { oursMs, ratio }) => sum + oursMs / ratio, 0);
    best = Math.min(best, ours / native);
  }
  return best;
}

Deno.test({
  name: "every library is here to be compared with",
  ignore,
  fn: () => {
    assert.deepEqual(comparisons.flatMap(({ reason }) => reason === "" ? [] : [reason]), []);
  },
});

Deno.test({
  name: "Speex wideband, both directions of a call: at most 1.4 times the native time",
  ignore,
  fn: () => {
    const ratio = bestRatio(["Speex wideband, encode", "Speex wideband, decode"]);
    assert.ok(ratio <= SPEEX_LIMIT, `${ratio}`);
  },
});

for (const { name } of comparisons) {
  Deno.test({
    name: `${name}: at most twice the native time`,
    ignore,
    fn: () => {
      const ratio = bestRatio([name]);
      assert.ok(ratio <= LIMIT, `${ratio}`);
    },
  });
}

Deno.test({
  name: "the native library that is compared with makes our Speex packets and samples, also of lost packets",
  ignore,
  fn: async () => {
    const { native } = await openNative("speex");
    using _open = { [Symbol.dispose]: () => native?.close() };
    const { symbols } = native!;
    for (const sampleRate of [8000, 16000]) {
      const speech = speechSamples(sampleRate);
      const stride = 256;
      const packets = new Uint8Array(100 * stride);
      const octets = new Int32Array(100);
      symbols.encode_all(symbols.open_speex_encoder(sampleRate, 8), speech, 100, packets, stride, octets);
      using encoder = codecs.createEncoder({ codec: "speex", sampleRate, quality: 8 }, sampleRate);
      using decoder = codecs.createDecoder({ codec: "speex", sampleRate }, sampleRate);
      const ours = new SampleCollector();
      const size = encoder.frameSamples;
      for (let i = 0; i < 100; i++) {
        const packet = encoder.encode(speech.subarray(i * size, (i + 1) * size)).slice();
        assert.deepEqual(packet, packets.slice(i * stride, i * stride + octets[i]!), `packet ${i}`);
        const isLost = i % 7 === 3 || i > 60 && i < 68;
        if (isLost) octets[i] = 0;
        ours.add(isLost ? decoder.conceal(size) : decoder.decode(packet));
      }
      const theirs = new Int16Array(speech.length);
      const opened = symbols.open_speex_decoder(sampleRate);
      assert.equal(symbols.decode_stream(opened, packets, 100, stride, octets, theirs), speech.length);
      assert.deepEqual(ours.all(), theirs);
    }
  },
});
