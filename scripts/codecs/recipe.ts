// What one codec module is built from: a pinned source archive, our shim, and the compiler's view of both.
// Role: wire

/** Where the source of a library comes from, and how it is known to be the right one. */
export interface SourceArchive {
  /** File name of the release, a gzipped tar. */
  readonly fileName: string;
  /** SHA-256 of the archive, hexadecimal. */
  readonly sha256: string;
  /** The project's own download addresses, in order. */
  readonly urls: readonly string[];
  /** Debian source package with the same archive inside. */
  readonly debianPackage: string;
}

/** Text files of an archive, by path below its first folder. */
export type ArchiveTexts = ReadonlyMap<string, string>;

/** How one module is made. */
export interface Recipe {
  /** Name of the module: `speex` gives speex.wasm. */
  readonly name: string;
  /** What people call it. */
  readonly title: string;
  /** The source. */
  readonly archive: SourceArchive;
  /** SHA-256 of the module, hexadecimal: the same on every machine. */
  readonly sha256: string;
  /** Which files of the archive the compiler gets to see. */
  readonly keep: RegExp;
  /** The archive's own C files to compile, besides our shim. */
  readonly sources: (texts: ArchiveTexts) => readonly string[];
  /** Our files, from this folder: the shim first. */
  readonly own: readonly string[];
  /** Folders to look for headers in. */
  readonly includes: readonly string[];
  /** Macros, as NAME or NAME=VALUE. */
  readonly defines: readonly string[];
  /** Small files that ./configure would have written. */
  readonly generated?: Readonly<Record<string, string>>;
  /** Text of the archive to replace everywhere in a file: path, what must be there, what is put there. */
  readonly edits?: readonly (readonly [path: string, from: string, to: string])[];
}
