// `deno task release [--tag vX.Y.Z] [--target T | --all]`: everything of a release in dist/: executables, an archive of each,
// Debian packages, release notes, and the sums of all of it. The version is that of deno.json, and CHANGELOG.md has to have it.
// Role: edge

import { targetsOf } from "./compile.ts";
import { makeDebianPackage } from "./debian.ts";
import { compileAll, DIST, ROOT, type Sources, writeSums } from "./release/executables.ts";
import { releaseNotes } from "./release/notes.ts";
import { lastLine, ReleaseFault, removeFolder, run, runStep, say } from "./release/steps.ts";
import { archiveName, executableName, type Target } from "./release/targets.ts";

/** What goes into an archive beside the executable. */
const COMPANIONS = ["README.md", "CHANGELOG.md", "LICENSE", "deploy/siprtmp.toml", "deploy/siprtmp.service"];

async function release(args: readonly string[]): Promise<void> {
  const tagAt = args.indexOf("--tag");
  const tag = tagAt < 0 ? null : args[tagAt + 1] ?? "";
  const targets = targetsOf(tagAt < 0 ? args : args.toSpliced(tagAt, 2));
  const { version } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  if (tag !== null && tag !== `v${version}`) {
    throw new ReleaseFault(`the tag ${tag} is not v${version} of deno.json`);
  }
  const notes = releaseNotes(await Deno.readTextFile(`${ROOT}CHANGELOG.md`), version);
  if (notes === null) throw new ReleaseFault(`CHANGELOG.md has no section [${version}]`);
  const made = await compileAll(targets);
  for (const target of targets) {
    await makeArchive(target, made);
    if (target.os === "linux") await makeDebianPackage({ target });
  }
  await Deno.writeTextFile(`${DIST}/RELEASE-NOTES.md`, notes);
  await writeSums();
}

/** One folder, files in one order, times of the commit, owner root: the same archive from the same files. */
async function makeArchive(target: Target, { version, created }: Sources): Promise<void> {
  const name = archiveName(version, target);
  const inside = name.replace(/\.tar\.gz$/, "");
  const folder = `${DIST}/.archive`;
  await removeFolder(folder);
  try {
    await Deno.mkdir(`${folder}/${inside}`, { recursive: true });
    const file = executableName(version, target);
    await Deno.copyFile(
      `${DIST}/${file}`,
      `${folder}/${inside}/siprtmp${target.os === "windows" ? ".exe" : ""}`,
    );
    await Deno.copyFile(`${DIST}/LICENCES.txt`, `${folder}/${inside}/LICENCES.txt`);
    for (const path of COMPANIONS) {
      await Deno.copyFile(`${ROOT}${path}`, `${folder}/${inside}/${path.replace(/^.*\//, "")}`);
    }
    const order = [
      "--sort=name",
      `--mtime=${created}`,
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--mode=go=rX,u+rw",
    ];
    await demand(["tar", "--format=ustar", ...order, "-cf", "archive.tar", inside], folder);
    await demand(["gzip", "-n", "-9", "archive.tar"], folder);
    await Deno.rename(`${folder}/archive.tar.gz`, `${DIST}/${name}`);
  } finally {
    await removeFolder(folder);
  }
  const { size } = await Deno.stat(`${DIST}/${name}`);
  say(`dist/${name}  ${(size / 1e6).toFixed(1)} MB`);
}

async function demand(command: readonly string[], cwd: string): Promise<void> {
  const { success, text } = await run(command, cwd);
  if (!success) throw new ReleaseFault(`${command[0]}: ${lastLine(text)}`);
}

if (import.meta.main) await runStep("release", () => release(Deno.args));
