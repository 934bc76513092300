// One RTMP client on its socket, from its first byte to its last: open(), accept() or reject(), events(),
// close(). Reading is driven by whoever consumes events(); media leaves by onMedia while it is read.
// Role: edge

import type { AmfObject, AmfValue } from "../amf/value.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Ticker } from "../base/ticker.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import type { ConnectRequest } from "./command.ts";
import { ReadBuffer, receiveHandshake } from "./handshake_io.ts";
import { HEARTBEAT, Heartbeat } from "./heartbeat.ts";
import type { MediaMessage } from "./message.ts";
import type { NetStream } from "./net_stream.ts";
import type { RtmpOptions } from "./options.ts";
import { ServerSession } from "./server_session.ts";
import type { RtmpEvent } from "./stream_commands.ts";
import type { Runtime } from "../base/runtime.ts";

export { defaultRtmpOptions, type RtmpOptions } from "./options.ts";

/** What a client does that may be too much when many do it, or one often: see {@link RtmpEnvironment.onOffence}. */
export type RtmpOffence = "silent" | "unusable" | "greedy";

export interface RtmpEnvironment extends Runtime {
  /**
   * Told of a client that never said connect (silent), that spoke no RTMP (unusable), or that is made to wait because
   * it sends too much (greedy). False: the connection keeps quiet about it.
   */
  readonly onOffence?: (peer: Endpoint, offence: RtmpOffence) => boolean;
  /** Ticks for the beat ({@link HEARTBEAT}), shared by many connections; each has its own when missing. */
  readonly ticker?: Ticker;
}

interface RtmpStats {
  /** Bytes read, without the handshake. */
  bytesIn: number;
  /** Bytes sent or queued, without the handshake. */
  bytesOut: number;
  /** Video messages not sent because the client was slow. */
  droppedVideo: number;
  /** Audio messages not sent because the client was slow. */
  droppedAudio: number;
  roundTripMs: number | null;
}

const FLUSH_MS = 1_000;

/** After the last words we read on for so long: closing with unread bytes would cut them off (TCP reset). */
const LINGER_MS = 500;

export class RtmpConnection implements AsyncDisposable {
  readonly peer: Endpoint;
  readonly id: number;
  readonly #stream: ByteStream;
  readonly #options: RtmpOptions;
  readonly #environment: RtmpEnvironment;
  readonly #log: Logger;
  readonly #input: ReadBuffer;
  readonly #session: ServerSession;
  readonly #heartbeat: Heartbeat;
  readonly #throttle: Throttle;
  #heardMs = 0;
  #readEnded: PromiseWithResolvers<void> | null = null;
  #phase: "opening" | "connected" | "closing" | "closed" = "opening";
  #reading = false;
  #finishing: Promise<void> | null = null;

  /** Takes over `stream`; nothing is read before open(). */
  constructor(stream: ByteStream, options: RtmpOptions, environment: RtmpEnvironment, id = 0) {
    this.peer = stream.peer;
    this.id = id;
    this.#stream = stream;
    this.#options = options;
    this.#environment = environment;
    this.#log = environment.log.category("rtmp");
    this.#input = new ReadBuffer(stream);
    this.#throttle = new Throttle(options, environment.clock);
    const session = new ServerSession({ stream, clock: environment.clock, log: this.#log, limits: options });
    this.#session = session;
    this.#heartbeat = new Heartbeat(session.link, options, {
      dropped: () => [session.commands.droppedVideo, session.commands.droppedAudio],
      slow: (text) => this.#log.warn(text),
      dead: (text) => {
        this.#log.info(`closed: ${text}`);
        this.#end();
      },
    });
  }

  /** Takes media of publishing streams while it is read; message and body are borrowed. */
  get onMedia(): ((stream: NetStream, message: MediaMessage) => void) | null {
    return this.#session.onMedia;
  }

  set onMedia(outlet: ((stream: NetStream, message: MediaMessage) => void) | null) {
    this.#session.onMedia = outlet;
  }

