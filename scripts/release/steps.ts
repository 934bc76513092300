// What the steps of a release have in common: programs that are run, one line for what is wrong.
// Role: edge

/** What is wrong in one line; no stack. */
export class ReleaseFault extends Error {}

/** Its standard output; with what it said as errors when it failed. */
export async function run(
  command: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ success: boolean; text: string }> {
  try {
    const [program = "", ...args] = command;
    const process = new Deno.Command(program, {
      args,
      cwd,
      stdin: "null",
      env: { NO_COLOR: "1", ...environment },
    });
    const { success, stdout, stderr } = await process.output();
    const decoder = new TextDecoder();
    return { success, text: decoder.decode(stdout) + (success ? "" : decoder.decode(stderr)) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, text: `${command[0]} is not installed` };
  }
}

/** The line that says what is wrong: Deno's errors begin with "error:", and their causes are numbered below. */
export function lastLine(text: string): string {
  const lines = text.trim().split("\n");
  const causes = lines.flatMap((line) => /^ {4}[01]: (?!<)([^\n]*)/.exec(line)?.[1] ?? []);
  if (causes.length > 0) return causes.slice(0, 2).map((cause) => cause.replace(/\.$/, "")).join(": ");
  return (lines.find((line) => line.startsWith("error:")) ?? lines.at(-1) ?? "").replace(/^error: /, "");
}

export function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Runs a release step as a program: what is wrong is one line and exit code 1; a defect of ours has its stack. */
export async function runStep(name: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const text = error instanceof ReleaseFault ? error.message : error.stack;
    await Deno.stderr.write(new TextEncoder().encode(`${name}: ${text}\n`));
    Deno.exit(1);
  }
}

export async function removeFolder(folder: string): Promise<void> {
  if (await isThere(folder)) await Deno.remove(folder, { recursive: true });
}

export async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
