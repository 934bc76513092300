// What every audio codec of this project looks like: a decoder gives 16-bit samples of one packet, an encoder
// takes exactly one packet's worth of mono samples. Everything is borrowed and nothing waits.
// Role: wire

export type AudioCodecName = "speex" | "pcmu" | "pcma" | "g722" | "aac" | "opus";

export interface AudioFormat {
  readonly codec: AudioCodecName;
  /**
   * Samples a second: Speex 8000 or 16000, G.711 8000, G.722 16000, Opus 48000 or what is wanted of it, AAC what
   * its AudioSpecificConfig says (to decode) or what to encode with.
   */
  readonly sampleRate: number;
  /** Audio in one packet made here, a multiple of 20 ms; default 20. AAC has 1024 samples, whatever this says. */
  readonly packetMs?: number;
  /** Speex quality 0-10; default 8. */
  readonly quality?: number;
  /** 2: interleaved stereo; G.711 to decode, as a tag of RTMP may be, or AAC to encode. Others say so themselves. */
  readonly channels?: 1 | 2;
  /** Bits a second for Opus (default 32000) and AAC (default 48000 or less at low rates). */
  readonly bitrate?: number;
}

export interface AudioDecoder extends Disposable {
  readonly sampleRate: number;
  /** 1, or 2 for interleaved stereo; may change with each packet. */
  readonly channels: number;
  /**
   * The samples of one packet, borrowed until any codec of the same kind is used again; maybe none.
   * @throws WireError when the packet is damaged; the decoder goes on with the next one
   */
  decode(packet: Uint8Array): Int16Array;
  /**
   * Samples in place of lost audio, at least `samples` a channel unless the codec cannot conceal: then none.
   * Borrowed like those of decode.
   */
  conceal(samples: number): Int16Array;
  /**
   * The last `samples` before `packet`, as far as `packet` tells of them (Opus, in-band FEC), else concealed. Absent:
   * packets of this codec tell nothing of each other. Borrowed like those of decode.
   * @throws WireError when the packet is damaged
   */
  recover?(packet: Uint8Array, samples: number): Int16Array;
}

/** Turns mono samples into packets of one codec. */
export interface AudioEncoder extends Disposable {
  readonly sampleRate: number;
  readonly frameSamples: number;
  /** Encodes exactly `frameSamples` samples; the packet is borrowed until the next one of the same codec. */
  encode(samples: Int16Array): Uint8Array;
}

/** Time of a packet when nothing else is said. */
const DEFAULT_PACKET_MS = 20;

/** True when audio can go from one format to the other without decoding. */
export function sameAudioFormat(a: AudioFormat, b: AudioFormat): boolean {
  return a.codec === b.codec && (a.codec !== "speex" || a.sampleRate === b.sampleRate);
}

/** RTP clock rate of a format: G.722 counts 8000 for its 16000 samples (RFC 3551 4.5.2), Opus always 48000. */
export function rtpClockRate(format: AudioFormat): number {
  if (format.codec === "g722") return 8000;
  return format.codec === "opus" ? 48000 : format.sampleRate;
}

/** Samples of one packet of `format` at `sampleRate`. */
export function packetSamples(format: AudioFormat, sampleRate: number): number {
  return sampleRate * (format.packetMs ?? DEFAULT_PACKET_MS) / 1000;
}
