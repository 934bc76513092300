// The folder of recordings (-r): finds files in it and makes places for new ones. A path is believed only after
// all links in it have been followed and it still lies in the folder; what is no regular file is refused.
// Role: edge

import { encodeUtf8, trimEndCharacters } from "../base/bytes.ts";
import { TransportError } from "../base/errors.ts";
import { isLink, kindOf, makeFolder, realPath } from "../flv/disk.ts";
import { joinStreamPath } from "../rtmp/stream_path.ts";

/** A file, or why there is none; the reason is for the client and shows no path of this machine. */
export type FoundFile =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "refused"; readonly reason: string };

const NOT_A_FILE = "this name cannot be that of a file";

export class MediaFolder {
  readonly #root: string;

  /** Nothing is looked at yet. @param root the folder, relative or absolute */
  constructor(root: string) {
    this.#root = root;
  }

  /** The recording of a stream. @throws TransportError when the disk fails */
  async find(path: string): Promise<FoundFile> {
    const segments = recordingSegments(path);
    if (segments === null) return refused(NOT_A_FILE);
    const root = await realPath(this.#root);
    const file = root === null ? null : await realPath(join(root, segments));
    if (root === null || file === null) return refused("there is no such recording");
    if (!isBelow(root, file) || await kindOf(file) !== "file") return refused("there is no such recording");
    return { type: "file", path: file };
  }

  /** Where a stream is to be recorded; its folders are made. @throws TransportError when the disk fails */
  async place(path: string): Promise<FoundFile> {
    const segments = recordingSegments(path);
    if (segments === null) return refused(NOT_A_FILE);
    if (await kindOf(this.#root) === "missing") await makeFolder(this.#root);
    const root = await realPath(this.#root);
    if (root === null) throw new TransportError(`Cannot find the folder ${this.#root}`, "failed");
    const folder = await makeFolders(root, segments.slice(0, -1));
    if (folder === null) return refused(NOT_A_FILE);
    return await checkedTarget(root, join(folder, segments.slice(-1)));
  }
}

/** Folder by folder, so that none is made through a link that leads out; null when one is in the way. */
async function makeFolders(root: string, segments: readonly string[]): Promise<string | null> {
  let folder = root;
  for (const segment of segments) {
    const below = join(folder, [segment]);
    if (await kindOf(below) === "missing") {
      if (await isLink(below)) return null;
      await makeFolder(below);
    }
    const real = await realPath(below);
    if (real === null || !isBelow(root, real) || await kindOf(real) !== "folder") return null;
    folder = real;
  }
  return folder;
}

/** A link may stand for a file of the folder, never for a file elsewhere nor for one that is not there. */
async function checkedTarget(root: string, target: string): Promise<FoundFile> {
  if (await isLink(`${target}.part`)) return refused(NOT_A_FILE);
  const linked = await isLink(target);
  const real = linked ? await realPath(target) : target;
  if (real === null || !isBelow(root, real)) return refused(NOT_A_FILE);
  for (const path of [real, `${real}.part`]) {
    const kind = await kindOf(path);
    if (kind !== "file" && kind !== "missing") return refused(NOT_A_FILE);
  }
  return { type: "file", path: real };
}

function join(folder: string, segments: readonly string[]): string {
  return [trimEndCharacters(folder, "\\/"), ...segments].join("/");
}

function isBelow(root: string, path: string): boolean {
  const base = trimEndCharacters(root, "\\/");
  return path.length > base.length + 1 && path.startsWith(base) && /[\\/]/.test(path[base.length]!);
}

function refused(reason: string): FoundFile {
  return { type: "refused", reason };
}

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
