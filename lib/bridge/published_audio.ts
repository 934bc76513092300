// What must be known of a client's audio before its frames can be decoded: the configuration of AAC, which RTMP
// sends once, often before the call. Lines opened later begin with it.
// Role: machine
// Answers to: nothing; siprtmp dropped AAC.

import type { MediaMessage } from "../rtmp/message.ts";

/** First octet and FourCC "mp4a" of a sequence start (Enhanced RTMP). */
const SEQUENCE_START = [0x90, 0x6d, 0x70, 0x34, 0x61] as const;
/** A larger configuration is not kept. */
const MAX_CONFIG_OCTETS = 64;

/** True for an audio tag with an AudioSpecificConfig. */
export function isAudioConfig(body: Uint8Array): boolean {
  if (body.length > 2 && body[0]! >> 4 === 10) return body[1] === 0;
  if (body[0] !== SEQUENCE_START[0]) return false; // nearly all messages
  return body.length > SEQUENCE_START.length && SEQUENCE_START.every((octet, i) => body[i] === octet);
}

/** Keeps the last configuration of one publisher. */
export class PublishedAudio {
  #config: MediaMessage | null = null;

  /** The last configuration, an own copy; null when none came. */
  get config(): MediaMessage | null {
    return this.#config;
  }

  /** Looks at a message; keeps it when it is a configuration. */
  note(message: MediaMessage): void {
    if (message.type !== 8 || !isAudioConfig(message.body)) return;
    if (message.body.length <= MAX_CONFIG_OCTETS) this.#config = { ...message, body: message.body.slice() };
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#config = null;
  }
}
