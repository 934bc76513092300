// An RTMP client that behaves like a person at a siprtmp page: connects, is called, answers, speaks, listens.

import type { AmfValue } from "../../lib/amf/value.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { Mailbox } from "../../lib/base/mailbox.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { type ClientStream, RtmpClient } from "../../lib/rtmp/client.ts";

export interface Callback {
  readonly name: string;
  readonly args: readonly AmfValue[];
}

/** One media message that was heard; the body is its own copy. */
export interface Heard {
  readonly type: number;
  readonly timeMs: number;
  readonly body: Uint8Array;
}

export interface PhoneOptions {
  readonly url: string;
  readonly login?: string;
  readonly password?: string;
  /** Codecs to accept calls with; absent: calls are left ringing. */
  readonly answers?: readonly string[];
  /** True: what is heard is published again as it came. */
  readonly echo?: boolean;
}

/** How long a test waits for a callback: far above what is needed, to say what is missing instead of hanging. */
const PATIENCE_MS = 20_000;

export class RtmpPhone implements AsyncDisposable {
  readonly heard: Heard[] = [];
  readonly callbacks = new Mailbox<Callback>(1000);
  readonly client: RtmpClient;
  readonly speaking: ClientStream;
  readonly listening: ClientStream;

  static async connect(options: PhoneOptions): Promise<RtmpPhone> {
    const early: Callback[] = [];
    let phone: RtmpPhone | null = null;
    const client = await RtmpClient.open(options.url, {
      clock: systemClock,
      log: silentLog,
      random: systemRandom,
      args: [options.login ?? null, options.password ?? "", null, "wideband"],
      onCall: (name, args) =>
        phone === null ? void early.push({ name, args }) : phone.#called({ name, args }, options),
    });
    const [speaking, listening] = [await client.createStream(), await client.createStream()];
    phone = new RtmpPhone(client, speaking, listening, options.echo === true);
    await speaking.publish("local");
    await listening.play("remote");
    for (const callback of early) phone.#called(callback, options);
    return phone;
  }

  private constructor(client: RtmpClient, speaking: ClientStream, listening: ClientStream, echo: boolean) {
    this.client = client;
    this.speaking = speaking;
    this.listening = listening;
    listening.onMedia = ({ type, timeMs, body }) => {
      this.heard.push({ type, timeMs, body: body.slice() });
      if (echo) speaking.send(type, timeMs, body);
    };
  }

  /** Waits for a callback of this name; others before it are skipped, and named when it does not come. */
  async expect(name: string): Promise<readonly AmfValue[]> {
    const patience = new AbortController();
    using _timer = systemClock.after(PATIENCE_MS, () => patience.abort());
    const skipped: string[] = [];
    for (;;) {
      const callback = await this.callbacks.next(patience.signal);
      if (callback === undefined) {
        throw new Error(`no ${name} came, only: ${skipped.join("; ") || "nothing"}`);
      }
      if (callback.name === name) return callback.args;
      skipped.push(`${callback.name}(${callback.args.join(", ")})`);
    }
  }

  /** Audio bodies heard so far. */
  get audio(): Uint8Array[] {
    return this.heard.filter((message) => message.type === 8).map((message) => message.body);
  }

  #called(callback: Callback, options: PhoneOptions): void {
    this.callbacks.push(callback);
    if (callback.name === "invited" && options.answers !== undefined) {
      this.client.send("accept", ...options.answers);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

/** Sends blocks of 20 ms at their times, numbered in their first octets so that each is told apart. */
export async function speak(
  stream: ClientStream,
  options: { tag: number; count: number; size: number },
): Promise<Uint8Array[]> {
  const sent: Uint8Array[] = [];
  const startMs = systemClock.now();
  for (let i = 0; i < options.count; i++) {
    const waitMs = startMs + i * 20 - systemClock.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const body = new Uint8Array(options.size + 1).fill(0x55);
    body.set([options.tag, i >> 8, i & 255]);
    sent.push(body);
    stream.send(8, i * 20, body);
  }
  return sent;
}
