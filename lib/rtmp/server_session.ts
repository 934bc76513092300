// What is said on one connection, seen from the server, without the socket: connect and its answer, commands to
// events, media to its outlet. A message that becomes an event stops the parser until the event was taken, so the
// order of the wire holds: no media of a stream comes before its publish event.
// Role: machine

import { encodeAmf0 } from "../amf/amf0.ts";
import { type AmfObject, type AmfValue, formatAmf, getProperty } from "../amf/value.ts";
import { WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { AUDIO_FOURCCS, fourCcText, VIDEO_FOURCCS } from "../media/codec_ids.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import {
  type Command,
  connectEncoding,
  type ConnectRequest,
  createStatus,
  decodeCommand,
  parseConnect,
} from "./command.ts";
import { CommandReply, type RtmpEvent, StreamCommands } from "./stream_commands.ts";
import { MessageLink } from "./message_link.ts";
import {
  type MediaMessage,
  MESSAGE_TYPE,
  type MessageSink,
  type RtmpMessage,
  USER_CONTROL,
  type UserControl,
} from "./message.ts";
import type { NetStream } from "./net_stream.ts";
import type { RtmpOptions } from "./options.ts";
import type { Runtime } from "../base/runtime.ts";

/** Name and version in the connect reply; programs written for siprtmp may look at it. */
const SERVER_VERSION = "rtmplite/8,2";

/** What a gateway that stops says to everybody. */
const SHUTDOWN = "NetConnection.Connect.AppShutdown";

/** Transaction ids of our own calls start here, as they did in siprtmp. */
const FIRST_CALL_ID = 2;

/** One read can hold thousands of commands; after so many the reader is asked. */
const COMMANDS_AT_ONCE = 16;

const NO_BYTES = new Uint8Array(0);

interface ServerSessionOptions extends Pick<Runtime, "clock" | "log"> {
  /** Where answers go. */
  readonly stream: ByteStream;
  readonly limits: RtmpOptions;
}

/** Adobe RTMP 1.0, sections 7.2 and 7.3. */
export class ServerSession implements MessageSink {
  /** Takes media of publishing streams while it is read; message and body are borrowed. */
  onMedia: ((stream: NetStream, message: MediaMessage) => void) | null = null;
  /** Answers getStreamLength in seconds; a promise must not reject. */
  streamLength: ((name: string) => number | Promise<number>) | null = null;
  readonly link: MessageLink;
  readonly commands: StreamCommands;
  commandCount = 0;
  readonly #log: Logger;
  readonly #limits: RtmpOptions;
  /** Null while nothing waits, as between two packets. */
  #pending: RtmpEvent[] | null = null;
  readonly #media: { type: 8 | 9 | 18; timeMs: number; body: Uint8Array };
  /** Kept until it is answered. */
  #connect: Command | null = null;
  #hasConnect = false;
  #reconnects = false;
  #callId = FIRST_CALL_ID;

  constructor(options: ServerSessionOptions) {
    this.#log = options.log;
    this.#limits = options.limits;
    this.link = new MessageLink({
      ...options,
      sink: this,
      onUserControl: (control) => this.#receiveUserControl(control),
    });
    this.commands = new StreamCommands({
      link: this.link,
      limits: options.limits,
      emit: (event) => this.#emit(event),
      streamLength: (name) => this.streamLength?.(name) ?? 0,
    });
    this.#media = { type: 8, timeMs: 0, body: NO_BYTES };
  }

  /** True when the connect command has come. */
  get hasConnect(): boolean {
    return this.#hasConnect;
  }

  /** What next() gave last is the oldest event again. */
  giveBack(event: RtmpEvent): void {
    this.#pending = [event, ...this.#pending ?? []];
  }

  /** Takes the oldest event that is waiting. */
  next(): RtmpEvent | undefined {
    const pending = this.#pending;
    if (pending === null) return undefined;
    if (pending.length === 1) this.#pending = null;
    return pending.shift();
  }

