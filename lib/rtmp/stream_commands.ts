// The commands of every RTMP program that are not the application's business: streams made, published, played, paused
// and deleted. Answers them as real clients expect and says what happened in events.
// Role: machine

import { type AmfValue, booleanOf, getProperty, numberOf, propertiesOf, textOf } from "../amf/value.ts";
import { type Command, createStatus, splitQuery } from "./command.ts";
import type { CongestionLimits } from "./drop_policy.ts";
import type { MessageLink } from "./message_link.ts";
import { NetStream } from "./net_stream.ts";

interface StreamCommandsOptions {
  /** Where answers go. */
  link: MessageLink;
  /** Marks of slow clients, and how many streams a client may have. */
  limits: CongestionLimits & { readonly maxStreams: number };
  /** Takes events in their order. */
  emit: (event: RtmpEvent) => void;
  /** Length of a recorded stream in seconds; 0 for live and unknown ones. A promise must not reject. */
  streamLength: (name: string) => number | Promise<number>;
}

/**
 * Adobe RTMP 1.0, sections 7.2.1.3 and 7.2.2; releaseStream, FCPublish and their kin are Adobe's FMLE habits that
 * librtmp, ffmpeg and OBS share.
 */
export class StreamCommands {
  readonly #options: StreamCommandsOptions;
  readonly #link: MessageLink;
  readonly #streams = new Map<number, NetStream>();
  /** The one that was asked for last: media comes on one. */
  #last: NetStream | undefined;
  #lastId = 0;
  #droppedVideo = 0;
  #droppedAudio = 0;

  /** No streams yet. */
  constructor(options: StreamCommandsOptions) {
    this.#options = options;
    this.#link = options.link;
  }

  stream(id: number): NetStream | undefined {
    return this.#last?.id === id ? this.#last : this.#last = this.#streams.get(id);
  }

  /** The one stream that publishes: some programs send media on stream 0, or on one that was never made. */
  get onlyPublisher(): NetStream | undefined {
    let only: NetStream | undefined;
    for (const stream of this.#streams.values()) {
      if (stream.state !== "publishing") continue;
      if (only !== undefined) return undefined;
      only = stream;
    }
    return only;
  }

