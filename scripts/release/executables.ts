// Makes executables: the program and its packages staged in a folder of their own, compiled for each target, tried where that
// can be, with licence texts, an SBOM and sums. All or nothing: until everything is made dist/ stays as it was.
// Role: edge

import { RECIPES } from "../codecs/recipes.ts";
import { downloadSourcePackages } from "../codecs/apt.ts";
import { findSources, sha256, SOURCES_VARIABLE } from "../codecs/sources.ts";
import { formatLicenceTexts, readPackageLicences } from "./licences.ts";
import {
  type DenoConfig,
  type DenoLock,
  productionConfig,
  productionImports,
  productionLock,
  productionPackages,
} from "./production.ts";
import { formatSbom } from "./sbom.ts";
import { isThere, lastLine, ReleaseFault, removeFolder, run, say } from "./steps.ts";
import { executableName, permissionsOf, runnerOf, type Target } from "./targets.ts";

export const ROOT: string = `${Deno.realPathSync(`${import.meta.dirname}/../..`)}/`;
export const DIST: string = `${ROOT}dist`;

/** Names the Deno that compiles, where it is not the one that runs this. */
const COMPILER_VARIABLE = "SIPRTMP_DENO";

interface Compiler {
  readonly path: string;
  readonly deno: string;
  readonly v8: string;
}

export interface Sources {
  readonly version: string;
  /** Short id, with "-dirty" when files differ from it. */
  readonly commit: string;
  /** When it was made, ISO 8601: nothing here depends on the time of the build. */
  readonly created: string;
}

/** SHA256SUMS is left to who has made everything. @returns what dist/ was made from @throws ReleaseFault */
export async function compileAll(targets: readonly Target[]): Promise<Sources> {
  const compiler = await findCompiler();
  const sources = await readSources();
  await checkModules();
  const folder = `${DIST}/.making`; // always the same one: its path is in the executable
  await removeFolder(folder);
  await Deno.mkdir(folder, { recursive: true });
  try {
    const made = await makeFiles(targets, { compiler, sources, folder });
    await moveTo(DIST, folder, made);
    return sources;
  } finally {
    await removeFolder(folder);
  }
}

interface Making {
  readonly compiler: Compiler;
  readonly sources: Sources;
  /** Where everything is made, before it goes to dist/. */
  readonly folder: string;
}

/** Names of the files made in the folder. */
async function makeFiles(targets: readonly Target[], making: Making): Promise<string[]> {
  const { sources, folder } = making;
  const staging = `${folder}/siprtmp`;
  const texts = await stage(staging, making);
  const files: string[] = [];
  const tried: string[] = [];
  for (const target of targets) {
    say(`${target.name}: compiling`);
    const name = executableName(sources.version, target);
    await Deno.writeTextFile(
      `${staging}/build.json`,
      JSON.stringify({ commit: sources.commit, target: target.name }),
    );
    await stampFolder(staging, new Date(sources.created));
    await compileOne(target, `${folder}/${name}`, making);
    tried.push(`${name}: ${await tryOut(target, `${folder}/${name}`, making)}\n`);
    files.push(name);
  }
  const sbom = `siprtmp-${sources.version}.spdx.json`;
  await Deno.writeTextFile(`${folder}/LICENCES.txt`, texts.licences);
  await Deno.writeTextFile(`${folder}/${sbom}`, texts.sbom);
  await Deno.writeTextFile(`${folder}/TRIED.txt`, await otherTries(files) + tried.join(""));
  return [...files, "LICENCES.txt", sbom, "TRIED.txt"];
}

/** The program and nothing else: what only tests, lint and codec builds need stays out of the executable. */
async function stage(
  staging: string,
  { compiler, sources }: Making,
): Promise<{ licences: string; sbom: string }> {
  const config: DenoConfig = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const lock: DenoLock = JSON.parse(await Deno.readTextFile(`${ROOT}deno.lock`));
  await copyFolder(`${ROOT}lib`, `${staging}/lib`);
  await Deno.copyFile(`${ROOT}main.ts`, `${staging}/main.ts`);
  const imports = productionImports(config, await readTexts(`${staging}/lib`));
  await Deno.writeTextFile(`${staging}/deno.json`, productionConfig(config, imports));
  await Deno.writeTextFile(`${staging}/deno.lock`, productionLock(lock, imports));
  const packages = await readPackageLicences(productionPackages(lock, imports), await npmCache());
  const own = await Deno.readTextFile(`${ROOT}LICENSE`);
  const licences = await formatLicenceTexts(own, packages, {
    recipes: RECIPES,
    archives: await findArchives(),
    deno: await denoLicence(),
  });
  await Deno.writeTextFile(`${staging}/licences.txt`, licences);
  const sbom = formatSbom({ ...sources, deno: compiler.deno, v8: compiler.v8, packages, recipes: RECIPES });
  return { licences, sbom };
}

async function compileOne(target: Target, output: string, { compiler, folder }: Making): Promise<void> {
  const { success, text } = await run([
    ...[compiler.path, "compile", "--quiet", "--frozen", "--no-check", "--no-prompt"],
    "--no-code-cache", // else a file of a known name in the shared temporary folder is trusted
    ...["--v8-flags=--max-semi-space-size=8", ...permissionsOf(target)],
    ...["--include", "lib/codecs/wasm", "--include", "lib/workers/worker_main.ts"],
    ...["--include", "build.json", "--include", "licences.txt"],
    ...["--target", target.name, "--output", output, "main.ts"],
  ], `${folder}/siprtmp`);
  if (!success) throw new ReleaseFault(`${target.name} cannot be compiled: ${lastLine(text)}`);
  if (!await startsWith(output, target.magic)) {
    throw new ReleaseFault(`${target.name}: what was made is no executable of ${target.os}`);
  }
}

