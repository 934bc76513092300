// The codecs of one call, resolved when it is set up: what packs the client's frames, and which payload types of the
// remote party are unpacked for the client as they are, or transcoded.
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { DtmfStreamOptions } from "./dtmf_stream.ts";
import type { NegotiatedAudio, ReceivedAudio } from "./negotiation.ts";
import type { AudioDepacketizer, AudioFormat, AudioPacketizer, Codec } from "../codecs/codec.ts";
import type { CodecRegistry } from "../codecs/registry.ts";
import { codecLabel } from "../media/codec_ids.ts";
import { channelsOf } from "../media/flv_tag.ts";
import type { CodecName, Frame } from "../media/frame.ts";

export interface PeerAudio {
  readonly format: AudioFormat;
  readonly clockRate: number;
}

export interface ReceivedFormat extends PeerAudio {
  readonly client: Codec;
  /** Unpacks it for a client that plays it as it is; null: it is transcoded. */
  readonly pass: AudioDepacketizer | null;
}

/** A codec that was agreed. @throws Error for a name that the registry has not */
export function agreedCodec(registry: CodecRegistry, name: string): Codec {
  const codec = registry.named(name);
  if (codec === null) throw new Error(`no codec is named ${name}`);
  return codec;
}

/** What the client plays when something must be transcoded for it. */
export function codecForPlayer(chain: NegotiatedAudio): string {
  return chain.receive.find((audio) => audio.codec !== audio.toClient)?.toClient ?? chain.client;
}

/** True when frames of the client are payloads for the peer: G.711 of either law is, its octets are exchanged. */
export function passesAsItIs(sent: Codec, taken: Codec): boolean {
  if (taken.passthrough === undefined) return false;
  return sent.name === taken.name || taken.passthrough.kin?.includes(sent.name) === true;
}

export const SILENT_PACKET_MS = 20;

/** A packet of silence for the remote party; null: it is transcoded, which makes its own. */
export function silentPayload(
  { client, remote, clockRate }: NegotiatedAudio,
  registry: CodecRegistry,
): Uint8Array | null {
  if (client !== remote) return null;
  return agreedCodec(registry, remote).passthrough?.silence(clockRate) ?? null;
}

/** The G.711 of a call, both ways: it can carry DTMF as sound. */
export function soundOf(
  chain: NegotiatedAudio,
  registry: CodecRegistry,
): Pick<DtmfStreamOptions, "sentSound" | "heardSound"> {
  const soundAt = (payloadType: number, codec: string) => {
    const law = agreedCodec(registry, codec).passthrough?.law;
    return law === undefined ? null : { payloadType, law };
  };
  return {
    sentSound: soundAt(chain.sendPayloadType, chain.remote),
    heardSound: chain.receive.flatMap(({ payloadType, codec }) => soundAt(payloadType, codec) ?? []),
  };
}

/** What packs frames of the peer's own codec; null: no client can send that. */
export function createPacketizer(
  { remote, clockRate, ptimeMs }: NegotiatedAudio,
  registry: CodecRegistry,
  clock: Clock,
): AudioPacketizer | null {
  const { passthrough } = agreedCodec(registry, remote);
  return passthrough?.createPacketizer({ clockRate, clock, ptimeMs }) ?? null;
}

interface ReceivingParts {
  readonly registry: CodecRegistry;
  readonly clock: Clock;
  readonly originMs: number;
}

/** What to do with each payload type of the peer, by its number; the same codec under two numbers is one format. */
export function createReceivedFormats(
  received: readonly ReceivedAudio[],
  parts: ReceivingParts,
): (ReceivedFormat | null)[] {
  const formats: (ReceivedFormat | null)[] = new Array(128).fill(null);
  received.forEach((audio, index) => {
    const { codec, clockRate, toClient } = audio;
    const same = received.findIndex((other) =>
      other.codec === codec && other.clockRate === clockRate && other.toClient === toClient
    );
    formats[audio.payloadType] = same < index
      ? formats[received[same]!.payloadType]!
      : createReceivedFormat(audio, parts);
  });
  return formats;
}

function createReceivedFormat(
  { codec: name, clockRate, toClient }: ReceivedAudio,
  { registry, clock, originMs }: ReceivingParts,
): ReceivedFormat {
  const [codec, client] = [agreedCodec(registry, name), agreedCodec(registry, toClient)];
  const pass = passesAsItIs(client, codec)
    ? codec.passthrough!.createDepacketizer({ clockRate, clock, originMs }, toClient)
    : null;
  return { format: sipFormat(codec, clockRate), clockRate, client, pass };
}

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
interface Refused {
  /** What the tag says; of a codec of the registry, its label. */
  readonly sent: Codec | CodecName;
  readonly taken: Codec;
  readonly registry: CodecRegistry;
  readonly transcoding: boolean;
}

/** Why audio of a client does not reach the remote party, and what can, for the client and the log. */
export function refusalOf({ sent, taken, registry, transcoding }: Refused): string {
  const name = typeof sent === "string" ? codecLabel(sent) ?? "this audio codec" : sent.label;
  if (transcoding) return `${name} cannot be carried in a call: send ${registry.sendable()}`;
  return `${name} is not what the remote party takes, and nothing here can convert it: ` +
    `send ${taken.label}`;
}
