// ffmpeg and rtmpdump as publishers, players and judges of streams.

/** What a program has said. */
export interface Said {
  readonly success: boolean;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end. */
export async function run(program: string, args: readonly string[]): Promise<Said> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" })
    .output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { success, out: text(stdout), err: text(stderr).trim() };
}

/** As run(), and throws when the program fails or complains. */
export async function runWell(program: string, args: readonly string[]): Promise<string> {
  const { success, out, err } = await run(program, args);
  if (!success || err !== "") throw new Error(`${program} ${args.join(" ")}: ${err}`);
  return out;
}

/** One line per decoded frame of a file or URL: its hash. Any complaint of the decoder is an error. */
export async function frameHashes(
  input: string,
  stream: "v" | "a",
  before: readonly string[] = [],
): Promise<string[]> {
  return await hashes(input, stream, before, ["-fps_mode", "passthrough"]);
}

/** As frameHashes() of what is not decoded: two decoders of AAC that start in different places differ. */
export async function packetHashes(input: string, stream: "v" | "a"): Promise<string[]> {
  return await hashes(input, stream, [], ["-c", "copy"]);
}

async function hashes(
  input: string,
  stream: "v" | "a",
  before: readonly string[],
  after: readonly string[],
): Promise<string[]> {
  const options = ["-v", "error", "-xerror", ...before, "-i", input, "-map", `0:${stream}`, ...after];
  const text = await runWell("ffmpeg", [...options, "-f", "framemd5", "-"]);
  return text.split("\n").filter((line) => /^\d/.test(line)).map((line) => line.split(",").at(-1)!.trim());
}

/** H.264 with B frames and AAC, a key frame a second, in a file. */
export async function makeFilm(path: string, seconds: number, size = "320x240"): Promise<void> {
  const sources = `-f lavfi -i testsrc2=size=${size}:rate=25 -f lavfi -i sine=1000:sample_rate=44100`;
  const codecs = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 25 -c:a aac -f flv";
  await runWell("ffmpeg", ["-v", "error", ...`${sources} -t ${seconds} ${codecs}`.split(" "), path]);
}

/** Publishes a file in real time, from a task of its own. */
export function publish(path: string, url: string): Promise<Said> {
  return run("ffmpeg", ["-v", "error", "-re", "-i", path, "-c", "copy", "-f", "flv", url]);
}

/** Where `part` begins in `whole`, with all of it there in one piece; fails when it is not. */
export function placeOf(part: readonly string[], whole: readonly string[]): number {
  if (part.length === 0) throw new Error("there is not a single frame");
  const at = whole.indexOf(part[0]!);
  const same = at >= 0 && part.every((hash, i) => whole[at + i] === hash);
  if (!same) {
    throw new Error(`${part.length} frames are not in one piece among ${whole.length}, from ${at} on`);
  }
  return at;
}
