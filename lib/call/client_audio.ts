// How a codec is carried on either side of a call, as formats that an audio path understands; and the words in which
// audio that no call carries is refused.
// Role: wire

import type { AudioFormat, Codec } from "../codecs/codec.ts";
import type { CodecRegistry } from "../codecs/registry.ts";
import { channelsOf } from "../media/flv_tag.ts";
import { codecLabel } from "../media/codec_ids.ts";
import type { CodecName, Frame } from "../media/frame.ts";

/** What a frame of the client is; null when no audio path can take it. The same kind gives the same object. */
export function formatOfFrame(codec: Codec, frame: Frame): AudioFormat | null {
  const { transcode } = codec;
  const stereo = transcode?.clientStereo;
  return stereo !== undefined && channelsOf(frame) === 2 ? stereo : transcode?.client ?? null;
}

/**
 * How a SIP peer carries a codec.
 * @param clockRate its RTP clock, which for most is the sample rate
 * @param ptimeMs packet time the peer asked for; packets have 20, 40 or 60 ms
 */
export function sipFormat(codec: Codec, clockRate: number, ptimeMs: number | null = null): AudioFormat {
  const packetMs = 20 * Math.min(3, Math.max(1, Math.floor((ptimeMs ?? 20) / 20)));
  return { codec: codec.name, sampleRate: codec.transcode?.sampleRate ?? clockRate, packetMs };
}

/** Who sends audio that does not get through, and what would. */
export interface Refused {
  /** What the tag says; of a codec of the registry, its label. */
  readonly sent: Codec | CodecName;
  readonly taken: Codec;
  readonly registry: CodecRegistry;
  /** Whether anything can be converted here. */
  readonly transcoding: boolean;
}

/** Why audio of a client does not reach the remote party, and what can, for the client and the log. */
export function refusalOf({ sent, taken, registry, transcoding }: Refused): string {
  const name = typeof sent === "string" ? codecLabel(sent) ?? "this audio codec" : sent.label;
  if (transcoding) return `${name} cannot be carried in a call: send ${registry.sendable()}`;
  return `${name} is not what the remote party takes, and nothing here can convert it (deno task codecs builds what ` +
    `can): send ${taken.label}`;
}
