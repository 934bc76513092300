// Disks that fail: every file of this process from the k-th write on, or a real one of a few KiB.

/** Errors of the operating system as the runtime words them. */
export const DISK_FAULTS: readonly (readonly [name: string, message: string])[] = [
  ["ENOSPC", "No space left on device (os error 28)"],
  ["EDQUOT", "Disk quota exceeded (os error 122)"],
  ["EIO", "Input/output error (os error 5)"],
  ["EROFS", "Read-only file system (os error 30)"],
  ["EFBIG", "File too large (os error 27)"],
];

/** What goes wrong once a disk is full: writes alone, or whatever changes it. */
export type DiskFailure = "writes" | "everything";

/** From the k-th write on (0: the first) half of the bytes are written, then nothing more, until it is disposed. */
export function failWrites(k: number, message: string, failure: DiskFailure = "writes"): Disposable {
  const { write, truncate, syncData } = Deno.FsFile.prototype;
  let writes = 0;
  const isBroken = (): boolean => writes > k;
  Deno.FsFile.prototype.write = async function (bytes: Uint8Array): Promise<number> {
    if (writes++ < k) return await write.call(this, bytes);
    if (writes === k + 1 && bytes.length > 1) {
      return await write.call(this, bytes.subarray(0, bytes.length >> 1));
    }
    throw new Error(message);
  };
  Deno.FsFile.prototype.truncate = async function (length?: number): Promise<void> {
    if (isBroken() && failure === "everything") throw new Error(message);
    await truncate.call(this, length);
  };
  Deno.FsFile.prototype.syncData = async function (): Promise<void> {
    if (isBroken()) throw new Error(message);
    await syncData.call(this);
  };
  return {
    [Symbol.dispose]: () => void Object.assign(Deno.FsFile.prototype, { write, truncate, syncData }),
  };
}

/** A file system of so many KiB in a new folder below; null where this user may not mount one. */
export async function mountTmpfs(
  folder: string,
  kib: number,
): Promise<({ path: string } & AsyncDisposable) | null> {
  const path = `${folder}/small`;
  await Deno.mkdir(path);
  const run = async (name: string, args: string[]): Promise<boolean> => {
    try {
      return (await new Deno.Command(name, { args, stdout: "null", stderr: "null" }).output()).success;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  };
  if (!await run("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", path])) return null;
  return { path, [Symbol.asyncDispose]: async () => void await run("umount", [path]) };
}
