// What the RTMP client sends and plays, and what SIP peers send, as formats that an audio path understands; and
// the words in which audio that nobody here understands is refused. A client sends what it likes, whatever was
// agreed: each message says by itself what it is.
// Role: wire

import type { AudioFormat } from "../codecs/codec.ts";
import { channelsOf } from "../media/flv_tag.ts";
import type { CodecName, Frame } from "../media/frame.ts";

/** Audio a client may send and play. */
export type ClientAudio = "speex" | "pcmu" | "pcma" | "aac" | "opus";

/** Audio a SIP peer may send and take. */
export type SipAudio = "speex" | "pcmu" | "pcma" | "g722" | "opus";

/**
 * The formats of RTMP, one object each. Speex is wideband (FLV knows no other); its narrowband packets are
 * wideband packets without the upper layer. AAC is made with 48 kHz: its frames are shortest there, 21 ms.
 */
const CLIENT_FORMATS: Readonly<Record<ClientAudio, AudioFormat>> = {
  speex: { codec: "speex", sampleRate: 16000 },
  pcmu: { codec: "pcmu", sampleRate: 8000 },
  pcma: { codec: "pcma", sampleRate: 8000 },
  aac: { codec: "aac", sampleRate: 48000 },
  opus: { codec: "opus", sampleRate: 48000 },
};

const STEREO_PCMU: AudioFormat = { codec: "pcmu", sampleRate: 8000, channels: 2 };
const STEREO_PCMA: AudioFormat = { codec: "pcma", sampleRate: 8000, channels: 2 };

/** What a client of this codec plays. */
export function clientFormat(codec: ClientAudio): AudioFormat {
  return CLIENT_FORMATS[codec];
}

/** What an audio frame of the client is; null when no audio path can take it. The same frames give the same object. */
export function formatOfFrame(frame: Frame): AudioFormat | null {
  switch (frame.codec) {
    case "pcmu":
      return channelsOf(frame) === 2 ? STEREO_PCMU : CLIENT_FORMATS.pcmu;
    case "pcma":
      return channelsOf(frame) === 2 ? STEREO_PCMA : CLIENT_FORMATS.pcma;
    case "speex":
    case "aac":
    case "opus":
      return CLIENT_FORMATS[frame.codec];
    default:
      return null;
  }
}

/**
 * How a SIP peer carries a codec.
 * @param clockRate its RTP clock, which for Speex is its sample rate
 * @param ptimeMs packet time the peer asked for; packets have 20, 40 or 60 ms
 */
export function sipFormat(codec: SipAudio, clockRate: number, ptimeMs: number | null = null): AudioFormat {
  const packetMs = 20 * Math.min(3, Math.max(1, Math.floor((ptimeMs ?? 20) / 20)));
  const sampleRate = codec === "g722" ? 16000 : codec === "opus" ? 48000 : clockRate;
  return { codec, sampleRate, packetMs };
}

const NAMES: Partial<Record<CodecName, string>> = {
  linear16: "linear PCM",
  mp3: "MP3",
  nellymoser: "Nellymoser",
  adpcm: "ADPCM",
  flac: "FLAC",
  ac3: "AC-3",
  eac3: "E-AC-3",
  aac: "AAC",
  opus: "Opus",
  speex: "Speex",
  pcmu: "G.711 (mu-law)",
  pcma: "G.711 (A-law)",
};

/**
 * Why audio of a client cannot be sent to the far end, and what can, for the client and the log.
 * @param taken what the far end takes
 * @param transcoding whether anything can be converted here
 */
export function refusalOf(codec: CodecName, taken: SipAudio, transcoding: boolean): string {
  const name = NAMES[codec] ?? "this audio codec";
  if (transcoding) return `${name} cannot be carried in a call: send AAC, Opus, Speex or G.711`;
  return `${name} is not what the far end takes, and nothing here can convert it (deno task codecs builds what ` +
    `can): send ${NAMES[taken] ?? taken}`;
}
