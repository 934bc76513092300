// What ffmpeg sends and what it gets back through another transport than plain RTMP: published to a test server
// that keeps it, played from one that has it, and compared tag by tag.
// Role: edge

import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import { runProgram } from "./media_programs.ts";
import { type KeptTag, startServer, tagsOf, type TestServer, type TestTransport } from "./rtmp_server.ts";

const NO_INPUT = { input: new Uint8Array(0), inputName: "none" };

const SOURCE = [
  ..."-f lavfi -i testsrc2=size=320x240:rate=25 -f lavfi -i sine=1000:sample_rate=44100 -t 3".split(" "),
  ..."-c:v libx264 -profile:v baseline -pix_fmt yuv420p -g 25 -c:a aac -f flv out.flv".split(" "),
];

/** Three seconds of H.264 and AAC. */
export function makeSource(): Promise<Uint8Array> {
  return runProgram("ffmpeg", ["-v", "error", ...SOURCE], { ...NO_INPUT, outputName: "out.flv" });
}

/** Type, time and body of media tags, in their order per type; metadata is rewritten by programs. */
export function mediaOf(tags: readonly KeptTag[], type: 8 | 9): string[] {
  return tags.filter((tag) => tag.type === type).map(({ timeMs, body }) => `${timeMs} ${toHex(body)}`);
}

/** Fails unless both hold the same media. */
export function assertSameMedia(actual: readonly KeptTag[], expected: readonly KeptTag[]): void {
  assert.ok(expected.length > 100);
  for (const type of [8, 9] as const) assert.deepEqual(mediaOf(actual, type), mediaOf(expected, type));
}

/** A server that keeps what is published; `done` resolves when its publisher has left. */
export async function startKeeper(
  transport: TestTransport,
): Promise<{ server: TestServer; tags: KeptTag[]; done: Promise<void> }> {
  const tags: KeptTag[] = [];
  const left = Promise.withResolvers<void>();
  const script = {
    media: (_stream: unknown, { type, timeMs, body }: KeptTag) =>
      void tags.push({ type, timeMs, body: body.slice() }),
    left: () => left.resolve(),
  };
  const server = await startServer(script as Parameters<typeof startServer>[0], {}, transport);
  return { server, tags, done: left.promise };
}

/** A server that plays these tags to whoever asks. */
export function startGiver(tags: readonly KeptTag[], transport: TestTransport): Promise<TestServer> {
  return startServer(
    {
      event: (event) => {
        if (event.type !== "play") return;
        for (const { type, timeMs, body } of tags) event.stream.send(type, timeMs, body);
        event.stream.stop();
      },
    },
    {},
    transport,
  );
}

/** ffmpeg publishes `file` to `url`. */
export async function publish(file: Uint8Array, url: string, options: readonly string[] = []): Promise<void> {
  const args = ["-v", "error", "-i", "in.flv", "-c", "copy", "-f", "flv", ...options, url];
  await runProgram("ffmpeg", args, { input: file, inputName: "in.flv", outputName: "in.flv" });
}

/** ffmpeg records `url`. */
export async function play(url: string, options: readonly string[] = []): Promise<KeptTag[]> {
  const args = ["-v", "error", "-xerror", ...options, "-i", url, "-c", "copy", "-f", "flv", "out.flv"];
  return tagsOf(await runProgram("ffmpeg", args, { ...NO_INPUT, outputName: "out.flv" }));
}
