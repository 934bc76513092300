// The folder of recordings (-r): finds files in it and makes places for new ones. A path is believed only after
// all links in it have been followed and it still lies in the folder; what is no regular file is refused.
// Role: edge

import { TransportError } from "../base/errors.ts";
import { trimEndCharacters } from "../base/trim.ts";
import { isLink, kindOf, makeFolder, realPath } from "../flv/disk.ts";
import { recordingSegments } from "./stream_name.ts";

/** A file, or why there is none; the reason is for the client and shows no path of this machine. */
export type FoundFile =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "refused"; readonly reason: string };

const NOT_A_FILE = "this name cannot be that of a file";

/** Files below one folder. */
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
