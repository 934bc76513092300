// One compiler in a thread of its own: takes a recipe's name and its archive, answers with the module.
// Role: edge

import { compileRecipe } from "./compile.ts";
import { RECIPES } from "./recipes.ts";

/** What a worker is asked for. */
export interface CompileRequest {
  /** Name of the recipe. */
  readonly name: string;
  /** Its source archive. */
  readonly archive: Uint8Array;
}

/** What it answers: the module, or why there is none. */
export type CompileAnswer = { readonly module: Uint8Array } | { readonly problem: string };

declare const self: {
  onmessage: (event: MessageEvent<CompileRequest>) => void;
  postMessage(answer: CompileAnswer): void;
};

self.onmessage = async ({ data }) => {
  const recipe = RECIPES.find(({ name }) => name === data.name)!;
  try {
    self.postMessage({ module: await compileRecipe(recipe, data.archive) });
  } catch (error) {
    self.postMessage({ problem: error instanceof Error ? error.message : String(error) });
  }
};
