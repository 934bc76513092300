// What a late joiner needs before any frame: metadata, and the decoder configuration of sound and pictures.
// Bodies are never changed once they are here, so players compare them by identity.
// Role: machine
// Answers to: the cached metadata and AVC header of the wirecast application of rtmp.py; AAC is new.

import { equalBytes } from "../base/bytes.ts";
import type { TagKind } from "../flv/tag_kind.ts";

/** More than this is no header: metadata of a few values, configuration of a few hundred bytes. */
export const MAX_LIVE_HEADER_BYTES = 64 * 1024;

/** Bodies as they came; null before the first. */
export interface LiveHeaders {
  /** onMetaData. */
  readonly metadata: Uint8Array | null;
  /** Configuration of the pictures, as 17 00. */
  readonly video: Uint8Array | null;
  /** Configuration of the sound, as AF 00. */
  readonly audio: Uint8Array | null;
}

/** Nothing yet. */
export const NO_HEADERS: LiveHeaders = { metadata: null, video: null, audio: null };

/** The headers with a tag of this kind in its place; the same object when nothing changes. */
export function withHeader(headers: LiveHeaders, kind: TagKind, body: Uint8Array): LiveHeaders {
  const name = kind === "metadata"
    ? "metadata"
    : kind === "video header"
    ? "video"
    : kind === "audio header"
    ? "audio"
    : null;
  if (name === null || body.length > MAX_LIVE_HEADER_BYTES) return headers;
  const known = headers[name];
  return known !== null && equalBytes(known, body) ? headers : { ...headers, [name]: body.slice() };
}
