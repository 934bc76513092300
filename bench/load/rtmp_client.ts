// A lean RTMP client: handshake with constant packets, commands by the project's own encoder, media to one outlet.
// Adobe RTMP 1.0, sections 5.2 and 7.2.
// Role: edge

import type { AmfObject, AmfValue } from "../../lib/amf/value.ts";
import { ChunkWriter } from "../../lib/rtmp/chunk_stream.ts";
import { decodeCommand, encodeCommand } from "../../lib/rtmp/command.ts";
import { TransportError } from "../../lib/base/errors.ts";
import { ChunkParser } from "./chunk_parser.ts";

import type { LoadConn, LoadSockets } from "./load_sockets.ts";

/** Told what the server calls, and when the connection has ended. */
export interface ClientOutlets {
  /** A call of the server, `onStatus` among them. */
  onCall(name: string, args: readonly AmfValue[]): void;
  /** Audio, video; the body is borrowed. */
  onMedia(type: number, body: Uint8Array): void;
  /** Nothing more comes; once. */
  onClosed(): void;
}

/** Chunks that we send are never cut. */
const CHUNK_SIZE = 0xffff;
const HANDSHAKE_SIZE = 1536;
const HELLO = new Uint8Array(1 + HANDSHAKE_SIZE).fill(0x2a, 9);
HELLO[0] = 3;
const FINISH = new Uint8Array(HANDSHAKE_SIZE);
const ACK_EVERY = 1_000_000;
const TYPE = { acknowledge: 3, userControl: 4, audio: 8, video: 9, command: 20 } as const;
const PING = 6;
const PONG = 7;

/** The server has said `_error`. */
export class Refused extends Error {}

/** One connection. Media is written by FrameSender on the same {@link conn}. */
export class RtmpLoadClient {
  /** The socket. */
  readonly conn: LoadConn;
  readonly #outlets: ClientOutlets;
  readonly #writer = new ChunkWriter();
  readonly #parser: ChunkParser;
  readonly #calls = new Map<
    number,
    { resolve(args: readonly AmfValue[]): void; reject(error: Error): void }
  >();
  #buffer = new Uint8Array(4096);
  #end = 0;
  #lastId = 0;
  #received = 0;
  #acknowledged = 0;
  #paused: PromiseWithResolvers<void> | null = null;

  private constructor(conn: LoadConn, outlets: ClientOutlets) {
    this.conn = conn;
    this.#outlets = outlets;
    this.#parser = new ChunkParser((type, _stream, body) => this.#receive(type, body));
  }

