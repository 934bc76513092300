// Carries a client to the home of the streams. The kernel gave its connection to this worker, which has read it up to
// connect; so all that was read is played again to the home, whose handshake is thrown away because the client has
// ours already (what a server checks of C2 is nothing), and from there on bytes are passed on both ways.
//
//   client -> C0 C1, C2, connect -> this worker -> preface, C0 C1 C2 connect ... -> home
//   client <- S0 S1 S2           <- this worker    [S0 S1 S2]  _result ...        <- home
//
// Only clients of streams pay for this; the media of calls never goes between workers.
// Role: edge

import { concatBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type ByteStream, connectTcp, type SendLimits } from "../net/tcp.ts";
import { HANDSHAKE_SIZE } from "../rtmp/handshake.ts";
import { encodePreface } from "./preface.ts";

/** S0, S1 and S2. */
const ANSWER_SIZE = 1 + 2 * HANDSHAKE_SIZE;

/** What a client may send before its connect is known: far above the handshake and any connect. */
const MAX_KEPT = 256 * 1024;

const BUFFER_SIZE = 64 * 1024;

/** How long a side that reads slowly may take for what is unsent, before the client is given up. */
const FLUSH_MS = 60_000;

/** How long the home may take to say goodbye when all stop. */
const LAST_WORDS_MS = 1_500;

export interface CarrierOptions {
  /** The home's private port; null while it is down. */
  readonly home: () => Endpoint | null;
  readonly secret: string;
  /** Bounds of what is unsent. */
  readonly limits: SendLimits;
  readonly clock: Clock;
}

/**
 * A stream that remembers what was read from it, until more than a handshake was said on it: then its client was
 * answered here. From there on it costs nothing: no copy and no promise of its own.
 */
export class KeptStream implements ByteStream {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #inner: ByteStream;
  #kept: Uint8Array[] | null = [];
  #keptBytes = 0;
  #saidBytes = 0;

  /** Takes over a stream nothing was read from. */
  constructor(inner: ByteStream) {
    this.#inner = inner;
    this.peer = inner.peer;
    this.local = inner.local;
  }

  get unsent(): number {
    return this.#inner.unsent;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#kept === null ? this.#inner.read(into) : this.#readAndKeep(into);
  }

  put(bytes: Uint8Array): boolean {
    if (this.#kept !== null && (this.#saidBytes += bytes.length) > ANSWER_SIZE) this.#kept = null;
    return this.#inner.put(bytes);
  }

  flush(withinMs: number): Promise<boolean> {
    return this.#inner.flush(withinMs);
  }

  close(): void {
    this.#inner.close();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  /** All that was read so far, null when it was too much; remembers no more. */
  takeKept(): Uint8Array | null {
    const kept = this.#kept;
    this.#kept = null;
    return kept === null ? null : concatBytes(kept);
  }

  async #readAndKeep(into: Uint8Array): Promise<number | null> {
    const count = await this.#inner.read(into);
    if (count !== null) this.#keep(into.subarray(0, count));
    return count;
  }

  #keep(bytes: Uint8Array): void {
    this.#keptBytes += bytes.length;
    if (this.#keptBytes > MAX_KEPT) this.#kept = null;
    else this.#kept?.push(bytes.slice());
  }
}

/**
 * Carries the client of `stream` until either side ends or `signal` aborts; closes it.
 * Throws TransportError when the home cannot be reached or one side broke.
 */
export async function carryHome(
  stream: KeptStream,
  options: CarrierOptions,
  signal: AbortSignal,
): Promise<void> {
  using client = stream;
  const [kept, at] = [stream.takeKept(), options.home()];
  if (kept === null) throw new TransportError("a client said too much before connect", "failed");
  if (at === null) throw new TransportError("the worker that has the streams is not there", "closed");
  using home = await connectTcp(at, signal, options.limits);
  home.put(encodePreface(options.secret, client.peer));
  home.put(kept);
  using ending = new DisposableStack();
  // The home stops too, and has last words for its clients.
  const onAbort = (): void =>
    void ending.use(options.clock.after(LAST_WORDS_MS, () => closeBoth(client, home)));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (await skip(home, ANSWER_SIZE)) await passBothWays(client, home);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Reads `count` bytes away; false when the stream ends before. */
async function skip(stream: ByteStream, count: number): Promise<boolean> {
  const buffer = new Uint8Array(count);
  for (let read = 0; read < count;) {
    const more = await stream.read(buffer.subarray(read));
    if (more === null) return false;
    read += more;
  }
  return true;
}

async function passBothWays(client: ByteStream, home: ByteStream): Promise<void> {
  const ways = await Promise.allSettled([pass(client, home), pass(home, client)]);
  const broken = ways.find((way) => way.status === "rejected");
  if (broken !== undefined) throw broken.reason;
}

/** Passes bytes on to the end of `from`, and then closes both; as fast as `to` takes them. */
async function pass(from: ByteStream, to: ByteStream): Promise<void> {
  const buffer = new Uint8Array(BUFFER_SIZE);
  try {
    for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
      if (!to.put(buffer.subarray(0, count)) && !await to.flush(FLUSH_MS)) return;
    }
    await to.flush(FLUSH_MS);
  } finally {
    closeBoth(from, to);
  }
}

function closeBoth(a: ByteStream, b: ByteStream): void {
  a.close();
  b.close();
}
