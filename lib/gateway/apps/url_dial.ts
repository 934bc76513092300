// Dialling by URL: rtmp://gateway/sip/user@domain?dial=number lets a program that can only publish or play
// (ffmpeg, ffplay, OBS) make a call. The call starts with its first audio, or with its play; when the call is over
// the connection ends, which such programs understand. A player may say what it wants to hear, and that it wants
// to see: &audio=aac&video=h264; both, for how long it may ring and last, in seconds: &answer-timeout=30
// &max-duration=3600. A publisher that has sent its video configuration by then calls with video.
// Role: wire

import { createTag, readTag } from "../../media/tag.ts";
import type { MediaMessage } from "../../rtmp/message.ts";
import { parseQuery } from "../query.ts";

export interface UrlDial {
  readonly destination: string;
  /** Codec tokens of a program that plays. */
  readonly playerCodecs: readonly string[];
  /** How long it may ring; null: as long as the far end lets it. */
  readonly answerTimeoutSeconds: number | null;
  /** How long the call may last; null: as long as it likes. */
  readonly maxDurationSeconds: number | null;
}

/** What most programs can play, and passes through as it is. */
const PLAYER_CODECS: readonly string[] = ["pcmu", "pcma", "wideband"];

const ASKED_CODECS: Readonly<Record<string, readonly string[]>> = {
  aac: ["aac"],
  opus: ["opus"],
  speex: ["wideband", "narrowband"],
  pcmu: ["pcmu"],
  pcma: ["pcma"],
};

/** What the query of a URL asks for, or nothing. */
export function dialledByUrl(query: string): UrlDial | null {
  const parameters = parseQuery(query);
  const destination = parameters.get("dial")?.trim() ?? "";
  if (destination === "" || destination.length > 256) return null;
  const asked = parameters.get("audio")?.trim().toLowerCase() ?? "";
  const audio = Object.hasOwn(ASKED_CODECS, asked) ? ASKED_CODECS[asked]! : PLAYER_CODECS;
  const video = parameters.get("video")?.trim().toLowerCase() === "h264" ? ["h264"] : [];
  return {
    destination,
    playerCodecs: [...audio, ...video],
    answerTimeoutSeconds: secondsIn(parameters, "answer-timeout", 600),
    maxDurationSeconds: secondsIn(parameters, "max-duration", 604_800),
  };
}

/** Null for what is not there, 0, or makes no sense: a typing error must not cost the call. */
function secondsIn(parameters: URLSearchParams, name: string, max: number): number | null {
  const text = parameters.get(name)?.trim() ?? "";
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return seconds >= 1 && seconds <= max ? seconds : null;
}

/**
 * True for audio that can be heard. A decoder configuration, or where its channels are, is not yet, and OBS sends that of its audio before that of
 * its video: who dialled with it would dial without video.
 */
export function isSound(message: MediaMessage): boolean {
  if (message.type !== 8 || message.body.length < 2) return false;
  const tag = readTag(8, message.body, createTag());
  return tag.track === 0 && tag.content === "frame";
}

/** Codec tokens for a publisher, from its first audio message; empty when nobody here understands its audio. */
export function publisherCodecs(body: Uint8Array): readonly string[] {
  const { codec } = readTag(8, body, createTag());
  switch (codec) {
    case "speex":
      return ["wideband", "narrowband"];
    case "pcmu":
    case "pcma":
    case "aac":
    case "opus":
      return [codec];
    default:
      return [];
  }
}