  /** Connects, shakes hands, says connect with these arguments. Throws {@link Refused}, or what the socket threw. */
  static async open(
    to: { port: number; app: string; args: AmfValue[]; sockets: LoadSockets },
    outlets: ClientOutlets,
  ): Promise<RtmpLoadClient> {
    const conn = await to.sockets.connect(to.port);
    const client = new RtmpLoadClient(conn, outlets);
    try {
      await client.#handshake();
      void client.#run();
      client.#writer.chunkSize = CHUNK_SIZE;
      client.#put(2, 1, 0, Uint8Array.of(0, 0, CHUNK_SIZE >> 8, CHUNK_SIZE & 255));
      const connect: AmfObject = {
        app: to.app,
        tcUrl: `rtmp://127.0.0.1:${to.port}/${to.app}`,
        flashVer: "bench",
        objectEncoding: 0,
      };
      await client.#request("connect", connect, to.args);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Makes a message stream. */
  async createStream(): Promise<number> {
    const [id] = await this.#request("createStream", null, []);
    if (typeof id !== "number") throw new Refused("createStream gave no stream");
    return id;
  }

  /** Sends a command that wants no answer. */
  send(streamId: number, name: string, ...args: AmfValue[]): void {
    const body = encodeCommand({ name, transactionId: 0, object: null, args }, false);
    this.#put(streamId === 0 ? 3 : 4, TYPE.command, streamId, body);
  }

  /** Sends one message of any type, e.g. a decoder configuration, beside the frames of a FrameSender. */
  sendMessage(chunkStreamId: number, type: number, streamId: number, body: Uint8Array): void {
    this.#put(chunkStreamId, type, streamId, body);
  }

  /** Reads nothing until resume(): a slow reader. */
  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  /** Reads on. */
  resume(): void {
    this.#paused?.resolve();
    this.#paused = null;
  }

  /** Closes at once. */
  close(): void {
    try {
      this.conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // closed before
    }
    this.resume();
  }

  async #handshake(): Promise<void> {
    await this.#write(HELLO);
    const wanted = 1 + 2 * HANDSHAKE_SIZE;
    while (this.#end < wanted) {
      const count = await this.conn.read(this.#buffer.subarray(this.#end));
      if (count === null) throw new Refused("the server left during the handshake");
      this.#end += count;
    }
    this.#buffer.copyWithin(0, wanted, this.#end);
    this.#end -= wanted;
    await this.#write(FINISH);
  }

  async #write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
  }

  async #run(): Promise<void> {
    try {
      this.#consume();
      for (;;) {
        if (this.#paused !== null) await this.#paused.promise;
        const count = await this.conn.read(this.#end === 0 ? this.#buffer : this.#buffer.subarray(this.#end));
        if (count === null) break;
        this.#received += count;
        this.#end += count;
        this.#consume();
      }
    } catch (error) {
      const ended = error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
      const reset = error instanceof Deno.errors.ConnectionReset || error instanceof TransportError;
      if (!ended && !reset) throw error;
    }
    for (const call of this.#calls.values()) call.reject(new Refused("the connection has ended"));
    this.#calls.clear();
    this.close();
    this.#outlets.onClosed();
  }

  #consume(): void {
    const used = this.#parser.push(this.#buffer, this.#end);
    if (used > 0 && used < this.#end) this.#buffer.copyWithin(0, used, this.#end);
    this.#end -= used;
    if (this.#end === this.#buffer.length) {
      const larger = new Uint8Array(2 * this.#end);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    if (this.#received - this.#acknowledged < ACK_EVERY) return;
    this.#acknowledged = this.#received;
    this.#put(2, TYPE.acknowledge, 0, u32(this.#received));
  }

  #receive(type: number, body: Uint8Array): void {
    if (type === TYPE.audio || type === TYPE.video) return this.#outlets.onMedia(type, body);
    if (type === TYPE.command) return this.#receiveCommand(body);
    if (type === TYPE.userControl && body[1] === PING) {
      const pong = body.slice();
      pong[1] = PONG;
      this.#put(2, TYPE.userControl, 0, pong);
    }
  }

  #receiveCommand(body: Uint8Array): void {
    const { name, transactionId, args } = decodeCommand(TYPE.command, body);
    const waiting = this.#calls.get(transactionId);
    if ((name === "_result" || name === "_error") && waiting !== undefined) {
      this.#calls.delete(transactionId);
      if (name === "_result") waiting.resolve(args);
      else waiting.reject(new Refused(JSON.stringify(args[0])));
      return;
    }
    this.#outlets.onCall(name, args);
  }

  #request(name: string, object: AmfValue, args: AmfValue[]): Promise<readonly AmfValue[]> {
    const transactionId = ++this.#lastId;
    const waiting = Promise.withResolvers<readonly AmfValue[]>();
    this.#calls.set(transactionId, waiting);
    this.#put(3, TYPE.command, 0, encodeCommand({ name, transactionId, object, args }, false));
    return waiting.promise;
  }

  /** Unawaited writes of one connection keep their order; who reads learns that it broke. */
  #put(chunkStreamId: number, type: number, streamId: number, body: Uint8Array): void {
    this.conn.write(this.#writer.encode(chunkStreamId, type, streamId, 0, body).slice()).catch(() => {});
  }
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
