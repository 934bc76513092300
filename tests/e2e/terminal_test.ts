// The program on a terminal, where the runtime would ask its user for a permission and let everything wait: no client
// can bring that about, neither with the tasks nor with a command typed by hand.

import assert from "node:assert/strict";
import { inFolder } from "../support/live_flv.ts";
import { record } from "../support/rtmp_recorder.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const LOCAL = ["-i", "127.0.0.1", "-p", "0", "-l", "127.0.0.1", "--sip-port", "0"];
const PERMISSIONS = ["--allow-net", "--allow-read", "--allow-sys=networkInterfaces"];

/** What gives a command a terminal of its own: Python has it, and util-linux. */
const LAUNCHERS: [program: string, args: (command: readonly string[]) => string[]][] = [
  ["python3", (command) => [
    "-c",
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
    ...command,
  ]],
  ["script", (command) => ["-qefc", command.map((word) => `'${word}'`).join(" "), "/dev/null"]],
];

const LAUNCHER = await (async () => {
  for (const launcher of LAUNCHERS) {
    const [program, args] = launcher;
    const trial = new Deno.Command(program, {
      args: args(["true"]),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
    const works = await Promise.try(() => trial.output()).then(({ success }) => success, () => false);
    if (works) return launcher;
  }
  return null;
})();

/** A command on a pseudo-terminal; Ctrl-C ends it. */
class Terminal implements AsyncDisposable {
  said = "";
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;

  constructor(command: readonly string[]) {
    this.#process = new Deno.Command(LAUNCHER![0], {
      args: LAUNCHER![1](command),
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#reading = this.#read(this.#process.stdout);
  }

  async #read(pieces: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of pieces) this.said += decoder.decode(piece);
  }

  /** Waits until it has said something like it. */
  async until(pattern: RegExp, seconds = 60): Promise<RegExpExecArray> {
    for (let tries = 0; tries < seconds * 20; tries++) {
      const match = pattern.exec(this.said);
      if (match !== null) return match;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`it did not say ${pattern}:\n${this.said}`);
  }

  async interrupt(): Promise<number> {
    const writer = this.#process.stdin.getWriter();
    await writer.write(Uint8Array.of(3));
    const { code } = await this.#process.status;
    await writer.close().catch((error: unknown) => assert.ok(error instanceof Error));
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
      await this.#process.stdin.close();
    } catch (error) {
      if (!(error instanceof Error)) throw error; // it has ended
    }
    await this.#process.status;
    await this.#reading;
  }
}

const COMMANDS: [name: string, command: string[]][] = [
  ["deno task start", ["deno", "task", "-q", "start", ...LOCAL]],
  ["deno run, typed by hand", ["deno", "run", ...PERMISSIONS, "main.ts", ...LOCAL, "--record"]],
];

for (const [name, command] of COMMANDS) {
  Deno.test(
    { name: `on a terminal, ${name}: who records is refused, and all goes on`, ignore: LAUNCHER === null },
    () =>
      inFolder(async (folder) => {
        await using terminal = new Terminal([...command, "-r", `${folder}/videos`]);
        const [, port] = await terminal.until(/RTMP clients connect to 127\.0\.0\.1:(\d+)/);
        for (const mode of ["record", "append", "record"] as const) {
          assert.equal(await record(Number(port), mode), "NetStream.Record.NoAccess", terminal.said);
        }
        await terminal.until(
          /without the permission to write it|recording is off here: --record turns it on/,
        );
        assert.doesNotMatch(terminal.said, /Allow\?|prompt/i);
        assert.equal(await terminal.interrupt(), 0, terminal.said);
      }),
  );
}

Deno.test("every task that runs something asks for nothing", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const commands = Object.values<{ command: string }>(tasks).flatMap(({ command }) => command.split("&&"));
  const runs = commands.filter((command) => /\bdeno run\b/.test(command));
  assert.ok(runs.length > 6);
  for (const run of runs) assert.match(run, / -A | --no-prompt /, run);
});

Deno.test("start:record may write into the folder recordings alone, and records there", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const { command } = tasks["start:record"];
  const write = command.split(" ").filter((word: string) => word.startsWith("--allow-write"));
  assert.deepEqual(write, ["--allow-write=recordings"]);
  assert.match(command, / main\.ts --record --root recordings$/);
  await inFolder(async (folder) => {
    const [, run] = command.split("&& deno ");
    const child = new Deno.Command(Deno.execPath(), {
      args: [...run.replace("main.ts", `--config ${ROOT}deno.json ${ROOT}main.ts`).split(" "), ...LOCAL],
      cwd: folder,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let said = "";
    let asked = false;
    const decoder = new TextDecoder();
    for await (const piece of child.stderr) {
      said += decoder.decode(piece);
      const port = /RTMP clients connect to 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port === undefined || asked) continue;
      asked = true;
      assert.equal(await record(Number(port), "record"), "NetStream.Record.Start");
      child.kill("SIGTERM");
    }
    await child.status;
    assert.ok((await Deno.stat(`${folder}/recordings/film.flv`)).size > 100, said);
  });
});
