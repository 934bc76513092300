// ffmpeg with AAC and H.264 calls by URL, and what it plays of the remote party are the pictures the remote party sends. The remote
// party is SIPp, which returns what it gets (no SIP phone with H.264 is in Debian's main archive): so both directions
// carried the pictures, which are compared one by one with those that were published.

import assert from "node:assert/strict";
import { decodeFlv, flvOf, publishFlv, startProgram } from "../support/ffmpeg.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway } from "../support/test_gateway.ts";
import { measureTone } from "../support/tone.ts";
import { built } from "../support/transcode_bench.ts";
import { isPicture, pictureHashes, videoFlvOf } from "../support/video_files.ts";

const ignore = !hasPeer("ffmpeg", "sipp") || !built;
const HZ = 733;
const SECONDS = 6;
const FPS = 25;
const LATE_BLOCKS = 30;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a camera or OBS sends: constrained baseline, a key frame each second, AAC beside it. */
function cameraFlv(pictures = "testsrc2", hz = HZ): Promise<Uint8Array> {
  return runProgram("ffmpeg", [
    ...["-v", "error", "-f", "lavfi", "-i", `${pictures}=size=320x240:rate=${FPS}:duration=${SECONDS}`],
    ...["-f", "lavfi", "-i", `sine=frequency=${hz}:sample_rate=44100:duration=${SECONDS}`],
    ...["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-bf", "0", "-g", String(FPS)],
    ...[
      "-pix_fmt",
      "yuv420p",
      "-x264-params",
      "scenecut=0:threads=1",
      "-c:a",
      "aac",
      "-b:a",
      "96k",
      "out.flv",
    ],
  ], { input: new Uint8Array(0), inputName: "none", outputName: "out.flv" });
}

Deno.test({
  name: "ffmpeg with AAC and H.264 calls by URL, and sees and hears what the remote party sends",
  ignore,
}, async () => {
  const file = await cameraFlv();
  await using sipp = await startSipp({ scenario: "callee_echo_video", args: ["-rtp_echo"] });
  await using running = await startGateway(
    {},
    `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nregister = false\n`,
  );
  const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/call/desk/echo@127.0.0.1%3A${sipp.port}`;
  // Its usual 5 s to find out what there is: the first pictures come with the key frame after the answer.
  await using player = await startProgram("ffmpeg", ["-v", "warning", "-i", url, "-c", "copy", "out.flv"]);
  await using publisher = await publishFlv(url, file);
  const { code, said } = await publisher.ended;
  assert.equal(code, 0, said + running.lines());
  const { ok, report } = await sipp.finished();
  assert.ok(ok, report);
  player.kill("SIGINT");
  await player.ended;
  const tags = tagsOf(await player.file("out.flv")) as KeptTag[];
  await assertSeenAndHeard(tags, file, HZ);
});

/** What was published before the answer is lost, with all pictures up to the next key frame; the last may be on its way. */
async function assertSeenAndHeard(tags: readonly KeptTag[], file: Uint8Array, hz: number): Promise<void> {
  const sent = await pictureHashes(file);
  const decoded = await pictureHashes(videoFlvOf(tags.filter(({ type }) => type === 9)));
  const arrived = decoded.filter((hash, i) => hash !== decoded[i - 1]); // a key frame that was asked for comes again
  assert.ok(arrived.length >= sent.length - 2 * FPS, `${arrived.length} of ${sent.length}`);
  const from = sent.indexOf(arrived[0]!);
  assert.deepEqual(arrived, sent.slice(from, from + arrived.length));
  assert.ok(tags.filter(isPicture).length >= arrived.length);
  const sound = tags.filter(({ type }) => type === 8);
  assert.ok(sound.every(({ body }) => body[0] === 0xaf), "AAC, as it publishes");
  const heard = await decodeFlv(flvOf(sound), 48000);
  const isSound = (sample: number): boolean => Math.abs(sample) > 500;
  const inner = heard.slice(heard.findIndex(isSound) + 5760, heard.findLastIndex(isSound) - 5760);
  const tone = measureTone(inner, { sampleRate: 48000, hz, impurity: 0.1 });
  const told = JSON.stringify(tone);
  assert.ok(Math.abs(tone.hz - hz) < hz / 100 && tone.durationMs > (SECONDS - 2.5) * 1000, told);
  assert.ok(tone.broken <= LATE_BLOCKS, told);
}

Deno.test({
  name: "two programs with cameras, one calls by URL, one publishes on a line: each sees and hears the other",
  ignore: !hasPeer("ffmpeg", "rtmpdump") || !built,
}, async () => {
  const [desk, door] = [await cameraFlv(), await cameraFlv("testsrc", 433)];
  const account = (name: string, more = "") =>
    `[[account]]\nname = "${name}"\naddress = "${name}@127.0.0.1"\nregister = false\n${more}`;
  await using running = await startGateway({}, account("desk") + account("door", `answer = "auto"\n`));
  {
    const at = `rtmp://127.0.0.1:${running.gateway.rtmp.port}`;
    const call = `call/desk/door@127.0.0.1%3A${running.gateway.sipPort}`;
    const player = (path: string) =>
      startProgram("rtmpdump", ["-q", "--live", "-r", `${at}/${path}`, "-o", "out.flv"]);
    await using atDoor = await player("line/door");
    await using atDesk = await player(call);
    await using speaker = await publishFlv(`${at}/line/door/say`, door);
    await using dialler = await publishFlv(`${at}/${call}`, desk);
    const [{ code, said }, { code: other }] = await Promise.all([dialler.ended, speaker.ended]);
    assert.deepEqual([code, other], [0, 0], said + running.lines());
    await pause(300);
    for (const program of [atDoor, atDesk]) {
      program.kill("SIGINT");
      await program.ended;
    }
    await assertSeenAndHeard(tagsOf(await atDoor.file("out.flv")) as KeptTag[], desk, HZ);
    await assertSeenAndHeard(tagsOf(await atDesk.file("out.flv")) as KeptTag[], door, 433);
  }
  for (let tries = 0; tries < 60 && running.gateway.usage.connections > 0; tries++) await pause(50);
  const { connections, calls, rtpPorts } = running.gateway.usage;
  assert.deepEqual({ connections, calls, rtpPorts }, { connections: 0, calls: 0, rtpPorts: 0 });
});
