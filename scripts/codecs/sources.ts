// Finds the source archives of the codec libraries, each known by its SHA-256 and by nothing else:
// kept from before, named by SIPRTMP_CODEC_SOURCES, from the project's own download sites, from Debian.
// Role: edge

import { downloadSourcePackages } from "./apt.ts";
import type { SourceArchive } from "./recipe.ts";

/** The environment variable that names an archive, or a folder with archives. */
export const SOURCES_VARIABLE = "SIPRTMP_CODEC_SOURCES";
const SITE_TIMEOUT_MS = 20_000;
/** No archive of ours is larger. */
const MAX_ARCHIVE_OCTETS = 8 * 1024 * 1024;

/** What can be swapped in tests. */
export interface SourceAccess {
  /** Value of {@link SOURCES_VARIABLE}, or undefined. */
  readonly local: string | undefined;
  /** Folder where archives are kept between builds. */
  readonly cache: string;
  /** Downloads, as fetch does. */
  readonly fetch: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
  /** Downloads Debian source packages into a folder; the reason when it cannot. */
  readonly apt: typeof downloadSourcePackages;
}

/** The archives found, by SHA-256, and why others were not. */
export interface FoundSources {
  /** Bytes by SHA-256. */
  readonly found: ReadonlyMap<string, Uint8Array>;
  /** One line: why the rest is missing; "" when nothing is. */
  readonly reason: string;
}

/** Finds as many of `wanted` as can be had. */
export async function findSources(
  wanted: readonly SourceArchive[],
  access: SourceAccess,
): Promise<FoundSources> {
  const search = new SourceSearch(wanted);
  await search.readPath(access.cache);
  if (access.local !== undefined && access.local !== "") await search.readPath(access.local);
  const kept = search.missing;
  if (kept.length > 0) await search.fetchFromSites(access.fetch);
  if (search.missing.length > 0) await search.fetchFromDebian(access.apt);
  for (const archive of kept) await keep(access.cache, archive, search.found.get(archive.sha256));
  return { found: search.found, reason: search.missing.length === 0 ? "" : search.reasons.join("; ") };
}

/** SHA-256 of some bytes, hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice()));
  return sum.toHex();
}

class SourceSearch {
  readonly found = new Map<string, Uint8Array>();
  readonly reasons: string[] = [];
  readonly #wanted: readonly SourceArchive[];

  constructor(wanted: readonly SourceArchive[]) {
    this.#wanted = wanted;
  }

  get missing(): SourceArchive[] {
    return this.#wanted.filter((archive) => !this.found.has(archive.sha256));
  }

  /** Takes what is wanted from a file, or from the files of a folder. */
  async readPath(path: string): Promise<void> {
    try {
      const isFolder = (await Deno.stat(path)).isDirectory;
      const paths = [path];
      if (isFolder) {
        paths.pop();
        for await (const entry of Deno.readDir(path)) if (entry.isFile) paths.push(`${path}/${entry.name}`);
      }
      for (const file of paths) if (/gz$/.test(file)) await this.#take(await Deno.readFile(file));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Asks the sites one archive after another; a site that does not answer is not asked again. */
  async fetchFromSites(fetch: SourceAccess["fetch"]): Promise<void> {
    const silent = new Set<string>();
    for (const archive of this.missing) {
      for (const url of archive.urls) {
        const { host } = new URL(url);
        if (this.found.has(archive.sha256) || silent.has(host)) continue;
        if (!await this.#fetchOne(fetch, url)) silent.add(host);
      }
    }
    if (silent.size > 0) this.reasons.push(`no answer from ${[...silent].join(", ")}`);
  }

  async #fetchOne(fetch: SourceAccess["fetch"], url: string): Promise<boolean> {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(SITE_TIMEOUT_MS) });
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.ok) await this.#take(bytes);
      return true;
    } catch (error) {
      if (error instanceof TypeError || error instanceof DOMException) return false;
      throw error;
    }
  }

  /** Asks Debian's packages for all that is missing, one download for all. */
  async fetchFromDebian(apt: SourceAccess["apt"]): Promise<void> {
    const folder = await Deno.makeTempDir({ prefix: "siprtmp-codecs-" });
    try {
      const reason = await apt(this.missing.map((archive) => archive.debianPackage), folder);
      if (reason !== null) this.reasons.push(reason);
      await this.readPath(folder);
      if (reason === null && this.missing.length > 0) this.reasons.push("Debian has other versions");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  async #take(bytes: Uint8Array): Promise<void> {
    if (bytes.length > MAX_ARCHIVE_OCTETS) return;
    const sum = await sha256(bytes);
    if (this.#wanted.some((archive) => archive.sha256 === sum)) this.found.set(sum, bytes);
  }
}

async function keep(cache: string, archive: SourceArchive, bytes: Uint8Array | undefined): Promise<void> {
  if (bytes === undefined) return;
  await Deno.mkdir(cache, { recursive: true });
  await Deno.writeFile(`${cache}/${archive.fileName}`, bytes);
}
