// The message layer of one connection, the same for server and client: chunks both ways, protocol control
// answered here (chunk size, abort, acknowledgements, bandwidth, ping), everything else handed on.
// Adobe RTMP 1.0, sections 5.4, 6 and 7.1.7.
// Role: machine

import { encodeAmf0 } from "../amf/amf0.ts";
import type { AmfValue } from "../amf/value.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { WireError } from "../base/errors.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import { ChunkReader, ChunkWriter, DEFAULT_CHUNK_LIMITS } from "./chunk_stream.ts";
import { type Command, commandType, encodeCommand, withoutFormatByte } from "./command.ts";
import {
  decodeControlValue,
  decodePeerBandwidth,
  decodeUserControl,
  encodeControlValue,
  encodePeerBandwidth,
  encodeUserControl,
  MESSAGE_TYPE,
  type MessageSink,
  type RtmpMessage,
  splitAggregate,
  USER_CONTROL,
  type UserControl,
} from "./message.ts";
import { SendLag } from "./drop_policy.ts";

/** Before connect a peer has nothing long to say. */
const OPENING_LIMITS = { maxMessageBytes: 64 * 1024, maxBufferedBytes: 128 * 1024, maxChunkStreams: 16 };

/** Acknowledged after so many bytes when the peer has not said (5.4.3 leaves it open). */
const DEFAULT_ACK_WINDOW = 1_000_000;

/** Chunk stream of protocol control messages (5.4). */
const CONTROL_CHUNK_STREAM = 2;

/** Chunk stream of commands that belong to no stream. */
const COMMAND_CHUNK_STREAM = 3;

/** Chunk stream of protocol control and of everything else on a message stream, in turn. */
const STREAM_CHUNK_STREAMS = 5;
const CHUNK_STREAMS_EACH = 4;
const STREAMS_APART = 16;

interface MessageLinkOptions {
  /** Where the bytes go; reading stays with the owner. */
  stream: ByteStream;
  clock: Clock;
  /** Lines per message at level trace, category rtmp.wire. */
  log: Logger;
  /** Everything but protocol control; AMF3 data comes as AMF0 data, aggregates in parts. Borrowed. */
  sink: MessageSink;
  onUserControl: (control: UserControl) => void;
}

export class MessageLink implements MessageSink {
  /** Commands are sent as type 17 when true. */
  amf3 = false;
  roundTripMs: number | null = null;
  readonly #options: MessageLinkOptions;
  readonly #sink: MessageSink;
  readonly #clock: Clock;
  readonly #stream: ByteStream;
  readonly #log: Logger;
  readonly #trace: Logger | null;
  readonly #reader: ChunkReader;
  readonly #writer = new ChunkWriter();
  readonly #lag = new SendLag();
  #bytesIn = 0;
  #bytesOut = 0;
  #acknowledged = 0;
  #ackWindow = DEFAULT_ACK_WINDOW;
  #toldWindow = 0;
  #toldOfOddities = false;
  /** When the oldest unanswered ping was sent. */
  #pingSentMs: number | null = null;

  /** Starts right behind the handshake, with strict limits on what comes in. */
  constructor(options: MessageLinkOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#clock = options.clock;
    this.#stream = options.stream;
    this.#log = options.log;
    const wire = options.log.category("rtmp.wire");
    this.#trace = wire.enabled("trace") ? wire : null;
    this.#reader = new ChunkReader(OPENING_LIMITS, this);
  }

  /** Bytes read, behind the handshake. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  /** Bytes sent or waiting to be, behind the handshake. */
  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Bytes waiting to be sent. */
  get unsent(): number {
    return this.#stream.unsent;
  }

  /** True while a ping has no answer. */
  get awaitsPong(): boolean {
    return this.#pingSentMs !== null;
  }

