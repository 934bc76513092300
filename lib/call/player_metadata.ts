// What a player of a call is told before its first tag: which streams there will be. Players made with ffmpeg's
// libraries listen for 5 s to find that out for themselves, and stay that much behind for the rest of the call.
// Adobe FLV file format 10.1, annex E.5 (onMetaData); Enhanced RTMP (a FourCC as codec id).
// Role: machine
// siprtmp's own clients needed no metadata, and still get none.

import { encodeAmf0 } from "../amf/amf0.ts";
import { AmfEcmaArray } from "../amf/value.ts";
import type { TagSink } from "./call_media.ts";
import type { ClientAudio } from "./client_audio.ts";
import type { AudioChain, MediaChoice } from "./negotiation.ts";

/** Codec ids of FLV; Opus has none, and is named by its FourCC. */
const AUDIO_IDS: Readonly<Record<ClientAudio, number>> = {
  pcma: 7,
  pcmu: 8,
  aac: 10,
  speex: 11,
  opus: 0x4f707573,
};

const AVC_ID = 7;

/** The body of onMetaData for what was agreed; null: x-flv, where the far end's own metadata comes through. */
export function metadataOf({ audio, video }: MediaChoice): Uint8Array | null {
  const sound = soundOf(audio);
  if (video.kind === "x-flv" || (sound === null && video.kind === "none")) return null;
  const members = {
    duration: 0,
    ...(sound !== null && { audiocodecid: AUDIO_IDS[sound] }),
    ...(video.kind === "h264" && { videocodecid: AVC_ID }),
  };
  return encodeAmf0(["onMetaData", new AmfEcmaArray(members)]); // as an object, ffmpeg does not read it
}

/** What the player gets of the format the peer likes best. */
function soundOf(audio: AudioChain): ClientAudio | null {
  if (audio.kind === "none" || audio.kind === "x-flv") return null;
  return audio.receive[0]?.toClient ?? null;
}

/** Puts the metadata in front of what each player gets. */
export class AnnouncedOutlet implements TagSink {
  readonly #metadata: Uint8Array | null;
  readonly #sink: TagSink;
  readonly #heard: () => boolean;
  #due = true;

  /** Nothing is said before the first tag. @param heard whether what is put now reaches anybody */
  constructor(choice: MediaChoice, sink: TagSink, heard: () => boolean) {
    this.#metadata = metadataOf(choice);
    this.#sink = sink;
    this.#heard = heard;
  }

  /** Somebody else plays from now on. */
  playerChanged(): void {
    this.#due = true;
  }

  /** One tag; borrowed. */
  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (this.#due && this.#heard()) this.#announce();
    this.#sink.play(type, timeMs, body);
  }

  /** At time 0: programs made with ffmpeg's libraries take later metadata for a stream of its own. */
  #announce(): void {
    this.#due = false;
    if (this.#metadata !== null) this.#sink.play(18, 0, this.#metadata);
  }
}
