// A real baresip on loopback that answers every call by itself, speaks a tone, and keeps what it hears in a file.
// Role: edge

import { type BaresipProcess, startBaresipProcess } from "./baresip_process.ts";
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
export interface ToneBaresip extends BaresipProcess {
  /** Lets it quit, and gives what it heard in its first call. */
  heard(): Promise<{ readonly samples: Int16Array; readonly sampleRate: number }>;
}

function configOf(folder: string, codec: string): string[] {
  const codecModule = codec.startsWith("pcm") ? "g711" : codec;
  return [
    `audio_source aufile,${folder}/speaks.wav`,
    "audio_player nothing,nothing",
    "audio_alert nothing,nothing",
    "jitter_buffer_delay 0-20",
    "opus_stereo no",
    "opus_sprop_stereo no",
    "rtp_timeout 0",
    `snd_path ${folder}`,
    ...[codecModule, "aufile", "sndfile"].map((name) => `module ${name}.so`),
    "module_tmp account.so",
  ];
}

/** Starts it. */
export async function startToneBaresip(options: ToneBaresipOptions): Promise<ToneBaresip> {
  const { speaks, sampleRate, codec, commands = [] } = options;
  const process = await startBaresipProcess({
    prepare: async (folder) => {
      await Deno.writeFile(`${folder}/speaks.wav`, encodeWav(speaks, sampleRate));
      return configOf(folder, codec);
    },
    account: `;audio_codecs=${codec}`,
    lifeSeconds: 40,
    commands,
  });
  return {
    ...process,
    async heard() {
      await process.quit();
      return await recordingIn(process.folder, process.output());
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
