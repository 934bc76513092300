// One direction of a transcoded call: decode, mix down, resample, wait in a bounded ring, encode. Gaps are hidden,
// underruns fade to silence or to comfort noise.
// Role: machine

import { WireError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { AudioDecoder, AudioEncoder, AudioFormat } from "./codec.ts";
import { type Codecs, Resampler } from "./codecs.ts";
import { decodeComfortNoise, LossConcealer, NoiseGenerator } from "./comfort_noise.ts";

/** Takes one encoded packet, borrowed, and how many samples (of {@link AudioPath.sampleRate}) it holds. */
export type PacketSink = (packet: Uint8Array, samples: number) => void;

export interface AudioPathOptions {
  /** What comes in. For AAC the sample rate is only a guess until {@link AudioPath.configure}. */
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  readonly codecs: Codecs;
  readonly random: Random;
  /** The most audio that waits; default 400 ms. */
  readonly bufferMs?: number;
}

/** Asked of an encoder while the rate of the source is not known. */
const HIGHEST_RATE = 48000;
const DEFAULT_BUFFER_MS = 400;
/** The most that is made up for one gap; a longer one is silence anyway. */
const MAX_CONCEAL_MS = 200;

/**
 * One direction of a transcoded call.
 *
 * Whoever owns a path decides when: after each packet (`push` then `encode` until false), or on a steady tick
 * (`encode`, and when there is too little, `fill` and `encode`). Nothing is allocated per packet but small views.
 *
 *   packet -> decoder -> mono -> resampler -> concealer -> ring -> encoder -> packet
 */
export class AudioPath implements Disposable {
  readonly sampleRate: number;
  /** The AudioSpecificConfig to send before the first packet, when AAC goes out; else null. */
  readonly config: Uint8Array | null;
  /** Packets that were damaged, and concealed. */
  damaged = 0;
  /** Packets of an AAC stream whose config is not known. */
  unconfigured = 0;
  readonly #codecs: Codecs;
  readonly #from: AudioFormat;
  readonly #encoder: AudioEncoder;
  readonly #ring: PcmRing;
  readonly #frame: Int16Array;
  readonly #concealer: LossConcealer;
  readonly #noise: NoiseGenerator;
  #decoder: AudioDecoder | null = null;
  #resampler: Resampler | null = null;
  #noisy = false;
  #packetSamples = 0;
  #owedSamples = 0;

  /** Opens the codecs. @throws Error when a module is missing: ask Codecs.canTranscode first */
  constructor(options: AudioPathOptions) {
    const { from, to, codecs, bufferMs = DEFAULT_BUFFER_MS } = options;
    this.#codecs = codecs;
    this.#from = from;
    const configured = codecs.needsConfig(from);
    this.#encoder = codecs.createEncoder(to, configured ? HIGHEST_RATE : from.sampleRate);
    this.config = this.#encoder.config ?? null;
    const { sampleRate, frameSamples } = this.#encoder;
    this.sampleRate = sampleRate;
    this.#frame = new Int16Array(frameSamples);
    this.#ring = new PcmRing(Math.max(2 * frameSamples, Math.ceil(sampleRate * bufferMs / 1000)), sampleRate);
    this.#concealer = new LossConcealer(sampleRate);
    this.#noise = new NoiseGenerator(options.random);
    if (!configured) this.#useDecoder(codecs.createDecoder(from, sampleRate));
  }

  /** Audio that waits, in milliseconds. */
  get bufferedMs(): number {
    return this.#ring.length * 1000 / this.sampleRate;
  }

  /** Length of a packet that goes out, in milliseconds. */
  get packetMs(): number {
    return this.#frame.length * 1000 / this.sampleRate;
  }

  /** Length of the last packet that came in, in milliseconds; 0 before the first. */
  get receivedMs(): number {
    const decoder = this.#decoder;
    return decoder === null ? 0 : this.#packetSamples * 1000 / decoder.sampleRate;
  }

  /** Audio that was cut because it waited too long, in milliseconds. */
  get droppedMs(): number {
    return this.#ring.dropped * 1000 / this.sampleRate;
  }

  /** True when what waits is too little, and nothing is left of the repetition: silence, or comfort noise. */
  get idle(): boolean {
    return (this.#noisy || this.#concealer.faded) && this.#ring.length < this.#frame.length;
  }

  /** True when nothing is left to say: an underrun has faded out and there is no comfort noise. */
  get silent(): boolean {
    return this.#concealer.faded && !this.#noisy && this.#ring.length < this.#frame.length;
  }

  /** The config of an AAC stream, first or changed. @throws WireError when it is of an unknown kind */
  configure(config: Uint8Array): void {
    this.#useDecoder(this.#codecs.createConfigured(this.#from, config));
  }

  /** One packet, in order. A damaged one is concealed and counted. */
  push(packet: Uint8Array): void {
    const decoder = this.#decoder;
    if (decoder === null) {
      this.unconfigured++;
      return;
    }
    if (this.#owedSamples > 0) this.#recover(decoder, packet);
    let samples: Int16Array;
    try {
      samples = decoder.decode(packet);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.damaged++;
      return this.#conceal(this.#packetSamples);
    }
    if (samples.length === 0) return;
    this.#noisy = false;
    this.#packetSamples = samples.length / decoder.channels;
    this.#take(samples, decoder.channels);
  }

  /** So many packets, each as long as the last one, did not come before the one that is pushed next. */
  lost(packets: number): void {
    if (this.#noisy) return;
    const recoverable = packets > 0 && this.#decoder?.recover !== undefined ? 1 : 0;
    this.#conceal((packets - recoverable) * this.#packetSamples);
    this.#owedSamples = recoverable * this.#packetSamples;
  }

  /** A comfort noise payload (RFC 3389): until audio comes again, `fill` makes noise like this. @throws WireError */
  comfortNoise(payload: Uint8Array): void {
    this.#noise.describe(decodeComfortNoise(payload));
    this.#noisy = true;
  }

  /** Makes one packet of what waits; false when that is too little. */
  encode(emit: PacketSink): boolean {
    if (!this.#ring.read(this.#frame)) return false;
    emit(this.#encoder.encode(this.#frame), this.#frame.length);
    return true;
  }

  /** Adds what one packet lacks: a repetition that fades to silence, or comfort noise. */
  fill(): void {
    const missing = this.#frame.length - this.#ring.length;
    if (missing <= 0) return;
    if (this.#noisy) this.#noise.fill(this.#frame, 0, missing);
    else this.#concealer.conceal(this.#frame, 0, missing);
    this.#ring.write(this.#frame, 0, missing);
  }

  /** Makes one packet of silence or comfort noise, whatever waits: nothing of it is taken. */
  encodePause(emit: PacketSink): void {
    if (this.#noisy) this.#noise.fill(this.#frame, 0, this.#frame.length);
    else this.#frame.fill(0);
    emit(this.#encoder.encode(this.#frame), this.#frame.length);
  }

  /** Drops the oldest audio without a click, to catch up. */
  skip(milliseconds: number): void {
    this.#ring.skip(Math.floor(milliseconds * this.sampleRate / 1000));
  }

  [Symbol.dispose](): void {
    this.#decoder?.[Symbol.dispose]();
    this.#resampler?.[Symbol.dispose]();
    this.#encoder[Symbol.dispose]();
  }

  /** What `packet` tells of the lost one before it. */
  #recover(decoder: AudioDecoder, packet: Uint8Array): void {
    const samples = this.#owedSamples;
    this.#owedSamples = 0;
    try {
      this.#take(decoder.recover!(packet, samples), decoder.channels);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#conceal(samples);
    }
  }

  #useDecoder(decoder: AudioDecoder): void {
    this.#owedSamples = 0;
    this.#decoder?.[Symbol.dispose]();
    this.#resampler?.[Symbol.dispose]();
    this.#decoder = decoder;
    this.#resampler = null;
    const { sampleRate } = decoder;
    if (sampleRate !== this.sampleRate) {
      this.#resampler = this.#codecs.createResampler(sampleRate, this.sampleRate);
    }
  }

  /** Conceals samples of the decoder's rate: by the codec where it can, else by repetition. */
  #conceal(samples: number): void {
    const decoder = this.#decoder;
    if (decoder === null || samples <= 0) return;
    const count = Math.min(samples, decoder.sampleRate * MAX_CONCEAL_MS / 1000);
    const made = decoder.conceal(count);
    if (made.length > 0) return this.#take(made, decoder.channels);
    let left = Math.round(count * this.sampleRate / decoder.sampleRate);
    for (; left > 0; left -= this.#frame.length) {
      const part = Math.min(left, this.#frame.length);
      this.#concealer.conceal(this.#frame, 0, part);
      this.#ring.write(this.#frame, 0, part);
    }
  }

  #take(samples: Int16Array, channels: number): void {
    const count = channels === 2 ? mixDown(samples) : samples.length;
    const resampler = this.#resampler;
    if (resampler === null) return this.#deliver(samples, count);
    for (let at = 0; at < count; at += Resampler.maxBlock) {
      const made = resampler.process(samples, at, Math.min(Resampler.maxBlock, count - at));
      this.#deliver(made, made.length);
    }
  }

  #deliver(samples: Int16Array, count: number): void {
    this.#concealer.heard(samples, 0, count);
    this.#ring.write(samples, 0, count);
  }
}

/** Interleaved stereo to mono in the same place; gives the number of samples. */
function mixDown(samples: Int16Array): number {
  const count = samples.length >> 1;
  for (let i = 0; i < count; i++) samples[i] = samples[2 * i]! + samples[2 * i + 1]! >> 1;
  return count;
}

const BLEND_MS = 5;

/** A first-in first-out store of 16-bit samples. */
export class PcmRing {
  /** Samples that were cut because nobody took them in time. */
  dropped = 0;
  readonly #samples: Int16Array;
  readonly #blend: number;
  #start = 0;
  #length = 0;

  /** An empty ring. @param capacity the most samples it holds; @param sampleRate for the length of the blend */
  constructor(capacity: number, sampleRate: number) {
    this.#samples = new Int16Array(capacity);
    this.#blend = Math.min(capacity >> 1, Math.floor(BLEND_MS * sampleRate / 1000));
  }

  get length(): number {
    return this.#length;
  }

  /** The most it holds. */
  get capacity(): number {
    return this.#samples.length;
  }

  /** Appends samples[from..to); cuts the oldest when they do not fit. */
  write(samples: Int16Array, from: number, to: number): void {
    const ring = this.#samples;
    const first = Math.max(from, to - ring.length);
    this.dropped += first - from;
    const excess = this.#length + (to - first) - ring.length;
    if (excess > 0) this.#cut(excess);
    let at = this.#wrap(this.#start + this.#length);
    for (let i = first; i < to; i++) {
      ring[at] = samples[i]!;
      if (++at === ring.length) at = 0;
    }
    this.#length += to - first;
  }

  /** Takes the oldest samples into `into`; false, and nothing taken, when there are fewer. */
  read(into: Int16Array): boolean {
    if (this.#length < into.length) return false;
    const ring = this.#samples;
    let at = this.#start;
    for (let i = 0; i < into.length; i++) {
      into[i] = ring[at]!;
      if (++at === ring.length) at = 0;
    }
    this.#start = at;
    this.#length -= into.length;
    return true;
  }

  /** Drops the oldest `count` samples, blended; fewer when there are fewer. */
  skip(count: number): void {
    this.#cut(Math.min(count, this.#length));
  }

  clear(): void {
    this.#start = this.#length = 0;
  }

  /** The first samples that stay begin as those that go, and end as themselves. */
  #cut(count: number): void {
    const ring = this.#samples;
    const blend = Math.min(this.#blend, count, this.#length - count);
    for (let i = 0; i < blend; i++) {
      const weight = (i + 1) / (blend + 1);
      const stays = this.#wrap(this.#start + count + i);
      const goes = ring[this.#wrap(this.#start + i)]!;
      ring[stays] = ring[stays]! * weight + goes * (1 - weight);
    }
    this.#start = this.#wrap(this.#start + count);
    this.#length -= count;
    this.dropped += count;
  }

  #wrap(at: number): number {
    return at % this.#samples.length;
  }
}
