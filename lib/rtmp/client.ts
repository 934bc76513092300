// An RTMP client: connects, calls, publishes and plays. Used by `siprtmp call` and by tests; speaks to any
// RTMP server. Reading is a task of its own that ends with the connection.
// Adobe RTMP 1.0, section 7.2.
// Role: edge

import { type AmfObject, type AmfValue, formatAmf, getProperty, propertiesOf, textOf } from "../amf/value.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import { connectTcp } from "../net/tcp.ts";
import { type Command, decodeCommand } from "./command.ts";
import { initiateHandshake, ReadBuffer } from "./handshake_io.ts";
import type { DigestScheme } from "./handshake.ts";
import { MessageLink } from "./message_link.ts";
import { isMediaType, type MediaMessage, MESSAGE_TYPE, type RtmpMessage } from "./message.ts";

/** How to connect. */
export interface RtmpClientOptions {
  /** For the log lines of category rtmp. */
  log: Logger;
  /** Times and timers. */
  clock: Clock;
  /** Fills the handshake. */
  random: Random;
  /** Arguments of connect behind its properties: login, password... */
  args?: AmfValue[];
  /** Added to the properties of connect, or put in the place of usual ones. */
  properties?: AmfObject;
  /** 0 (default) for AMF0, 3 for AMF3. */
  objectEncoding?: 0 | 3;
  /** Scheme of a signed handshake; null for the plain one. Default 0. */
  digest?: DigestScheme | null;
  /** Gives up connecting, and closes the connection later. */
  signal?: AbortSignal;
  /** Told of calls from the server, the onStatus of the connection among them. */
  onCall?: (name: string, args: AmfValue[]) => void;
  /** Until connect is answered; default 40 s, because a gateway may be registering meanwhile. */
  timeoutMs?: number;
}

const CHUNK_SIZE = 4096;
const WINDOW_ACK_SIZE = 2_500_000;
const TIMEOUT_MS = 40_000;
const FLUSH_MS = 1_000;

interface Waiting {
  resolve(args: AmfValue[]): void;
  reject(error: Error): void;
}

/** One connection to an RTMP server. */
export class RtmpClient implements AsyncDisposable {
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #stream: ByteStream;
  readonly #options: RtmpClientOptions;
  readonly #log: Logger;
  readonly #input: ReadBuffer;
  readonly #link: MessageLink;
  readonly #calls = new Map<number, Waiting>();
  readonly #streams = new Map<number, ClientStream>();
  readonly #ended = Promise.withResolvers<void>();
  #lastId = 0;
  #open = true;
  #running = false;

