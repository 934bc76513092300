import assert from "node:assert/strict";
import { Ticker } from "../../lib/base/ticker.ts";
import { EarlySilence, silentPayload } from "../../lib/call/early_silence.ts";
import type { NegotiatedAudio } from "../../lib/call/negotiation.ts";
import { loadCodecs } from "../../lib/codecs/load.ts";
import { countSpeexFrames, stripWidebandLayer } from "../../lib/media/speex_bits.ts";
import { FakeClock } from "../support/fake_clock.ts";

function chain(kind: NegotiatedAudio["kind"], clockRate: number): NegotiatedAudio {
  return {
    kind,
    clockRate,
    sendPayloadType: 0,
    receive: [],
    ptimeMs: null,
    strip: false,
  } as unknown as NegotiatedAudio;
}

Deno.test("early silence: a packet of every codec that passes through", () => {
  const TABLE: readonly (readonly [kind: NegotiatedAudio["kind"], clockRate: number, hex: string | null])[] =
    [
      ["pcmu", 8000, "ff".repeat(160)],
      ["pcma", 8000, "d5".repeat(160)],
      ["speex", 8000, "03"],
      ["speex", 16000, "043f"],
      ["opus", 48000, "f8fffe"],
      ["transcode", 8000, null],
    ];
  for (const [kind, clockRate, hex] of TABLE) {
    assert.equal(silentPayload(chain(kind, clockRate))?.toHex() ?? null, hex, `${kind}/${clockRate}`);
  }
});

Deno.test("early silence: a Speex packet is one frame, and its narrowband part another", () => {
  const [narrow, wide] = [8000, 16000].map((clockRate) => silentPayload(chain("speex", clockRate))!);
  assert.deepEqual([countSpeexFrames(narrow!), countSpeexFrames(wide!)], [1, 1]);
  assert.equal(stripWidebandLayer(wide!).toHex(), narrow!.toHex());
});

Deno.test("early silence: every 20 ms from the start on, the first one marked; a busy moment is made up for, a long one not", () => {
  const clock = new FakeClock(1000);
  using ticker = new Ticker(clock, 10);
  const sent: string[] = [];
  const silence = new EarlySilence({
    payload: Uint8Array.of(1),
    clockRate: 8000,
    clock,
    ticker,
    send: (_, timestamp, marker) => sent.push(`${timestamp}${marker ? " marked" : ""}`),
  });
  for (let i = 0; i < 50; i++) clock.advance(10);
  assert.ok(sent.length >= 24 && sent.length <= 26, `${sent.length} packets in 500 ms`);
  assert.deepEqual(sent.slice(0, 3), ["0 marked", "160", "320"]);
  silence[Symbol.dispose]();
  const count = sent.length;
  for (let i = 0; i < 50; i++) clock.advance(10);
  assert.deepEqual([sent.length, clock.pending], [count, 0]);
});

const codecs = await loadCodecs();

for (const [codec, sampleRate] of [["speex", 8000], ["speex", 16000], ["opus", 48000]] as const) {
  const ignore = !codecs.transcodable.has(codec);
  Deno.test(
    { name: `early silence: a real decoder of ${codec} at ${sampleRate} Hz hears nothing`, ignore },
    () => {
      using decoder = codecs.createDecoder({ codec, sampleRate }, sampleRate);
      for (let n = 0; n < 20; n++) {
        const samples = decoder.decode(silentPayload(chain(codec, sampleRate))!);
        assert.equal(samples.length, sampleRate / 50);
        assert.ok(samples.every((sample) => Math.abs(sample) < 20));
      }
    },
  );
}
