// A player that stops reading, as a real program behind real buffers: what it misses, and that nobody else does.
import assert from "node:assert/strict";
import { inFolder } from "../support/live_flv.ts";
import { frameHashes, makeFilm, publish } from "../support/live_programs.ts";
import { startLiveServer, until } from "../support/live_server.ts";
import { hasPeer } from "../support/peers.ts";
import { tagsOf } from "../support/rtmp_server.ts";

Deno.test({
  name: "rtmpdump is stopped for a while: it skips to a key frame, ffmpeg beside it sees every frame",
  ignore: !hasPeer("ffmpeg", "rtmpdump"),
  fn: () =>
    inFolder(async (folder) => {
      const [film, dumped] = [`${folder}/film.flv`, `${folder}/dumped.flv`];
      await makeFilm(film, 16);
      await using server = await startLiveServer({ root: folder, record: true, latencyMs: 1000 });
      const url = `${server.url}/live/cam`;
      const sentMs = (): number => server.app.streams.find("live/cam")?.lastTimeMs ?? 0;
      const steady = frameHashes(url, "v", ["-rtmp_live", "live"]);
      const args = ["-q", "--live", "-r", url, "-o", dumped];
      const slow = new Deno.Command("rtmpdump", { args, stdin: "null", stderr: "null" }).spawn();
      await until("both players", () => server.app.usage.players === 2);
      const publishing = publish(film, url);
      await until("some pings to be answered", () => sentMs() > 4500);
      slow.kill("SIGSTOP");
      await until("it to miss something", () => sentMs() > 12_000);
      slow.kill("SIGCONT");
      await Promise.all([publishing, slow.status]);
      const pictures = await frameHashes(film, "v");
      assert.deepEqual(await steady, pictures);
      const seen = await frameHashes(dumped, "v"); // decodes without a complaint
      assert.ok(seen.length < pictures.length - 75, `saw ${seen.length} of ${pictures.length}`);
      assert.deepEqual(seen.slice(-25), pictures.slice(-25));
      const tags = tagsOf(await Deno.readFile(dumped)).filter(({ type, body }) =>
        type === 9 && body[1] === 1
      );
      const gaps = tags.filter(({ timeMs }, at) => at > 0 && timeMs > tags[at - 1]!.timeMs + 100);
      assert.ok(gaps.length >= 1);
      for (const { body } of gaps) assert.equal(body[0], 0x17);
      const warnings = server.log.at("warn").filter((line) => line.includes("left out"));
      assert.ok(warnings.length >= 3 && warnings.length <= 12, warnings.join("\n"));
    }),
});
