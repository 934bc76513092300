// `deno task codecs`: builds the codec modules into lib/codecs/wasm, once; quick when they are there.
// Sources and modules are checked against pinned hashes and never committed. What cannot be built is said in
// one line and is no failure: the gateway then passes audio through where both sides agree on a codec.
// `--strict` makes it a failure; `--hashes` prints the hashes of what was built instead of checking them.
// Role: edge

import type { CompileAnswer, CompileRequest } from "./compile_worker.ts";
import type { Recipe } from "./recipe.ts";
import { RECIPES } from "./recipes.ts";
import { downloadSourcePackages } from "./apt.ts";
import { BuildProgress, compilersFor } from "./progress.ts";
import { findSources, sha256, SOURCES_VARIABLE } from "./sources.ts";

const OUT = new URL("../../lib/codecs/wasm/", import.meta.url);
const CACHE = new URL("../../.cache/codecs", import.meta.url);
/** Who waits hears so often that it goes on. */
const WAITING_EVERY_MS = 10_000;

/** Those modules that are missing, or not what they should be. */
async function findStale(): Promise<Recipe[]> {
  const stale: Recipe[] = [];
  for (const recipe of RECIPES) {
    const bytes = await Deno.readFile(modulePath(recipe)).catch(absent);
    if (bytes === null || await sha256(bytes) !== recipe.sha256) stale.push(recipe);
  }
  return stale;
}

/** Builds what is stale; one line for each module that cannot be built. */
async function buildAll(stale: readonly Recipe[], checkHashes: boolean): Promise<string[]> {
  const progress = new BuildProgress(stale.length, () => performance.now());
  using _waiting = every(WAITING_EVERY_MS, () => void say(progress.waiting()));
  const problems = await buildEach(stale, { checkHashes, progress });
  const last = progress.end();
  if (last !== null) await say(last);
  return problems;
}

async function buildEach(stale: readonly Recipe[], how: BuildOptions): Promise<string[]> {
  const { found, reason } = await findSources(stale.map((recipe) => recipe.archive), {
    local: Deno.env.get(SOURCES_VARIABLE),
    cache: fromFileUrl(CACHE),
    fetch,
    apt: downloadSourcePackages,
  });
  const problems: string[] = [];
  const queue = stale.filter((recipe) => found.has(recipe.archive.sha256));
  const work = async (): Promise<void> => {
    using compiler = new Compiler();
    for (let recipe = queue.shift(); recipe !== undefined; recipe = queue.shift()) {
      const problem = await build(recipe, compiler, found.get(recipe.archive.sha256)!, how);
      if (problem !== null) problems.push(problem);
    }
  };
  const threads = queue.length === 0
    ? 0
    : compilersFor(queue.length, navigator.hardwareConcurrency, freeBytes());
  await Promise.all(Array.from({ length: threads }, work));
  const without = stale.filter((recipe) => !found.has(recipe.archive.sha256));
  if (without.length > 0) problems.push(withoutSource(without, reason));
  return problems;
}

/** How modules are built. */
interface BuildOptions {
  /** False: whatever comes out is used, and its hash told. */
  readonly checkHashes: boolean;
  /** Told what is being done. */
  readonly progress: BuildProgress;
}

async function build(
  recipe: Recipe,
  compiler: Compiler,
  archive: Uint8Array,
  { checkHashes, progress }: BuildOptions,
): Promise<string | null> {
  await say(progress.begin(recipe.title));
  const answer = await compiler.compile({ name: recipe.name, archive });
  if ("problem" in answer) {
    progress.fail(recipe.title);
    return `${recipe.title}: cannot be built: ${answer.problem}`;
  }
  const sum = await sha256(answer.module);
  if (checkHashes && sum !== recipe.sha256) {
    progress.fail(recipe.title);
    return `${recipe.title}: the module built is not the expected one (sha256 ${sum}); it is not used.`;
  }
  await say(progress.finish(recipe.title, checkHashes ? "" : `, sha256 ${sum}`));
  await Deno.mkdir(OUT, { recursive: true });
  const unfinished = new URL(`${recipe.name}.${Deno.pid}.new`, OUT);
  await Deno.writeFile(unfinished, answer.module);
  await Deno.rename(unfinished, modulePath(recipe));
  return null;
}

/** A thread with a compiler in it. */
class Compiler implements Disposable {
  readonly #worker = new Worker(import.meta.resolve("./compile_worker.ts"), { type: "module" });

  compile(request: CompileRequest): Promise<CompileAnswer> {
    return new Promise((resolve) => {
      this.#worker.onmessage = ({ data }: MessageEvent<CompileAnswer>) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        resolve({ problem: event.message });
      };
      this.#worker.postMessage(request);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** Null where it may not be asked. */
function freeBytes(): number | null {
  if (Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state !== "granted") return null;
  return Deno.systemMemoryInfo().available;
}

function every(ms: number, run: () => void): Disposable {
  const timer = setInterval(run, ms);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function fromFileUrl(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1) : path;
}

function withoutSource(recipes: readonly Recipe[], reason: string): string {
  const titles = recipes.map((recipe) => recipe.title).join(", ");
  const files = recipes.map((recipe) => recipe.archive.fileName).join(", ");
  return `No transcoding with ${titles}: the source is out of reach (${reason}). ` +
    `Put ${files} into a folder, name it in ${SOURCES_VARIABLE}, and run deno task codecs.`;
}

function modulePath(recipe: Recipe): URL {
  return new URL(`${recipe.name}.wasm`, OUT);
}

async function say(line: string): Promise<void> {
  await Deno.stderr.write(new TextEncoder().encode(`${line}\n`));
}

function absent(error: unknown): null {
  if (error instanceof Deno.errors.NotFound) return null;
  throw error;
}

if (import.meta.main) {
  const stale = await findStale();
  if (stale.length > 0) {
    await say(`Building ${stale.length} codec modules, once; this takes one to three minutes`);
  }
  const problems = stale.length === 0 ? [] : await buildAll(stale, !Deno.args.includes("--hashes"));
  for (const problem of problems) await say(problem);
  if (problems.length > 0 && Deno.args.includes("--strict")) Deno.exit(1);
}
