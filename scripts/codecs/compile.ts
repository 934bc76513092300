// Compiles one recipe with clang and lld that are WebAssembly themselves, so that every machine makes the same
// bytes. No fused multiply-add, no fast maths: what comes out computes what the native library computes.
// Role: edge

import { commands, Exit, runLLVM, type Tree } from "@yowasp/clang";
import type { Recipe } from "./recipe.ts";
import { readTarGz } from "./tar.ts";

const FLAGS = [
  "--target=wasm32-wasip1",
  "-O3",
  "-msimd128",
  "-fno-math-errno",
  "-ffp-contract=off",
  "-fvisibility=hidden",
  "-DNDEBUG",
  "-I.",
  "-w",
];
const LINK = [
  "-nostartfiles",
  "-Wl,--no-entry",
  "-Wl,--gc-sections",
  "-Wl,--strip-all",
  "-Wl,-z,stack-size=262144",
  "-Wl,--initial-memory=524288",
  "-Wl,--max-memory=268435456",
];

/** The module made from the archive's bytes. */
export async function compileRecipe(recipe: Recipe, archive: Uint8Array): Promise<Uint8Array> {
  const texts = await readTexts(recipe, archive);
  const tree: Tree = {};
  for (const [path, text] of texts) putFile(tree, path, text);
  for (const [path, text] of Object.entries(recipe.generated ?? {})) putFile(tree, path, text);
  for (const own of recipe.own) putFile(tree, own, await Deno.readTextFile(new URL(own, import.meta.url)));
  const out = `${recipe.name}.wasm`;
  const args = [
    ...FLAGS,
    ...recipe.defines.map((macro) => `-D${macro}`),
    ...recipe.includes.map((folder) => `-I${folder}`),
    ...LINK,
    recipe.own[0]!,
    ...recipe.sources(texts),
    "-o",
    out,
  ];
  const made = await runClang(args, tree);
  const module = made[out];
  if (!(module instanceof Uint8Array)) throw new Error("clang made no module");
  return module;
}

async function readTexts(recipe: Recipe, archive: Uint8Array): Promise<Map<string, string>> {
  const decoder = new TextDecoder("latin1");
  const texts = new Map<string, string>();
  for (const [path, bytes] of await readTarGz(archive)) {
    if (recipe.keep.test(path)) texts.set(path, decoder.decode(bytes));
  }
  for (const [path, from, to] of recipe.edits ?? []) {
    const text = texts.get(path) ?? "";
    if (!text.includes(from)) throw new Error(`${path} has no ${JSON.stringify(from)}`);
    texts.set(path, text.replaceAll(from, to));
  }
  return texts;
}

async function runClang(args: string[], tree: Tree): Promise<Tree> {
  const said: string[] = [];
  const decoder = new TextDecoder();
  const listen = (bytes: Uint8Array | null): void => {
    if (bytes !== null) said.push(decoder.decode(bytes));
  };
  const clang = commands["clang"];
  if (clang === undefined) throw new Error("the compiler package has no clang");
  try {
    await runLLVM(undefined, undefined, { fetchProgress: () => {} }); // loads the compiler without a word
    return await clang(args, tree, { stdout: listen, stderr: listen }) ?? {};
  } catch (error) {
    if (error instanceof Exit) throw new Error(`clang ended with code ${error.code}: ${said.join("")}`);
    throw error;
  }
}

function putFile(tree: Tree, path: string, text: string): void {
  const folders = path.split("/");
  const name = folders.pop()!;
  let folder = tree;
  for (const step of folders) folder = (folder[step] ??= {}) as Tree;
  folder[name] = text;
}