  /** How late what is sent now would arrive, as far as can be known: by the queue, or by a ping not answered. */
  get lagMs(): number {
    const nowMs = this.#clock.now();
    const queueMs = this.#lag.lagMs(this.#bytesOut, this.#stream.unsent, nowMs);
    // A peer that has never answered a ping is not lagging, it just does not answer pings.
    const pingMs = this.#pingSentMs === null || this.roundTripMs === null ? 0 : nowMs - this.#pingSentMs;
    return Math.max(queueMs, pingMs);
  }

  /** The peer has been admitted: long messages may come. */
  raiseLimits(): void {
    this.#reader.limits = DEFAULT_CHUNK_LIMITS;
  }

  /** Consumes bytes up to all, or up to the message during which stop() was called; throws WireError. */
  push(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
    const consumed = this.#reader.push(bytes, start, end);
    this.#bytesIn += consumed;
    if (this.#bytesIn - this.#acknowledged >= this.#ackWindow) {
      this.#acknowledged = this.#bytesIn;
      this.#sendControl(MESSAGE_TYPE.ACKNOWLEDGEMENT, encodeControlValue(this.#bytesIn >>> 0));
    }
    return consumed;
  }

  /** To be called by an outlet: push() returns after this message. */
  stop(): void {
    this.#reader.stop();
  }

  /** Sends one message; the body is copied. */
  send(chunkStreamId: number, type: number, streamId: number, timestamp: number, body: Uint8Array): void {
    const bytes = this.#writer.encode(chunkStreamId, type, streamId, timestamp, body);
    if (this.#trace !== null) {
      this.#trace.trace(`-> type ${type} stream ${streamId} time ${timestamp} ${body.length} bytes`);
    }
    this.#lag.note(this.#bytesOut, this.#stream.unsent, this.#clock.now());
    this.#bytesOut += bytes.length;
    this.#stream.put(bytes);
  }

  sendMedia(type: 8 | 9 | 18, streamId: number, timestamp: number, body: Uint8Array): void {
    this.send(chunkStreamOf(streamId, type === 8 ? 1 : type === 9 ? 2 : 3), type, streamId, timestamp, body);
  }

  /** Sends AMF0 values as a data message. */
  sendData(streamId: number, values: readonly AmfValue[]): void {
    this.sendMedia(MESSAGE_TYPE.DATA, streamId, 0, encodeAmf0(values));
  }

  /** Sends a command on a stream, or on the connection (0). */
  sendCommand(streamId: number, command: Command): void {
    const id = streamId === 0 ? COMMAND_CHUNK_STREAM : chunkStreamOf(streamId, 0);
    this.send(id, commandType(this.amf3), streamId, 0, encodeCommand(command, this.amf3));
  }

  /** Sends a user control message (7.1.7). */
  sendUserControl(event: number, value: number, second = 0): void {
    this.#sendControl(MESSAGE_TYPE.USER_CONTROL, encodeUserControl(event, value, second));
  }

  /** Announces and uses chunks of `size` bytes. */
  setChunkSize(size: number): void {
    if (this.#writer.chunkSize === size) return;
    this.#sendControl(MESSAGE_TYPE.SET_CHUNK_SIZE, encodeControlValue(size));
    this.#writer.chunkSize = size;
  }

  /** Asks for acknowledgements after so many bytes. */
  setWindowAckSize(size: number): void {
    this.#toldWindow = size;
    this.#sendControl(MESSAGE_TYPE.WINDOW_ACK_SIZE, encodeControlValue(size));
  }

  setPeerBandwidth(windowSize: number): void {
    this.#sendControl(MESSAGE_TYPE.SET_PEER_BANDWIDTH, encodePeerBandwidth({ windowSize, limit: 2 }));
  }

  ping(): void {
    const nowMs = this.#clock.now();
    this.#pingSentMs ??= nowMs;
    this.sendUserControl(USER_CONTROL.PING_REQUEST, Math.floor(nowMs) >>> 0);
  }

  /** For the chunk reader: one whole message. */
  receive(message: RtmpMessage): void {
    const { type, body } = message;
    if (this.#trace !== null) {
      this.#trace.trace(
        `<- type ${type} stream ${message.streamId} time ${message.timestamp} ${body.length} bytes`,
      );
    }
    switch (type) {
      case MESSAGE_TYPE.AGGREGATE:
        return this.#receiveAggregate(message);
      case MESSAGE_TYPE.DATA_AMF3:
        message.body = withoutFormatByte(type, body);
        message.type = MESSAGE_TYPE.DATA;
        return this.#sink.receive(message);
      default:
        if (type > MESSAGE_TYPE.SET_PEER_BANDWIDTH || type === 0) return this.#sink.receive(message);
        return this.#receiveControl(type, body);
    }
  }

