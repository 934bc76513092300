// Paths of streams and the files they may be recorded in: rtmp://host/PATH becomes ROOT / PATH without its first
// element .flv, as siprtmp had it. Whatever could lead out of the root, or means something special to a file system,
// is no file name; it may still be the path of a live stream.
// Role: wire

import { encodeUtf8 } from "../base/bytes.ts";
import { joinStreamPath } from "../rtmp/stream_path.ts";

/** File systems allow 255 bytes; ".flv.part" comes behind. */
const MAX_SEGMENT_BYTES = 240;
const MAX_SEGMENTS = 16;

// deno-lint-ignore no-control-regex -- the control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;

/** Applications with streams of their own, which their own rules guard. */
const OTHER_APPLICATIONS: readonly string[] = ["sip", "call", "line"];

/** Longest path of a stream, in characters. */
const MAX_PATH_LENGTH = 512;

/** True for what may be the app of a connect; "" leaves all to the names. */
export function isAppName(app: string): boolean {
  return app.length <= MAX_PATH_LENGTH && !CONTROL.test(app);
}

/**
 * The path of a stream from the app of connect and the name, wherever they were cut. "flv:film", "film.flv" and "film"
 * are the same stream. Null when nothing is named, it belongs to another application, is too long or has control characters.
 */
export function parseStreamPath(app: string, name: string): string | null {
  const bare = /^(?:flv|mp4):/.test(name) ? name.slice(4) : name;
  const path = bare === "" && name !== "" ? null : joinStreamPath(app, bare);
  if (path === null || path.length > MAX_PATH_LENGTH || CONTROL.test(path)) return null;
  if (OTHER_APPLICATIONS.includes(path.split("/", 1)[0]!)) return null;
  const stem = path.endsWith(".flv") ? path.slice(0, -4) : path;
  return stem === "" || stem.endsWith("/") ? null : stem;
}

/** Where a stream is recorded: folders and file name below the root; null when it must not be. */
export function recordingSegments(path: string): string[] | null {
  const whole = path.split("/");
  const segments = whole.length > 1 ? whole.slice(1) : whole;
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
