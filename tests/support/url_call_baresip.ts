// A real baresip on loopback that answers every call by itself, speaks a tone, and keeps what it hears in a file.
// Role: edge

import { freePort } from "./free_port.ts";
import { decodeWav, encodeWav } from "./tone.ts";

/** What baresip is. */
export interface ToneBaresipOptions {
  /** What it speaks, over and over. */
  readonly speaks: Int16Array;
  /** Samples a second of that, as its codec has it. */
  readonly sampleRate: number;
  /** The one codec it knows: "pcmu", "pcma", "g722", "opus". */
  readonly codec: string;
  /** Commands given at once, "/dial sip:bob@127.0.0.1:5060". */
  readonly commands?: readonly string[];
}

/** A baresip that runs. */
export interface ToneBaresip extends AsyncDisposable {
  /** Its SIP port. */
  readonly port: number;
  /** What it printed so far. */
  output(): string;
  /** Waits until it has printed something. */
  printed(pattern: RegExp): Promise<void>;
  /** Lets it quit, and gives what it heard in its first call. */
  heard(): Promise<{ readonly samples: Int16Array; readonly sampleRate: number }>;
}

const MODULES = "/usr/lib/baresip/modules";
const READY_TRIES = 200;

function configOf(folder: string, port: number, codec: string): string {
  const codecModule = codec.startsWith("pcm") ? "g711" : codec;
  const lines = [
    `sip_listen 127.0.0.1:${port}`,
    `audio_source aufile,${folder}/speaks.wav`,
    "audio_player nothing,nothing",
    "audio_alert nothing,nothing",
    "jitter_buffer_delay 0-20",
    "opus_stereo no",
    "opus_sprop_stereo no",
    "rtp_timeout 0",
    `snd_path ${folder}`,
    `module_path ${MODULES}`,
    ...[codecModule, "aufile", "sndfile"].map((name) => `module ${name}.so`),
    "module_tmp account.so",
    "module_app menu.so",
  ];
  return lines.join("\n") + "\n";
}

/** Starts it. */
export async function startToneBaresip(options: ToneBaresipOptions): Promise<ToneBaresip> {
  const { speaks, sampleRate, codec, commands = [] } = options;
  const port = freePortPair();
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-baresip-" });
  await Deno.writeFile(`${folder}/speaks.wav`, encodeWav(speaks, sampleRate));
  await Deno.writeTextFile(`${folder}/config`, configOf(folder, port, codec));
  const account = `<sip:bare@127.0.0.1>;regint=0;answermode=auto;audio_codecs=${codec}\n`;
  await Deno.writeTextFile(`${folder}/accounts`, account);
  await Deno.writeTextFile(`${folder}/contacts`, "");
  const process = new Deno.Command("baresip", {
    args: ["-n", "127.0.0.1", "-f", folder, "-t", "40", ...commands.flatMap((command) => ["-e", command])],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = { text: "" };
  const reading = Promise.all([gather(process.stdout, output), gather(process.stderr, output)]);
  const printed = async (pattern: RegExp): Promise<void> => {
    for (let tries = 0; tries < READY_TRIES; tries++) {
      if (pattern.test(output.text)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`baresip did not print ${pattern}:\n${output.text}`);
  };
  const quit = async (): Promise<void> => {
    try {
      process.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
    await process.status;
    await reading;
  };
  await printed(/baresip is ready/);
  return {
    port,
    output: () => output.text,
    printed,
    async heard() {
      await quit();
      return await recordingIn(folder, output.text);
    },
    async [Symbol.asyncDispose]() {
      await quit();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function recordingIn(
  folder: string,
  said: string,
): Promise<{ samples: Int16Array; sampleRate: number }> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (/^dump-.*-dec\w*\.wav$/.test(name)) names.push(name);
  }
  const [first] = names.sort();
  if (first === undefined) throw new Error(`baresip heard nothing:\n${said}`);
  return decodeWav(await Deno.readFile(`${folder}/${first}`));
}

async function gather(pipe: ReadableStream<Uint8Array>, into: { text: string }): Promise<void> {
  const decoder = new TextDecoder();
  for await (const piece of pipe) into.text = (into.text + decoder.decode(piece)).slice(-50_000);
}

/** baresip takes the port above its own for TLS. */
function freePortPair(): number {
  for (let tries = 0; tries < 50; tries++) {
    const port = freePort();
    try {
      Deno.listen({ hostname: "127.0.0.1", port: port + 1 }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("no two neighbouring ports are free");
}
