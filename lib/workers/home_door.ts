// The private port of the worker that has the streams: other workers bring it clients that want streams. Bound to
// loopback, and every connection has to show the secret of this run before anything is read from it as RTMP.
// Role: edge

import type { Clock } from "../base/clock.ts";
import { encodeUtf8 } from "../base/bytes.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import { Mailbox } from "../base/mailbox.ts";
import type { Logger } from "../base/log.ts";
import { Scope } from "../base/scope.ts";
import { equalSecrets } from "../gateway/access/users_file.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type ByteStream, listenTcp, type SendLimits } from "../net/tcp.ts";
import { decodePreface, MAX_PREFACE } from "./preface.ts";

/** How long a connection may take to say who it is. */
const PREFACE_MS = 5_000;

/** Clients that were announced and not yet taken. */
const MAX_WAITING = 256;

export interface HomeDoorOptions {
  /** Asked of everybody who comes. */
  readonly secret: string;
  /** Bounds of what is unsent to a client. */
  readonly limits: SendLimits;
  readonly clock: Clock;
  /** Where strangers are told. */
  readonly log: Logger;
  readonly onListening: (local: Endpoint) => void;
}

/** Yields the carried clients, from their first byte on, until the signal aborts. Throws TransportError. */
export async function* homeDoor(options: HomeDoorOptions, signal: AbortSignal): AsyncGenerator<ByteStream> {
  const { limits, onListening } = options;
  const log = options.log.category("rtmp");
  const arrived = new Mailbox<ByteStream>(MAX_WAITING);
  await using scope = new Scope("home door", { log });
  const onError = (error: TransportError): void => log.warn(messageOf(error));
  const loopback = { hostname: "127.0.0.1", port: 0 };
  scope.spawn("accept", async (stop) => {
    const both = AbortSignal.any([signal, stop]);
    try {
      for await (const stream of listenTcp(loopback, { ...limits, signal: both, onListening, onError })) {
        scope.spawn("preface", () => admit(stream, options, arrived));
      }
      arrived.close();
    } catch (error) {
      arrived.close(error);
    }
  });
  yield* arrived;
}

async function admit(
  stream: ByteStream,
  options: HomeDoorOptions,
  arrived: Mailbox<ByteStream>,
): Promise<void> {
  try {
    const client = await announced(stream, options);
    if (client !== null && arrived.push(client)) return;
  } catch (error) {
    if (!(error instanceof WireError || error instanceof TransportError)) throw error;
    options.log.category("rtmp").warn(
      `A connection to the private port of the streams was closed: ${messageOf(error)}`,
    );
  }
  stream.close();
}

/** The client a worker brings; null when the connection ends before it says so. */
async function announced(stream: ByteStream, { secret, clock }: HomeDoorOptions): Promise<ByteStream | null> {
  using _limit = clock.after(PREFACE_MS, () => stream.close());
  const buffer = new Uint8Array(MAX_PREFACE);
  for (let length = 0;;) {
    const count = await stream.read(buffer.subarray(length));
    if (count === null) return null;
    length += count;
    const preface = decodePreface(buffer.subarray(0, length));
    if (preface === null) continue;
    if (!equalSecrets(encodeUtf8(preface.secret), encodeUtf8(secret))) {
      throw new WireError("carried client", "the secret is not ours");
    }
    return new CarriedStream(stream, preface.client, buffer.slice(preface.length, length));
  }
}

/** A client as it would be had it come here. */
class CarriedStream implements ByteStream {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #inner: ByteStream;
  #early: Uint8Array;

  constructor(inner: ByteStream, peer: Endpoint, early: Uint8Array) {
    this.#inner = inner;
    this.peer = peer;
    this.local = inner.local;
    this.#early = early;
  }

  get unsent(): number {
    return this.#inner.unsent;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#early.length === 0) return this.#inner.read(into);
    const count = Math.min(into.length, this.#early.length);
    into.set(this.#early.subarray(0, count));
    this.#early = this.#early.subarray(count);
    return Promise.resolve(count);
  }

  put(bytes: Uint8Array): boolean {
    return this.#inner.put(bytes);
  }

  flush(withinMs: number): Promise<boolean> {
    return this.#inner.flush(withinMs);
  }

  close(): void {
    this.#inner.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
