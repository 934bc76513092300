// What a late joiner needs before any frame: metadata, and the decoder configurations of sound and pictures, those of
// every track. Bodies are never changed once they are here, so players compare them by identity.
// Role: machine

import { equalBytes } from "../base/bytes.ts";
import { headerSlot, isHeader, type Tag } from "../media/tag.ts";

/** More than this is no header: metadata of a few values, configuration of a few hundred bytes. */
export const MAX_LIVE_HEADER_BYTES = 64 * 1024;
/** Configurations of one stream: of pictures and sound of some tracks. What comes when it is full is not kept. */
export const MAX_LIVE_HEADERS = 32;
const MAX_BYTES = 256 * 1024;

export interface LiveHeader {
  /** 8 sound, 9 pictures. */
  readonly type: 8 | 9;
  /** The next one with the same number takes its place. */
  readonly slot: number;
  /** Tag body, as 17 00 or AF 00; its own copy. */
  readonly body: Uint8Array;
}

/** What came so far. */
export interface LiveHeaders {
  /** onMetaData; null before the first. */
  readonly metadata: Uint8Array | null;
  /** Configurations, those of pictures first, else in the order in which they came. */
  readonly configs: readonly LiveHeader[];
}

/** Nothing yet. */
export const NO_HEADERS: LiveHeaders = { metadata: null, configs: [] };

/** The headers with a tag in its place; the same object when nothing changes. */
export function withHeader(headers: LiveHeaders, tag: Tag, body: Uint8Array): LiveHeaders {
  if (tag.content === "metadata") return withMetadata(headers, body);
  if (!isHeader(tag) || body.length > MAX_LIVE_HEADER_BYTES) return headers;
  const slot = headerSlot(tag);
  const known = headers.configs.find((config) => config.slot === slot);
  if (known !== undefined && equalBytes(known.body, body)) return headers;
  if (known === undefined && headers.configs.length >= MAX_LIVE_HEADERS) return headers;
  const others = headers.configs.filter((config) => config !== known);
  if (others.reduce((sum, config) => sum + config.body.length, body.length) > MAX_BYTES) return headers;
  const fresh: LiveHeader = { type: tag.kind === "audio" ? 8 : 9, slot, body: body.slice() };
  const configs = [...others, fresh].sort((a, b) => b.type - a.type);
  return { ...headers, configs };
}

function withMetadata(headers: LiveHeaders, body: Uint8Array): LiveHeaders {
  if (body.length > MAX_LIVE_HEADER_BYTES) return headers;
  const known = headers.metadata;
  return known !== null && equalBytes(known, body) ? headers : { ...headers, metadata: body.slice() };
}
