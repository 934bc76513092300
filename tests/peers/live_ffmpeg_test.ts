// ffmpeg and rtmpdump publish to and play from the streams application; ffmpeg judges every frame.
import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { concatBytes } from "../../lib/base/bytes.ts";
import { decodeAvcConfig } from "../../lib/codecs/h264/avc_config.ts";
import { PictureUnits } from "../../lib/codecs/h264/picture_units.ts";
import { annexB } from "../support/h264_forms.ts";
import { avc } from "../support/media_h264.ts";
import { inFolder, type TestTag } from "../support/live_flv.ts";
import { LiveHouse } from "../support/live_house.ts";
import {
  frameHashes,
  makeFilm,
  packetHashes,
  placeOf,
  publish,
  run,
  runWell,
} from "../support/live_programs.ts";
import { type LiveServer, startLiveServer, until } from "../support/live_server.ts";
import { hasPeer } from "../support/peers.ts";
import { tagsOf } from "../support/rtmp_server.ts";

const ignore = !hasPeer("ffmpeg", "rtmpdump");
const LATENCY_MS = 2000;

/** Sends all tags of a file at once, as a publisher that asks for a recording, which ffmpeg cannot. */
async function record(
  server: LiveServer,
  file: string,
  name: string,
  mode: "record" | "append",
): Promise<void> {
  const environment = { clock: systemClock, log: silentLog, random: systemRandom };
  await using client = await RtmpClient.open(`${server.url}/live`, environment);
  const stream = await client.createStream();
  const codes: unknown[] = [];
  stream.onStatus = (info) => codes.push(info["code"]);
  await stream.publish(name, mode);
  for (const { type, timeMs, body } of tagsOf(await Deno.readFile(file))) stream.send(type, timeMs, body);
  stream.command("closeStream");
  await until("the recording", () => codes.includes("NetStream.Record.Stop"));
}

for (const app of ["live", "wirecast/studio"]) {
  Deno.test({
    name: `${app}: early and late players decode every frame from their first one on`,
    ignore,
    fn: () =>
      inFolder(async (folder) => {
        const film = `${folder}/film.flv`;
        await makeFilm(film, 6);
        await using server = await startLiveServer({ root: folder, record: true, latencyMs: LATENCY_MS });
        const url = `${server.url}/${app}/cam`;
        const early = frameHashes(url, "v", ["-rtmp_live", "live"]);
        await until("the early player", () => server.app.usage.players === 1);
        const publishing = publish(film, url);
        const stream = () => server.app.streams.find(`${app}/cam`);
        await until("the middle of a group of pictures", () => (stream()?.lastTimeMs ?? 0) > 2500);
        const late = frameHashes(url, "v");
        const lateSound = packetHashes(url, "a");
        const dumped = run("rtmpdump", ["-q", "--live", "-r", url, "-o", `${folder}/dumped.flv`]);
        assert.deepEqual(await publishing, { success: true, out: "", err: "" });
        const pictures = await frameHashes(film, "v");
        const sounds = await packetHashes(film, "a");
        assert.equal(pictures.length, 150);
        assert.deepEqual(await early, pictures);
        await dumped;
        for (const seen of [await late, await frameHashes(`${folder}/dumped.flv`, "v")]) {
          const at = placeOf(seen, pictures);
          assert.ok(at % 25 === 0 && at >= 50 && at <= 100, `starts at picture ${at}`);
          assert.equal(at + seen.length, pictures.length);
        }
        const heard = await lateSound;
        const from = placeOf(heard, sounds);
        assert.ok(from > 80, `hears from ${from} on`);
        assert.equal(from + heard.length, sounds.length);
        assert.ok((await frameHashes(`${folder}/dumped.flv`, "a")).length > 50); // decodes without a complaint
        assert.equal(server.log.at("warn").join("\n"), "");
        await until("them to leave", () => server.app.usage.streams === 0);
      }),
  });
}

Deno.test({
  name: "sound alone is heard at once by a late player",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const film = `${folder}/talk.flv`;
      const source = "-f lavfi -i sine=1000:sample_rate=16000 -t 4 -c:a libspeex -ac 1 -f flv".split(" ");
      await runWell("ffmpeg", ["-v", "error", ...source, film]);
      await using server = await startLiveServer({ root: folder, record: true, latencyMs: LATENCY_MS });
      const url = `${server.url}/live/talk`;
      const publishing = publish(film, url);
      await until("some sound", () => (server.app.streams.find("live/talk")?.lastTimeMs ?? 0) > 1000);
      const dumped = await run("rtmpdump", ["-q", "--live", "-r", url, "-o", `${folder}/dumped.flv`]);
      await publishing;
      const sent = tagsOf(await Deno.readFile(film)).filter(({ type }) => type === 8);
      const heard = tagsOf(await Deno.readFile(`${folder}/dumped.flv`)).filter(({ type }) => type === 8);
      assert.ok(heard.length > 100, `${heard.length} ${dumped.err}`);
      assert.deepEqual(heard.map(({ body }) => body), sent.slice(-heard.length).map(({ body }) => body));
    }),
});

