// What a codec is to the rest of siprtmp: one value that says everything anybody asks of it. A codec is one file with
// such a value, and a row in registry.ts. Decoders give 16-bit samples, encoders take mono; all of it is borrowed.
// Role: wire

import type { Clock } from "../base/clock.ts";
import type { Depacketizer, Packetizer } from "../media/frame.ts";
import type { RtmpToRtpTimeline, RtpToRtmpTimeline } from "../media/timeline.ts";
import type { MediaFormat } from "../sdp/media_format.ts";
import type { CodecLibrary, CodecModule, ModuleExports } from "./wasm_library.ts";

export interface Codec<Name extends string = string> {
  /** In logs, in records of calls, and what `accepted` tells the client. */
  readonly name: Name;
  readonly label: string;
  readonly kind: "audio" | "video";
  /** Its a=rtpmap, in lower case; absent: RTP does not carry it here. */
  readonly encodingName?: string;
  readonly tokens: readonly CodecToken[];
  /** How RTMP carries it; absent: no audio of clients. */
  readonly flv?: FlvAudio;
  readonly passthrough?: Passthrough;
  readonly transcode?: Transcode;
}

export interface CodecToken {
  readonly token: string;
  /** What stands in SDP for it, by default in this order. */
  readonly formats: readonly MediaFormat[];
  /** The codec that the client sends and plays, where that is another one; null: it carries no media of the client. */
  readonly client?: string | null;
  /** The codec of `formats`, where that is another one. */
  readonly remote?: string;
  readonly prefix?: true;
  /** An offer is not judged by it before the client has named it: siprtmp's own clients do not know it. */
  readonly late?: true;
}

interface FlvAudio {
  /** Format numbers of FLV or FourCCs, as Tag.codecId has them; onMetaData says the first. */
  readonly ids: readonly number[];
  /** What stands before each frame, and before a configuration. */
  readonly frameHeader: Uint8Array;
  readonly configHeader?: Uint8Array;
  /** The configuration to begin with, when the encoder does not make one. */
  readonly config?: Uint8Array;
}

interface Passthrough {
  /** Codecs whose frames it packs as well, and for whose clients it unpacks: G.711 of the other law. */
  readonly kin?: readonly string[];
  createPacketizer(options: AudioPacketOptions): AudioPacketizer;
  /** @param client the codec that the client plays: this one, or kin */
  createDepacketizer(options: AudioPacketOptions, client: string): AudioDepacketizer;
  /** 20 ms of silence as a payload. */
  silence(clockRate: number): Uint8Array;
  /** Set where an octet is a sample: DTMF is sent and heard as sound then. */
  readonly law?: "pcmu" | "pcma";
}

export interface AudioPacketOptions {
  readonly clockRate: number;
  readonly clock: Clock;
  /** Packet time the peer asked for (`a=ptime`); absent or null: as the tag has it, or 20 ms. */
  readonly ptimeMs?: number | null;
  /** What `clock.now()` was at RTMP time 0; only depacketizers use it. */
  readonly originMs?: number;
}

export interface AudioPacketizer extends Packetizer {
  readonly timeline: RtmpToRtpTimeline;
  /** Frames that could not be carried: another codec, broken, absurd size. */
  readonly dropped: number;
  /** The publisher starts over: its next time means "now". */
  restart(): void;
}

export interface AudioDepacketizer extends Depacketizer {
  readonly timeline: RtpToRtmpTimeline;
  /** Payloads that were no audio of this codec. */
  readonly dropped: number;
  /** The RTP source changed: its next timestamp means "now". */
  restart(): void;
}

export interface Transcode {
  /** The WebAssembly that decodes and encodes; absent: none is needed. */
  readonly decoding?: CodecModule<ModuleExports>;
  readonly encoding?: CodecModule<ModuleExports>;
  /** What a client sends and plays, one object; absent: clients have it not. */
  readonly client?: AudioFormat;
  /** The same of a tag that says stereo, where the octets do not say so themselves. */
  readonly clientStereo?: AudioFormat;
  /** Samples a second on the SIP side; absent: the RTP clock. */
  readonly sampleRate?: number;
  readonly offers: readonly TranscodedOffer[];
  /** @param sampleRate what is wanted, by codecs that can choose */
  createDecoder(libraries: Libraries, format: AudioFormat, sampleRate: number): AudioDecoder;
  /** @param sampleRate what is wanted, by codecs that can choose */
  createEncoder(libraries: Libraries, format: AudioFormat, sampleRate: number): AudioEncoder;
  /** Set where nothing can be decoded before a configuration has come. */
  readonly configured?: ConfiguredDecoding;
}

export interface TranscodedOffer {
  readonly format: MediaFormat;
  /** More than telephone quality: offered first to clients that have it, last to those that do not. */
  readonly wideband: boolean;
  /** Places among all such formats, for clients with wideband audio and without: lowest first. */
  readonly rank: { readonly wide: number; readonly narrow: number };
}

/** Of a codec whose decoder is made from a configuration that the source sends. */
export interface ConfiguredDecoding {
  /** @throws WireError when the config is of an unknown kind */
  createDecoder(libraries: Libraries, config: Uint8Array): AudioDecoder;
  configOf(data: Uint8Array): Uint8Array;
  /** Takes frames out of tags, one source at a time. */
  createFrames(): TagFrames;
  /** What the source is told when there is none. */
  readonly missing: string;
  unusable(reason: string): string;
}

/** Coded frames within one tag after another; nothing is allocated per frame. */
export interface TagFrames {
  /** The configuration of the frame that next() has found, when it says one. */
  readonly config: Uint8Array;
  /** True when it differs from that of the frame before. */
  readonly changed: boolean;
  readonly start: number;
  readonly end: number;
  /** Why the data cannot be read at all; null: it can. */
  refusal(data: Uint8Array): string | null;
  /** False: the data is one frame as it is. */
  open(data: Uint8Array): boolean;
  /** Finds the next frame; false behind the last whole one. */
  next(): boolean;
}

export interface Libraries {
  /** @throws Error when the module is missing */
  of<E extends ModuleExports>(module: CodecModule<E>): CodecLibrary<E>;
}

export interface AudioFormat {
  readonly codec: string;
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
  /** What must be sent before the first packet; absent: nothing. */
  readonly config?: Uint8Array;
  /** Encodes exactly `frameSamples` samples; the packet is borrowed until the next one of the same codec. */
  encode(samples: Int16Array): Uint8Array;
}

/** Time of a packet when nothing else is said. */
const DEFAULT_PACKET_MS = 20;

/** Samples of one packet of `format` at `sampleRate`. */
export function packetSamples(format: AudioFormat, sampleRate: number): number {
  return sampleRate * (format.packetMs ?? DEFAULT_PACKET_MS) / 1000;
}
