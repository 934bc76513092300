// What is known of a publisher before and beside its frames: the decoder configurations, which RTMP sends once, often before
// there is a call: calls to come begin with them, and our descriptions name the parameter sets of H.264 (RFC 6184 8.1).
// Role: machine

import { WireError } from "../base/errors.ts";
import type { CallMedia } from "./call_media.ts";
import type { Codec } from "../codecs/codec.ts";
import { decodeAvcConfig } from "../codecs/h264/avc_config.ts";
import { ParameterSets } from "../codecs/h264/parameter_sets.ts";
import { builtInCodecs, type CodecRegistry } from "../codecs/registry.ts";
import { createTag, readTag, type Tag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { SessionDescription } from "../sdp/description.ts";
import { formatFmtp, parseFmtp } from "../sdp/fmtp.ts";
import { withLevelOf } from "../sdp/h264_format.ts";
import { isNamed, type MediaFormat } from "../sdp/media_format.ts";

export class PublisherConfigs {
  readonly video = new PublishedVideo();
  readonly #audio: PublishedAudio;
  #hasVideo = false;

  constructor(registry: CodecRegistry = builtInCodecs) {
    this.#audio = new PublishedAudio(registry);
  }

  /** True when its pictures are H.264, as far as is known. */
  get hasVideo(): boolean {
    return this.#hasVideo;
  }

  /** Looks at a message, and keeps a copy when it is a configuration. */
  note(message: MediaMessage, tag: Tag): void {
    const { content, codec, track, cut } = tag;
    const isPicture = content === "config" || content === "key" || content === "frame";
    if (codec === "h264" && track === 0 && isPicture && !cut) this.#hasVideo = true;
    if (content !== "config") return;
    this.#audio.note(message, tag);
    this.video.note(message, tag);
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#audio.forget();
    this.video.forget();
    this.#hasVideo = false;
  }

  /** Gives a call what was published before it. */
  prime(media: Pick<CallMedia, "fromRtmp">): void {
    for (const { config } of [this.#audio, this.video]) {
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

/** A larger configuration is not kept. */
const MAX_AUDIO_CONFIG_OCTETS = 64;

export class PublishedAudio {
  readonly #registry: CodecRegistry;
  #config: MediaMessage | null = null;

  constructor(registry: CodecRegistry = builtInCodecs) {
    this.#registry = registry;
  }

  /** The last configuration, an own copy; null when none came. */
  get config(): MediaMessage | null {
    return this.#config;
  }

  /** Looks at a message; keeps it when it is a configuration of the default track, of a codec that needs one. */
  note(message: MediaMessage, { kind, content, codecId, track, start, end }: Tag): void {
    const { body } = message;
    if (kind !== "audio" || content !== "config" || track !== 0 || start === end) return;
    if (this.#registry.ofFlvId(codecId)?.transcode?.configured === undefined) return;
    if (body.length <= MAX_AUDIO_CONFIG_OCTETS) this.#config = { ...message, body: body.slice() };
  }

  /** Another publisher: what is kept is not its. */
  forget(): void {
    this.#config = null;
  }
}

/** A larger configuration is not kept, nor named in a description. */
const MAX_VIDEO_CONFIG_OCTETS = 2048;
const MAX_SPROP_LENGTH = 1024;

/** Keeps the last configuration of one call's publisher. */
export class PublishedVideo {
  #config: MediaMessage | null = null;
  #sprop = "";
  #profileLevelId: string | null = null;

  /** The last configuration, an own copy; null when none came. */
  get config(): MediaMessage | null {
    return this.#config;
  }

  /** Looks at a message; keeps it when it is a configuration of H.264, of the default track. */
  note(message: MediaMessage, { kind, content, codec, track, start, end }: Tag): void {
    const { body } = message;
    if (kind !== "video" || content !== "config" || codec !== "h264" || track !== 0 || start === end) return;
    if (body.length > MAX_VIDEO_CONFIG_OCTETS) return;
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
