// Reads the codec modules that `deno task codecs` has put beside this file, once, when the program starts.
// A module that is missing or unreadable is left out: what needs it is then refused, all else works.
// Role: edge

import { Codecs, moduleNames } from "./codecs.ts";
import { builtInCodecs } from "./registry.ts";

/** Gives the bytes of a module, or null when it was not built. */
type ModuleReader = (name: string) => Promise<Uint8Array | null>;

/** Compiles every module that there is. @param read where the bytes come from; tests bring their own */
export async function loadCodecs(
  read: ModuleReader = readModule,
  registry = builtInCodecs,
): Promise<Codecs> {
  const modules = new Map<string, WebAssembly.Module>();
  for (const name of moduleNames(registry)) {
    const bytes = await read(name);
    const module = bytes === null ? null : await compile(bytes);
    if (module !== null) modules.set(name, module);
  }
  return new Codecs(modules, registry);
}

/** The bytes of a module from its file; null when there is none, or no permission to read it. */
export async function readModule(name: string): Promise<Uint8Array | null> {
  try {
    return await Deno.readFile(new URL(`./wasm/${name}.wasm`, import.meta.url));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return null;
    throw error;
  }
}

async function compile(bytes: Uint8Array): Promise<WebAssembly.Module | null> {
  try {
    return await WebAssembly.compile(bytes.slice());
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return null;
    throw error;
  }
}
