import assert from "node:assert/strict";
import {
  type CommandEvent,
  NetStreamClient,
  type PlayEvent,
  type PublishEvent,
} from "../../lib/live/net_stream_client.ts";
import type { NetStream } from "../../lib/rtmp/net_stream.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";

/** A client that publishes what it may and plays what comes later. */
class Client extends NetStreamClient {
  readonly events: string[] = [];
  readonly opened = Promise.withResolvers<string>();

  constructor(log: RecordLog) {
    super({ latencyMs: 1000, clock: new FakeClock(), onBusy: "replace" }, log);
  }

  protected publish({ stream, name }: PublishEvent): void {
    this.begin(stream, {
      media: ({ timeMs }) => void this.events.push(`${name}: ${timeMs}`),
      end: () => void this.events.push(`${name} ended`),
    });
  }

  protected play(event: PlayEvent): void {
    const go = (file: string): void => {
      this.events.push(`plays ${file}`);
      this.begin(event.stream, {
        pause: (paused) => void this.events.push(paused ? "pauses" : "goes on"),
        seek: (timeMs) => void this.events.push(`at ${timeMs}`),
        end: () => void this.events.push(`${file} ended`),
      });
    };
    this.later(event.stream, "play", () => this.opened.promise, go, (file) => {
      this.events.push(`closes ${file}`);
    });
  }

  protected command({ name }: CommandEvent): void {
    this.events.push(name);
  }

  protected override cannotSeek(): void {
    this.events.push("cannot seek");
  }
}

function start() {
  const client = new Client(new RecordLog());
  const stream = {} as NetStream;
  const parts = { stream, query: "", start: -2, duration: -1, reset: true };
  return {
    client,
    stream,
    publish: (name: string) => client.handle({ type: "publish", name, mode: "live", ...parts }),
    play: (name: string) => client.handle({ type: "play", name, ...parts }),
  };
}

Deno.test("net stream client: media goes to what a stream does, until it ends or does something else", async () => {
  const { client, stream, publish } = start();
  const send = (timeMs: number): void => client.media(stream, { type: 8, timeMs, body: new Uint8Array(1) });
  send(1);
  publish("a");
  send(2);
  publish("b");
  send(3);
  client.handle({ type: "ended", stream, was: "publish" });
  send(4);
  assert.deepEqual(client.events, ["a: 2", "a ended", "b: 3", "b ended"]);
  await client[Symbol.asyncDispose]();
});

Deno.test("net stream client: what comes later is told to pause and seek from then on", async () => {
  const { client, stream, play } = start();
  play("a");
  client.handle({ type: "seek", stream, timeMs: 5 });
  client.opened.resolve("file");
  await settle();
  client.handle({ type: "pause", stream, paused: true, timeMs: 0 });
  client.handle({ type: "seek", stream, timeMs: 7 });
  await client[Symbol.asyncDispose]();
  assert.deepEqual(client.events, ["cannot seek", "plays file", "pauses", "at 7", "file ended"]);
});

Deno.test("net stream client: what comes too late is given back", async () => {
  const { client, play, publish } = start();
  play("a");
  publish("b");
  client.opened.resolve("file");
  await settle();
  await client[Symbol.asyncDispose]();
  assert.deepEqual(client.events, ["closes file", "b ended"]);
});
