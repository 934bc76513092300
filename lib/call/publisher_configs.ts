// The decoder configurations of a publisher, which RTMP sends once, often before there is a call: calls to come begin
// with them.
// Role: machine

import type { Codec } from "../codecs/codec.ts";
import { builtInCodecs, type CodecRegistry } from "../codecs/registry.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { CallMedia } from "./call_media.ts";
import { createTag, readTag, type Tag } from "../media/tag.ts";
import { PublishedAudio } from "./published_audio.ts";
import { PublishedVideo } from "./published_video.ts";

export class PublisherConfigs {
  readonly #audio = new PublishedAudio();
  readonly #video = new PublishedVideo();
  #hasVideo = false;

  /** True when its pictures are H.264, as far as is known. */
  get hasVideo(): boolean {
    return this.#hasVideo;
  }

  /** Looks at a message, and keeps a copy when it is a configuration. */
  note(message: MediaMessage, { content, codec, track, cut }: Tag): void {
    const isPicture = content === "config" || content === "key" || content === "frame";
    if (codec === "h264" && track === 0 && isPicture && !cut) this.#hasVideo = true;
    if (content !== "config") return;
    this.#audio.note(message);
    this.#video.note(message);
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#audio.forget();
    this.#video.forget();
    this.#hasVideo = false;
  }

  /** Gives a call what was published before it. */
  prime(media: CallMedia): void {
    for (const { config } of [this.#audio, this.#video]) {
      if (config !== null) media.fromRtmp(config);
    }
  }
}

/**
 * True for audio that can be heard. A decoder configuration is not: OBS sends that of its audio before that of its video,
 * and who dialled with it would dial without video.
 */
export function isSound(message: MediaMessage): boolean {
  if (message.type !== 8 || message.body.length < 2) return false;
  const tag = readTag(8, message.body, createTag());
  return tag.track === 0 && tag.content === "frame";
}

/** What a publisher sends, from its first audio message; null when no call carries its audio. */
export function publisherCodec(body: Uint8Array, registry: CodecRegistry): Codec | null {
  return registry.ofFlvId(readTag(8, body, createTag()).codecId);
}

/** Codec tokens for a publisher; empty when no call carries its audio. */
export function publisherCodecs(
  body: Uint8Array,
  registry: CodecRegistry = builtInCodecs,
): readonly string[] {
  const codec = publisherCodec(body, registry);
  return codec === null ? [] : registry.tokensOf(codec);
}
