// G.711 in calls (RFC 3551 4.5.14): tags and packets of any size leave in blocks of one packet time; either law passes
// for the other, octet for octet.
// Role: machine

import { channelsOf } from "../media/flv_tag.ts";
import { createFrame, type Frame, type FrameSink, type PayloadSink } from "../media/frame.ts";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "../media/timeline.ts";
import { mediaFormat } from "../sdp/media_format.ts";
import {
  type AudioDecoder,
  type AudioDepacketizer,
  type AudioEncoder,
  type AudioPacketizer,
  type AudioPacketOptions,
  type Codec,
  packetSamples,
} from "./codec.ts";
import { alawToUlaw, decodeG711, encodeG711, G711_SILENCE, type G711Law, ulawToAlaw } from "./g711_tables.ts";

const DEFAULT_G711_MS = 20;
const G711_OCTETS_PER_MS = 8;
/** A longer G.711 tag (2 s) is not live audio: it is dropped. */
const MAX_G711_OCTETS = 16000;

/** Cuts a run of octets into blocks of one size, whatever sizes it comes in. */
class OctetBlocks {
  readonly #held: Uint8Array;
  readonly #silence: number;
  readonly #outlet: PayloadSink;
  #heldLength = 0;
  #heldTimestamp = 0;
  #first = true;

  /** @param outlet gets each block, its timestamp, and whether it is the first after a gap */
  constructor(size: number, silence: number, outlet: PayloadSink) {
    this.#held = new Uint8Array(size);
    this.#silence = silence;
    this.#outlet = outlet;
  }

  /** @param afterGap true when `octets` do not follow the ones before: what is held leaves, filled up */
  push(octets: Uint8Array, timestamp: number, afterGap: boolean): void {
    if (afterGap) {
      this.#flush();
      this.#first = true;
    }
    const size = this.#held.length;
    let at = this.#heldLength > 0 ? this.#fill(octets) : 0;
    while (octets.length - at >= size) {
      const block = octets.length === size ? octets : octets.subarray(at, at + size);
      this.#send(block, timestamp + at);
      at += size;
    }
    if (at === octets.length) return;
    this.#held.set(octets.subarray(at));
    this.#heldLength = octets.length - at;
    this.#heldTimestamp = timestamp + at;
  }

  clear(): void {
    this.#heldLength = 0;
  }

  #fill(octets: Uint8Array): number {
    const missing = this.#held.length - this.#heldLength;
    const taken = octets.length < missing ? octets.length : missing;
    this.#held.set(octets.subarray(0, taken), this.#heldLength);
    this.#heldLength += taken;
    if (taken === missing) this.#flush();
    return taken;
  }

  #flush(): void {
    if (this.#heldLength === 0) return;
    this.#held.fill(this.#silence, this.#heldLength);
    this.#heldLength = 0;
    this.#send(this.#held, this.#heldTimestamp);
  }

  #send(block: Uint8Array, timestamp: number): void {
    const first = this.#first;
    this.#first = false;
    this.#outlet(block, timestamp, first);
  }
}

const NO_PAYLOADS: PayloadSink = () => {};
const NO_FRAMES: FrameSink = () => {};

class G711Packetizer implements AudioPacketizer {
  dropped = 0;
  readonly #law: G711Law;
  readonly timeline: RtmpToRtpTimeline;
  readonly #blocks: OctetBlocks;
  #emit: PayloadSink = NO_PAYLOADS;
  #octets = new Uint8Array(0);
  #samples = new Int16Array(0);

