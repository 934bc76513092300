// The codecs that are built in, by name, as tests like to say them.
// Role: wire

import { sipFormat as formatOf } from "../../lib/call/audio_passthrough.ts";
import type {
  AudioDepacketizer,
  AudioFormat,
  AudioPacketizer,
  AudioPacketOptions,
  Codec,
} from "../../lib/codecs/codec.ts";
import { type BuiltInCodec, builtInCodecs } from "../../lib/codecs/registry.ts";

/** Audio that SIP peers have. */
export type SipAudio = Exclude<BuiltInCodec, "aac" | "telephone-event" | "h264" | "x-flv">;
/** Audio that clients have. */
export type ClientAudio = Exclude<SipAudio, "g722"> | "aac";

export function codecNamed(name: string): Codec {
  return builtInCodecs.named(name)!;
}

/** What a client of this codec sends and plays. */
export function clientFormat(codec: ClientAudio): AudioFormat {
  return codecNamed(codec).transcode!.client!;
}

export function sipFormat(codec: SipAudio, clockRate: number, ptimeMs: number | null = null): AudioFormat {
  return formatOf(codecNamed(codec), clockRate, ptimeMs);
}

/** Codecs that pass through. */
export type PassThroughAudio = "speex" | "pcmu" | "pcma";

type NamedOptions = AudioPacketOptions & { readonly codec: PassThroughAudio };

export function createAudioPacketizer({ codec, ...options }: NamedOptions): AudioPacketizer {
  return codecNamed(codec).passthrough!.createPacketizer(options);
}

export function createAudioDepacketizer({ codec, ...options }: NamedOptions): AudioDepacketizer {
  return codecNamed(codec).passthrough!.createDepacketizer(options, codec);
}

/** As with every module there is. */
export const FULL_TRANSCODING: ReadonlySet<string> = new Set(
  builtInCodecs.codecs.filter(({ transcode }) => transcode !== undefined).map(({ name }) => name),
);
