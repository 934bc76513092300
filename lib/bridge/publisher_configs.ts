// The decoder configurations of a publisher, which RTMP sends once, often before there is a call: calls to come begin
// with them.
// Role: machine
// Answers to: nothing; siprtmp forwarded what came and kept nothing.

import type { MediaMessage } from "../rtmp/message.ts";
import type { CallMedia } from "./call_media.ts";
import { isAudioConfig, PublishedAudio } from "./published_audio.ts";
import { isVideoConfig } from "./published_video.ts";

/** True for a message that says how to decode the ones behind it. */
export function isConfig({ type, body }: MediaMessage): boolean {
  return type === 8 ? isAudioConfig(body) : type === 9 && isVideoConfig(body);
}

/** What is kept of one publisher. */
export class PublisherConfigs {
  readonly #audio = new PublishedAudio();
  #video: MediaMessage | null = null;

  /** True when its pictures are H.264, as far as is known. */
  get hasVideo(): boolean {
    return this.#video !== null;
  }

  /** Looks at a message, and keeps a copy when it is a configuration. */
  note(message: MediaMessage): void {
    if (!isConfig(message)) return;
    if (message.type === 8) this.#audio.note(message);
    else this.#video = { ...message, body: message.body.slice() };
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#audio.forget();
    this.#video = null;
  }

  /** Gives a call what was published before it. */
  prime(media: CallMedia): void {
    if (this.#audio.config !== null) media.fromRtmp(this.#audio.config);
    if (this.#video !== null) media.fromRtmp(this.#video);
  }
}