  /** Video messages dropped on all streams so far. */
  get droppedVideo(): number {
    let dropped = this.#droppedVideo;
    for (const stream of this.#streams.values()) dropped += stream.droppedVideo;
    return dropped;
  }

  /** Tells every player that its stream has ended. */
  stopPlaying(): void {
    for (const stream of this.#streams.values()) if (stream.state === "playing") stream.stop();
  }

  /** Audio messages dropped on all streams so far. */
  get droppedAudio(): number {
    let dropped = this.#droppedAudio;
    for (const stream of this.#streams.values()) dropped += stream.droppedAudio;
    return dropped;
  }

  /** Handles one command; whatever it does not know becomes an event for the owner to answer. */
  handle(command: Command, streamId: number): void {
    const reply = new CommandReply(this.#link, command.transactionId);
    if (this.#handleConnectionCommand(command, reply)) return;
    if (isStreamCommand(command.name)) return this.#handleStreamCommand(command, streamId, reply);
    const { name, args } = command;
    this.#options.emit({ type: "command", name, args, streamId, reply });
  }

  #handleConnectionCommand({ name, args }: Command, reply: CommandReply): boolean {
    switch (name) {
      case "createStream":
        this.#createStream(reply);
        return true;
      case "deleteStream":
        this.#deleteStream(numberOf(args[0]), reply);
        return true;
      case "releaseStream":
      case "_checkbw":
        reply.result();
        return true;
      case "FCPublish":
        this.#answerFc(reply, "onFCPublish", "NetStream.Publish.Start", args[0]);
        return true;
      case "FCSubscribe":
        this.#answerFc(reply, "onFCSubscribe", "NetStream.Play.Start", args[0]);
        return true;
      case "FCUnpublish":
        this.#unpublish(splitQuery(textOf(args[0]))[0]);
        this.#answerFc(reply, "onFCUnpublish", "NetStream.Unpublish.Success", args[0]);
        return true;
      case "FCUnsubscribe":
        this.#answerFc(reply, "onFCUnsubscribe", "NetStream.Play.Stop", args[0]);
        return true;
      case "getStreamLength":
        this.#answerLength(splitQuery(textOf(args[0]))[0], reply);
        return true;
      default:
        return false;
    }
  }

  #handleStreamCommand({ name, args }: Command, streamId: number, reply: CommandReply): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      return this.#refuseUnmade(name, streamId, reply);
    }
    switch (name) {
      case "publish":
        return this.#publish(stream, args);
      case "play":
        return this.#play(stream, args);
      case "play2":
        return this.#play2(stream, args[0]);
      case "closeStream":
        this.#closeStream(stream);
        return reply.result();
      case "pause":
      case "pauseRaw":
        return this.#pause(stream, booleanOf(args[0]), numberOf(args[1]));
      case "seek":
        return this.#options.emit({ type: "seek", stream, timeMs: Math.max(0, numberOf(args[0])) });
      case "receiveAudio":
        return this.#receive(stream, "audio", booleanOf(args[0], true));
      case "receiveVideo":
        return this.#receive(stream, "video", booleanOf(args[0], true));
    }
  }

  /** Programs that publish or play wait for a status event, and ask for no other answer. */
  #refuseUnmade(name: string, streamId: number, reply: CommandReply): void {
    const text = `${name}: there is no stream ${streamId}; createStream makes one`;
    reply.error("NetConnection.Call.Failed", text);
    const code = name === "publish" ? "NetStream.Publish.BadName" : "NetStream.Play.Failed";
    if (name !== "publish" && name !== "play" && name !== "play2") return;
    const args = [createStatus("error", code, text)];
    this.#link.sendCommand(streamId, { name: "onStatus", transactionId: 0, object: null, args });
  }

  #createStream(reply: CommandReply): void {
    const { limits } = this.#options;
    if (this.#streams.size >= limits.maxStreams) {
      return reply.error(
        "NetConnection.Call.Failed",
        `no more than ${limits.maxStreams} streams per connection`,
      );
    }
    const stream = new NetStream(++this.#lastId, this.#link, limits);
    this.#streams.set(stream.id, stream);
    reply.result(stream.id);
  }

  #deleteStream(id: number, reply: CommandReply): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      this.#end(stream);
      this.#streams.delete(id);
      this.#last = undefined;
      this.#droppedVideo += stream.droppedVideo;
      this.#droppedAudio += stream.droppedAudio;
    }
    reply.result();
  }

  /** A publisher that says closeStream stays connected and is told; a player has just closed its ears. */
  #closeStream(stream: NetStream): void {
    const { state, name } = stream;
    this.#end(stream);
    if (state !== "publishing") return;
    stream.status("status", "NetStream.Unpublish.Success", `${name} is now unpublished.`, { details: name });
  }

  #unpublish(name: string): void {
    for (const stream of this.#streams.values()) {
      if (stream.state === "publishing" && stream.name === name) this.#end(stream);
    }
  }

  #end(stream: NetStream): void {
    const { state } = stream;
    if (state === "idle") return;
    stream.end();
    this.#options.emit({ type: "ended", stream, was: state === "publishing" ? "publish" : "play" });
  }

  #answerLength(name: string, reply: CommandReply): void {
    const seconds = this.#options.streamLength(name);
    if (typeof seconds === "number") return reply.result(seconds);
    void seconds.then((known) => reply.result(known));
  }

  #answerFc(reply: CommandReply, callback: string, code: string, name: AmfValue): void {
    reply.result();
    const status = createStatus("status", code, splitQuery(textOf(name))[0]);
    this.#link.sendCommand(0, { name: callback, transactionId: 0, object: null, args: [status] });
  }

  #publish(stream: NetStream, args: readonly AmfValue[]): void {
    if (args[0] === false) return this.#closeStream(stream);
    this.#end(stream);
    const [name, query] = splitQuery(textOf(args[0]));
    stream.beginPublish(name);
    const mode = args[1] === "record" || args[1] === "append" ? args[1] : "live";
    this.#options.emit({ type: "publish", stream, name, query, mode });
  }

  /** Times are milliseconds on the wire, also the special ones: -2000 and -1000 stand for -2 and -1. */
  #play(stream: NetStream, args: readonly AmfValue[]): void {
    this.#end(stream);
    if (args[0] === false) return;
    const [name, query] = splitQuery(textOf(args[0]));
    const from = numberOf(args[1], -2);
    const length = numberOf(args[2], -1);
    const start = from >= 0 ? from : from === -1 || from === -1000 ? -1 : -2;
    // ActionScript sends true, false, or 0 to 3, of which 0 and 2 keep what is playing.
    const reset = typeof args[3] === "number" ? args[3] % 2 === 1 : booleanOf(args[3], true);
    stream.beginPlay(name, { recorded: start >= 0, reset });
    this.#options.emit({
      type: "play",
      stream,
      name,
      query,
      start,
      duration: length < 0 ? -1 : length,
      reset,
    });
  }

  #play2(stream: NetStream, options: AmfValue): void {
    const members = propertiesOf(options);
    this.#play(stream, [
      getProperty(members, "streamName"),
      getProperty(members, "start"),
      getProperty(members, "len"),
    ]);
  }

  #pause(stream: NetStream, paused: boolean, timeMs: number): void {
    if (stream.state !== "playing") return;
    stream.setPaused(paused);
    this.#options.emit({ type: "pause", stream, paused, timeMs });
  }

  #receive(stream: NetStream, kind: "audio" | "video", on: boolean): void {
    stream.setReceives(kind, on);
    this.#options.emit({ type: "receive", stream, kind, on });
  }
}

