// Every command of README, pasted: programs that are there run it against a gateway on loopback. Only hosts, ports, numbers and
// lengths are others than in the text. What tests/compiled pastes, and what fetches Deno itself, is named below.

import assert from "node:assert/strict";
import { runProgram } from "../support/media_programs.ts";
import { startProgram } from "../support/ffmpeg.ts";
import { until } from "../support/live_server.ts";
import { hasPeer } from "../support/peers.ts";
import { startExecutable } from "../support/program_gateway.ts";
import { blocksOf, readmeCommands } from "../support/readme.ts";

/** Of the executable: tests/compiled/readme_test.ts. Of Deno: .ci/run does the same. */
const ELSEWHERE = [/^sha256sum /, /^chmod /, /^\.\/siprtmp-\S+ demo$/, /^npm install -g deno@/];

const HERE = ["deno task demo", "siprtmp start", "ffmpeg", "ffplay", "siprtmp call"];

const LOCAL = ["-i", "127.0.0.1", "-p", "0", "-l", "127.0.0.1", "--sip-port", "0"];
const ROOT = new URL("../../", import.meta.url).pathname;

async function command(start: string): Promise<string[]> {
  const found = (await readmeCommands()).filter((line) => line.startsWith(start));
  assert.equal(found.length, 1, start);
  return found[0]!.split(" ");
}

/** Runs a `deno task` or what stands for one; its exit code and everything it said. */
async function run(words: readonly string[]): Promise<{ code: number; text: string }> {
  const [program, ...args] = words[0] === "siprtmp" ? ["deno", "task", ...words.slice(1)] : words;
  const process = new Deno.Command(program!, { args, cwd: ROOT, stdin: "null", env: { NO_COLOR: "1" } });
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("every command of README is tried somewhere", async () => {
  for (const line of await readmeCommands()) {
    const known = HERE.some((start) => line.startsWith(start)) ||
      ELSEWHERE.some((pattern) => pattern.test(line));
    assert.ok(known, line);
  }
});

Deno.test("README: deno task demo prints the ladder that README shows", async () => {
  const words = await command("deno task demo");
  const { code, text } = await run([
    ...words,
    ...LOCAL,
    "--sipd",
    "127.0.0.1:0",
    "--once",
    "--duration",
    "1",
  ]);
  assert.equal(code, 0, text);
  const shown = (await Deno.readTextFile(`${ROOT}README.md`)).match(/^ *\d+ ms \|.*$/gm)!;
  const plain = (line: string) =>
    line.replace(/^ *\d+ ms/, "").replace(/\d+/g, "N").replace(/ +/g, " ").trim();
  const printed = text.split("\n").map(plain);
  for (const line of shown) assert.ok(printed.includes(plain(line)), `${line}\n${text}`);
});

/** The gateway of README's settings, whose provider is the built-in SIP server. */
async function startReadme(port: number) {
  const [settings = ""] = await blocksOf("toml");
  assert.match(settings, /sip\.example\.com/);
  const words = await command("siprtmp start");
  assert.deepEqual(words.slice(2), ["-d", "--config", "siprtmp.toml"]);
  return await startExecutable(
    ["deno", "run", "-A", "--quiet", `${ROOT}main.ts`],
    { host: "127.0.0.1", port: "0", "int-ip": "127.0.0.1", "sip-port": "0", sipd: `127.0.0.1:${port}` },
    settings.replaceAll("sip.example.com", `127.0.0.1:${port}`),
  );
}

function freePort(): number {
  using socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (socket.addr as Deno.NetAddr).port;
}

Deno.test({
  name: "README: ffmpeg calls the echo number with a film, by the settings that README shows",
  ignore: !hasPeer("ffmpeg"),
}, async () => {
  const sources = [
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=320x240:rate=25:duration=4",
    "-f",
    "lavfi",
    "-i",
    "sine=433:duration=4",
  ];
  const film = await runProgram("ffmpeg", [
    "-v",
    "error",
    ...sources,
    "-c:v",
    "libx264",
    "-c:a",
    "aac",
    "talk.mp4",
  ], {
    input: new Uint8Array(0),
    inputName: "none",
    outputName: "talk.mp4",
  });
  await using running = await startReadme(freePort());
  await until("the registration", () => /desk@\S+: registered/.test(running.lines()));
  const [program = "", ...words] = await command("ffmpeg");
  const args = words.map((word) =>
    word.replace("rtmp://gateway", `rtmp://127.0.0.1:${running.gateway.rtmp.port}`).replace(
      "+4930123",
      "echo",
    )
  );
  await using ffmpeg = await startProgram(program, ["-v", "warning", ...args], { "talk.mp4": film });
  const { code, said } = await ffmpeg.ended;
  assert.equal(code, 0, said + running.lines());
  await until("the end", () => /audio packets: /.test(running.lines()));
  const [, sent, received] = /call ended: .*?audio packets: (\d+) sent, (\d+) received/.exec(
    running.lines(),
  )!;
  assert.ok(Number(sent) > 100 && Number(received) > 100, running.lines());
  assert.match(running.lines(), /video: (?!none)/);
});

Deno.test({
  name: "README: ffplay hears who calls the account, and siprtmp call is that caller",
  ignore: !hasPeer("ffmpeg", "ffplay"),
}, async () => {
  const port = freePort();
  await using running = await startReadme(port);
  const at = `127.0.0.1:${running.gateway.rtmp.port}`;
  await until("the registration", () => /desk@\S+: registered/.test(running.lines()));
  const [player = "", ...words] = await command("ffplay");
  const args = words.map((word) => word.replace("gateway", at));
  const listening = await startProgram(player, ["-v", "error", "-nodisp", ...args], {}, {
    SDL_AUDIODRIVER: "dummy",
  });
  await using _listening = listening;
  const call = (await command("siprtmp call")).map((word) =>
    word.replace("127.0.0.1/sip/me@127.0.0.1", `${at}/sip/me@127.0.0.1:${port}`).replace(
      "echo@127.0.0.1:5060",
      "desk",
    )
  );
  const { text } = await run([...call, "--duration", "3", "--codec", "pcmu"]);
  assert.match(text, /accepted\(/, text);
  assert.match(running.lines(), /<- play \["desk"/);
  assert.match(running.lines(), /line desk.*established|call with me@\S+ established/, running.lines());
});
