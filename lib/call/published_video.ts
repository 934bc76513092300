// What is known of the H.264 of a client before and beside its pictures: the decoder configuration, which RTMP
// sends once. Streams opened later begin with it, and our descriptions name its parameter sets (RFC 6184 8.1).
// Role: machine

import { WireError } from "../base/errors.ts";
import { decodeAvcConfig } from "../codecs/h264/avc_config.ts";
import { ParameterSets } from "../codecs/h264/parameter_sets.ts";
import { createTag, readTag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { SessionDescription } from "../sdp/description.ts";
import { formatFmtp, parseFmtp } from "../sdp/fmtp.ts";
import { withLevelOf } from "../sdp/h264_format.ts";
import { isNamed, type MediaFormat } from "../sdp/media_format.ts";

/** A larger configuration is not kept, nor named in a description. */
const MAX_CONFIG_OCTETS = 2048;
const MAX_SPROP_LENGTH = 1024;

/** Keeps the last configuration of one call's publisher. */
export class PublishedVideo {
  readonly #tag = createTag();
  #config: MediaMessage | null = null;
  #sprop = "";
  #profileLevelId: string | null = null;

  /** The last configuration, an own copy; null when none came. */
  get config(): MediaMessage | null {
    return this.#config;
  }

  /** Looks at a message; keeps it when it is a configuration of H.264, of the default track. */
  note(message: MediaMessage): void {
    const { type, body } = message;
    const { kind, content, codec, track, start, end } = readTag(type, body, this.#tag);
    if (kind !== "video" || content !== "config" || codec !== "h264" || track !== 0 || start === end) return;
    if (body.length > MAX_CONFIG_OCTETS) return;
    this.#config = { ...message, body: body.slice() };
    const sets = parameterSetsOf(this.#config.body.subarray(start, end));
    this.#profileLevelId = sets.profileLevelId;
    const sprop = sets.formatSprop();
    this.#sprop = sprop.length <= MAX_SPROP_LENGTH ? sprop : "";
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#config = null;
    this.#sprop = "";
    this.#profileLevelId = null;
  }

  /**
   * A format of ours as our description should have it: H.264 with the parameter sets, and of the level of what is
   * published where that is higher; others as they are.
   */
  described(format: MediaFormat): MediaFormat {
    if (!isNamed(format, "h264") || this.#profileLevelId === null) return this.#withSprop(format);
    return this.#withSprop({ ...format, fmtp: withLevelOf(format.fmtp, this.#profileLevelId) });
  }

  #withSprop(format: MediaFormat): MediaFormat {
    if (!isNamed(format, "h264")) return format;
    const parameters = new Map(parseFmtp(format.fmtp));
    if (this.#sprop === "") parameters.delete("sprop-parameter-sets");
    else parameters.set("sprop-parameter-sets", this.#sprop);
    return { ...format, fmtp: formatFmtp(parameters) };
  }

  /** A description of ours with the parameter sets; levels stay, for they were agreed. */
  describedIn(description: SessionDescription): SessionDescription {
    const media = description.media.map((section) => ({
      ...section,
      formats: section.formats.map((format) => this.#withSprop(format)),
    }));
    return { ...description, media };
  }
}

/** The sets of a record; none when it cannot be read. */
function parameterSetsOf(record: Uint8Array): ParameterSets {
  const sets = new ParameterSets();
  try {
    const config = decodeAvcConfig(record);
    for (const set of [...config.sps, ...config.pps]) sets.update(set);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return sets;
}
