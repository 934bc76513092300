// The file system, as far as recordings need it: files read and written at positions, names and folders.
// The only file of this folder that names the runtime; every failure is a TransportError with the path in it.
// Deno permissions: --allow-read and --allow-write for the folder of recordings.
// Role: edge

import { messageOf, TransportError } from "../base/errors.ts";

type PathPermission = "read" | "write";

/** What a file is opened for: reading; a new or emptied file; reading and changing one that exists. */
type DiskAccess = "read" | "create" | "update";

const OPEN_OPTIONS: Readonly<Record<DiskAccess, Deno.OpenOptions>> = {
  read: { read: true },
  create: { read: true, write: true, create: true, truncate: true },
  update: { read: true, write: true },
};

/** One open file. One operation at a time. */
export class DiskFile implements Disposable {
  readonly path: string;
  readonly #file: Deno.FsFile;
  #position = 0;
  #open = true;

  private constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
  }

  /** Opens a file. @throws TransportError */
  static async open(path: string, access: DiskAccess): Promise<DiskFile> {
    const attempt = access === "create" ? "create" : "open";
    try {
      demand("read", path);
      if (access !== "read") demand("write", path);
      return new DiskFile(path, await Deno.open(path, OPEN_OPTIONS[access]));
    } catch (error) {
      throw fileError(attempt, path, error);
    }
  }

  /** How many bytes the file has. @throws TransportError */
  async size(): Promise<number> {
    return await this.#try("read", async () => (await this.#file.stat()).size);
  }

  /** Reads at least one byte from `position` on; 0 at the end of the file and once closed. @throws TransportError */
  async readAt(position: number, into: Uint8Array): Promise<number> {
    if (!this.#open) return 0;
    return await this.#try("read", async () => {
      await this.#moveTo(position);
      const count = await this.#file.read(into) ?? 0;
      this.#position += count;
      return count;
    });
  }

  /** Writes all bytes. @throws TransportError */
  async writeAt(position: number, bytes: Uint8Array): Promise<void> {
    await this.#try("write", async () => {
      await this.#moveTo(position);
      for (let at = 0; at < bytes.length;) {
        const count = await this.#file.write(bytes.subarray(at));
        at += count;
        this.#position += count;
      }
    });
  }

  /** Cuts the file off. @throws TransportError */
  async truncate(length: number): Promise<void> {
    await this.#try("write", () => this.#file.truncate(length));
  }

  /** Waits until what was written is on the disk. @throws TransportError */
  async sync(): Promise<void> {
    await this.#try("write", () => this.#file.syncData());
  }

  /** Closes the file; harmless when it is closed. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #moveTo(position: number): Promise<void> {
    if (position === this.#position) return;
    this.#position = Number.NaN; // unknown should the seek fail
    this.#position = await this.#file.seek(position, Deno.SeekMode.Start);
  }

  async #try<T>(action: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw fileError(action, this.path, error);
    }
  }
}

/** Gives a file another name, in one step; a file of that name is replaced. @throws TransportError */
export async function renameFile(from: string, to: string): Promise<void> {
  try {
    for (const path of [from, to]) demand("write", path);
    await Deno.rename(from, to);
  } catch (error) {
    throw fileError("name", to, error);
  }
}

/** Removes a file. @throws TransportError */
export async function removeFile(path: string): Promise<void> {
  try {
    demand("write", path);
    await Deno.remove(path);
  } catch (error) {
    throw fileError("remove", path, error);
  }
}

/** Makes a folder and those above it; harmless when it exists. @throws TransportError */
export async function makeFolder(path: string): Promise<void> {
  try {
    demand("write", path);
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw fileError("make the folder", path, error);
  }
}

/** What has a name; links are followed, one that leads nowhere is "missing". @throws TransportError */
export async function kindOf(path: string): Promise<"file" | "folder" | "other" | "missing"> {
  try {
    demand("read", path);
    const found = await Deno.stat(path);
    return found.isFile ? "file" : found.isDirectory ? "folder" : "other";
  } catch (error) {
    if (isMissing(error)) return "missing";
    throw fileError("look at", path, error);
  }
}

/** Where a path leads when all links are followed; null when nothing is there. @throws TransportError */
export async function realPath(path: string): Promise<string | null> {
  try {
    demand("read", path);
    return await Deno.realPath(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw fileError("look at", path, error);
  }
}

/** True when the name itself is a link, wherever it leads. @throws TransportError */
export async function isLink(path: string): Promise<boolean> {
  try {
    demand("read", path);
    return (await Deno.lstat(path)).isSymlink;
  } catch (error) {
    if (isMissing(error)) return false;
    throw fileError("look at", path, error);
  }
}

/**
 * On a terminal the runtime would ask its user, and everything would wait for the answer: what was not permitted at the
 * start is an error at once.
 */
function demand(name: PathPermission, path: string): void {
  if (Deno.permissions.querySync({ name, path }).state === "granted") return;
  throw new Deno.errors.NotCapable(`the program was started without the permission to ${name} it`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

function fileError(action: string, path: string, error: unknown): TransportError {
  const reason = messageOf(error).replace(/ \(os error \d+\)(?:: .*)?$/s, ""); // it says the path again
  return new TransportError(`Cannot ${action} ${path}: ${reason}`, "failed", { cause: error });
}
