// `deno task compile [--target T | --all]`: one executable per target in dist/, with licence texts, an SBOM and SHA256SUMS.
// Role: edge

import { compileAll, writeSums } from "./release/executables.ts";
import { ReleaseFault, runStep } from "./release/steps.ts";
import { type Target, TARGETS } from "./release/targets.ts";

/** @throws ReleaseFault for words that are no target */
export function targetsOf(args: readonly string[]): readonly Target[] {
  if (args.length === 1 && args[0] === "--all") return TARGETS;
  const known = TARGETS.map(({ name }) => name).join(", ");
  if (args.length === 0) {
    const own = TARGETS.filter(({ os, arch }) => os === Deno.build.os && arch === Deno.build.arch);
    if (own.length === 0) throw new ReleaseFault(`nothing is made for this machine; targets: ${known}`);
    return own;
  }
  const target = args.length === 2 && args[0] === "--target"
    ? TARGETS.find(({ name }) => name === args[1])
    : undefined;
  if (target === undefined) {
    throw new ReleaseFault(`usage: deno task compile [--target T | --all]; targets: ${known}`);
  }
  return [target];
}

if (import.meta.main) {
  await runStep("compile", async () => {
    await compileAll(targetsOf(Deno.args));
    await writeSums();
  });
}