Deno.test({
  name: "a recording is played back with every frame, by both programs and from the disk",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const film = `${folder}/film.flv`;
      await makeFilm(film, 4);
      await using server = await startLiveServer({
        root: `${folder}/root`,
        record: true,
        latencyMs: LATENCY_MS,
      });
      await record(server, film, "film", "record");
      const url = `${server.url}/live/film`;
      const [played, dumped] = await Promise.all([
        frameHashes(url, "v"),
        run("rtmpdump", ["-q", "-r", url, "-o", `${folder}/dumped.flv`]),
      ]);
      assert.equal(dumped.success, true, dumped.err);
      const pictures = await frameHashes(film, "v");
      const sounds = await frameHashes(film, "a");
      assert.equal(pictures.length, 100);
      assert.deepEqual(played, pictures);
      for (const copy of [`${folder}/dumped.flv`, `${folder}/root/film.flv`]) {
        assert.deepEqual(await frameHashes(copy, "v"), pictures, copy);
        assert.deepEqual(await frameHashes(copy, "a"), sounds, copy);
      }
      const shown = await runWell("ffprobe", [
        ...["-v", "error", "-show_entries", "format=duration:stream=codec_name,width", "-of", "csv=p=0"],
        `${folder}/root/film.flv`,
      ]);
      assert.match(shown, /^h264,320\naac\n(3\.9|4\.0)/);
    }),
});

Deno.test({
  name: "ffmpeg seeks in a recording, in the file and over RTMP, and sees the same",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const film = `${folder}/film.flv`;
      await makeFilm(film, 6);
      await using server = await startLiveServer({ root: folder, record: true, latencyMs: LATENCY_MS });
      await record(server, film, "copy", "record");
      const pictures = await frameHashes(film, "v");
      const url = `${server.url}/live/copy`;
      for (
        const [input, before] of [[`${folder}/copy.flv`, []], [url, ["-rtmp_live", "recorded"]]] as const
      ) {
        const seen = await frameHashes(input, "v", ["-ss", "3.5", ...before]);
        const at = placeOf(seen, pictures);
        assert.ok(at >= 84 && at <= 90, `${input} starts at picture ${at}`);
        assert.equal(at + seen.length, pictures.length);
      }
      assert.match(server.log.lines.join("\n"), /<- seek \[3\d\d\d\]/);
      const dumped = await run("rtmpdump", [
        "-q",
        "-r",
        url,
        "-A",
        "3",
        "-B",
        "4",
        "-o",
        `${folder}/cut.flv`,
      ]);
      assert.equal(dumped.success, true, dumped.err);
      const cut = await frameHashes(`${folder}/cut.flv`, "v");
      assert.equal(placeOf(cut, pictures) % 25, 0);
      assert.ok(cut.length >= 20 && cut.length <= 60, `${cut.length} pictures`);
    }),
});

Deno.test({
  name: "an append plays on without a complaint of the decoder",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const [first, second] = [`${folder}/first.flv`, `${folder}/second.flv`];
      await makeFilm(first, 2);
      await makeFilm(second, 2);
      await using server = await startLiveServer({
        root: `${folder}/root`,
        record: true,
        latencyMs: LATENCY_MS,
      });
      await record(server, first, "both", "append");
      await record(server, second, "both", "append");
      const wanted = [...await frameHashes(first, "v"), ...await frameHashes(second, "v")];
      assert.deepEqual(await frameHashes(`${folder}/root/both.flv`, "v"), wanted);
      assert.deepEqual(await frameHashes(`${server.url}/live/both`, "v"), wanted);
    }),
});

