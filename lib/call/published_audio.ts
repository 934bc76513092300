// What must be known of a client's audio before its frames can be decoded: the configuration of AAC, which RTMP
// sends once, often before the call. Lines opened later begin with it.
// Role: machine

import { createTag, readTag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";

/** A larger configuration is not kept. */
const MAX_CONFIG_OCTETS = 64;

/** Keeps the last configuration of one publisher. */
export class PublishedAudio {
  readonly #tag = createTag();
  #config: MediaMessage | null = null;

  /** The last configuration, an own copy; null when none came. */
  get config(): MediaMessage | null {
    return this.#config;
  }

  /** Looks at a message; keeps it when it is a configuration of AAC, of the default track. */
  note(message: MediaMessage): void {
    const { type, body } = message;
    const { kind, content, codec, track, start, end } = readTag(type, body, this.#tag);
    if (kind !== "audio" || content !== "config" || codec !== "aac" || track !== 0 || start === end) return;
    if (body.length <= MAX_CONFIG_OCTETS) this.#config = { ...message, body: body.slice() };
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#config = null;
  }
}
