// What became of a sound that went through a call: level, noise, delay, clicks and gaps. All arithmetic, on mono
// samples of any rate.
// Role: wire

/** Where a tone was cut or broken. */
export interface ToneQuality {
  /** Level against what was sent, in dB. */
  readonly levelDb: number;
  /** Tone against everything else in blocks of 20 ms, in dB. */
  readonly snrDb: number;
  /** Times at which something else than the tone was heard for a moment. */
  readonly clicks: number;
  /** Times at which the tone was missing for a moment, or went on with another phase: audio was cut or repeated. */
  readonly gaps: number;
}

/** What became of speech. */
export interface SpeechQuality {
  /** Level against what was sent, in dB. */
  readonly levelDb: number;
  /** How late it is, in ms. */
  readonly delayMs: number;
  /** Blocks of 20 ms in which there should be speech and is none. */
  readonly gaps: number;
}

const BLOCK_MS = 20;
const STEP_MS = 5;
/** A block with this share of noise (-10 dB), and this much noisier than the usual one, is a click. */
const CLICK_SHARE = 0.1;
const CLICK_OVER_MEDIAN = 6;
/** A lasting change of phase. 20 ms of 1004 Hz are 29 degrees more than whole waves. */
const SLIP_DEGREES = 12;
/** Phases are compared over so many steps on either side, the block between left out. */
const SLIP_STEPS = 16;
/** A block this much quieter than the usual one (6 dB) is a gap. */
const GAP_SHARE = 0.25;

/** Measures a tone that fills the samples; their edges should not be part of them. */
export function measureTone(
  samples: Int16Array,
  hz: number,
  sampleRate: number,
  amplitude: number,
): ToneQuality {
  const block = Math.round(sampleRate * BLOCK_MS / 1000);
  const step = Math.round(sampleRate * STEP_MS / 1000);
  const turn = 2 * Math.PI * hz / sampleRate;
  const blocks: Block[] = [];
  for (let at = 0; at + block <= samples.length; at += step) {
    blocks.push(fitTone(samples.subarray(at, at + block), turn, turn * at));
  }
  if (blocks.length === 0) return { levelDb: -Infinity, snrDb: -Infinity, clicks: 0, gaps: 1 };
  const power = median(blocks.map((one) => one.power));
  const share = median(blocks.map((one) => one.noise / Math.max(one.power, 1e-9)));
  const most = Math.max(CLICK_SHARE, CLICK_OVER_MEDIAN * share);
  return {
    levelDb: decibels(power / (amplitude * amplitude / 2)),
    snrDb: decibels((1 - share) / Math.max(share, 1e-9)),
    clicks: runs(blocks, (one) => one.power >= power * GAP_SHARE && one.noise > most * one.power),
    gaps: runs(blocks, (one) => one.power < power * GAP_SHARE) + slips(blocks),
  };
}

/**
 * Finds what was sent in what was heard and compares them.
 * @param sent what was sent
 * @param heard what was heard, beginning when the first of `sent` was sent
 * @param maxDelayMs the longest delay that is looked for
 */
export function measureSpeech(
  sent: Int16Array,
  heard: Int16Array,
  sampleRate: number,
  maxDelayMs: number,
): SpeechQuality {
  const most = Math.round(maxDelayMs * sampleRate / 1000);
  const length = Math.min(sent.length, heard.length - most);
  let delay = 0;
  let best = -Infinity;
  for (let candidate = 0; candidate <= most; candidate++) {
    let score = 0;
    for (let i = 0; i < length; i += 2) score += sent[i]! * heard[i + candidate]!;
    if (score <= best) continue;
    best = score;
    delay = candidate;
  }
  const moved = heard.subarray(delay, delay + length);
  const original = sent.subarray(0, length);
  return {
    levelDb: decibels(powerOf(moved) / Math.max(1, powerOf(original))),
    delayMs: delay * 1000 / sampleRate,
    gaps: missingBlocks(original, moved, sampleRate),
  };
}

/** Blocks that were loud and are not. */
function missingBlocks(sent: Int16Array, heard: Int16Array, sampleRate: number): number {
  const block = Math.round(sampleRate * BLOCK_MS / 1000);
  const usual = powerOf(sent);
  let missing = 0;
  for (let at = 0; at + block <= sent.length; at += block) {
    const wanted = powerOf(sent.subarray(at, at + block));
    if (wanted > usual / 4 && powerOf(heard.subarray(at, at + block)) < wanted / 30) missing++;
  }
  return missing;
}

/** Other samples a second, by straight lines: good enough to look for delays. */
export function atRate(samples: Int16Array, fromRate: number, toRate: number): Int16Array {
  if (fromRate === toRate) return samples;
  const step = fromRate / toRate;
  const width = Math.max(1, Math.round(step));
  return Int16Array.from({ length: Math.floor((samples.length - width) / step) }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += samples[Math.floor(i * step) + j]!;
    return sum / width;
  });
}

function powerOf(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length === 0 ? 0 : sum / samples.length;
}

/** Times at which the phase of the tone changes for good. */
function slips(blocks: readonly Block[]): number {
  const changed: boolean[] = [];
  const between = BLOCK_MS / STEP_MS;
  for (let i = SLIP_STEPS; i + between + SLIP_STEPS <= blocks.length; i++) {
    const before = meanPhase(blocks.slice(i - SLIP_STEPS, i));
    const after = meanPhase(blocks.slice(i + between, i + between + SLIP_STEPS));
    const turned = Math.abs(after - before) % (2 * Math.PI);
    changed.push(Math.min(turned, 2 * Math.PI - turned) > SLIP_DEGREES * Math.PI / 180);
  }
  return runs(changed, (one) => one);
}

function meanPhase(blocks: readonly Block[]): number {
  const sine = blocks.reduce((sum, { phase }) => sum + Math.sin(phase), 0);
  return Math.atan2(sine, blocks.reduce((sum, { phase }) => sum + Math.cos(phase), 0));
}

/** One block against the tone. */
export interface Block {
  /** Mean square. */
  readonly power: number;
  /** The part of that which is no tone. */
  readonly noise: number;
  /** The tone's phase. */
  readonly phase: number;
}

/** Least-squares fit of a sine of this angle per sample. @param from its angle where the samples begin */
export function fitTone(samples: Int16Array, turn: number, from: number): Block {
  let [cc, ss, cs, xc, xs] = [0, 0, 0, 0, 0];
  samples.forEach((x, i) => {
    const [c, s] = [Math.cos(from + turn * i), Math.sin(from + turn * i)];
    cc += c * c;
    ss += s * s;
    cs += c * s;
    xc += x * c;
    xs += x * s;
  });
  const det = cc * ss - cs * cs;
  const [a, b] = [(xc * ss - xs * cs) / det, (xs * cc - xc * cs) / det];
  const power = powerOf(samples);
  return { power, noise: Math.max(0, power - (a * xc + b * xs) / samples.length), phase: Math.atan2(a, b) };
}

function runs<T>(blocks: readonly T[], bad: (block: T) => boolean): number {
  return blocks.reduce(
    (count, block, i) => count + Number(bad(block) && (i === 0 || !bad(blocks[i - 1]!))),
    0,
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function decibels(ratio: number): number {
  return 10 * Math.log10(Math.max(ratio, 1e-12));
}