  /** Answers getStreamLength in seconds; null: every stream has length 0, which means live. Must not reject. */
  get streamLength(): ((name: string) => number | Promise<number>) | null {
    return this.#session.streamLength;
  }

  set streamLength(outlet: ((name: string) => number | Promise<number>) | null) {
    this.#session.streamLength = outlet;
  }

  get stats(): RtmpStats {
    const { bytesIn, bytesOut, roundTripMs } = this.#session.link;
    const { droppedVideo, droppedAudio } = this.#session.commands;
    return { bytesIn, bytesOut, droppedVideo, droppedAudio, roundTripMs };
  }

  /**
   * Handshake and connect command, within `openTimeoutMs`. Null when there is nothing to serve: a policy file
   * was asked for, the client has left, or it spoke no usable RTMP (logged, and closed). Never throws for what
   * a peer does.
   */
  async open(): Promise<ConnectRequest | null> {
    if (this.#finishing !== null) return null;
    const { openTimeoutMs } = this.#options;
    using _timer = this.#environment.clock.after(openTimeoutMs, () => {
      if (this.#isTold("silent")) this.#log.info(`closed: no connect within ${openTimeoutMs / 1000} s`);
      this.#end();
    });
    try {
      if (!await this.#readConnect()) return this.#end();
      const request = this.#session.connectRequest();
      if (request === null) await this.reject("Unsupported encoding");
      return request;
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Admits the client; `properties` are added to the status object of the answer. */
  accept(properties: AmfObject = {}): void {
    if (this.#phase !== "opening" || !this.#session.hasConnect) return;
    this.#phase = "connected";
    this.#heartbeat.start(this.#environment.clock.now());
    this.#session.admit(properties);
  }

  /** Closes at once, without a word. */
  drop(): void {
    this.#end();
  }

  /** Whether the client is heard within some 3 s; it is pinged. */
  answers(): Promise<boolean> {
    return this.#heartbeat.answers(this.#environment.clock.now());
  }

  /** Gives the stream to somebody else, who closes it; nothing is read or written here any more. After open() only. */
  surrender(): ByteStream {
    this.#phase = "closed";
    return this.#stream;
  }

  /** Refuses the client: one `_error` when it has said connect, then the connection ends. */
  async reject(description: string): Promise<void> {
    if (this.#phase === "opening" && this.#session.hasConnect) this.#session.refuse(description);
    this.#log.info(`rejected: ${description}`);
    await this.#finish();
  }

  /**
   * Ends the connection; with a code the client is told first, in a status event of its NetConnection, or as a
   * rejection when its connect was not yet answered.
   */
  async close(code?: string, description = ""): Promise<void> {
    if (code !== undefined && this.#phase === "connected") this.#session.status(code, description);
    if (code !== undefined && this.#phase === "opening" && this.#session.hasConnect) {
      this.#session.refuse(description);
    }
    await this.#finish();
  }

  /** Ends the connection as close() does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#finish();
  }

  /**
   * What the client does, until it leaves or we close. Drives the socket: media flows only while the consumer
   * asks for the next event, so the consumer must not wait between events. Never throws for what a peer does.
   */
  async *events(): AsyncGenerator<RtmpEvent, void, void> {
    if (this.#finishing !== null) return await this.#finishing; // it is reading the rest away
    this.#reading = true;
    using _beat = this.#beat();
    this.#input.shrink();
    try {
      for (;;) {
        for (let event = this.#session.next(); event !== undefined; event = this.#session.next()) yield event;
        const { link, commandCount } = this.#session;
        const waitMs = this.#throttle.waitMs(link.bytesIn, commandCount, this.#heardMs);
        if (waitMs > 0) await this.#slowDown(waitMs);
        if (this.#input.length === 0 && !this.#input.filled(await this.#input.read())) break;
        this.#consume();
      }
      this.#end();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reading = false;
      this.#readEnded?.resolve();
    }
  }

  /** The event that was read last is the first one again for the next reader of events(). */
  giveBack(event: RtmpEvent): void {
    this.#session.giveBack(event);
  }

  /** Calls a procedure of the client, from its connect on; its answer is not waited for. */
  call(method: string, ...args: AmfValue[]): void {
    const listens = this.#phase === "connected" || this.#phase === "opening" && this.#session.hasConnect;
    if (listens) this.#session.call(method, args);
  }

  #beat(): Disposable {
    const { clock, ticker } = this.#environment;
    const onError = (error: unknown): void => this.#log.error("heartbeat failed", error);
    const used = ticker ?? new Ticker(clock, HEARTBEAT.tickMs, onError);
    return used.add((nowMs) => this.#heartbeat.beat(nowMs, this.#heardMs), HEARTBEAT.every);
  }

  /** False when there is nobody to serve. */
  async #readConnect(): Promise<boolean> {
    const { clock, random } = this.#environment;
    this.#reading = true;
    try {
      const outcome = await receiveHandshake({ stream: this.#stream, input: this.#input, clock, random });
      if (outcome === "policy") this.#log.debug("asked for the policy file");
      else if (outcome === "left" && this.#phase !== "closed") this.#log.debug("left early"); // not by our doing
      if (outcome !== "ready") return false;
      do this.#consume(); while (!this.#session.hasConnect && this.#input.filled(await this.#input.read()));
      return this.#session.hasConnect;
    } finally {
      this.#reading = false;
    }
  }

  /** Parses what was read, up to all of it or to the first message that matters to somebody. */
  #consume(): void {
    const ignored = this.#phase === "closing" || this.#phase === "closed";
    const input = this.#input;
    systemClock.hold();
    try {
      this.#heardMs = this.#environment.clock.now();
      input.consume(ignored ? input.length : this.#session.link.push(input.bytes, input.start, input.end));
    } finally {
      systemClock.release();
    }
  }

  async #slowDown(waitMs: number): Promise<void> {
    this.#isTold("greedy");
    await this.#throttle.wait(waitMs, (nowMs) => void (this.#heardMs = nowMs));
  }

  #isTold(offence: RtmpOffence): boolean {
    return this.#environment.onOffence?.(this.peer, offence) ?? true;
  }

  /** A broken peer ends its own connection; our own bugs go on to the task that serves it. */
  #fail(error: unknown): null {
    if (error instanceof WireError) this.#broken(error);
    else if (error instanceof TransportError) this.#lost(error);
    else throw error;
    return this.#end();
  }

  #broken({ message }: WireError): void {
    if (this.#phase === "connected" || this.#isTold("unusable")) this.#log.warn(`closed: ${message}`);
  }

  /**
   * Health checks of balancers hang up by a reset before they have said who they are: no news, every second. Nor is
   * it one when we are about to close: why was said.
   */
  #lost({ message }: TransportError): void {
    if (this.#phase === "closing" || this.#phase === "closed") this.#log.debug(`gone: ${message}`);
    else if (this.#session.hasConnect) this.#log.info(`lost: ${message}`);
    else this.#log.debug(`left early: ${message}`);
  }

  /** Closes at once. */
  #end(): null {
    if (this.#phase === "closed") return null;
    this.#phase = "closed";
    const { bytesIn, bytesOut, droppedVideo, droppedAudio } = this.stats;
    const counts =
      `${bytesIn} bytes in, ${bytesOut} out, ${droppedVideo} video and ${droppedAudio} audio dropped`;
    this.#log.debug(`ended: ${counts}`);
    this.#stream.close();
    this.#heartbeat.stop();
    this.#throttle.release();
    return null;
  }

  #finish(): Promise<void> {
    return this.#finishing ??= this.#flushAndEnd();
  }

  /** Closes when what was sent has arrived, as far as that can be known within 1.5 s. */
  async #flushAndEnd(): Promise<void> {
    if (this.#phase === "closed") return;
    this.#phase = "closing";
    this.#throttle.release();
    await this.#stream.flush(FLUSH_MS);
    const timeUp = Promise.withResolvers<void>();
    using _timer = this.#environment.clock.after(LINGER_MS, timeUp.resolve);
    const ended = this.#reading ? (this.#readEnded ??= Promise.withResolvers()).promise : this.#drain();
    await Promise.race([ended, timeUp.promise]);
    this.#end();
  }

  async #drain(): Promise<void> {
    try {
      this.#input.consume(this.#input.length);
      while (await this.#input.fill()) this.#input.consume(this.#input.length);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
    }
  }
}

/** A pause is not longer, so that a peer that waits counts as heard. */
const LONGEST_PAUSE_MS = 1_000;

export class Throttle {
  readonly #pace: ReadPace;
  readonly #clock: Clock;
  /** Fewer bytes since it was last looked at are not worth a look: 8 ms of what may come. */
  readonly #unpaced: number;
  #bytes = 0;
  #commands = 0;
  #owing = false;
  #wake: (() => void) | null = null;
  #open = true;

  constructor(limits: PaceLimits, clock: Clock) {
    this.#pace = new ReadPace(limits);
    this.#clock = clock;
    this.#unpaced = Math.floor(limits.readBytesPerSecond / 128);
  }

  /** How long to wait, when so much has come in all until now; 0: not at all. */
  waitMs(bytesIn: number, commandsIn: number, nowMs: number): number {
    const few = bytesIn - this.#bytes < this.#unpaced && commandsIn === this.#commands;
    if (few && !this.#owing) return 0;
    const waitMs = this.#pace.waitMs(bytesIn - this.#bytes, commandsIn - this.#commands, nowMs);
    this.#bytes = bytesIn;
    this.#commands = commandsIn;
    this.#owing = waitMs > 0;
    return this.#open ? waitMs : 0;
  }

  /** Waits until what came is paid for. @param onPause called after each second at most, with the time */
  async wait(waitMs: number, onPause: (nowMs: number) => void): Promise<void> {
    for (let leftMs = waitMs; leftMs > 0 && this.#open;) {
      await this.#pause(Math.min(leftMs, LONGEST_PAUSE_MS));
      const nowMs = this.#clock.now();
      onPause(nowMs);
      leftMs = this.#pace.waitMs(0, 0, nowMs);
    }
  }

  release(): void {
    this.#open = false;
    this.#wake?.();
  }

  async #pause(ms: number): Promise<void> {
    const pause = Promise.withResolvers<void>();
    using _timer = this.#clock.after(ms, pause.resolve);
    this.#wake = pause.resolve;
    await pause.promise;
    this.#wake = null;
  }
}

/** Most of each a second; 0: as much as comes. */
export interface PaceLimits {
  /** Bytes. */
  readonly readBytesPerSecond: number;
  readonly commandsPerSecond: number;
}

/** What may come at once: a key frame, the commands at the start of a call. */
const BURST_BYTES_MS = 250;
const BURST_COMMANDS_MS = 2_000;

export class ReadPace {
  readonly #msPerByte: number;
  readonly #msPerCommand: number;
  #bytesDueMs = -Infinity;
  #commandsDueMs = -Infinity;

  /** Nothing has come yet. */
  constructor({ readBytesPerSecond, commandsPerSecond }: PaceLimits) {
    this.#msPerByte = readBytesPerSecond === 0 ? 0 : 1000 / readBytesPerSecond;
    this.#msPerCommand = commandsPerSecond === 0 ? 0 : 1000 / commandsPerSecond;
  }

  /** So much more has come; gives how long to wait before reading on, 0: not at all. */
  waitMs(bytes: number, commands: number, nowMs: number): number {
    this.#bytesDueMs = Math.max(this.#bytesDueMs, nowMs - BURST_BYTES_MS) + bytes * this.#msPerByte;
    if (commands > 0) {
      const from = Math.max(this.#commandsDueMs, nowMs - BURST_COMMANDS_MS);
      this.#commandsDueMs = from + commands * this.#msPerCommand;
    }
    return Math.max(0, Math.max(this.#bytesDueMs, this.#commandsDueMs) - nowMs);
  }
}
