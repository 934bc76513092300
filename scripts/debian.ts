// `deno task debian [--target T] [--executable PATH]`: a Debian package in dist/ from an executable that `deno task compile`
// has put there, or from another file; it is named in dist/SHA256SUMS.
// Role: edge

import { DIST, readSources, ROOT, type Sources, writeSums } from "./release/executables.ts";
import { changelogFile, controlFile, copyrightFile, debianName, debianVersion } from "./release/debian.ts";
import { isThere, lastLine, ReleaseFault, removeFolder, run, runStep, say } from "./release/steps.ts";
import { executableName, type Target } from "./release/targets.ts";
import { targetsOf } from "./compile.ts";

/** Files of the package: where from, where to, mode. */
const FILES: readonly (readonly [from: string, to: string, mode: number])[] = [
  ["deploy/siprtmp.service", "usr/lib/systemd/system/siprtmp.service", 0o644],
  ["deploy/siprtmp.toml", "etc/siprtmp/siprtmp.toml", 0o644],
  ["README.md", "usr/share/doc/siprtmp/README.md", 0o644],
  ["deploy/debian/lintian-overrides", "usr/share/lintian/overrides/siprtmp", 0o644],
  ["deploy/debian/postinst", "DEBIAN/postinst", 0o755],
  ["deploy/debian/prerm", "DEBIAN/prerm", 0o755],
  ["deploy/debian/postrm", "DEBIAN/postrm", 0o755],
];

export interface Package {
  readonly target: Target;
  /** Absent: that of the target in dist/. */
  readonly executable?: string;
  /** Where the package goes; absent: dist/. */
  readonly folder?: string;
  /** Of dpkg-deb; absent: xz, a minute for a quarter of the size. */
  readonly compression?: "xz" | "gzip" | "none";
}

/** Path of the package. @throws ReleaseFault */
export async function makeDebianPackage(
  { target, executable, folder = DIST, compression = "xz" }: Package,
): Promise<string> {
  const sources = await readSources();
  const name = debianName(sources.version, target);
  const from = executable ?? `${DIST}/${executableName(sources.version, target)}`;
  if (!await isThere(from)) {
    throw new ReleaseFault(`${from} is missing: deno task compile --target ${target.name}`);
  }
  const making = `${folder}/.debian`;
  await removeFolder(making);
  try {
    await fill(`${making}/package`, { target, executable: from, sources });
    const environment = { SOURCE_DATE_EPOCH: String(Date.parse(sources.created) / 1000) };
    const build = ["dpkg-deb", "--root-owner-group", `-Z${compression}`, "--build", "package", name];
    const { success, text } = await run(build, making, environment);
    if (!success) throw new ReleaseFault(`${name} cannot be made: ${lastLine(text)}`);
    await Deno.rename(`${making}/${name}`, `${folder}/${name}`);
  } finally {
    await removeFolder(making);
  }
  const path = `${folder}/${name}`;
  say(`${path.replace(ROOT, "")}  ${((await Deno.stat(path)).size / 1e6).toFixed(1)} MB`);
  return path;
}

interface Contents {
  readonly target: Target;
  readonly executable: string;
  readonly sources: Sources;
}

async function fill(folder: string, { target, executable, sources }: Contents): Promise<void> {
  const { version, created } = sources;
  await put(executable, `${folder}/usr/bin/siprtmp`, 0o755);
  for (const [from, to, mode] of FILES) await put(`${ROOT}${from}`, `${folder}/${to}`, mode);
  const documents = `${folder}/usr/share/doc/siprtmp`;
  await put(`${ROOT}CHANGELOG.md`, `${documents}/NEWS`, 0o644);
  await Deno.writeTextFile(`${documents}/changelog`, changelogFile(debianVersion(version), created));
  await Deno.writeTextFile(`${documents}/copyright`, copyrightFile());
  await put(`${DIST}/LICENCES.txt`, `${documents}/LICENCES.txt`, 0o644);
  const packed = await run(["gzip", "-n", "-9", "changelog", "NEWS", "LICENCES.txt"], documents);
  if (!packed.success) throw new ReleaseFault(`gzip: ${lastLine(packed.text)}`);
  await Deno.writeTextFile(`${folder}/DEBIAN/conffiles`, "/etc/siprtmp/siprtmp.toml\n");
  const { size } = await Deno.stat(executable);
  await Deno.writeTextFile(`${folder}/DEBIAN/control`, controlFile(debianVersion(version), target, size));
}

async function put(from: string, to: string, mode: number): Promise<void> {
  await Deno.mkdir(to.replace(/\/[^/]*$/, ""), { recursive: true, mode: 0o755 });
  await Deno.copyFile(from, to);
  await Deno.chmod(to, mode);
}

async function debian(args: readonly string[]): Promise<void> {
  const at = args.indexOf("--executable");
  const executable = at < 0 ? undefined : args[at + 1] ?? "";
  for (const target of targetsOf(at < 0 ? args : args.toSpliced(at, 2))) {
    await makeDebianPackage({ target, ...(executable !== undefined && { executable }) });
  }
  await writeSums();
}

if (import.meta.main) await runStep("debian", () => debian(Deno.args));
