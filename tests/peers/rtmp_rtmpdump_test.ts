// rtmpdump (librtmp): a strict player, plain and with the signed handshake, live and stopped half way.
import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import type { NetStream } from "../../lib/rtmp/net_stream.ts";
import { hasPeer } from "../support/peers.ts";
import { runProgram } from "../support/media_programs.ts";
import { type KeptTag, startServer, tagsOf } from "../support/rtmp_server.ts";

const ignore = !hasPeer("rtmpdump");
const NO_INPUT = { input: new Uint8Array(0), inputName: "none" };

/** Tags of all sizes around the chunk size, with a long pause into extended times. */
function sampleTags(): KeptTag[] {
  const tags: KeptTag[] = [{ type: 9, timeMs: 0, body: Uint8Array.of(0x17, 0, 0, 0, 0, 1, 66, 0, 30) }];
  const sizes = [6, 127, 128, 129, 4095, 4096, 4097, 8192, 20_000];
  for (const start of [0, 0xfffff0, 0x1000000]) {
    for (const [index, size] of sizes.entries()) {
      const timeMs = start + 40 * index;
      const body = new Uint8Array(size).map((_, at) => at);
      body.set([index === 0 ? 0x17 : 0x27, 1, 0, 0, 0]);
      tags.push({ type: 9, timeMs, body });
      tags.push({ type: 8, timeMs, body: Uint8Array.of(0xb2, index, size) });
    }
  }
  return tags;
}

function lines(tags: readonly KeptTag[]): string[] {
  return tags.filter(({ type }) => type !== 18).map(({ type, timeMs, body }) =>
    `${type} ${timeMs} ${toHex(body)}`
  );
}

const DIGEST = ["--swfhash", "0".repeat(64), "--swfsize", "1000"];

for (const [name, extra] of Object.entries({ "plain": [], "a signed": DIGEST })) {
  Deno.test({
    name: `rtmpdump plays with ${name} handshake: every tag and every argument arrives`,
    ignore,
    fn: async () => {
      const source = sampleTags();
      const said: string[] = [];
      await using server = await startServer({
        connected: ({ app, args, objectEncoding }) =>
          said.push(`${app} ${objectEncoding} ${JSON.stringify(args)}`),
        event: (event) => {
          if (event.type !== "play") return;
          said.push(`${event.name} ${event.start}`);
          for (const { type, timeMs, body } of source) {
            assert.equal(event.stream.send(type, timeMs, body), true);
          }
          event.stream.stop();
        },
      });
      const target = [
        "--rtmp",
        server.url,
        "--app",
        "sip/alice@example.net",
        "--playpath",
        "remote",
        "--live",
      ];
      const args = [
        "-q",
        ...target,
        ...extra,
        "-C",
        "S:alice",
        "-C",
        "S:secret",
        "-C",
        "N:8000",
        "-o",
        "out.flv",
      ];
      const played = tagsOf(await runProgram("rtmpdump", args, { ...NO_INPUT, outputName: "out.flv" }));
      assert.deepEqual(lines(played), lines(source));
      assert.deepEqual(said, ['sip/alice@example.net 0 ["alice","secret",8000]', "remote -1"]);
    },
  });
}

Deno.test({
  name: "rtmpdump finds the server's signature right",
  ignore,
  fn: async () => {
    await using server = await startServer({ refusal: "that was all" });
    const target = ["--rtmp", `${server.url}/live`, "--playpath", "remote", "-o", "/dev/null"];
    const args = ["--debug", ...target, ...DIGEST];
    const { stderr } = await new Deno.Command("rtmpdump", { args, stdin: "null" }).output();
    const text = new TextDecoder().decode(stderr);
    assert.match(text, /Genuine Adobe Flash Media Server/);
    assert.match(text, /that was all/);
  },
});

Deno.test({
  name: "rtmpdump is told why its connect is refused",
  ignore,
  fn: async () => {
    await using server = await startServer({ refusal: "401 Unauthorized" });
    const args = ["--verbose", "--rtmp", `${server.url}/live`, "--playpath", "remote", "-o", "/dev/null"];
    const { success, stderr } = await new Deno.Command("rtmpdump", { args, stdin: "null" }).output();
    assert.equal(success, false);
    assert.match(new TextDecoder().decode(stderr), /401 Unauthorized/);
  },
});

Deno.test({
  name: "a player that stops reading loses video, keeps its connection, and goes on at a key frame",
  ignore,
  fn: async () => {
    const playing = Promise.withResolvers<NetStream>();
    let dropped = (): number => 0;
    await using server = await startServer({
      connected: (_request, connection) => dropped = () => connection.stats.droppedVideo,
      event: (event) => {
        if (event.type === "play") playing.resolve(event.stream);
      },
    });
    const folder = await Deno.makeTempDir();
    const path = `${folder}/out.flv`;
    const args = ["-q", "--rtmp", `${server.url}/live`, "--playpath", "remote", "--live", "-o", path];
    const player = new Deno.Command("rtmpdump", { args, stdin: "null" }).spawn();
    const stream = await playing.promise;
    const frame = new Uint8Array(50_000);
    let number = 0;
    const send = (): boolean => {
      const key = number % 10 === 0;
      frame.set([key ? 0x17 : 0x27, 1, 0, 0, 0, number >> 8, number]);
      return stream.send(9, 40 * number++, frame);
    };
    player.kill("SIGSTOP");
    while (dropped() === 0 && number < 2000) {
      send();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(dropped() > 0, "nothing was dropped");
    player.kill("SIGCONT");
    let resumed = 0;
    while (resumed < 20 && number < 20_000) {
      resumed = send() ? resumed + 1 : 0;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    stream.stop();
    const { success } = await player.status;
    const numbers = tagsOf(await Deno.readFile(path)).filter(({ type }) => type === 9)
      .map(({ body }) => body[5]! << 8 | body[6]!);
    await Deno.remove(folder, { recursive: true });
    assert.equal(success, true);
    const gaps = numbers.filter((value, at) => at > 0 && value !== numbers[at - 1]! + 1);
    assert.ok(gaps.length > 0, "no frame is missing");
    for (const value of gaps) {
      assert.equal(value % 10, 0, `playback goes on at frame ${value}, not a key frame`);
    }
    assert.equal(numbers.at(-1), number - 1);
  },
});
