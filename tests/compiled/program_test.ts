// The executable as whoever downloads it runs it: in an empty folder, with nothing in the environment, no Deno to be found,
// and no network but loopback (isolated.ts). SIPRTMP_PROGRAM names another one than that in dist/.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { version } from "../../lib/config/config.ts";
import { executableName, TARGETS } from "../../scripts/release/targets.ts";
import { decodeFlv, flvOf, startProgram } from "../support/ffmpeg.ts";
import { inFolder } from "../support/live_flv.ts";
import { until } from "../support/live_server.ts";
import { type Ended, runExecutable, startExecutable, testProgram } from "../support/program_gateway.ts";
import { record } from "../support/rtmp_recorder.ts";
import type { KeptTag } from "../support/rtmp_server.ts";
import { type Heard, RtmpPhone } from "../support/rtmp_phone.ts";
import { measureTone, sineWave, speakSamples } from "../support/tone.ts";

const DIST = new URL("../../dist/", import.meta.url).pathname;
const OWN = TARGETS.find(({ os, arch }) => os === Deno.build.os && arch === Deno.build.arch)!;
const PROGRAM = testProgram ?? `${DIST}${executableName(version, OWN)}`;
const ARM = `${DIST}${
  executableName(version, TARGETS.find(({ name }) => name === "aarch64-unknown-linux-gnu")!)
}`;
const QEMU = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];

const HZ = 733;
const LOCAL = { host: "127.0.0.1", port: "0", "int-ip": "127.0.0.1", "sip-port": "0" };
const FREE = Object.entries(LOCAL).flatMap(([name, value]) => [`--${name}`, value]);
const CODECS = "speex, pcmu, pcma, g722, aac, opus";
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function run(...args: string[]): Promise<Ended> {
  return runExecutable([PROGRAM, ...args]);
}

/** One line of complaint, no stack, no source file. */
function assertComplaint({ code, said, left }: Ended, wanted: number, pattern: RegExp): void {
  assert.equal(code, wanted, said);
  assert.match(said, pattern);
  assert.doesNotMatch(said.trim(), /\n|\.ts\b|deno/i);
  assert.deepEqual(left, []);
}

function assertDemo({ code, printed, said, left }: Ended, packets: number): void {
  assert.equal(code, 0, printed + said);
  assert.match(
    printed,
    new RegExp(`packets +${packets} sent, ${packets} returned, ${packets} of them as sent`),
  );
  assert.match(printed, /It works: everything you sent came back/);
  assert.doesNotMatch(said, / (?:warn|error) /);
  assert.deepEqual(left, []);
}

