// The sound of the number `tone` in blocks of 20 ms that follow each other for ever: 1004 Hz at -16 dBm0 in G.711,
// or, for callers who know Speex only, the built-in speech sample, since Speex needs an encoder.
// ITU-T G.711 table 5 note: the largest sine of u-law is 3.17 dBm0, that of A-law 3.14 dBm0.
// Role: wire

import { encodeG711, type G711Law } from "../../media/g711.ts";
import { speexSample } from "../../media/sample.ts";
import { stripWidebandLayer } from "../../media/speex_bits.ts";

export const TONE_BLOCK_MS = 20;
/** Frequency of test tones: not a divisor of the sample rate, so that every code is heard. */
export const TONE_HZ = 1004;

const LEVEL_DBM0 = -16;
const RATE = 8000;
const BLOCK_SAMPLES = RATE * TONE_BLOCK_MS / 1000;
/** 251 periods of 1004 Hz are 2000 samples; twice that is a whole number of blocks. */
const LOOP_SAMPLES = 4000;
/** Largest sine: its amplitude in 16 bits and its level. */
const OVERLOAD: Readonly<Record<G711Law, readonly [amplitude: number, dbm0: number]>> = {
  pcmu: [32636, 3.17],
  pcma: [32768, 3.14],
};

export interface ToneSound {
  readonly description: string;
  /** One round; each block is 20 ms. Shared: not to be written into. */
  readonly blocks: readonly Uint8Array[];
}

/** The tone in G.711. */
export function g711Tone(law: G711Law): ToneSound {
  const [overload, overloadDbm0] = OVERLOAD[law];
  const amplitude = overload * 10 ** ((LEVEL_DBM0 - overloadDbm0) / 20);
  const samples = new Int16Array(LOOP_SAMPLES);
  for (let i = 0; i < LOOP_SAMPLES; i++) {
    samples[i] = Math.round(amplitude * Math.sin(2 * Math.PI * TONE_HZ * i / RATE));
  }
  const octets = new Uint8Array(LOOP_SAMPLES);
  encodeG711(law, samples, octets);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < LOOP_SAMPLES; at += BLOCK_SAMPLES) {
    blocks.push(octets.subarray(at, at + BLOCK_SAMPLES));
  }
  return { description: `a tone of ${TONE_HZ} Hz`, blocks };
}

/** The built-in speech sample in Speex, wideband (16000) or narrowband (8000). */
export function speexSpeech(clockRate: 8000 | 16000): ToneSound {
  const wideband = speexSample();
  const blocks = clockRate === 16000 ? wideband : wideband.map(stripWidebandLayer);
  return {
    description: "the built-in speech sample, because Speex needs an encoder to carry a tone",
    blocks,
  };
}
