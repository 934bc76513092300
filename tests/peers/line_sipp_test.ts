// A call-in line and everything that plays RTMP: SIPp calls the account and plays a capture with a tone; ffmpeg, ffplay,
// rtmpdump, and VLC play rtmp://gateway/line/<account>. The tone is measured in what each of them decoded.

import assert from "node:assert/strict";
import { type RunningProgram, startProgram } from "../support/ffmpeg.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { decodeWav, measureTone, sineWave } from "../support/tone.ts";
import { pcapOf } from "../support/tone_pcap.ts";
import { built } from "../support/transcode_bench.ts";

const HZ = 733;
const PEAK = 8000;
/** What a machine that is busy with other tests may deliver too late, of some 700 blocks. */
const LATE_BLOCKS = 30;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** They listen for 5 s to find out what else there is, unless told that half a second will do. */
const AT_ONCE = ["-analyzeduration", "500000"];

/** Programs that play, and what they leave as the file of their name. */
interface PlayerKind {
  readonly program: string;
  readonly args: (url: string) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Options for ffmpeg to read what it left. */
  readonly readAs: readonly string[];
  readonly leaves: string;
}

const PLAYERS: readonly PlayerKind[] = [
  {
    program: "ffmpeg",
    args: (
      url,
    ) => ["-v", "warning", ...AT_ONCE, "-i", url, "-t", "6.5", "-ac", "1", "-ar", "16000", "out.wav"],
    readAs: [],
    leaves: "out.wav",
  },
  {
    program: "ffplay",
    args: (url) => ["-v", "warning", "-nodisp", "-autoexit", ...AT_ONCE, "-fflags", "nobuffer", url],
    env: { SDL_AUDIODRIVER: "disk", SDL_DISKAUDIOFILE: "out.raw" },
    readAs: ["-f", "s16le", "-ar", "48000", "-ac", "1"],
    leaves: "out.raw",
  },
  {
    program: "rtmpdump",
    args: (url) => ["-q", "--live", "-r", url, "-o", "out.flv"],
    readAs: [],
    leaves: "out.flv",
  },
  {
    program: "cvlc",
    args: (url) => [
      ...["-q", "--no-video", "--aout", "afile", "--audiofile-file", "out.wav", "--audiofile-format", "s16"],
      ...[url, "vlc://quit"],
    ],
    readAs: [],
    leaves: "out.wav",
  },
];

/** Starts a player; VLC refuses to be root. */
function play({ program, args, env = {} }: PlayerKind, url: string): Promise<RunningProgram> {
  if (program !== "cvlc" || Deno.uid() !== 0) return startProgram(program, args(url), {}, env);
  const nobody =
    'chmod 777 . && exec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=. "$0" "$@"';
  return startProgram("sh", ["-c", nobody, program, ...args(url)]);
}

/** Who waits for more of the stream hears only the second signal. */
async function stop(program: RunningProgram): Promise<void> {
  program.kill("SIGINT");
  await pause(200);
  program.kill("SIGINT");
  await program.ended;
}

async function samplesOf(kind: PlayerKind, bytes: Uint8Array): Promise<Int16Array> {
  const wav = await runProgram("ffmpeg", [
    "-v",
    "error",
    ...kind.readAs,
    "-i",
    kind.leaves,
    "-ac",
    "1",
    "-ar",
    "16000",
    "to.wav",
  ], {
    input: bytes,
    inputName: kind.leaves,
    outputName: "to.wav",
  });
  return decodeWav(wav).samples;
}

function assertTone(samples: Int16Array, leastSeconds: number, who: string): void {
  const isSound = (sample: number): boolean => Math.abs(sample) > 500;
  const inner = samples.slice(samples.findIndex(isSound) + 1920, samples.findLastIndex(isSound) - 1920);
  const tone = measureTone(inner, { sampleRate: 16000, hz: HZ, impurity: 0.05 });
  const told = `${who}: ${JSON.stringify(tone)}`;
  assert.ok(Math.abs(tone.hz - HZ) < HZ / 100, told);
  assert.ok(Math.abs(20 * Math.log10(tone.level / (PEAK / Math.SQRT2))) < 1, told);
  assert.ok(tone.durationMs > leastSeconds * 1000, told);
  assert.ok(tone.broken <= LATE_BLOCKS, told);
}

async function untilPlaying(running: TestGateway, count: number): Promise<void> {
  const plays = () => running.lines().match(/<- play \[/g)?.length ?? 0;
  for (let tries = 0; tries < 200 && plays() < count; tries++) await pause(50);
  assert.equal(plays(), count, running.lines());
}

/** VLC reads 32 KiB at a time, and then listens for its 5 s: ten seconds of telephony until it speaks. */
const CALLS: [programs: string[], callSeconds: number, leastSeconds: number][] = [
  [["ffmpeg", "ffplay", "rtmpdump"], 7, 5.5],
  [["cvlc"], 14, 5],
];

for (const [programs, callSeconds, leastSeconds] of CALLS) {
  Deno.test({
    name: `SIPp calls a line and plays a capture: ${programs.join(", ")} hear it`,
    ignore: !built || !hasPeer("sipp", "ffmpeg", ...programs),
  }, async () => {
    const capture = pcapOf(sineWave({ hz: HZ, peak: PEAK, seconds: callSeconds, sampleRate: 8000 }));
    await using running = await startGateway(
      {},
      `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nregister = false\nanswer = "auto"\n`,
    );
    {
      await using stack = new AsyncDisposableStack();
      const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/line/desk`;
      const players: { kind: PlayerKind; program: RunningProgram }[] = [];
      for (const kind of PLAYERS.filter(({ program }) => programs.includes(program))) {
        players.push({ kind, program: stack.use(await play(kind, url)) });
      }
      await untilPlaying(running, programs.length);
      await using sipp = await startSipp({
        scenario: "caller_pcap",
        target: `127.0.0.1:${running.gateway.sipPort}`,
        service: "desk",
        args: ["-d", String((callSeconds + 0.5) * 1000)],
        files: { "tone.pcap": capture },
      });
      const { ok, report } = await sipp.finished();
      assert.ok(ok, report);
      await pause(500); // what players have buffered
      for (const { kind, program } of players) {
        await stop(program);
        const samples = await samplesOf(kind, await program.file(kind.leaves));
        assertTone(samples, leastSeconds, kind.program);
      }
    }
    for (let tries = 0; tries < 60 && running.gateway.usage.connections > 0; tries++) await pause(50);
    const { connections, calls, rtpPorts } = running.gateway.usage;
    assert.deepEqual({ connections, calls, rtpPorts }, { connections: 0, calls: 0, rtpPorts: 0 });
  });
}