  /** Reads the connect command; null when it asks for an encoding other than AMF0 and AMF3. Throws WireError. */
  connectRequest(): ConnectRequest | null {
    const connect = this.#connect;
    if (connect === null) return null;
    const encoding = connectEncoding(connect);
    if (encoding !== 0 && encoding !== 3) return null;
    this.link.amf3 = encoding === 3;
    const request = parseConnect(connect);
    this.#reconnects = understandsReconnect(request.properties);
    this.#log.debug(
      `<- connect to "${
        withoutQueries(request.app)
      }" by "${request.flashVer}", ${request.args.length} arguments`,
    );
    return request;
  }

  /** Answers connect: the client is in. `properties` are added to the status object. */
  admit(properties: AmfObject): void {
    this.link.raiseLimits();
    this.#greet();
    this.link.sendUserControl(USER_CONTROL.STREAM_BEGIN, 0);
    this.#answerConnect("_result", {
      ...createStatus("status", "NetConnection.Connect.Success", "Connection succeeded."),
      fmsVer: SERVER_VERSION,
      objectEncoding: this.link.amf3 ? 3 : 0,
      details: null,
      ...ENHANCED_RTMP,
      ...properties,
    });
  }

  /** Answers connect: the client is refused. */
  refuse(description: string): void {
    this.#greet();
    this.#answerConnect("_error", createStatus("error", "NetConnection.Connect.Rejected", description));
  }

  /** Sends a status event to the client's NetConnection. */
  status(code: string, description: string): void {
    if (code === SHUTDOWN && this.#reconnects) this.#requestReconnect(description);
    this.commands.stopPlaying(); // it is the last word: players end well instead of losing their connection
    const level = code === "NetConnection.Connect.Closed" ? "status" : "error";
    this.#send("onStatus", 0, [createStatus(level, code, description)]);
  }

  /** Who stops asks those to come again who understand it: to where they connected before, since no tcUrl is named. */
  #requestReconnect(description: string): void {
    const code = "NetConnection.Connect.ReconnectRequest";
    this.#send("onStatus", 0, [createStatus("status", code, description)]);
  }

  /** Calls a procedure of the client; its answer is not waited for. */
  call(method: string, args: AmfValue[]): void {
    this.#send(method, this.#callId++, args);
  }

  /** For the link: everything but protocol control. Throws WireError for what comes before connect. */
  receive(message: RtmpMessage): void {
    try {
      switch (message.type) {
        case MESSAGE_TYPE.AUDIO:
        case MESSAGE_TYPE.VIDEO:
        case MESSAGE_TYPE.DATA:
          return this.#receiveMedia(message.type, message);
        case MESSAGE_TYPE.COMMAND:
        case MESSAGE_TYPE.COMMAND_AMF3:
          return this.#receiveCommand(decodeCommand(message.type, message.body), message.streamId);
      }
    } catch (error) {
      if (!this.#hasConnect || !(error instanceof WireError)) throw error;
      this.link.ignore(error);
    }
  }

  #greet(): void {
    this.link.setWindowAckSize(this.#limits.windowAckSize);
    this.link.setPeerBandwidth(this.#limits.windowAckSize);
    this.link.setChunkSize(this.#limits.chunkSize);
  }

  #answerConnect(name: "_result" | "_error", status: AmfObject): void {
    this.#send(name, this.#connect?.transactionId ?? 1, [status]);
    this.#connect = null;
  }

  #send(name: string, transactionId: number, args: AmfValue[]): void {
    if (this.#log.enabled("debug")) this.#log.debug(`-> ${name} ${withoutQueries(formatAmf(args))}`);
    this.link.sendCommand(0, { name, transactionId, object: null, args });
  }

  #emit(event: RtmpEvent): void {
    (this.#pending ??= []).push(event);
    this.link.stop();
  }

  #receiveMedia(type: 8 | 9 | 18, message: RtmpMessage): void {
    const stream = this.commands.stream(message.streamId) ?? this.commands.onlyPublisher;
    if (stream === undefined || stream.state !== "publishing") return;
    const media = this.#media;
    media.type = type;
    media.timeMs = stream.unwrapTime(message.timestamp);
    media.body = type === 18 ? withoutSetDataFrame(message.body) : message.body;
    this.onMedia?.(stream, media);
    media.body = NO_BYTES;
  }

  #receiveCommand(command: Command, streamId: number): void {
    const { name } = command;
    if (!this.#hasConnect) {
      if (name !== "connect") throw new WireError("RTMP connect", `"${name.slice(0, 40)}" came first`);
      this.#connect = command;
      this.#hasConnect = true;
      return this.link.stop();
    }
    if (++this.commandCount % COMMANDS_AT_ONCE === 0) this.link.stop(); // whoever reads may want to read more slowly
    if (this.#log.enabled("debug")) this.#log.debug(`<- ${describeCommand(command)}`);
    if (name === "_result" || name === "_error" || name === "onStatus") return; // answers to our calls
    if (name === "connect") {
      const reply = new CommandReply(this.link, command.transactionId);
      return reply.error("NetConnection.Call.Failed", "already connected");
    }
    this.commands.handle(command, streamId);
  }

  #receiveUserControl(control: UserControl): void {
    if (control.event !== USER_CONTROL.SET_BUFFER_LENGTH) return;
    const stream = this.commands.stream(control.value);
    if (stream !== undefined) stream.bufferLengthMs = control.second;
  }
}

