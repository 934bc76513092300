// Small text files of the administrator: certificates, keys, users. Read whole, at the start and on reload.
// Deno permissions: --allow-read for the file.
// Role: edge

import { messageOf, TransportError } from "../base/errors.ts";

/** Longest file that is read: a users file of a hundred thousand lines still fits. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

const FAULTS: ReadonlyMap<string, string> = new Map([
  ["NotFound", "there is no such file"],
  ["PermissionDenied", "permission denied"],
  ["NotCapable", "this program was started without the permission to read it"],
  ["IsADirectory", "it is a folder"],
]);

/** Reads a file as UTF-8. Throws {@link TransportError}, in words for the administrator. */
export async function readTextFile(path: string): Promise<string> {
  try {
    // It may be read again at any time: the runtime must not wait for its user then.
    if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") {
      throw new Deno.errors.NotCapable();
    }
    const { size, isFile } = await Deno.stat(path);
    if (isFile && size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes`);
    return await Deno.readTextFile(path);
  } catch (error) {
    const known = error instanceof Error ? FAULTS.get(error.name) : undefined;
    throw new TransportError(`Cannot read ${path}: ${known ?? messageOf(error)}`, "failed", { cause: error });
  }
}

/** Resident memory of the whole process, workers included, in bytes. Costs some microseconds: not per packet. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}
