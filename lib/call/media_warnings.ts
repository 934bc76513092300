// What goes wrong in the streams of a call and somebody should know: in words for the log, and with a status code
// for the publisher when it is the one who can change it.
// Role: wire

import { describeH264, h264Mismatch, parseH264Parameters } from "../sdp/h264_format.ts";
import { codecLabel } from "../media/codec_ids.ts";
import type { CodecName } from "../media/frame.ts";
import type { H264Drop } from "../codecs/h264/packetizer.ts";
import type { WarningLevel } from "./call_media.ts";
import type { H264Chain } from "./negotiation.ts";

/** One thing that is wrong; told once a call. */
export interface MediaWarning {
  readonly text: string;
  /** Code of the status event for the publisher; null: it is none of its business. */
  readonly status: PublisherStatus | null;
  /** Warning: the call is worth having without. Absent: error for what is not carried, warning for the rest. */
  readonly level?: "warning";
}

export function levelOf({ status, level }: MediaWarning): WarningLevel {
  return level ?? (status === "NetStream.Publish.UnsupportedCodec" ? "error" : "warning");
}

type PublisherStatus =
  | "NetStream.Publish.BFrames"
  | "NetStream.Publish.ProfileMismatch"
  /** What it sends cannot be carried: nobody hears it, or sees it. */
  | "NetStream.Publish.UnsupportedCodec";

/** Different warnings of one line; a peer that invents new ones is not listened to for ever. */
const MAX_WARNINGS = 16;

export const B_FRAMES: MediaWarning = {
  text:
    "client sends B-frames, which many phones cannot show: disable them in the encoder (baseline profile)",
  status: "NetStream.Publish.BFrames",
};

/** The client sends pictures of another codec than was agreed. */
export function codecWarning(sent: CodecName): MediaWarning {
  const name = codecLabel(sent) ?? "an unknown codec";
  const text = `video dropped: client sends ${name}, negotiated is H.264; set the encoder to H.264`;
  return { text, status: "NetStream.Publish.UnsupportedCodec" };
}

/** The client sends pictures that no call carries, into one without video; its sound goes on. */
export function videoWarning(sent: CodecName): MediaWarning {
  const name = codecLabel(sent) ?? "an unknown codec";
  const text = `video dropped: client sends ${name}, calls carry only H.264; set the encoder to H.264`;
  return { text, status: "NetStream.Publish.UnsupportedCodec", level: "warning" };
}

/** None of many H.264 pictures of the client could be sent; null when that is no fault of its encoder. */
export function unsentWarning(reason: H264Drop): MediaWarning | null {
  const why = WHY_UNSENT[reason];
  if (why === undefined) return null;
  return {
    text: `video dropped: ${why}`,
    status: "NetStream.Publish.UnsupportedCodec",
    level: "warning",
  };
}

const WHY_UNSENT: Partial<Record<H264Drop, string>> = {
  unreadable: "the H.264 of the client has neither lengths nor start codes before its NAL units",
  "too large": "pictures of the client do not fit into packets of packetization mode 0; lower the bit rate",
  "no key frame":
    "no key frame (IDR) from the client so far; set the key frame interval to one or two seconds",
  "no parameter sets":
    "no decoder configuration (SPS and PPS) from the client, nor are they in its key frames",
};

/** What the client sends beside what the peer takes; null when they fit, or the peer named no profile. */
export function profileWarning(sentId: string, chain: H264Chain): MediaWarning | null {
  if (!/profile-level-id/i.test(chain.fmtp ?? "")) return null;
  const sent = parseId(sentId);
  const taken = parseH264Parameters(chain.fmtp);
  const mismatch = h264Mismatch(sent, taken);
  if (mismatch === null) return null;
  const text = `client sends H.264 ${describeH264(sent)}, remote party takes ${describeH264(taken)}: ` +
    `it may show nothing; lower the ${mismatch} of the encoder`;
  return { text, status: "NetStream.Publish.ProfileMismatch" };
}

/** What the peer sends beside what we told it; its level does not matter to a player. */
export function remoteProfileWarning(sentId: string, chain: H264Chain): MediaWarning | null {
  const sent = parseId(sentId);
  const told = parseH264Parameters(chain.localFmtp);
  if (h264Mismatch(sent, told) !== "profile") return null;
  return {
    text: `remote party sends H.264 ${describeH264(sent)}, negotiated is ${describeH264(told)}`,
    status: null,
  };
}

/** An answer that does not keep the profile of our offer (RFC 6184 8.2.2); null when it does. */
export function answerWarning(chain: H264Chain): MediaWarning | null {
  if (!/profile-level-id/i.test(chain.fmtp ?? "")) return null;
  const [theirs, ours] = [parseH264Parameters(chain.fmtp), parseH264Parameters(chain.localFmtp)];
  const fits = h264Mismatch(ours, theirs) !== "profile" && h264Mismatch(theirs, ours) !== "profile";
  if (fits) return null;
  return {
    text: `remote party answers with H.264 ${describeH264(theirs)}, offered was ${describeH264(ours)}`,
    status: null,
  };
}

/** Keeps each warning from being told again, and all of them few. */
export class MediaWarnings {
  readonly #told: string[] = [];
  readonly #tell: (warning: MediaWarning) => void;

  /** Idle until its first use. @param tell told each warning once */
  constructor(tell: (warning: MediaWarning) => void) {
    this.#tell = tell;
  }

  /** Tells what was not told before. @param kind equal for warnings of which one is enough; absent: the text */
  note(warning: MediaWarning | null, kind: string = warning?.text ?? ""): void {
    if (warning === null || this.#told.length >= MAX_WARNINGS || this.#told.includes(kind)) return;
    this.#told.push(kind);
    this.#tell(warning);
  }

  /** Tells something that only the log is for; of several details the first. */
  log(text: string, detail = ""): void {
    this.note({ text: detail === "" ? text : `${text}: ${detail}`, status: null }, text);
  }
}

function parseId(profileLevelId: string): ReturnType<typeof parseH264Parameters> {
  return parseH264Parameters(`profile-level-id=${profileLevelId}`);
}