Deno.test({
  name: "what is not there: rtmpdump is told at once",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/secret.flv`, "x");
      await using server = await startLiveServer({
        root: `${folder}/root`,
        record: true,
        latencyMs: LATENCY_MS,
      });
      for (const name of ["none", "../secret", "..%2fsecret", `${folder}/secret`]) {
        const args = ["-r", `${server.url}/live`, "-y", name, "-A", "1", "-o", `${folder}/out.flv`];
        const { success, err } = await run("rtmpdump", args);
        assert.equal(success, false);
        assert.match(err, /NetStream\.Play\.StreamNotFound/);
      }
    }),
});

Deno.test({
  name: "ten minutes recorded and played back keep every frame",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const film = `${folder}/film.flv`;
      const source = "-f lavfi -i testsrc2=size=128x96:rate=5 -f lavfi -i sine=300:sample_rate=16000 -t 600";
      const codecs = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 20 -c:a libspeex -ac 1 -f flv";
      await runWell("ffmpeg", ["-v", "error", ...`${source} ${codecs}`.split(" "), film]);
      const sent = tagsOf(await Deno.readFile(film)).filter(({ type }) => type !== 18);
      await using house = new LiveHouse({ root: `${folder}/root` }); // under a clock turned by hand
      const guest = await house.enter();
      const publisher = await guest.view();
      await publisher.stream.publish("film", "record");
      await publisher.takeUpTo("Record.Start");
      // As fast as the bound of what one client may send lets it.
      const waiting = setInterval(() => house.clock.advance(1000), 1);
      for (let at = 0; at < sent.length; at += 500) {
        await until("room for more", () => guest.clientEnd.unsent < 100_000);
        publisher.send(...sent.slice(at, at + 500));
      }
      publisher.stream.command("closeStream");
      await publisher.takeUpTo("Record.Stop");
      clearInterval(waiting);
      const player = await (await house.enter()).view();
      await player.stream.play("film", 0);
      const turning = setInterval(() => house.clock.advance(5000), 2);
      await player.takeUpTo("Play.Stop");
      clearInterval(turning);
      const media = (tags: readonly TestTag[]): TestTag[] => tags.filter(({ type }) => type !== 18);
      assert.ok(sent.length > 30_000);
      assert.deepEqual(media(player.tags), media(sent));
      assert.deepEqual(await frameHashes(`${folder}/root/film.flv`, "v"), await frameHashes(film, "v"));
    }),
});

for (const container of ["mkv", "flv"]) {
  Deno.test({
    name:
      `a late ffmpeg copies two seconds into ${container} and ends: it finds sound and pictures, and nothing else`,
    ignore,
    fn: () =>
      inFolder(async (folder) => {
        const film = `${folder}/film.flv`;
        await makeFilm(film, 9);
        await using server = await startLiveServer({ root: folder, record: true, latencyMs: LATENCY_MS });
        const url = `${server.url}/live/copied`;
        const publishing = publish(film, url);
        const stream = () => server.app.streams.find("live/copied");
        await until("the middle of a group of pictures", () => (stream()?.lastTimeMs ?? 0) > 2500);
        const copy = `${folder}/copy.${container}`;
        const copied = await run("ffmpeg", ["-v", "error", "-i", url, "-t", "2", "-c", "copy", copy]);
        const left = stream()?.publishing;
        const entries = ["-show_entries", "stream=codec_name:format=duration", "-of", "csv=p=0"];
        const { out } = await run("ffprobe", ["-v", "error", ...entries, copy]);
        await publishing;
        assert.equal(copied.success, true, copied.err);
        assert.equal(left, true, "it ended by itself, not with the publisher");
        const [duration, ...codecs] = out.trim().split("\n").reverse();
        assert.deepEqual(codecs.sort(), ["aac", "h264"]);
        assert.ok(Number(duration) > 1 && Number(duration) < 3.5, `${duration} s`);
      }),
  });
}

/** Ways to put a film's pictures together; whether its configuration is sent. */
const FORMS: readonly (readonly [
  what: string,
  config: boolean,
  of: (nals: Uint8Array[]) => Uint8Array,
])[] = [
  ["start codes", true, (nals) => annexB(nals)],
  ["start codes, flagged as inter pictures", true, (nals) => annexB(nals)],
  ["parameter sets in band", false, (nals) => avc(nals)],
  ["start codes, parameter sets in band", false, (nals) => annexB(nals)],
  ["one length around start codes", true, (nals) => avc([concatBytes([nals[0]!, annexB(nals.slice(1))])])],
];

function unitsOf(body: Uint8Array): Uint8Array[] {
  const units = new PictureUnits();
  const found: Uint8Array[] = [];
  units.open(body, 5, body.length, false);
  while (units.next()) found.push(body.slice(units.start, units.end));
  return found;
}

for (const [what, withConfig, of] of FORMS) {
  Deno.test({
    name: `early and late ffmpeg decode what was published with ${what}`,
    ignore,
    fn: () =>
      inFolder(async (folder) => {
        const film = `${folder}/film.flv`;
        await makeFilm(film, 4, "160x120");
        const tags = tagsOf(await Deno.readFile(film)).filter(({ type }) => type === 9);
        const { sps, pps } = decodeAvcConfig(tags[0]!.body.subarray(5));
        await using server = await startLiveServer({ root: folder, record: true, latencyMs: LATENCY_MS });
        const url = `${server.url}/live/odd`;
        const environment = { clock: systemClock, log: silentLog, random: systemRandom };
        await using client = await RtmpClient.open(`${server.url}/live`, environment);
        const stream = await client.createStream();
        await stream.publish("odd");
        if (withConfig) stream.send(9, 0, tags[0]!.body);
        const seen: Promise<string[]>[] = [];
        const startMs = systemClock.now();
        for (const { timeMs, body } of tags.slice(1)) {
          if (body[1] !== 1) continue;
          const key = body[0] === 0x17;
          const sets = key && !withConfig ? [...sps, ...pps] : [];
          const header = body.slice(0, 5);
          if (what.includes("inter")) header[0] = 0x27;
          stream.send(9, timeMs, concatBytes([header, of([...sets, ...unitsOf(body)])]));
          if (seen.length === 0 || seen.length === 1 && timeMs > 1500) seen.push(frameHashes(url, "v"));
          const waitMs = startMs + timeMs - systemClock.now();
          if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
        }
        stream.command("closeStream");
        const [early, late] = await Promise.all(seen);
        assert.ok(early!.length >= 75 && late!.length >= 40, `${early!.length} and ${late!.length} pictures`);
        assert.deepEqual(early!.slice(-late!.length), late);
      }),
  });
}