  /** Leaves a message of the peer out that makes no sense: only what breaks the framing ends a connection. */
  ignore(error: WireError): void {
    if (this.#toldOfOddities) return;
    this.#toldOfOddities = true;
    this.#log.info(`ignored, as will be others: ${error.message}`);
  }

  #receiveAggregate(message: RtmpMessage): void {
    try {
      splitAggregate(message, (part) => this.#sink.receive(part));
    } catch (error) {
      this.#ignoreBroken(error);
    }
  }

  #ignoreBroken(error: unknown): void {
    if (!(error instanceof WireError)) throw error;
    this.ignore(error);
  }

  #sendControl(type: number, body: Uint8Array): void {
    this.send(CONTROL_CHUNK_STREAM, type, 0, 0, body);
  }

  #receiveControl(type: number, body: Uint8Array): void {
    if (type === MESSAGE_TYPE.SET_CHUNK_SIZE) {
      return this.#reader.setChunkSize(decodeControlValue(body) & 0x7fffffff); // 5.4.1: the first bit says nothing
    }
    try {
      this.#receiveOtherControl(type, body);
    } catch (error) {
      this.#ignoreBroken(error);
    }
  }

  #receiveOtherControl(type: number, body: Uint8Array): void {
    switch (type) {
      case MESSAGE_TYPE.ABORT:
        return this.#reader.abort(decodeControlValue(body));
      case MESSAGE_TYPE.USER_CONTROL:
        return this.#receiveUserControl(decodeUserControl(body));
      case MESSAGE_TYPE.WINDOW_ACK_SIZE:
        this.#ackWindow = decodeControlValue(body) || DEFAULT_ACK_WINDOW;
        return;
      case MESSAGE_TYPE.SET_PEER_BANDWIDTH:
        return this.#answerBandwidth(decodePeerBandwidth(body).windowSize);
    }
  }

  /** 5.4.5: the window is announced in return, unless it is the one told last. */
  #answerBandwidth(windowSize: number): void {
    if (windowSize !== this.#toldWindow && windowSize > 0) this.setWindowAckSize(windowSize);
  }

  #receiveUserControl(control: UserControl): void {
    switch (control.event) {
      case USER_CONTROL.PING_REQUEST:
        return this.sendUserControl(USER_CONTROL.PING_RESPONSE, control.value);
      case USER_CONTROL.PING_RESPONSE:
        return this.#receivePong(control.value);
      default:
        return this.#options.onUserControl(control);
    }
  }

  #receivePong(value: number): void {
    if (this.#pingSentMs === null) return;
    const elapsedMs = (Math.floor(this.#clock.now()) - value) | 0;
    // A peer that does not echo our time has still answered.
    this.roundTripMs = elapsedMs >= 0 ? elapsedMs : this.roundTripMs ?? 0;
    this.#pingSentMs = null;
  }
}

/** Each stream sends status, audio, video and data on chunk streams of its own. */
function chunkStreamOf(streamId: number, kind: 0 | 1 | 2 | 3): number {
  return STREAM_CHUNK_STREAMS + ((streamId - 1) % STREAMS_APART) * CHUNK_STREAMS_EACH + kind;
}
