// A program that can only publish and play, as ffmpeg and OBS: one connection, status events written down.

import { getProperty, propertiesOf, textOf } from "../../lib/amf/value.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { type ClientStream, RtmpClient } from "../../lib/rtmp/client.ts";

/** One tag that was heard; the body is its own copy. */
export interface HeardTag {
  readonly type: 8 | 9 | 18;
  readonly timeMs: number;
  readonly body: Uint8Array;
}

const PATIENCE_MS = 20_000;

export class StreamProgram implements AsyncDisposable {
  readonly client: RtmpClient;
  /** Codes of all status events, of the streams and the connection. */
  readonly codes: string[] = [];
  /** "code: description" of the same. */
  readonly words: string[] = [];
  /** Calls of the gateway: "receivedDTMF 5, 160". */
  readonly calls: string[] = [];
  /** What the played stream has brought. */
  readonly heard: HeardTag[] = [];
  ended = false;
  #publishing: ClientStream | null = null;

  private constructor(client: RtmpClient) {
    this.client = client;
    void client.closed.then(() => this.ended = true);
  }

  static async connect(url: string): Promise<StreamProgram> {
    let program: StreamProgram | null = null;
    const client = await RtmpClient.open(url, {
      clock: systemClock,
      log: silentLog,
      random: systemRandom,
      onCall: (name, args) => {
        if (name === "onStatus") program?.told(args[0]);
        else program?.calls.push(`${name} ${args.join(", ")}`);
      },
    });
    program = new StreamProgram(client);
    return program;
  }

  /** Notes a status event. */
  told(status: Parameters<typeof propertiesOf>[0]): void {
    const info = propertiesOf(status);
    const code = textOf(getProperty(info, "code"));
    this.codes.push(code);
    this.words.push(`${code}: ${textOf(getProperty(info, "description"))}`);
  }

  /** Audio bodies heard so far. */
  get audio(): HeardTag[] {
    return this.heard.filter(({ type }) => type === 8);
  }

  /** Resolves when the gateway lets it publish. */
  async publish(name: string): Promise<void> {
    const stream = await this.client.createStream();
    stream.onStatus = (info) => this.told(info);
    this.#publishing = stream;
    await stream.publish(name);
  }

  /** Resolves when the gateway lets it play. */
  async play(name: string): Promise<void> {
    const stream = await this.client.createStream();
    stream.onStatus = (info) => this.told(info);
    stream.onMedia = ({ type, timeMs, body }) => this.heard.push({ type, timeMs, body: body.slice() });
    await stream.play(name);
  }

  /** Sends one tag body on the published stream. */
  send(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    this.#publishing?.send(type, timeMs, body);
  }

  /** Sends audio bodies at their times, unless the connection ends before. */
  async speak(bodies: readonly Uint8Array[], bodyMs: number): Promise<void> {
    const startMs = systemClock.now();
    for (const [i, body] of bodies.entries()) {
      const waitMs = startMs + i * bodyMs - systemClock.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      if (this.ended) return;
      this.send(8, Math.round(i * bodyMs), body);
    }
  }

  /** Stops publishing, and stays connected. */
  stop(): void {
    this.#publishing?.close();
    this.#publishing = null;
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Waits until something is so; says what it was when it never is. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = systemClock.now() + PATIENCE_MS;
  while (!isSo()) {
    if (systemClock.now() > endMs) throw new Error(`it never came about that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
