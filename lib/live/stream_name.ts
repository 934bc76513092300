// Names of streams and the files they may be recorded in: rtmp://host/PATH and a NAME become
// ROOT / PATH without its first element / NAME.flv, as siprtmp had it. Whatever could lead out of the root, or
// means something special to a file system, is no file name; it may still be the name of a live stream.
// Role: wire
// Answers to: getfilename of rtmp.py, which refused "/../" and nothing else.

import { encodeUtf8 } from "../base/bytes.ts";
import { trimCharacters } from "../base/trim.ts";

/** Longest path and name; those of real programs are far shorter. */
const MAX_PATH_LENGTH = 512;
const MAX_NAME_LENGTH = 256;

/** File systems allow 255 bytes; ".flv.part" comes behind. */
const MAX_SEGMENT_BYTES = 240;
const MAX_SEGMENTS = 16;

// deno-lint-ignore no-control-regex -- the control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;

/** The path of a connect, without slashes around it; null when it is empty, too long or has control characters. */
export function parseStreamPath(app: string): string | null {
  if (app.length > MAX_PATH_LENGTH || CONTROL.test(app)) return null;
  const path = trimCharacters(app, "/");
  return path === "" ? null : path;
}

/** True for what may be the name of a stream. */
export function isStreamName(name: string): boolean {
  return name !== "" && name.length <= MAX_NAME_LENGTH && !CONTROL.test(name);
}

/**
 * Where a stream is recorded: folders and file name below the root; null when it must not be. "flv:film",
 * "film.flv" and "film" are the same file.
 */
export function recordingSegments(path: string, name: string): string[] | null {
  if (!isStreamName(name)) return null;
  const [, ...scope] = path.split("/");
  const bare = name.replace(/^flv:/, "").replace(/\.flv$/, "");
  const segments = [...scope, ...bare.split("/")];
  if (segments.length > MAX_SEGMENTS || !segments.every(isSegment)) return null;
  segments.push(`${segments.pop()!}.flv`);
  return segments;
}

/** No way up, no absolute path, no drive, no separator of another system, no name that some system changes. */
function isSegment(segment: string): boolean {
  if (segment === "" || segment === "." || segment === "..") return false;
  if (/[\\:*?"<>|]/.test(segment) || CONTROL.test(segment) || /[. ]$/.test(segment)) return false;
  return encodeUtf8(segment).length <= MAX_SEGMENT_BYTES;
}