function isStreamCommand(name: string): boolean {
  switch (name) {
    case "publish":
    case "play":
    case "play2":
    case "closeStream":
    case "pause":
    case "pauseRaw":
    case "seek":
    case "receiveAudio":
    case "receiveVideo":
      return true;
    default:
      return false;
  }
}

/** Answers one command; only the first answer is sent, and none when the client wants none. */
export interface Reply {
  /** `_result` with these values after the null object. */
  result(...values: AmfValue[]): void;
  /** `_error` with an object of level, code and description. */
  error(code: string, description: string): void;
}

/** What happens on a connection, in the order of the wire. */
export type RtmpEvent =
  | { type: "command"; name: string; args: AmfValue[]; streamId: number; reply: Reply }
  | { type: "publish"; stream: NetStream; name: string; query: string; mode: "live" | "record" | "append" }
  | {
    type: "play";
    stream: NetStream;
    name: string;
    query: string;
    /** -2 live or else recorded, -1 live only, else milliseconds from the beginning. */
    start: number;
    /** Milliseconds, -1 for all. */
    duration: number;
    reset: boolean;
  }
  | { type: "pause"; stream: NetStream; paused: boolean; timeMs: number }
  | { type: "seek"; stream: NetStream; timeMs: number }
  | { type: "receive"; stream: NetStream; kind: "audio" | "video"; on: boolean }
  | { type: "ended"; stream: NetStream; was: "publish" | "play" };

export class CommandReply implements Reply {
  readonly #link: MessageLink;
  readonly #transactionId: number;
  #answered: boolean;

  /** Transaction 0 asks for no answer (7.2.1.2). */
  constructor(link: MessageLink, transactionId: number) {
    this.#link = link;
    this.#transactionId = transactionId;
    this.#answered = transactionId === 0;
  }

  /** See {@linkcode Reply}. */
  result(...values: AmfValue[]): void {
    this.#send("_result", values);
  }

  /** See {@linkcode Reply}. */
  error(code: string, description: string): void {
    this.#send("_error", [createStatus("error", code, description)]);
  }

  #send(name: string, args: AmfValue[]): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#link.sendCommand(0, { name, transactionId: this.#transactionId, object: null, args });
  }
}
