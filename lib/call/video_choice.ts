// How the video of a call travels: the choice among the formats both sides have.
// RFC 6184 8.2.2 (modes), RFC 3264 6 and 7.
// Role: wire

import type { AgreedFormat } from "../sdp/agreed_media.ts";
import { parseFmtp } from "../sdp/fmtp.ts";
import { agreedPacketizationMode, withoutSprop } from "../sdp/h264_format.ts";
import type { PlannedFormat } from "./codec_tokens.ts";

/** How video travels. */
export type VideoChain =
  /** No video was agreed. */
  | { readonly kind: "none" }
  | H264Chain
  | XflvChain;

/** H.264 passed through (RFC 6184). */
export interface H264Chain {
  readonly kind: "h264";
  /** Packetization mode both sides take: 0 has no FU-A and STAP-A. */
  readonly mode: 0 | 1;
  /** The peer's parameters, without its parameter sets; null: it gave none. */
  readonly fmtp: string | null;
  /** The peer's sprop-parameter-sets; null: it gave none. They may change while all else stays. */
  readonly sprop: string | null;
  /** Our parameters as the peer was told, without parameter sets. */
  readonly localFmtp: string | null;
  /** RTCP feedback both sides named. */
  readonly rtcpFb: readonly string[];
  readonly sendPayloadType: number;
  /** Payload types of what may arrive: peers that offer several modes may use each. */
  readonly receivePayloadTypes: readonly number[];
}

/** Every message of the client in x-flv, audio too (behaviour 1.9). */
export interface XflvChain {
  readonly kind: "x-flv";
  readonly sendPayloadType: number;
  readonly receivePayloadTypes: readonly number[];
}

/** An agreed format beside the plan's. */
export interface VideoCandidate {
  readonly agreed: AgreedFormat;
  readonly planned: PlannedFormat;
}

const SPROP = "sprop-parameter-sets";

/** The first of the formats both sides have decides the codec. */
export function chooseVideo(found: readonly VideoCandidate[]): VideoChain {
  const [first] = found;
  if (first === undefined) return { kind: "none" };
  const { sendPayloadType, receivePayloadTypes } = first.agreed;
  if (first.planned.client === "x-flv") return { kind: "x-flv", sendPayloadType, receivePayloadTypes };
  return chooseH264(found.filter(({ planned }) => planned.client === "h264").map(({ agreed }) => agreed));
}

/** Of several modes the one that may cut pictures into packets: without it they take datagrams of any size. */
function chooseH264(formats: readonly AgreedFormat[]): H264Chain {
  const isCut = (format: AgreedFormat) => agreedPacketizationMode(format.localFmtp, format.fmtp) === 1;
  const cut = formats.find(isCut);
  const { fmtp, localFmtp, rtcpFb, sendPayloadType } = cut ?? formats[0]!;
  return {
    kind: "h264",
    mode: cut === undefined ? 0 : 1,
    fmtp: withoutSprop(fmtp),
    sprop: parseFmtp(fmtp).get(SPROP) ?? null,
    localFmtp: withoutSprop(localFmtp),
    rtcpFb,
    sendPayloadType,
    receivePayloadTypes: formats.flatMap((format) => format.receivePayloadTypes),
  };
}
