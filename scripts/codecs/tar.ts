// Reads a gzipped tar (POSIX ustar) into memory.
// Role: edge

const BLOCK = 512;
/** No source archive of ours unpacks to more. */
const MAX_OCTETS = 64 * 1024 * 1024;

/** The regular files of a .tar.gz, by path below its first folder. */
export async function readTarGz(archive: Uint8Array): Promise<Map<string, Uint8Array>> {
  const packed = new Blob([archive.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
  const tar = new Uint8Array(await new Response(packed).arrayBuffer());
  if (tar.length > MAX_OCTETS) throw new Error("the archive is larger than any that is expected");
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0;) {
    const size = parseInt(textAt(tar, at + 124, 12), 8) || 0;
    const isFile = tar[at + 156] === 0 || tar[at + 156] === 0x30;
    if (isFile) {
      files.set(nameAt(tar, at).replace(/^[^/]*\//, ""), tar.subarray(at + BLOCK, at + BLOCK + size));
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function nameAt(tar: Uint8Array, at: number): string {
  const prefix = textAt(tar, at + 257, 5) === "ustar" ? textAt(tar, at + 345, 155) : "";
  const name = textAt(tar, at, 100);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function textAt(tar: Uint8Array, at: number, length: number): string {
  return new TextDecoder().decode(tar.subarray(at, at + length)).split("\0", 1)[0]!.trim();
}