async function startsWith(path: string, magic: string): Promise<boolean> {
  using file = await Deno.open(path);
  const head = new Uint8Array(magic.length / 2);
  return await file.read(head) === head.length && head.toHex() === magic;
}

/** Lines of TRIED.txt about files that are not made now. */
async function otherTries(files: readonly string[]): Promise<string> {
  const text = await Deno.readTextFile(`${DIST}/TRIED.txt`).catch(() => "");
  const lines = text.split("\n").filter((line) =>
    line !== "" && !files.some((name) => line.startsWith(`${name}: `))
  );
  return lines.map((line) => `${line}\n`).join("");
}

/** A file that can be run here has been run, or is not made. What was tried, in words. */
async function tryOut(target: Target, file: string, { sources, folder }: Making): Promise<string> {
  const runner = runnerOf(target, Deno.build);
  if (runner === null) {
    const untried = `NOT tried: made on ${Deno.build.os} ${Deno.build.arch}, where it cannot be run`;
    say(`${target.name}: ${untried}`);
    return untried;
  }
  const empty = `${folder}/empty`;
  await Deno.mkdir(empty, { recursive: true });
  const { success, text } = await run([...runner, file, "--version"], empty);
  const expected = `siprtmp ${sources.version} (commit ${sources.commit}, ${target.name})`;
  if (success && text.startsWith(expected)) {
    say(`${target.name}: ${expected}`);
    return `said its version${runner.length === 0 ? "" : ` under ${runner[0]}`}`;
  }
  throw new ReleaseFault(`${target.name} does not run, so nothing is kept: ${lastLine(text)}`);
}

async function findCompiler(): Promise<Compiler> {
  const path = Deno.env.get(COMPILER_VARIABLE) ?? Deno.execPath();
  const { success, text } = await run([path, "eval", "console.log(JSON.stringify(Deno.version))"], ROOT);
  if (!success) throw new ReleaseFault(`${path} is no Deno: ${lastLine(text)}`);
  const { deno, v8 } = JSON.parse(text);
  return { path, deno, v8 };
}

export async function readSources(): Promise<Sources> {
  const { version } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const [commit, changed, created] = await Promise.all([
    git("rev-parse", "--short=9", "HEAD"),
    git("status", "--porcelain", "--untracked-files=no"),
    git("log", "-1", "--format=%ct"),
  ]);
  const time = new Date(Number(created) * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  return { version, commit: changed === "" ? commit : `${commit}-dirty`, created: time };
}

async function git(...args: string[]): Promise<string> {
  const { success, text } = await run(["git", ...args], ROOT);
  if (!success) throw new ReleaseFault(`git ${args[0]}: ${lastLine(text)}`);
  return text.trim();
}

async function checkModules(): Promise<void> {
  for (const { name, sha256: wanted } of RECIPES) {
    const path = `${ROOT}lib/codecs/wasm/${name}.wasm`;
    if (!await isThere(path) || await sumOf(path) !== wanted) {
      throw new ReleaseFault(
        `the codec module ${name}.wasm is missing or not what it should be: deno task codecs`,
      );
    }
  }
}

/** Deno's own, which npm puts beside it; without that it is said where the text is. */
async function denoLicence(): Promise<string> {
  const path = `${Deno.execPath().split("/").slice(0, -1).join("/")}/LICENSE`;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    say(`LICENCES.txt names Deno's licence without its text: there is no ${path}, which Deno from npm has`);
    return "The text of Deno's licence is the file LICENSE.md of its release.";
  }
}

/** Their licences go with the modules. */
async function findArchives(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { found, reason } = await findSources(RECIPES.map(({ archive }) => archive), {
    local: Deno.env.get(SOURCES_VARIABLE),
    cache: `${ROOT}.cache/codecs`,
    fetch,
    apt: downloadSourcePackages,
  });
  if (reason !== "") throw new ReleaseFault(`source archives of codecs are missing: ${reason}`);
  return found;
}

async function npmCache(): Promise<string> {
  const { success, text } = await run([Deno.execPath(), "info", "--json"], ROOT);
  if (!success) throw new ReleaseFault(`deno info: ${lastLine(text)}`);
  return JSON.parse(text).npmCache;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Times of files are in the executable: those of the commit, or no two builds would be the same. */
async function stampFolder(folder: string, time: Date): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) await stampFolder(`${folder}/${name}`, time);
    else await Deno.utime(`${folder}/${name}`, time, time);
  }
}

async function readTexts(folder: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) texts.push(...await readTexts(`${folder}/${name}`));
    else if (name.endsWith(".ts")) texts.push(await Deno.readTextFile(`${folder}/${name}`));
  }
  return texts;
}

/** SHA256SUMS of all that is in dist/, whenever it was made. */
export async function writeSums(): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(DIST));
  const names = entries.filter(({ name, isFile }) => isFile && name !== "SHA256SUMS").map(({ name }) => name);
  const sums: string[] = [];
  for (const name of names.sort()) sums.push(`${await sumOf(`${DIST}/${name}`)}  ${name}\n`);
  await Deno.writeTextFile(`${DIST}/SHA256SUMS`, sums.join(""));
}

/** Everything is made: only now dist/ changes. */
async function moveTo(dist: string, folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await Deno.copyFile(`${folder}/${name}`, `${dist}/${name}.part`);
    await Deno.rename(`${dist}/${name}.part`, `${dist}/${name}`);
    const { size } = await Deno.stat(`${dist}/${name}`);
    say(`dist/${name}  ${(size / 1e6).toFixed(1)} MB`);
  }
}

async function sumOf(path: string): Promise<string> {
  return await sha256(await Deno.readFile(path));
}
