// Runs the programs that tests of codecs and containers are checked against.
// Role: edge

/** True when every program is installed; where peers are required, a missing one fails its tests instead. */
export async function hasPrograms(...names: string[]): Promise<boolean> {
  if (Deno.env.get("SIPRTMP_PEERS") === "required") return true;
  for (const name of names) {
    const found = await new Deno.Command("which", { args: [name], stdout: "null", stderr: "null" }).output();
    if (!found.success) return false;
  }
  return true;
}

/** Runs a program with input from a file of a fresh folder; returns the bytes it wrote into `output`. */
export async function runProgram(
  program: string,
  args: readonly string[],
  files: { readonly input: Uint8Array; readonly inputName: string; readonly outputName: string },
): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/${files.inputName}`, files.input);
    const run = await new Deno.Command(program, { args: [...args], cwd: folder, stdin: "null" }).output();
    if (!run.success) throw new Error(`${program} failed: ${new TextDecoder().decode(run.stderr)}`);
    return await Deno.readFile(`${folder}/${files.outputName}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
