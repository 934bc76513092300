// The codecs of one call, resolved when it is set up: what packs the client's frames, and which payload types of the
// remote party are unpacked for the client as they are, or transcoded.
// Role: machine

import type { AudioDepacketizer, AudioPacketizer, Codec } from "../codecs/codec.ts";
import type { CodecRegistry } from "../codecs/registry.ts";
import type { Clock } from "../base/clock.ts";
import { sipFormat } from "./client_audio.ts";
import type { DtmfStreamOptions } from "./dtmf_stream.ts";
import type { NegotiatedAudio, ReceivedAudio } from "./negotiation.ts";
import type { PeerAudio } from "./transcode_bridge.ts";

export interface ReceivedFormat extends PeerAudio {
  /** What the client gets. */
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

/** What silence is sent in. */
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

export interface ReceivingParts {
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