Deno.test("--help, --version and --licences say what there is, and nothing of a source tree", async () => {
  const [help, made, licences] = await Promise.all([run("--help"), run("--version"), run("--licences")]);
  assert.match(help.printed, /Usage: siprtmp .*--rtmp-users.*Commands:/s);
  assert.ok(made.printed.startsWith(`siprtmp ${version} (commit `), made.printed);
  assert.match(
    made.printed,
    new RegExp(`, ${OWN.name}\\)\nruntime: Deno [\\d.]+, V8 \\S+\ncodecs: ${CODECS}\n`),
  );
  for (
    const part of ["GNU GENERAL PUBLIC LICENSE", "opus-1.3.1", "Nero AG", "commander", "V8: BSD-3-Clause"]
  ) {
    assert.ok(licences.printed.includes(part), part);
  }
  for (const { code, printed, said, left } of [help, made, licences]) {
    assert.deepEqual([code, said, left], [0, "", []]);
    assert.doesNotMatch(printed, /deno task|scripts\//);
  }
});

Deno.test("demo: 500 packets there and back", async () => assertDemo(await run("demo", "--once"), 500));

for (
  const [name, ...args] of [
    ["two workers", "--workers", "2"],
    ["the sockets of the runtime", "--sockets", "deno"],
    ["the sockets of Linux", "--sockets", "linux"],
  ]
) {
  Deno.test(`demo with ${name}`, async () => {
    assertDemo(await run("demo", "--once", "--duration", "2", ...args), 100);
  });
}

Deno.test("a call whose ends speak different codecs is transcoded, and the tone arrives", async () => {
  await using running = await startExecutable([PROGRAM], LOCAL);
  const { rtmp, sipPort } = running.gateway;
  const url = (user: string) => `rtmp://127.0.0.1:${rtmp.port}/sip/${user}@127.0.0.1:${sipPort}`;
  await using alice = await RtmpPhone.connect({ url: url("alice") });
  await using bob = await RtmpPhone.connect({ url: url("bob"), answers: ["pcmu"] });
  alice.client.send("invite", `sip:bob@127.0.0.1:${sipPort}`, "ulaw"); // G.711 to the other end, Speex for the client
  await alice.expect("accepted");
  const samples = sineWave({ hz: HZ, peak: 8000, seconds: 2, sampleRate: 8000 });
  await speakSamples(bob.speaking, samples, { law: "pcmu" });
  await pause(300);
  await assertTone(alice.heard, 0xb0, running.lines);
});

async function assertTone(heard: readonly Heard[], head: number, lines: () => string): Promise<void> {
  const tags = heard.filter(({ type, body }) => type === 8 && body.length > 1) as KeptTag[];
  assert.ok(
    tags.every(({ body }) => (body[0]! & 0xf0) === head),
    `what was heard is no such codec\n${lines()}`,
  );
  const samples = await decodeFlv(flvOf(tags), 16000);
  const told = measureTone(samples, { sampleRate: 16000, hz: HZ, impurity: 0.1 });
  assert.ok(Math.abs(told.hz - HZ) < HZ / 100 && told.durationMs > 1500, JSON.stringify(told) + lines());
}

Deno.test("ffmpeg calls by URL with AAC, and hears itself by the echo number", async () => {
  const account = `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nregister = false\n`;
  await using running = await startExecutable([PROGRAM], { ...LOCAL, sipd: true }, account);
  const { rtmp } = running.gateway;
  const sipd = /built-in SIP server for tests only at (\S+):(\d+)/.exec(running.lines())!;
  const call = `rtmp://127.0.0.1:${rtmp.port}/call/desk/echo@127.0.0.1%3A${sipd[2]}`;
  const tone = ["-re", "-f", "lavfi", "-i", `sine=frequency=${HZ}:sample_rate=48000:duration=6`];
  const send = ["-v", "warning", ...tone, "-c:a", "aac", "-f", "flv", call];
  await using ffmpeg = await startProgram("ffmpeg", send);
  await until("the call", () => /call with \S+ established/.test(running.lines()));
  const hear = [
    "-v",
    "error",
    "-i",
    call,
    "-t",
    "2",
    "-ar",
    "16000",
    "-ac",
    "1",
    "-f",
    "s16le",
    "out.raw",
  ];
  await using player = await startProgram("ffmpeg", hear);
  const { code, said } = await player.ended;
  assert.equal(code, 0, `${said}\n${running.lines()}`);
  const bytes = await player.file("out.raw");
  const samples = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
  const told = measureTone(samples, { sampleRate: 16000, hz: HZ, impurity: 0.1 });
  assert.ok(Math.abs(told.hz - HZ) < HZ / 100 && told.durationMs > 1000, JSON.stringify(told));
  ffmpeg.kill("SIGINT");
  await ffmpeg.ended;
});

Deno.test("SIGTERM with a call up: BYE to both ends, clients are told, exit code 0", async () => {
  await using running = await startExecutable([PROGRAM], LOCAL);
  const { rtmp, sipPort } = running.gateway;
  const url = (user: string) => `rtmp://127.0.0.1:${rtmp.port}/sip/${user}@127.0.0.1:${sipPort}`;
  await using alice = await RtmpPhone.connect({ url: url("alice") });
  await using bob = await RtmpPhone.connect({ url: url("bob"), answers: ["pcmu"] });
  alice.client.send("invite", `sip:bob@127.0.0.1:${sipPort}`, "pcmu");
  await alice.expect("accepted");
  assert.equal(await running.stop(), 0, running.lines());
  assert.match(running.lines(), /BYE sip:/);
  assert.doesNotMatch(running.lines(), /internal error/);
  await bob.expect("onStatus");
});

Deno.test("recording into a folder that cannot be written: the publisher is told, the program goes on", async () => {
  await using running = await startExecutable([PROGRAM], { ...LOCAL, record: true, root: "/proc/none" });
  const status = await record(running.gateway.rtmp.port, "record");
  assert.equal(status, "NetStream.Record.NoAccess", running.lines());
  assert.match(running.lines(), /\/proc\/none/);
  assert.equal(await running.stop(), 0);
});

Deno.test("with --record a stream is recorded below --root; without, nothing is written", async () => {
  for (const allowed of [true, false]) {
    await using running = await startExecutable([PROGRAM], { ...LOCAL, record: allowed, root: "films" });
    const status = await record(running.gateway.rtmp.port, "record");
    assert.equal(status, allowed ? "NetStream.Record.Start" : "NetStream.Record.NoAccess", running.lines());
    assert.equal(await running.stop(), 0);
    const left = (await Array.fromAsync(Deno.readDir(running.folder))).map(({ name }) => name);
    assert.deepEqual(left, allowed ? ["films"] : []);
  }
});

Deno.test("siprtmp call records what comes back, and sends it again as a file", () =>
  inFolder(async (folder) => {
    await using running = await startExecutable([PROGRAM], { ...LOCAL, sipd: "127.0.0.1:0" });
    const sipd = /built-in SIP server for tests only at (\S+):(\d+)/.exec(running.lines())!;
    const call = async (...args: string[]) => {
      const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/sip/me@127.0.0.1:${sipd[2]}`;
      const { code, printed, said } = await run("call", url, "echo", ...args);
      assert.equal(code, 0, printed + said);
      return printed;
    };
    await call("--duration", "1", "--codec", "pcmu", "--record", `${folder}/back.flv`);
    assert.ok((await Deno.stat(`${folder}/back.flv`)).size > 40 * 160);
    assert.match(await call("--file", `${folder}/back.flv`), /It works: everything you sent came back/);
  }));

Deno.test("siprtmp health: 0 while a gateway answers, 1 and one line when none does", async () => {
  await using running = await startExecutable([PROGRAM], LOCAL);
  const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}`;
  const well = await run("health", url);
  assert.deepEqual([well.code, well.printed, well.said], [0, "", ""]);
  await running.stop();
  assertComplaint(await run("health", url), 1, /^siprtmp: .*refused/);
});

Deno.test("what is mistyped, taken or missing is one line and an exit code", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String((taken.addr as Deno.NetAddr).port);
  const [option, busy, config, command] = await Promise.all([
    run("--prot", "1935"),
    run(...FREE, "--port", port),
    run("--config", "siprtmp.toml"),
    run("strat"),
  ]);
  assertComplaint(option, 2, /^siprtmp: unknown option '--prot'.*--port/);
  assertComplaint(busy, 1, new RegExp(`^siprtmp: Cannot listen on TCP 127\\.0\\.0\\.1:${port}: .*in use`));
  assertComplaint(config, 1, /^siprtmp: cannot read siprtmp\.toml: there is no such file/);
  assertComplaint(command, 2, /Did you mean start\?/);
});

Deno.test("users are added by the program, and let in after a reload", () =>
  inFolder(async (folder) => {
    const users = `${folder}/users`;
    const add = async (name: string) => {
      const { code, said } = await runExecutable([PROGRAM, "user", "add", users, name], "correct horse\n");
      assert.equal(code, 0, said);
    };
    await add("alice");
    await using running = await startExecutable([PROGRAM], { ...LOCAL, "rtmp-users": users });
    const { rtmp } = running.gateway;
    const connect = (login: string) =>
      RtmpClient.open(`rtmp://127.0.0.1:${rtmp.port}/live`, {
        ...{ clock: systemClock, log: silentLog, random: systemRandom },
        args: [login, "correct horse"],
      });
    await using _alice = await connect("alice");
    await assert.rejects(connect("bob"));
    await add("bob");
    running.signal("SIGHUP");
    await until("the reload", () => /reloaded/.test(running.lines()));
    await using _bob = await connect("bob");
  }));

Deno.test("the executable for 64-bit ARM says what it is, and its codecs give what those of this machine give", async () => {
  const arm = (...args: string[]) => runExecutable([...QEMU.map(absolute), ARM, ...args]);
  const [made, own, other] = await Promise.all([arm("--version"), run("codecs"), arm("codecs")]);
  assert.match(made.printed, new RegExp(`aarch64-unknown-linux-gnu\\)\n.*\ncodecs: ${CODECS}\n`));
  assert.equal(own.printed.trim().split("\n").length, 7, own.printed);
  assert.equal(other.printed, own.printed);
});

Deno.test("the executable for 64-bit ARM makes a call", async () => {
  const args = ["demo", "--once", "--duration", "2", "--max-lag", "0"];
  const { code, printed, said } = await runExecutable([...QEMU.map(absolute), ARM, ...args]);
  assert.equal(code, 0, printed + said);
  assert.match(printed, /packets +100 sent, 100 returned, 100 of them as sent/);
});

function absolute(word: string, index: number): string {
  return index === 0 ? `/usr/bin/${word}` : word;
}