/** For the log, in which the arguments of a log-in are not shown. */
function describeCommand({ name, args }: Command): string {
  const shown = name.slice(0, 80);
  if (/login|auth|pass|secret|token|key|credential/i.test(shown)) {
    return `${shown} (${args.length} arguments)`;
  }
  return `${shown} ${withoutQueries(formatAmf(args))}`;
}

/** What follows "?" in a name or URL may be a key, whatever the command. */
function withoutQueries(text: string): string {
  return text.replace(/\?(?!\s)[^"]+/g, "?...");
}

const PREFIX = encodeAmf0(["@setDataFrame"]);

/** The data message as players and files have it: without the leading "@setDataFrame". A view. */
export function withoutSetDataFrame(body: Uint8Array): Uint8Array {
  for (let at = 0; at < PREFIX.length; at++) {
    if (body[at] !== PREFIX[at]) return body;
  }
  return body.subarray(PREFIX.length);
}

const CAPS_EX = {
  /** The client connects again when it is asked to. */
  RECONNECT: 1,
  /** Tracks beside the default one. */
  MULTITRACK: 2,
  /** Modifiers before the codec of a tag. */
  MODEX: 4,
} as const;

/** Streams pass on every codec; what a call decodes of them is said by `accepted` and by status events. */
const CAN_FORWARD = 4;

function infoOf(codecs: ReadonlyMap<number, unknown>): AmfObject {
  return Object.fromEntries([...codecs.keys()].map((fourCc) => [fourCcText(fourCc), CAN_FORWARD]));
}

const VIDEO = infoOf(VIDEO_FOURCCS);
const AUDIO = infoOf(AUDIO_FOURCCS);

export const ENHANCED_RTMP: AmfObject = {
  fourCcList: [...Object.keys(VIDEO), ...Object.keys(AUDIO)],
  videoFourCcInfoMap: VIDEO,
  audioFourCcInfoMap: AUDIO,
  capsEx: CAPS_EX.RECONNECT | CAPS_EX.MULTITRACK | CAPS_EX.MODEX,
};

/** True when the properties of connect say that the client understands NetConnection.Connect.ReconnectRequest. */
export function understandsReconnect(properties: AmfObject): boolean {
  const capsEx = getProperty(properties, "capsEx");
  return typeof capsEx === "number" && (capsEx & CAPS_EX.RECONNECT) !== 0;
}
