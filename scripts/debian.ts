// `deno task debian [--target T]`: a Debian package in dist/ from an executable that `deno task compile` has put there.
// Role: edge

import { DIST, readSources, ROOT, type Sources } from "./release/executables.ts";
import { changelogFile, controlFile, copyrightFile, debianName, debianVersion } from "./release/debian.ts";
import { lastLine, ReleaseFault, removeFolder, run, runStep, say } from "./release/steps.ts";
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

/** Makes it from what is in dist/; its name there. @throws ReleaseFault */
export async function makeDebianPackage(target: Target): Promise<string> {
  const sources = await readSources();
  const name = debianName(sources.version, target);
  const folder = `${DIST}/.debian`;
  await removeFolder(folder);
  try {
    await fill(`${folder}/package`, target, sources);
    const environment = { SOURCE_DATE_EPOCH: String(Date.parse(sources.created) / 1000) };
    const build = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", "package", name];
    const { success, text } = await run(build, folder, environment);
    if (!success) throw new ReleaseFault(`${name} cannot be made: ${lastLine(text)}`);
    await Deno.rename(`${folder}/${name}`, `${DIST}/${name}`);
  } finally {
    await removeFolder(folder);
  }
  say(`dist/${name}  ${((await Deno.stat(`${DIST}/${name}`)).size / 1e6).toFixed(1)} MB`);
  return name;
}

async function fill(folder: string, target: Target, { version, created }: Sources): Promise<void> {
  const executable = `${DIST}/${executableName(version, target)}`;
  if (!await Deno.stat(executable).then(() => true, () => false)) {
    throw new ReleaseFault(`${executable} is missing: deno task compile --target ${target.name}`);
  }
  await put(executable, `${folder}/usr/bin/siprtmp`, 0o755);
  for (const [from, to, mode] of FILES) await put(`${ROOT}${from}`, `${folder}/${to}`, mode);
  const documents = `${folder}/usr/share/doc/siprtmp`;
  await put(`${ROOT}CHANGELOG.md`, `${documents}/NEWS`, 0o644);
  await Deno.writeTextFile(`${documents}/changelog`, changelogFile(debianVersion(version), created));
  await Deno.writeTextFile(`${documents}/copyright`, copyrightFile());
  const packed = await run(["gzip", "-n", "-9", "changelog", "NEWS"], documents);
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

if (import.meta.main) {
  await runStep("debian", async () => {
    for (const target of targetsOf(Deno.args)) await makeDebianPackage(target);
  });
}