  constructor(options: AudioPacketOptions, law: G711Law) {
    this.#law = law;
    this.timeline = new RtmpToRtpTimeline(options.clockRate, options.clock);
    this.#blocks = new OctetBlocks(
      g711BlockOctets(options.ptimeMs),
      G711_SILENCE[law],
      (block, timestamp, first) => this.#emit(block, timestamp >>> 0, first),
    );
  }

  restart(): void {
    this.timeline.restart();
  }

  push(frame: Frame, emit: PayloadSink): void {
    if (frame.data.length === 0) return;
    const g711 = frame.codec === "pcmu" || frame.codec === "pcma";
    if (!g711 || frame.data.length > MAX_G711_OCTETS) {
      this.dropped++;
      return;
    }
    const octets = this.#toMonoOfLaw(frame, frame.codec as G711Law);
    const timestamp = this.timeline.placeBlock(frame.timeMs, octets.length);
    this.#emit = emit;
    this.#blocks.push(octets, timestamp, this.timeline.afterGap);
    this.#emit = NO_PAYLOADS;
  }

  #toMonoOfLaw(frame: Frame, law: G711Law): Uint8Array {
    const stereo = channelsOf(frame) === 2;
    if (!stereo && law === this.#law) return frame.data;
    if (this.#octets.length === 0) this.#octets = new Uint8Array(MAX_G711_OCTETS);
    const octets = this.#octets.subarray(0, stereo ? frame.data.length >> 1 : frame.data.length);
    if (stereo) this.#mixDown(frame.data, law, octets);
    else if (law === "pcmu") ulawToAlaw(frame.data, octets);
    else alawToUlaw(frame.data, octets);
    return octets;
  }

  #mixDown(data: Uint8Array, law: G711Law, into: Uint8Array): void {
    if (this.#samples.length === 0) this.#samples = new Int16Array(MAX_G711_OCTETS);
    const samples = this.#samples;
    decodeG711(law, data, samples);
    for (let i = 0; i < into.length; i++) samples[i] = samples[2 * i]! + samples[2 * i + 1]! >> 1;
    encodeG711(this.#law, samples.subarray(0, into.length), into);
  }
}

class G711Depacketizer implements AudioDepacketizer {
  dropped = 0;
  readonly timeline: RtpToRtmpTimeline;
  readonly #blocks: OctetBlocks;
  readonly #frame = createFrame();
  #emit: FrameSink = NO_FRAMES;
  #endTimestamp = -1;

  constructor(options: AudioPacketOptions, law: G711Law) {
    this.timeline = new RtpToRtmpTimeline(options.clockRate, options.clock, options.originMs);
    this.#frame.codec = law;
    this.#blocks = new OctetBlocks(
      g711BlockOctets(options.ptimeMs),
      G711_SILENCE[law],
      (block, timestamp) => this.#sendBlock(block, timestamp),
    );
  }

  restart(): void {
    this.timeline.restart();
    this.#blocks.clear(); // its timestamp belongs to the old source
    this.#endTimestamp = -1;
  }

  push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink): void {
    if (payload.length === 0) {
      this.dropped++;
      return;
    }
    this.#emit = emit;
    this.#blocks.push(payload, timestamp, timestamp !== this.#endTimestamp);
    this.#emit = NO_FRAMES;
    this.#endTimestamp = timestamp + payload.length;
  }

  #sendBlock(block: Uint8Array, timestamp: number): void {
    this.#frame.timeMs = this.timeline.timeMsOf(timestamp);
    this.#frame.data = block;
    this.#emit(this.#frame);
  }
}

function g711BlockOctets(ptimeMs: number | null | undefined): number {
  const ms = ptimeMs === undefined || ptimeMs === null ? DEFAULT_G711_MS : Math.round(ptimeMs);
  return Math.min(200, Math.max(10, ms)) * G711_OCTETS_PER_MS;
}

/** G.711 of one law for a client of the other: each octet has its counterpart, nothing is decoded. */
class LawExchange implements AudioDepacketizer {
  readonly #exchange: (from: Uint8Array, into: Uint8Array) => void;
  readonly #inner: AudioDepacketizer;
  #octets = new Uint8Array(160);

  constructor(from: G711Law, inner: AudioDepacketizer) {
    this.#exchange = from === "pcmu" ? ulawToAlaw : alawToUlaw;
    this.#inner = inner;
  }

  get timeline(): RtpToRtmpTimeline {
    return this.#inner.timeline;
  }

  get dropped(): number {
    return this.#inner.dropped;
  }

  restart(): void {
    this.#inner.restart();
  }

  push(payload: Uint8Array, timestamp: number, marker: boolean, emit: FrameSink, lostBefore: number): void {
    if (this.#octets.length !== payload.length) this.#octets = new Uint8Array(payload.length);
    this.#exchange(payload, this.#octets);
    this.#inner.push(this.#octets, timestamp, marker, emit, lostBefore);
  }
}

const SAMPLE_RATE = 8000;
/** The longest packet that is taken at once: half a second. */
const MAX_PACKET_OCTETS = 4000;

/** Samples of 8 kHz to octets. */
export class G711Encoder implements AudioEncoder {
  /** 8000. */
  readonly sampleRate: number = SAMPLE_RATE;
  readonly frameSamples: number;
  readonly #law: G711Law;
  readonly #packet: Uint8Array;

