// A real ffmpeg: makes FLV files with a tone, publishes them as they are, plays calls, decodes what arrived.

import { ByteWriter } from "../../lib/base/bytes.ts";
import { encodeFlvHeader, encodeFlvTag } from "../../lib/flv/tag.ts";
import type { ClientStream } from "../../lib/rtmp/client.ts";
import type { KeptTag } from "./rtmp_server.ts";
import { decodeWav } from "./tone.ts";
import { runProgram } from "./media_programs.ts";

/** What a phone call may carry in FLV, by ffmpeg's names. */
const ENCODERS = {
  pcmu: ["-c:a", "pcm_mulaw", "-ar", "8000"],
  pcma: ["-c:a", "pcm_alaw", "-ar", "8000"],
  speex: ["-c:a", "libspeex", "-ar", "16000"],
} as const;

export type ToneCodec = keyof typeof ENCODERS;

/** Peak of the tones of {@link toneFlv}: ffmpeg's sine has an eighth of full scale. */
export const FFMPEG_TONE_PEAK = 32768 / 8;

const NO_INPUT = { input: new Uint8Array(0), inputName: "none" };

/** An FLV file with a tone. */
export function toneFlv(codec: ToneCodec, hz: number, seconds: number): Promise<Uint8Array> {
  const source = ["-f", "lavfi", "-i", `sine=frequency=${hz}:sample_rate=16000:duration=${seconds}`];
  const args = ["-v", "error", ...source, "-ac", "1", ...ENCODERS[codec], "out.flv"];
  return runProgram("ffmpeg", args, { ...NO_INPUT, outputName: "out.flv" });
}

/** Decodes the audio of an FLV file; anything ffmpeg complains about is an error. */
export async function decodeFlv(file: Uint8Array, sampleRate: number): Promise<Int16Array> {
  const args = ["-v", "error", "-xerror", "-i", "in.flv", "-ac", "1", "-ar", String(sampleRate), "out.wav"];
  const wav = await runProgram("ffmpeg", args, { input: file, inputName: "in.flv", outputName: "out.wav" });
  return decodeWav(wav).samples;
}

/** A program that was started and is killed when it does not end by itself. */
export interface RunningProgram extends AsyncDisposable {
  /** Its end; `said` is what it printed. */
  readonly ended: Promise<{ code: number; said: string }>;
  /** A file of its own folder, once it has ended. */
  file(name: string): Promise<Uint8Array>;
  kill(signal: "SIGINT" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
}

const LONGEST_MS = 30_000;

/** Starts a program in a folder of its own with these files in it. */
export async function startProgram(
  name: string,
  args: readonly string[],
  files: Readonly<Record<string, Uint8Array>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<RunningProgram> {
  const folder = await Deno.makeTempDir({ prefix: `siprtmp-${name}-` });
  for (const [file, bytes] of Object.entries(files)) await Deno.writeFile(`${folder}/${file}`, bytes);
  const process = new Deno.Command(name, {
    args: [...args],
    cwd: folder,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const kill = (signal: Deno.Signal): void => {
    try {
      process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
  };
  const timer = setTimeout(() => kill("SIGKILL"), LONGEST_MS);
  const ended = process.output().then(({ code, stderr }) => {
    clearTimeout(timer);
    return { code, said: new TextDecoder().decode(stderr) };
  });
  return {
    ended,
    file: (file) => Deno.readFile(`${folder}/${file}`),
    kill,
    async [Symbol.asyncDispose]() {
      kill("SIGKILL");
      await ended;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Publishes an FLV file, tag for tag, at its own pace. */
export function publishFlv(url: string, file: Uint8Array): Promise<RunningProgram> {
  const args = ["-v", "warning", "-re", "-i", "in.flv", "-c", "copy", "-f", "flv", url];
  return startProgram("ffmpeg", args, { "in.flv": file });
}

/** Plays into out.flv, tag for tag, until the server ends it. */
export function playFlv(url: string): Promise<RunningProgram> {
  const args = ["-v", "warning", "-analyzeduration", "500000", "-i", url, "-c", "copy", "out.flv"];
  return startProgram("ffmpeg", args);
}

/** An FLV file of these tags. */
export function flvOf(tags: readonly KeptTag[]): Uint8Array {
  const writer = new ByteWriter(1 << 16);
  encodeFlvHeader(writer, { audio: true, video: false });
  for (const { type, timeMs, body } of tags) encodeFlvTag(writer, type, timeMs, body);
  return writer.take();
}

/** Speaks the audio of these tags at their times. */
export async function speakTags(stream: ClientStream, tags: readonly KeptTag[]): Promise<void> {
  const begunMs = performance.now();
  for (const { type, timeMs, body } of tags) {
    const waitMs = begunMs + timeMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (type === 8) stream.send(8, timeMs, body);
  }
}
