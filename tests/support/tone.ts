// A tone: made, spoken by an RTMP phone, and measured where it comes out. The tones of the tests are no
// multiples of 50 Hz, so that a lost, doubled or displaced block of 20 ms breaks the wave and is seen.

import { encodeG711, type G711Law } from "../../lib/codecs/g711_tables.ts";
import type { ClientStream } from "../../lib/rtmp/client.ts";
import { type Block, fitTone } from "../../scripts/quality/measure.ts";

export interface ToneReport {
  /** From the first to the last block with sound in it. */
  readonly durationMs: number;
  /** Root mean square of that without its edges, 32767 being full scale. */
  readonly level: number;
  /** Frequency, by counting whole waves. */
  readonly hz: number;
  /** Blocks of 20 ms (one every 5 ms) in there that are not this tone and nothing but this tone. */
  readonly broken: number;
}

const BLOCK_MS = 20;
const STEP_MS = 5;
/** Below this a block is silence: what G.711 and Speex make of zeros stays far below. */
const SILENCE = 100;

/** A sine wave. */
export function sineWave(
  options: { hz: number; peak: number; seconds: number; sampleRate: number },
): Int16Array {
  const { hz, peak, seconds, sampleRate } = options;
  const turn = 2 * Math.PI * hz / sampleRate;
  return Int16Array.from(
    { length: Math.round(seconds * sampleRate) },
    (_, i) => Math.round(peak * Math.sin(turn * i)),
  );
}

/** Speaks samples of 8 kHz in G.711 at the pace of the clock; the first message has time `startMs`. */
export async function speakSamples(
  stream: ClientStream,
  samples: Int16Array,
  options: { law: G711Law; startMs?: number; signal?: AbortSignal; onBlock?: () => void },
): Promise<void> {
  const { law, startMs = 0 } = options;
  const begunMs = performance.now();
  for (let at = 0; at + 160 <= samples.length && options.signal?.aborted !== true; at += 160) {
    const waitMs = begunMs + at / 8 - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const body = new Uint8Array(161);
    body[0] = law === "pcmu" ? 0x82 : 0x72;
    encodeG711(law, samples.subarray(at, at + 160), body.subarray(1));
    stream.send(8, startMs + at / 8, body);
    options.onBlock?.();
  }
}

/** Measures a tone that may have silence before and after it. `impurity`: share of a block's power that is noise. */
export function measureTone(
  samples: Int16Array,
  options: { sampleRate: number; hz: number; impurity: number },
): ToneReport {
  const perBlock = options.sampleRate * BLOCK_MS / 1000;
  const perStep = options.sampleRate * STEP_MS / 1000;
  const blocks: Block[] = [];
  for (let at = 0; at + perBlock <= samples.length; at += perStep) {
    const turn = 2 * Math.PI * options.hz / options.sampleRate;
    blocks.push(fitTone(samples.subarray(at, at + perBlock), turn, 0));
  }
  const first = blocks.findIndex(isSound);
  const last = blocks.findLastIndex(isSound);
  if (first < 0) return { durationMs: 0, level: 0, hz: 0, broken: 0 };
  const sound = samples.subarray(first * perStep, last * perStep + perBlock);
  const edge = BLOCK_MS / STEP_MS; // the tone begins and ends within the outer blocks
  const inner = blocks.slice(first + edge, Math.max(first + edge, last + 1 - edge));
  return {
    durationMs: sound.length * 1000 / options.sampleRate,
    level: Math.sqrt(inner.reduce((sum, block) => sum + block.power, 0) / Math.max(1, inner.length)),
    hz: waveRate(sound) * options.sampleRate,
    broken: inner.filter((block) => !isSound(block) || block.noise > options.impurity * block.power).length,
  };
}

function isSound(block: { power: number }): boolean {
  return block.power > SILENCE ** 2;
}

/** Waves per sample, from the first to the last upward crossing of zero. */
function waveRate(samples: Int16Array): number {
  let waves = -1;
  let first = 0;
  let last = 0;
  for (let i = 1; i < samples.length; i++) {
    if (samples[i - 1]! >= 0 || samples[i]! < 0) continue;
    last = i;
    if (++waves === 0) first = i;
  }
  return waves < 1 ? 0 : waves / (last - first);
}

/** A WAV file of 16-bit mono samples. */
export function encodeWav(samples: Int16Array, sampleRate: number): Uint8Array {
  const bytes = new Uint8Array(44 + 2 * samples.length);
  const view = new DataView(bytes.buffer);
  const text = (at: number, chars: string) => bytes.set(new TextEncoder().encode(chars), at);
  text(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * sampleRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => view.setInt16(44 + 2 * i, sample, true));
  return bytes;
}

/** The samples of a WAV file of 16-bit mono samples; a file that is still being written has all up to its end. */
export function decodeWav(bytes: Uint8Array): { sampleRate: number; samples: Int16Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  let sampleRate = 0;
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true);
    if (name(at) === "fmt ") {
      if (view.getUint16(at + 10, true) !== 1 || view.getUint16(at + 22, true) !== 16) {
        throw new Error("not mono of 16 bits");
      }
      sampleRate = view.getUint32(at + 12, true);
    } else if (name(at) === "data") {
      const count = Math.min(size === 0 ? Infinity : size, bytes.length - at - 8) >> 1;
      return {
        sampleRate,
        samples: Int16Array.from({ length: count }, (_, i) => view.getInt16(at + 8 + 2 * i, true)),
      };
    }
    at += 8 + size + (size & 1);
  }
  throw new Error("a WAV file without samples");
}
