// What is known of the H.264 of a client before and beside its pictures: the decoder configuration, which RTMP
// sends once. Streams opened later begin with it, and our descriptions name its parameter sets (RFC 6184 8.1).
// Role: machine
// Answers to: _h264.sps and _h264.pps of MediaContext in siprtmp.py.

import { WireError } from "../base/errors.ts";
import { decodeAvcConfig } from "../media/avc_config.ts";
import { ParameterSets } from "../media/parameter_sets.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { SessionDescription } from "../sdp/description.ts";
import { formatFmtp, parseFmtp } from "../sdp/fmtp.ts";
import { isNamed, type MediaFormat } from "../sdp/media_format.ts";

/** Octets of a video tag in front of its data: codec, packet type, composition time. */
const TAG_HEADER_OCTETS = 5;
/** A larger configuration is not kept, nor named in a description. */
const MAX_CONFIG_OCTETS = 2048;
const MAX_SPROP_LENGTH = 1024;

/** Enhanced RTMP: a sequence start of "avc1", whatever the frame type bits say. */
const SEQUENCE_START: readonly number[] = [0x80, 0x61, 0x76, 0x63, 0x31];

/** True for a video tag with an AVC decoder configuration: codec 7, packet type 0 (behaviour 1.8), or Enhanced RTMP. */
export function isVideoConfig(body: Uint8Array): boolean {
  if (body.length <= TAG_HEADER_OCTETS) return false;
  if (body[0]! < 0x80) return (body[0]! & 0x0f) === 7 && body[1] === 0;
  return SEQUENCE_START.every((octet, i) => octet === (i === 0 ? body[0]! & 0x8f : body[i]));
}

/** Keeps the last configuration of one call's publisher. */
export class PublishedVideo {
  #config: MediaMessage | null = null;
  #sprop = "";

  /** The last configuration, an own copy; null when none came. */
  get config(): MediaMessage | null {
    return this.#config;
  }

  /** Looks at a message; keeps it when it is a configuration. */
  note(message: MediaMessage): void {
    if (message.type !== 9 || !isVideoConfig(message.body)) return;
    if (message.body.length > MAX_CONFIG_OCTETS) return;
    this.#config = { ...message, body: message.body.slice() };
    this.#sprop = spropOf(this.#config.body.subarray(TAG_HEADER_OCTETS));
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#config = null;
    this.#sprop = "";
  }

  /** A format of ours as our description should have it: H.264 with the parameter sets, others as they are. */
  described(format: MediaFormat): MediaFormat {
    if (!isNamed(format, "h264")) return format;
    const parameters = new Map(parseFmtp(format.fmtp));
    if (this.#sprop === "") parameters.delete("sprop-parameter-sets");
    else parameters.set("sprop-parameter-sets", this.#sprop);
    return { ...format, fmtp: formatFmtp(parameters) };
  }

  /** A description of ours with all its H.264 formats so. */
  describedIn(description: SessionDescription): SessionDescription {
    const media = description.media.map((section) => ({
      ...section,
      formats: section.formats.map((format) => this.described(format)),
    }));
    return { ...description, media };
  }
}

/** The value of sprop-parameter-sets; empty when the record cannot be read or its sets are too long for a line. */
function spropOf(record: Uint8Array): string {
  try {
    const config = decodeAvcConfig(record);
    const sets = new ParameterSets();
    for (const set of [...config.sps, ...config.pps]) sets.update(set);
    const text = sets.formatSprop();
    return text.length <= MAX_SPROP_LENGTH ? text : "";
  } catch (error) {
    if (error instanceof WireError) return "";
    throw error;
  }
}