  /** An encoder of one law. @param frameSamples samples, and octets, of a packet */
  constructor(law: G711Law, frameSamples = 160) {
    this.#law = law;
    this.frameSamples = frameSamples;
    this.#packet = new Uint8Array(frameSamples);
  }

  /** One packet; borrowed until the next. */
  encode(samples: Int16Array): Uint8Array {
    encodeG711(this.#law, samples, this.#packet);
    return this.#packet;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}
}

/** Octets to samples of 8 kHz. */
export class G711Decoder implements AudioDecoder {
  /** 8000. */
  readonly sampleRate: number = SAMPLE_RATE;
  /** 1, or 2 as it was made for. */
  readonly channels: 1 | 2;
  readonly #law: G711Law;
  #samples = new Int16Array(160);

  /** A decoder of one law. @param channels 2: the octets are interleaved stereo */
  constructor(law: G711Law, channels: 1 | 2 = 1) {
    this.#law = law;
    this.channels = channels;
  }

  /** A sample for each octet; every octet means something, but half a pair. */
  decode(packet: Uint8Array): Int16Array {
    const whole = Math.min(MAX_PACKET_OCTETS, packet.length - packet.length % this.channels);
    const octets = packet.length > whole ? packet.subarray(0, whole) : packet;
    if (this.#samples.length !== octets.length) this.#samples = new Int16Array(octets.length);
    decodeG711(this.#law, octets, this.#samples);
    return this.#samples;
  }

  /** Nothing of its own: the audio path repeats what was heard. */
  conceal(): Int16Array {
    return NOTHING;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}
}

const NOTHING = new Int16Array(0);

interface G711Row<Law extends G711Law> {
  readonly law: Law;
  readonly other: G711Law;
  readonly label: string;
  readonly payloadType: number;
  readonly speexToken: string;
  readonly flvId: number;
  readonly rank: { readonly wide: number; readonly narrow: number };
}

function g711Codec<Law extends G711Law>(row: G711Row<Law>): Codec<Law> {
  const { law, other } = row;
  const format = mediaFormat(row.payloadType, law, SAMPLE_RATE);
  return {
    name: law,
    label: row.label,
    kind: "audio",
    encodingName: law,
    tokens: [{ token: law, formats: [format] }, {
      token: row.speexToken,
      formats: [format],
      client: "speex",
    }],
    flv: { ids: [row.flvId], frameHeader: Uint8Array.of(row.flvId << 4 | 2) },
    passthrough: {
      kin: [other],
      law,
      createPacketizer: (options) => new G711Packetizer(options, law),
      createDepacketizer: (options, client) =>
        client === law
          ? new G711Depacketizer(options, law)
          : new LawExchange(law, new G711Depacketizer(options, other)),
      silence: (clockRate) => new Uint8Array(clockRate / 50).fill(G711_SILENCE[law]),
    },
    transcode: {
      client: { codec: law, sampleRate: SAMPLE_RATE },
      clientStereo: { codec: law, sampleRate: SAMPLE_RATE, channels: 2 },
      offers: [{ format, wideband: false, rank: row.rank }],
      createDecoder: (_libraries, { channels }) => new G711Decoder(law, channels ?? 1),
      createEncoder: (_libraries, format) => new G711Encoder(law, packetSamples(format, SAMPLE_RATE)),
    },
  };
}

export const pcmu: Codec<"pcmu"> = g711Codec({
  law: "pcmu",
  other: "pcma",
  label: "G.711 (mu-law)",
  payloadType: 0,
  speexToken: "ulaw",
  flvId: 8,
  rank: { wide: 4, narrow: 1 },
});

export const pcma: Codec<"pcma"> = g711Codec({
  law: "pcma",
  other: "pcmu",
  label: "G.711 (A-law)",
  payloadType: 8,
  speexToken: "alaw",
  flvId: 7,
  rank: { wide: 5, narrow: 2 },
});
