// An RTMP client made of bytes over one TCP connection: what it says and hears is written into the trace.

import { amfText, writeAmf } from "./amf.ts";
import { ChunkParser, type WireMessage, writeChunks } from "./chunks.ts";
import { octets } from "./octets.ts";
import { type Trace, until } from "./trace.ts";

const HANDSHAKE = 1536;

export class Program {
  readonly #inbox: WireMessage[] = [];
  readonly #media = new Map<string, WireMessage[]>();
  readonly #parser = new ChunkParser();
  readonly #running: Promise<void>;
  #transaction = 0;
  #closedByUs = false;
  ended = false;

  static async open(name: string, trace: Trace, port: number): Promise<Program> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    const hello = new Uint8Array(1 + HANDSHAKE);
    hello[0] = 3;
    await writeAll(connection, hello);
    const reply = new Uint8Array(1 + 2 * HANDSHAKE);
    for (let at = 0; at < reply.length;) {
      at += await connection.read(reply.subarray(at)) ?? fail("no handshake");
    }
    await writeAll(connection, reply.subarray(1, 1 + HANDSHAKE));
    trace.mask.port((connection.localAddr as Deno.NetAddr).port, `${name.toUpperCase()}_TCP`);
    return new Program(name, trace, connection);
  }

  private constructor(readonly name: string, readonly trace: Trace, readonly connection: Deno.TcpConn) {
    this.#running = this.#read();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (;;) {
        const count = await this.connection.read(buffer);
        if (count === null) break;
        for (const message of this.#parser.push(buffer.subarray(0, count))) this.#sort(message);
      }
    } catch (error) {
      if (!this.#closedByUs && !(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    this.ended = true;
  }

  /** Commands, control and metadata in one row, each kind of media of each stream in its own. */
  #sort(message: WireMessage): void {
    if (message.type === 3) return; // acknowledgements come with the bytes read, however they were cut
    if (message.type === 4 && message.body[1] === 6) { // a ping comes by the clock
      const body = Uint8Array.of(0, 7, ...message.body.subarray(2));
      return this.#send({ csid: 2, type: 4, streamId: 0, time: 0, body });
    }
    if (message.type !== 8 && message.type !== 9) return void this.#inbox.push(message);
    const key = `${message.type}/${message.streamId}`;
    const row = this.#media.get(key) ?? [];
    this.#media.set(key, row);
    row.push(message);
  }

  connect(path: string, ...args: unknown[]): void {
    this.connectAs(0, path, ...args);
  }

  /** connect, with an encoding of its own. */
  connectAs(objectEncoding: number, path: string, ...args: unknown[]): void {
    const tcUrl = `rtmp://127.0.0.1:${(this.connection.remoteAddr as Deno.NetAddr).port}/${path}`;
    const information = { app: path, flashVer: "LNX 11,1,0,0", tcUrl, objectEncoding };
    this.#command(0, "connect", ++this.#transaction, information, ...args);
  }

  /** A command of the connection, with a null object. */
  call(name: string, ...args: unknown[]): void {
    this.#command(0, name, ++this.#transaction, null, ...args);
  }

  /** A command of a stream. */
  streamCall(streamId: number, name: string, ...args: unknown[]): void {
    this.#command(streamId, name, 0, null, ...args);
  }

  /** A call and its empty result. */
  async done(name: string, ...args: unknown[]): Promise<void> {
    this.call(name, ...args);
    await this.take(/_result/);
  }

  /** Makes a stream, and publishes or plays it. */
  async stream(verb: "publish" | "play", name: string, ...args: unknown[]): Promise<number> {
    this.call("createStream");
    const id = Number(/(\d+)$/.exec(await this.take(/_result/))?.[1]);
    this.streamCall(id, verb, name, ...args);
    await this.take(verb === "publish" ? /Publish\./ : /Data\.Start/);
    return id;
  }

  /** Sends media or metadata of a stream. */
  send(streamId: number, type: 8 | 9 | 18, time: number, body: Uint8Array): void {
    this.#send({ csid: type === 9 ? 6 : 5, type, streamId, time, body });
  }

  /** Sends bodies one after the other, `stepMs` apart in time and in their timestamps. */
  async speak(
    streamId: number,
    type: 8 | 9,
    bodies: readonly Uint8Array[],
    stepMs: number,
    from = 0,
  ): Promise<void> {
    const startMs = performance.now();
    for (const [i, body] of bodies.entries()) {
      const waitMs = startMs + i * stepMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.send(streamId, type, from + i * stepMs, body);
    }
  }

  #command(streamId: number, ...values: unknown[]): void {
    const body: number[] = [];
    for (const value of values) writeAmf(body, value);
    const message = { csid: 3, type: 20, streamId, time: 0, body: Uint8Array.from(body) };
    this.trace.write(this.name, "->", `stream ${streamId} ${amfText(message.body)}`);
    this.#send(message);
  }

  #send(message: Omit<WireMessage, "fmt">): void {
    this.#sending = this.#sending.then(() => writeAll(this.connection, writeChunks(message, 128)));
  }

  #sending: Promise<void> = Promise.resolve();

  /** Waits for a message whose text matches, and writes it and all before it; gives its text. */
  async take(pattern: RegExp): Promise<string> {
    for (;;) {
      await until(() => `${this.name} hears ${pattern}`, () => this.#inbox.length > 0);
      const text = describe(this.#inbox.shift()!);
      this.trace.write(this.name, "<-", text);
      if (pattern.test(text)) return text;
    }
  }

  /** Waits until so many media messages of a kind have come, writes these and forgets what came beside them. */
  async takeMedia(streamId: number, type: 8 | 9, count: number): Promise<WireMessage[]> {
    const row = (): WireMessage[] => this.#media.get(`${type}/${streamId}`) ?? [];
    await until(
      () => `${this.name} has ${row().length} of ${count} media messages`,
      () => row().length >= count,
    );
    const taken = row().splice(0, count);
    const first = taken[0]!.time;
    for (const message of taken) {
      const { fmt, csid, time, body } = message;
      const head = `csid ${csid} fmt ${fmt} stream ${streamId} type ${type} time +${time - first}`;
      this.trace.write(this.name, "<-", `${head} ${octets(body)}`);
    }
    return taken;
  }

  /** Waits for so many media messages, and writes only what they have in common. */
  async takeForms(streamId: number, type: 8 | 9, count: number): Promise<void> {
    const row = (): WireMessage[] => this.#media.get(`${type}/${streamId}`) ?? [];
    await until(
      () => `${this.name} has ${row().length} of ${count} media messages`,
      () => row().length >= count,
    );
    const forms = row().splice(0).map(({ csid, body }) => {
      const header = body[0]! >> 4 === 9 ? 5 : body[0]! >> 4 === 10 ? 2 : 1;
      const length = header === 1 ? ` ${body.length} octets` : "";
      return `csid ${csid} stream ${streamId} type ${type} ${body.subarray(0, header).toHex()}${length}`;
    });
    for (const form of new Set(forms)) this.trace.write(this.name, "<-", `as often as it came: ${form}`);
  }

  /** Forgets the media that has come. */
  forgetMedia(): void {
    this.#media.clear();
  }

  /** Waits until the gateway has ended the connection. */
  async takeEnd(): Promise<void> {
    await until(() => `the connection of ${this.name} ends`, () => this.ended);
    this.writeRest();
    this.trace.write(this.name, "<-", "end of the connection");
  }

  /** Writes commands that nobody asked for. */
  writeRest(): void {
    for (const message of this.#inbox.splice(0)) {
      this.trace.write(this.name, "<-", `(left) ${describe(message)}`);
    }
  }

  /** Leaves. */
  async close(): Promise<void> {
    if (this.#closedByUs) return;
    await this.#sending;
    this.#closedByUs = true;
    this.connection.close();
    await this.#running;
  }
}

function describe(message: WireMessage): string {
  const { fmt, csid, type, streamId, time, body } = message;
  const head = `csid ${csid} fmt ${fmt} stream ${streamId} type ${type}${time === 0 ? "" : " later"}`;
  if (type === 18 || type === 20) return `${head} ${amfText(body)}`;
  if (type === 15 || type === 17) return `${head} ${amfText(body.subarray(1))}`;
  return `${head} ${body.toHex()}`;
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

function fail(text: string): never {
  throw new Error(text);
}
