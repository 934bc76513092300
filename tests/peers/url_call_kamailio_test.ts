// Two accounts of the gateway, registered at Kamailio with their passwords, call each other, and everything at both ends
// is a plain program: ffmpeg publishes to call/desk/door and to line/door/say, rtmpdump plays both.

import assert from "node:assert/strict";
import { decodeFlv, flvOf, publishFlv, startProgram } from "../support/ffmpeg.ts";
import { startKamailio } from "../support/kamailio.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { measureTone } from "../support/tone.ts";
import { built } from "../support/transcode_bench.ts";

const ignore = !hasPeer("ffmpeg", "rtmpdump", "kamailio") || !built;
const CALLER_HZ = 733;
const CALLED_HZ = 433;
const SECONDS = 5;
/** What a machine that is busy with other tests may deliver too late. */
const LATE_BLOCKS = 30;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(running: TestGateway, pattern: RegExp): Promise<void> {
  for (let tries = 0; tries < 200 && !pattern.test(running.lines()); tries++) await pause(50);
  assert.match(running.lines(), pattern);
}

function aacFlv(hz: number): Promise<Uint8Array> {
  const source = ["-f", "lavfi", "-i", `sine=frequency=${hz}:sample_rate=48000:duration=${SECONDS}`];
  return runProgram("ffmpeg", ["-v", "error", ...source, "-c:a", "aac", "-b:a", "96k", "out.flv"], {
    input: new Uint8Array(0),
    inputName: "none",
    outputName: "out.flv",
  });
}

async function assertTone(flv: Uint8Array, hz: number, who: string): Promise<void> {
  const tags = tagsOf(flv).filter(({ type }) => type === 8) as KeptTag[];
  const samples = await decodeFlv(flvOf(tags), 16000);
  const isSound = (sample: number): boolean => Math.abs(sample) > 500;
  const inner = samples.slice(samples.findIndex(isSound) + 1920, samples.findLastIndex(isSound) - 1920);
  const tone = measureTone(inner, { sampleRate: 16000, hz, impurity: 0.1 });
  const told = `${who}: ${JSON.stringify(tone)}`;
  assert.ok(Math.abs(tone.hz - hz) < hz / 100, told);
  assert.ok(tone.durationMs > (SECONDS - 2) * 1000, told);
  assert.ok(tone.broken <= LATE_BLOCKS, told);
}

function entry(name: string, port: number, more = ""): string {
  return `[[account]]\nname = "${name}"\naddress = "${name}@127.0.0.1:${port}"\npassword = "${name}-secret"\n${more}`;
}

Deno.test({
  name: "accounts registered at Kamailio: ffmpeg calls one from the other by URL, both ends hear in AAC",
  ignore,
}, async () => {
  const [caller, called] = [await aacFlv(CALLER_HZ), await aacFlv(CALLED_HZ)];
  await using kamailio = await startKamailio();
  await using running = await startGateway(
    {},
    entry("desk", kamailio.port) + entry("door", kamailio.port, `answer = "auto"\n`),
  );
  {
    await until(running, /account desk: registered/);
    await until(running, /account door: registered/);
    const at = `rtmp://127.0.0.1:${running.gateway.rtmp.port}`;
    const player = (path: string) =>
      startProgram("rtmpdump", ["-q", "--live", "-r", `${at}/${path}`, "-o", "out.flv"]);
    await using atDoor = await player("line/door");
    await using atDesk = await player("call/desk/door");
    await using speaker = await publishFlv(`${at}/line/door/say`, called);
    await using dialler = await publishFlv(`${at}/call/desk/door`, caller);
    const [{ code, said }, { code: other }] = await Promise.all([dialler.ended, speaker.ended]);
    assert.deepEqual([code, other], [0, 0], said + running.lines());
    await pause(300);
    for (const program of [atDoor, atDesk]) {
      program.kill("SIGINT");
      await program.ended;
    }
    await assertTone(await atDoor.file("out.flv"), CALLER_HZ, "who plays the line");
    await assertTone(await atDesk.file("out.flv"), CALLED_HZ, "who plays the call");
    assert.match(running.lines(), /account desk: call to door: call with door@\S+ established/);
    assert.match(kamailio.output(), /^(?!.*(?:ERROR|CRITICAL))/s);
  }
  for (let tries = 0; tries < 60 && running.gateway.usage.connections > 0; tries++) await pause(50);
  const { connections, calls, rtpPorts } = running.gateway.usage;
  assert.deepEqual({ connections, calls, rtpPorts }, { connections: 0, calls: 0, rtpPorts: 0 });
});
