// One RTP stream of a call as whoever asks sees it: which codecs it was agreed for, and the counters of its session.
// Role: wire

import type { RtpStats } from "../rtp/rtcp_channel.ts";
import type { Direction } from "../sdp/description.ts";

/** A codec on the wire, and what it is on the RTMP side; another one there: it is transcoded. */
export interface StreamCodec {
  readonly payloadType: number;
  readonly codec: string;
  /** Null: there is no RTMP side. */
  readonly client: string | null;
}

export interface StreamCodecs {
  /** RTP clock of what is sent, in Hz. */
  readonly clockRate: number;
  readonly send: StreamCodec;
  /** What may arrive, the preferred one first. */
  readonly receive: readonly StreamCodec[];
}

export interface StreamRecord extends StreamCodecs {
  readonly kind: "audio" | "video";
  /** Ours: "sendonly" means we send. */
  readonly direction: Direction;
  /** The remote party does not want to hear us. */
  readonly heldByRemote: boolean;
  /** Where it is sent to: "203.0.113.9:4000"; null: nowhere now. */
  readonly peer: string | null;
  readonly stats: RtpStats;
}
