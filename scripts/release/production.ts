// What of deno.json and deno.lock belongs to the program: the packages that main.ts and lib import, and those they need. The
// rest (compiler, test and lint libraries) stays out of the executable.
// Role: wire

import { ReleaseFault } from "./steps.ts";

export interface DenoConfig {
  readonly version: string;
  readonly unstable: readonly string[];
  readonly imports: Readonly<Record<string, string>>;
}

interface LockedPackage {
  readonly integrity: string;
  readonly dependencies?: readonly string[];
}

export interface DenoLock {
  readonly version: string;
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** As npm writes it: sha512-BASE64. */
  readonly integrity: string;
}

/** The import map without what no source text imports. */
export function productionImports(
  { imports }: DenoConfig,
  sources: readonly string[],
): Record<string, string> {
  const used = Object.entries(imports).filter(([name]) => {
    return sources.some((text) => text.includes(`from "${name}"`));
  });
  return Object.fromEntries(used);
}

/** The configuration that the executable is compiled with. */
export function productionConfig(config: DenoConfig, imports: Record<string, string>): string {
  return JSON.stringify({ unstable: config.unstable, nodeModulesDir: "none", imports }, null, 2);
}

/** The lock file that fits it, with the same versions and hashes. @throws ReleaseFault when a package is not locked */
export function productionLock(lock: DenoLock, imports: Record<string, string>): string {
  const wanted = Object.values(imports).sort();
  const specifiers = Object.fromEntries(wanted.map((specifier) => [specifier, lock.specifiers[specifier]]));
  const npm = Object.fromEntries([...reachable(lock, wanted)].sort().map((id) => [id, lock.npm[id]]));
  return JSON.stringify(
    { version: lock.version, specifiers, npm, workspace: { dependencies: wanted } },
    null,
    2,
  );
}

/** Sorted by name. @throws ReleaseFault when a package is not locked */
export function productionPackages(lock: DenoLock, imports: Record<string, string>): NpmPackage[] {
  return [...reachable(lock, Object.values(imports))].sort().map((id) => {
    const at = id.lastIndexOf("@");
    return { name: id.slice(0, at), version: id.slice(at + 1), integrity: lock.npm[id]!.integrity };
  });
}

function reachable(lock: DenoLock, specifiers: readonly string[]): Set<string> {
  const found = new Set<string>();
  const visit = (id: string): void => {
    if (found.has(id)) return;
    if (lock.npm[id] === undefined) throw new ReleaseFault(`${id} is not in deno.lock`);
    found.add(id);
    for (const name of lock.npm[id].dependencies ?? []) visit(idOf(lock, name));
  };
  for (const specifier of specifiers) visit(specifier.replace(/^npm:/, ""));
  return found;
}

/** A dependency is named alone where only one version of it is locked. */
function idOf(lock: DenoLock, name: string): string {
  if (lock.npm[name] !== undefined) return name;
  return Object.keys(lock.npm).find((id) => id.startsWith(`${name}@`)) ?? name;
}
