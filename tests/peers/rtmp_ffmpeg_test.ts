// ffmpeg as RTMP publisher and player: every tag arrives as it was, both ways.
import assert from "node:assert/strict";
import { decodeAmf0 } from "../../lib/amf/amf0.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, startServer, tagsOf } from "../support/rtmp_server.ts";

const ignore = !hasPeer("ffmpeg");
const NO_INPUT = { input: new Uint8Array(0), inputName: "none" };

const SOURCES = {
  "H.264 and AAC": [
    ..."-f lavfi -i testsrc2=size=320x240:rate=25 -f lavfi -i sine=1000:sample_rate=44100 -t 3".split(" "),
    ..."-c:v libx264 -profile:v baseline -pix_fmt yuv420p -g 25 -c:a aac -f flv".split(" "),
  ],
  "Speex": "-f lavfi -i sine=1000:sample_rate=16000 -t 3 -c:a libspeex -ac 1 -f flv".split(" "),
  "G.711": "-f lavfi -i sine=1000:sample_rate=8000 -t 3 -c:a pcm_mulaw -ac 1 -f flv".split(" "),
};

function makeSource(args: readonly string[]): Promise<Uint8Array> {
  return runProgram("ffmpeg", ["-v", "error", ...args, "out.flv"], { ...NO_INPUT, outputName: "out.flv" });
}

/** Type, time and body of media tags, in their order per type; metadata is rewritten by programs. */
function media(tags: readonly KeptTag[], type: 8 | 9): string[] {
  return tags.filter((tag) => tag.type === type).map(({ timeMs, body }) => `${timeMs} ${toHex(body)}`);
}

for (const [name, args] of Object.entries(SOURCES)) {
  Deno.test({
    name: `ffmpeg publishes ${name}: every tag arrives unchanged`,
    ignore,
    fn: async () => {
      const file = await makeSource(args);
      const arrived: KeptTag[] = [];
      const said: string[] = [];
      const server = await startServer({
        connected: ({ app, args }) => said.push(`connect ${app} ${args.join(",")}`),
        event: (event) =>
          said.push(`${event.type} ${event.type === "publish" ? `${event.name} ${event.mode}` : ""}`.trim()),
        media: (_stream, { type, timeMs, body }) => arrived.push({ type, timeMs, body: body.slice() }),
      });
      await using _server = server;
      const url = `${server.url}/sip/alice@example.net/local`;
      const conn = ["-rtmp_conn", "S:alice S:secret"];
      await runProgram("ffmpeg", ["-v", "error", "-i", "in.flv", "-c", "copy", ...conn, "-f", "flv", url], {
        input: file,
        inputName: "in.flv",
        outputName: "in.flv",
      });
      await server[Symbol.asyncDispose]();
      const source = tagsOf(file);
      for (const type of [8, 9] as const) assert.deepEqual(media(arrived, type), media(source, type));
      assert.equal(arrived[0]?.type, 18);
      assert.equal(decodeAmf0(arrived[0]!.body)[0], "onMetaData");
      assert.deepEqual(said, ["connect sip/alice@example.net alice,secret", "publish local live", "ended"]);
      assert.doesNotMatch(server.log.lines.join("\n"), /secret/);
    },
  });

  Deno.test({
    name: `ffmpeg plays ${name}: every tag arrives unchanged`,
    ignore,
    fn: async () => {
      const file = await makeSource(args);
      const source = tagsOf(file);
      let dropped = 0;
      await using server = await startServer({
        event: (event) => {
          if (event.type !== "play") return;
          assert.deepEqual([event.name, event.start], ["remote", -2]);
          for (const { type, timeMs, body } of source) if (!event.stream.send(type, timeMs, body)) dropped++;
          event.stream.stop();
        },
      });
      const url = `${server.url}/sip/alice@example.net/remote`;
      const toFile = ["-v", "error", "-xerror", "-i", url, "-c", "copy", "-f", "flv", "out.flv"];
      const played = tagsOf(await runProgram("ffmpeg", toFile, { ...NO_INPUT, outputName: "out.flv" }));
      for (const type of [8, 9] as const) assert.deepEqual(media(played, type), media(source, type));
      assert.equal(dropped, 0);
    },
  });
}

Deno.test({
  name: "ffplay hears a stream to its end",
  ignore: !hasPeer("ffmpeg", "ffplay"),
  fn: async () => {
    const source = tagsOf(await makeSource(SOURCES.Speex));
    await using server = await startServer({
      event: (event) => {
        if (event.type !== "play") return;
        for (const { type, timeMs, body } of source) event.stream.send(type, timeMs, body);
        event.stream.stop();
      },
    });
    const args = ["-v", "error", "-nodisp", "-autoexit", "-vn", `${server.url}/live/remote`];
    const env = { SDL_AUDIODRIVER: "dummy", SDL_VIDEODRIVER: "dummy" };
    const { success, stderr } = await new Deno.Command("ffplay", { args, env, stdin: "null" }).output();
    assert.equal(new TextDecoder().decode(stderr).trim(), "");
    assert.equal(success, true);
  },
});

Deno.test({
  name: "a publisher that is killed ends its own connection only",
  ignore,
  fn: async () => {
    const left: string[] = [];
    const arrived = Promise.withResolvers<void>();
    const first = Promise.withResolvers<void>();
    let count = 0;
    const server = await startServer({
      media: (stream) => {
        if (stream.name === "victim") first.resolve();
        else if (left.length > 0 && ++count > 50) arrived.resolve();
      },
      left: ({ id }) => {
        left.push(String(id));
        gone.resolve();
      },
    });
    await using _server = server;
    const gone = Promise.withResolvers<void>();
    const publish = (name: string): Deno.ChildProcess => {
      const input = "-v quiet -re -f lavfi -i sine=1000:sample_rate=8000 -t 60 -c:a pcm_mulaw -ac 1 -f flv"
        .split(" ");
      return new Deno.Command("ffmpeg", { args: [...input, `${server.url}/live/${name}`], stdin: "null" })
        .spawn();
    };
    const victim = publish("victim");
    await first.promise;
    const survivor = publish("survivor");
    victim.kill("SIGKILL");
    await gone.promise;
    await arrived.promise;
    assert.deepEqual(left, ["1"]);
    survivor.kill("SIGKILL");
    await Promise.all([victim.status, survivor.status]);
  },
});
