// Audio that passes between RTMP and RTP as it is: what packs and unpacks each codec that both sides know, and which
// payload types of the peer need that, or transcoding.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { type ClientAudio, type SipAudio, sipFormat } from "./client_audio.ts";
import type { DtmfStreamOptions } from "./dtmf_stream.ts";
import type { NegotiatedAudio, ReceivedAudio } from "./negotiation.ts";
import type { PeerAudio } from "./transcode_bridge.ts";
import {
  type AudioDepacketizer,
  type AudioPacketizer,
  createAudioDepacketizer,
  createAudioPacketizer,
} from "../media/audio_packets.ts";
import type { CodecName, FrameSink } from "../media/frame.ts";
import { alawToUlaw, G711_SILENCE, ulawToAlaw } from "../media/g711.ts";
import { OpusDepacketizer, OpusPacketizer } from "../media/opus_packets.ts";
import type { RtpToRtmpTimeline } from "../media/timeline.ts";

export interface ReceivedFormat extends PeerAudio {
  /** Unpacks it for a client that plays it as it is; null: it is transcoded. */
  readonly pass: AudioDepacketizer | null;
}

export function codecForPeer(chain: NegotiatedAudio): SipAudio {
  return chain.kind === "transcode" ? chain.to : chain.kind;
}

/** What the client was told, or is taken, to send. */
export function codecOfClient(chain: NegotiatedAudio): ClientAudio {
  return chain.kind === "transcode" ? chain.from : chain.kind;
}

/** What the client plays when something must be transcoded for it. */
export function codecForPlayer(chain: NegotiatedAudio): ClientAudio {
  return chain.receive.find((audio) => audio.codec !== audio.toClient)?.toClient ?? codecOfClient(chain);
}

/** True when frames of the client are payloads for the peer: G.711 of either law is, its octets are exchanged. */
export function passesAsItIs(sent: CodecName, taken: SipAudio): boolean {
  return sent === taken || isG711(sent) && isG711(taken);
}

function isG711(codec: CodecName): boolean {
  return codec === "pcmu" || codec === "pcma";
}

/** The G.711 of a call, both ways: it can carry touch tones as sound. */
export function soundOf(chain: NegotiatedAudio): Pick<DtmfStreamOptions, "sentSound" | "heardSound"> {
  const sent = codecForPeer(chain);
  const heardSound = chain.receive.flatMap(({ payloadType, codec }) =>
    codec === "pcmu" || codec === "pcma" ? { payloadType, law: codec } : []
  );
  const sendsSound = sent === "pcmu" || sent === "pcma";
  return { sentSound: sendsSound ? { payloadType: chain.sendPayloadType, law: sent } : null, heardSound };
}

/** What packs frames of the peer's own codec; null: no client can send that. */
export function createPacketizer(chain: NegotiatedAudio, clock: Clock): AudioPacketizer | null {
  const codec = codecForPeer(chain);
  if (codec === "g722") return null;
  if (codec === "opus") return new OpusPacketizer({ clock });
  return createAudioPacketizer({ codec, clockRate: chain.clockRate, clock, ptimeMs: chain.ptimeMs });
}

/** What to do with each payload type of the peer, by its number; the same codec under two numbers is one voice. */
export function createReceivedFormats(
  received: readonly ReceivedAudio[],
  times: { readonly clock: Clock; readonly originMs: number },
): (ReceivedFormat | null)[] {
  const voices: (ReceivedFormat | null)[] = new Array(128).fill(null);
  received.forEach((audio, index) => {
    const { codec, clockRate, toClient } = audio;
    const same = received.findIndex((other) =>
      other.codec === codec && other.clockRate === clockRate && other.toClient === toClient
    );
    voices[audio.payloadType] = same < index ? voices[received[same]!.payloadType]! : {
      format: sipFormat(codec, clockRate),
      clockRate,
      pass: createDepacketizer(audio, times),
    };
  });
  return voices;
}

function createDepacketizer(
  { codec, clockRate, toClient }: ReceivedAudio,
  times: { readonly clock: Clock; readonly originMs: number },
): AudioDepacketizer | null {
  if (codec === "pcmu" && toClient === "pcma" || codec === "pcma" && toClient === "pcmu") {
    return new LawExchange(codec, createAudioDepacketizer({ codec: toClient, clockRate, ...times }));
  }
  if (codec !== toClient) return null;
  return codec === "opus"
    ? new OpusDepacketizer(times)
    : createAudioDepacketizer({ codec, clockRate, ...times });
}

/** G.711 of one law for a client of the other: each octet has its counterpart, nothing is decoded. */
class LawExchange implements AudioDepacketizer {
  readonly #exchange: (from: Uint8Array, into: Uint8Array) => void;
  readonly #inner: AudioDepacketizer;
  #octets = new Uint8Array(160);

  constructor(from: "pcmu" | "pcma", inner: AudioDepacketizer) {
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

export const SILENT_PACKET_MS = 20;
/** Speex that says nothing is coded (submode 0), padded as RFC 5574 3.3 has it: narrowband, and with its wideband layer. */
const SPEEX_NARROWBAND = Uint8Array.of(0b00000_011);
const SPEEX_WIDEBAND = Uint8Array.of(0b00000_100, 0b0_0111111);
/** 20 ms of CELT whose first bit says silence (RFC 6716 4.3). */
const OPUS = Uint8Array.of(0xf8, 0xff, 0xfe);

/** A packet of silence in what goes to the peer; null: it is transcoded, which makes its own. */
export function silentPayload({ kind, clockRate }: NegotiatedAudio): Uint8Array | null {
  switch (kind) {
    case "pcmu":
    case "pcma":
      return new Uint8Array(clockRate * SILENT_PACKET_MS / 1000).fill(G711_SILENCE[kind]);
    case "speex":
      return clockRate === 8000 ? SPEEX_NARROWBAND : SPEEX_WIDEBAND;
    case "opus":
      return OPUS;
    case "transcode":
      return null;
  }
}