  private constructor(stream: ByteStream, options: RtmpClientOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#log = options.log.category("rtmp");
    this.#input = new ReadBuffer(stream);
    this.#link = new MessageLink({
      stream,
      clock: options.clock,
      log: this.#log,
      sink: { receive: (message) => this.#receive(message) },
      onUserControl: () => {},
    });
    this.closed = this.#ended.promise;
  }

  /**
   * Connects to rtmp://host[:port]/app. Throws {@linkcode RtmpRefused} when the server says no, WireError or
   * TransportError when it cannot be reached, does not answer in time or speaks no RTMP.
   */
  static async open(url: string, options: RtmpClientOptions): Promise<RtmpClient> {
    const { hostname, port, app, tcUrl } = parseRtmpUrl(url);
    const stream = await connectTcp({ hostname, port }, options.signal);
    return await RtmpClient.over(stream, { app, tcUrl }, options);
  }

  /** As open(), over a stream that is connected already. The stream is closed when this throws. */
  static async over(
    stream: ByteStream,
    target: { app: string; tcUrl: string },
    options: RtmpClientOptions,
  ): Promise<RtmpClient> {
    const client = new RtmpClient(stream, options);
    const { clock, signal, timeoutMs = TIMEOUT_MS } = options;
    const abort = (): void => client.#stream.close();
    let late = false;
    using _timer = clock.after(timeoutMs, () => {
      late = true;
      abort();
    });
    signal?.addEventListener("abort", abort, { once: true });
    void client.closed.then(() => signal?.removeEventListener("abort", abort));
    try {
      await client.#connect(target);
      return client;
    } catch (error) {
      client.#end();
      if (!client.#running) client.#ended.resolve();
      await client.closed;
      if (late) {
        throw new TransportError(`no answer to connect within ${timeoutMs / 1000} s`, "timeout", {
          cause: error,
        });
      }
      throw error;
    }
  }

  /** Bytes received, without the handshake. */
  get bytesIn(): number {
    return this.#link.bytesIn;
  }

  /** Calls a procedure and waits for its result. Throws {@linkcode RtmpRefused} for `_error`. */
  call(method: string, ...args: AmfValue[]): Promise<AmfValue[]> {
    return this.#request(method, null, args);
  }

  /** Calls a procedure and wants no answer. */
  send(method: string, ...args: AmfValue[]): void {
    this.#command(0, method, 0, null, args);
  }

  /** Makes a stream to publish or play on. */
  async createStream(): Promise<ClientStream> {
    const [id] = await this.call("createStream");
    if (typeof id !== "number") throw new WireError("RTMP createStream", "the server gave no stream id");
    const stream = new ClientStream(id, this.#link, () => this.#streams.delete(id));
    this.#streams.set(id, stream);
    return stream;
  }

  /** Closes after what was sent has left, 1 s at most. */
  async close(): Promise<void> {
    if (this.#open) await this.#stream.flush(FLUSH_MS);
    this.#end();
    await this.closed;
  }

  /** Same as close(). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #connect(target: { app: string; tcUrl: string }): Promise<void> {
    const { clock, random, digest = 0, objectEncoding = 0, properties, args = [] } = this.#options;
    await initiateHandshake({ stream: this.#stream, input: this.#input, clock, random }, digest);
    void this.#run();
    this.#link.raiseLimits();
    this.#link.setChunkSize(CHUNK_SIZE);
    this.#link.setWindowAckSize(WINDOW_ACK_SIZE);
    const connect: AmfObject = {
      ...target,
      flashVer: "siprtmp",
      fpad: false,
      capabilities: 239,
      audioCodecs: 3575,
      videoCodecs: 252,
      videoFunction: 1,
      objectEncoding,
      ...properties,
    };
    await this.#request("connect", connect, args);
    this.#link.amf3 = objectEncoding === 3;
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      do this.#consume(); while (await this.#input.fill());
    } catch (error) {
      const broken = error instanceof WireError || error instanceof TransportError;
      if (broken) this.#log.warn(`connection lost: ${messageOf(error)}`);
      else this.#log.error("cannot go on", error); // a fault of an outlet ends this connection only
    } finally {
      this.#end();
      this.#ended.resolve();
    }
  }

  #consume(): void {
    this.#input.consume(this.#link.push(this.#input.view()));
  }

  #receive(message: RtmpMessage): void {
    const { type } = message;
    if (isMediaType(type)) this.#streams.get(message.streamId)?.receive(type, message);
    else if (type === MESSAGE_TYPE.COMMAND || type === MESSAGE_TYPE.COMMAND_AMF3) {
      this.#receiveCommand(decodeCommand(type, message.body), message.streamId);
    }
  }

  #receiveCommand(command: Command, streamId: number): void {
    const { name, args, transactionId } = command;
    if (this.#log.enabled("debug")) this.#log.debug(`<- ${name.slice(0, 80)} ${formatAmf(args)}`);
    const waiting = name === "_result" || name === "_error" ? this.#calls.get(transactionId) : undefined;
    if (waiting !== undefined) {
      this.#calls.delete(transactionId);
      return name === "_result" ? waiting.resolve(args) : waiting.reject(RtmpRefused.from(args[0]));
    }
    const stream = this.#streams.get(streamId);
    if (name === "onStatus" && stream !== undefined) return stream.receiveStatus(propertiesOf(args[0]));
    if (name === "_result" || name === "_error") return;
    this.#options.onCall?.(name, args);
    // Flash Player answers calls that ask for it, whether or not the program has such a procedure.
    if (transactionId !== 0) this.#command(0, "_result", transactionId, null, []);
  }

  #request(method: string, object: AmfValue, args: AmfValue[]): Promise<AmfValue[]> {
    if (!this.#open) return Promise.reject(new TransportError("the RTMP connection is closed", "closed"));
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<AmfValue[]>();
    this.#calls.set(id, { resolve, reject });
    this.#command(0, method, id, object, args);
    return promise;
  }

  #command(streamId: number, name: string, transactionId: number, object: AmfValue, args: AmfValue[]): void {
    if (this.#log.enabled("debug")) {
      this.#log.debug(`-> ${name}${name === "connect" ? "" : ` ${formatAmf(args)}`}`);
    }
    this.#link.sendCommand(streamId, { name, transactionId, object, args });
  }

  /** Everything that waits learns that the connection is gone. */
  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stream.close();
    const gone = new TransportError("the RTMP connection was closed", "closed");
    for (const waiting of this.#calls.values()) waiting.reject(gone);
    this.#calls.clear();
    for (const stream of this.#streams.values()) stream.connectionEnded(gone);
  }
}

/** Where to connect, and what to say there. */
export interface RtmpUrl {
  /** Name or address; IPv6 without brackets. */
  hostname: string;
  /** 1935 unless given. */
  port: number;
  /** Path without its first slash, with the query when there is one. */
  app: string;
  /** The URL as it is told to the server. */
  tcUrl: string;
}

const DEFAULT_PORT = 1935;

/** Reads an rtmp:// URL. Throws WireError in words for the person who typed it. */
export function parseRtmpUrl(text: string): RtmpUrl {
  const match = /^rtmp:\/\/(?:\[([0-9a-f:.%]+)\]|([^\/?#:\[\]@\s]+))(?::(\d{1,5}))?(?:\/([^\s#]*))?$/i.exec(
    text.trim(),
  );
  const hostname = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (hostname === undefined || port < 1 || port > 65535) {
    throw new WireError("RTMP URL", `"${text.slice(0, 200)}" is not rtmp://HOST[:PORT]/APP`);
  }
  return { hostname, port, app: match?.[4] ?? "", tcUrl: text.trim() };
}

interface WaitingStatus {
  readonly code: string;
  resolve(): void;
  reject(error: Error): void;
}

/** A stream made by RtmpClient.createStream(). */
export class ClientStream {
  /** Message stream id. */
  readonly id: number;
  /** Takes what is played; message and body are borrowed. */
  onMedia: ((message: MediaMessage) => void) | null = null;
  /** Takes every status event of the stream. */
  onStatus: ((info: AmfObject) => void) | null = null;
  readonly #link: MessageLink;
  readonly #onClose: () => void;
  readonly #media: { type: 8 | 9 | 18; timeMs: number; body: Uint8Array };
  #lastTimeMs: number | null = null;
  #waiting: WaitingStatus | null = null;
  #closed = false;

  /** Made by the client; `onClose` tells it that the stream is gone. */
  constructor(id: number, link: MessageLink, onClose: () => void) {
    this.id = id;
    this.#link = link;
    this.#onClose = onClose;
    this.#media = { type: 8, timeMs: 0, body: new Uint8Array(0) };
  }

  /** Resolves when the server has said NetStream.Publish.Start; throws RtmpRefused when it refuses. */
  publish(name: string, mode: "live" | "record" | "append" = "live"): Promise<void> {
    return this.#begin("publish", [name, mode], "NetStream.Publish.Start");
  }

  /**
   * Resolves when the server has said NetStream.Play.Start; throws RtmpRefused when it refuses. `start`: -2
   * live or else recorded, -1 live only, else milliseconds.
   */
  play(name: string, start = -2): Promise<void> {
    return this.#begin("play", [name, start < 0 ? start * 1000 : start], "NetStream.Play.Start");
  }

  /** Sends one tag body; it is copied. */
  send(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (!this.#closed) this.#link.sendMedia(type, this.id, timeMs, body);
  }

  /** Sends a command of the stream that has no answer: pause, seek, receiveAudio... */
  command(name: string, ...args: AmfValue[]): void {
    if (!this.#closed) this.#link.sendCommand(this.id, { name, transactionId: 0, object: null, args });
  }

  /** Deletes the stream. */
  close(): void {
    if (this.#closed) return;
    this.#link.sendCommand(0, { name: "deleteStream", transactionId: 0, object: null, args: [this.id] });
    this.connectionEnded(new RtmpRefused("", "the stream was closed"));
    this.#onClose();
  }

  /** The client's: media has come. */
  receive(type: 8 | 9 | 18, message: RtmpMessage): void {
    const last = this.#lastTimeMs;
    const timeMs = last === null ? message.timestamp : last + ((message.timestamp - last) | 0);
    this.#lastTimeMs = timeMs;
    const media = this.#media;
    media.type = type;
    media.timeMs = timeMs;
    media.body = message.body;
    this.onMedia?.(media);
  }

  /** The client's: a status event has come. */
  receiveStatus(info: AmfObject): void {
    const waiting = this.#waiting;
    if (waiting !== null) {
      const refused = textOf(getProperty(info, "level")) === "error";
      if (refused || textOf(getProperty(info, "code")) === waiting.code) {
        this.#waiting = null;
        if (refused) waiting.reject(RtmpRefused.from(info));
        else waiting.resolve();
      }
    }
    this.onStatus?.(info);
  }

  /** The client's: nothing more will come. */
  connectionEnded(error: Error): void {
    this.#closed = true;
    this.#waiting?.reject(error);
    this.#waiting = null;
  }

  #begin(name: string, args: AmfValue[], code: string): Promise<void> {
    if (this.#closed) return Promise.reject(new RtmpRefused("", "the stream is closed"));
    this.#waiting?.reject(new RtmpRefused("", `replaced by another ${name}`));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { code, resolve, reject };
    this.#lastTimeMs = null;
    this.#link.sendCommand(this.id, { name, transactionId: 0, object: null, args });
    return promise;
  }
}

/** A call, publish or play that the server has refused. */
export class RtmpRefused extends Error {
  /** As "NetConnection.Connect.Rejected"; empty when the server gave none. */
  readonly code: string;
  /** The server's own words. */
  readonly description: string;

  /** Made from what the server said. */
  constructor(code: string, description: string) {
    super(description === "" ? code || "refused without a reason" : description);
    this.name = "RtmpRefused";
    this.code = code;
    this.description = description;
  }

  /** From a status object, or from whatever the server sent instead. */
  static from(value: AmfValue): RtmpRefused {
    const members = propertiesOf(value);
    const description = typeof value === "string" ? value : textOf(getProperty(members, "description"));
    return new RtmpRefused(textOf(getProperty(members, "code")), description);
  }
}
