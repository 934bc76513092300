// `deno task hook`: has git run the quick part of `deno task ok` (format, lint, types, layers) before each commit.
// Role: edge

/** What the hook is; a shell runs it in the root of the working tree. */
export const HOOK = "#!/bin/sh\n# Installed by `deno task hook`.\nexec deno task ok:quick\n";

export type HookOutcome =
  | { readonly type: "installed" | "there already" | "another hook is there"; readonly path: string }
  | { readonly type: "no repository"; readonly reason: string };

/** Installs the hook into the repository that `folder` is in; another hook stays as it is. */
export async function installHook(folder: string): Promise<HookOutcome> {
  const args = ["rev-parse", "--path-format=absolute", "--git-path", "hooks"];
  const { success, stdout, stderr } = await new Deno.Command("git", { args, cwd: folder }).output();
  if (!success) return { type: "no repository", reason: new TextDecoder().decode(stderr).trim() };
  const hooks = new TextDecoder().decode(stdout).trim();
  const path = `${hooks}/pre-commit`;
  const present = await readIfThere(path);
  if (present === HOOK) return { type: "there already", path };
  if (present !== null) return { type: "another hook is there", path };
  await Deno.mkdir(hooks, { recursive: true });
  await Deno.writeTextFile(path, HOOK, { mode: 0o755 });
  return { type: "installed", path };
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

if (import.meta.main) {
  const outcome = await installHook(".");
  const text = outcome.type === "no repository"
    ? `no hook installed: ${outcome.reason}`
    : `${outcome.type}: ${outcome.path}${
      outcome.type === "another hook is there" ? "; add `deno task ok:quick` to it" : ""
    }`;
  await Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
  if (outcome.type === "no repository" || outcome.type === "another hook is there") Deno.exit(1);
}
