// Relays stream clients to the worker that serves streams: the kernel gave their connection to another worker, which
// read it up to connect. What was read is played again there, where the handshake is thrown away (the client has one).
//   siprtmp-relay SECRET ADDRESS PORT LF, then C0 C1 C2 connect ...  ->     <-  [S0 S1 S2]  _result ...
// Role: edge

import { concatBytes, decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import { Mailbox } from "../base/mailbox.ts";
import { Scope } from "../base/scope.ts";
import { equalSecrets } from "../gateway/access/users_file.ts";
import { type Endpoint, isIpAddress } from "../net/endpoint.ts";
import type { ByteStream, SendLimits } from "../net/byte_stream.ts";
import { connectTcp, listenTcp } from "../net/tcp.ts";
import { HANDSHAKE_SIZE } from "../rtmp/handshake.ts";
import type { Runtime } from "../base/runtime.ts";

/** S0, S1 and S2. */
const ANSWER_SIZE = 1 + 2 * HANDSHAKE_SIZE;

/** What a client may send before its connect is known: far above the handshake and any connect. */
const MAX_KEPT = 256 * 1024;

const BUFFER_SIZE = 64 * 1024;

/** How long a side that reads slowly may take for what is unsent, before the client is given up. */
const FLUSH_MS = 60_000;

/** How long the home may take to say goodbye when all stop. */
const LAST_WORDS_MS = 1_500;

interface RelayOptions {
  /** The home's private port; null while it is down. */
  readonly home: () => Endpoint | null;
  readonly secret: string;
  /** Bounds of what is unsent. */
  readonly limits: SendLimits;
  readonly clock: Clock;
}

/** A client's stream with something done to its bytes; all else is the inner one's. */
abstract class WrappedStream implements ByteStream {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  protected readonly inner: ByteStream;

  constructor(inner: ByteStream, peer: Endpoint = inner.peer) {
    this.inner = inner;
    this.peer = peer;
    this.local = inner.local;
  }

  abstract read(into: Uint8Array): Promise<number | null>;

  get unsent(): number {
    return this.inner.unsent;
  }

  put(bytes: Uint8Array): boolean {
    return this.inner.put(bytes);
  }

  flush(withinMs: number): Promise<boolean> {
    return this.inner.flush(withinMs);
  }

  close(): void {
    this.inner.close();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A stream that remembers what was read from it, until more than a handshake was said on it: then its client was
 * answered here. From there on it costs nothing: no copy and no promise of its own.
 */
export class ReplayedStream extends WrappedStream {
  #kept: Uint8Array[] | null = [];
  #keptBytes = 0;
  #saidBytes = 0;

  read(into: Uint8Array): Promise<number | null> {
    return this.#kept === null ? this.inner.read(into) : this.#readAndKeep(into);
  }

  override put(bytes: Uint8Array): boolean {
    if (this.#kept !== null && (this.#saidBytes += bytes.length) > ANSWER_SIZE) this.#kept = null;
    return super.put(bytes);
  }

  /** All that was read so far, null when it was too much; remembers no more. */
  takeKept(): Uint8Array | null {
    const kept = this.#kept;
    this.#kept = null;
    return kept === null ? null : concatBytes(kept);
  }

  async #readAndKeep(into: Uint8Array): Promise<number | null> {
    const count = await this.inner.read(into);
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
export async function relayToStreams(
  stream: ReplayedStream,
  options: RelayOptions,
  signal: AbortSignal,
): Promise<void> {
  using client = stream;
  const [kept, at] = [stream.takeKept(), options.home()];
  if (kept === null) throw new TransportError("too many bytes before connect", "failed");
  if (at === null) throw new TransportError("the worker that serves streams is down", "closed");
  using home = await connectTcp(at, signal, options.limits);
  home.put(encodeRelayHeader(options.secret, client.peer));
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

const PREFACE_MS = 5_000;

/** Clients that were announced and not yet taken. */
const MAX_WAITING = 256;

interface RelayListenOptions extends Pick<Runtime, "clock" | "log"> {
  /** Asked of everybody who comes. */
  readonly secret: string;
  /** Bounds of what is unsent to a client. */
  readonly limits: SendLimits;
  readonly onListening: (local: Endpoint) => void;
}

/** Yields the carried clients, from their first byte on, until the signal aborts. Throws TransportError. */
export async function* listenRelay(
  options: RelayListenOptions,
  signal: AbortSignal,
): AsyncGenerator<ByteStream> {
  const { limits, onListening } = options;
  const log = options.log.category("rtmp");
  const arrived = new Mailbox<ByteStream>(MAX_WAITING);
  await using scope = new Scope("relay port", { log });
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
  options: RelayListenOptions,
  arrived: Mailbox<ByteStream>,
): Promise<void> {
  try {
    const client = await announced(stream, options);
    if (client !== null && arrived.push(client)) return;
  } catch (error) {
    if (!(error instanceof WireError || error instanceof TransportError)) throw error;
    options.log.category("rtmp").warn(
      `connection to the relay port of the streams closed: ${messageOf(error)}`,
    );
  }
  stream.close();
}

/** The client a worker brings; null when the connection ends before it says so. */
async function announced(
  stream: ByteStream,
  { secret, clock }: RelayListenOptions,
): Promise<ByteStream | null> {
  using _limit = clock.after(PREFACE_MS, () => stream.close());
  const buffer = new Uint8Array(MAX_RELAY_HEADER);
  for (let length = 0;;) {
    const count = await stream.read(buffer.subarray(length));
    if (count === null) return null;
    length += count;
    const preface = decodeRelayHeader(buffer.subarray(0, length));
    if (preface === null) continue;
    if (!equalSecrets(encodeUtf8(preface.secret), encodeUtf8(secret))) {
      throw new WireError("relayed client", "wrong secret");
    }
    return new CarriedStream(stream, preface.client, buffer.slice(preface.length, length));
  }
}

class CarriedStream extends WrappedStream {
  #early: Uint8Array;

  constructor(inner: ByteStream, peer: Endpoint, early: Uint8Array) {
    super(inner, peer);
    this.#early = early;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#early.length === 0) return this.inner.read(into);
    const count = Math.min(into.length, this.#early.length);
    into.set(this.#early.subarray(0, count));
    this.#early = this.#early.subarray(count);
    return Promise.resolve(count);
  }
}

/** The line may have so many bytes at most, with its end. */
export const MAX_RELAY_HEADER = 256;

const NAME = "siprtmp-relay";
const LINE_END = 10;

/** Who is carried, and how many bytes said so. */
interface RelayHeader {
  readonly secret: string;
  readonly client: Endpoint;
  readonly length: number;
}

export function encodeRelayHeader(secret: string, { hostname, port }: Endpoint): Uint8Array {
  return encodeUtf8(`${NAME} ${secret} ${hostname} ${port}\n`);
}

/** Reads the line at the start of `bytes`; null while its end is missing. @throws WireError for anything else */
export function decodeRelayHeader(bytes: Uint8Array): RelayHeader | null {
  const end = bytes.subarray(0, MAX_RELAY_HEADER).indexOf(LINE_END);
  if (end < 0 && bytes.length < MAX_RELAY_HEADER) return null;
  if (end < 0) throw new WireError("relayed client", "the first line does not end");
  const [name, secret = "", hostname = "", digits = "", ...more] = decodeUtf8(bytes.subarray(0, end)).split(
    " ",
  );
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : -1;
  const usable = name === NAME && more.length === 0 && isIpAddress(hostname) && port >= 0 && port <= 65535;
  if (!usable) throw new WireError("relayed client", "the first line is not one of ours");
  return { secret, client: { hostname, port }, length: end + 1 };
}
