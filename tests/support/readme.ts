// The commands of README, as somebody pastes them.

const README = new URL("../../README.md", import.meta.url);

/** Blocks of one kind, in order. */
export async function blocksOf(kind: "sh" | "toml"): Promise<string[]> {
  const text = await Deno.readTextFile(README);
  return [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\`$`, "gms"))].map((match) => match[1]!);
}

/** One line each; lines that go on are joined, comments are gone. */
export async function readmeCommands(): Promise<string[]> {
  const blocks = await blocksOf("sh");
  return blocks.join("").replaceAll("\\\n", " ").split("\n")
    .map((line) => line.replace(/ +#.*/, "").replace(/ +/g, " ").trim()).filter((line) => line !== "");
}
