// What the owner of a connection is told, and how it answers a command.
// Adobe RTMP 1.0, section 7.2.
// Role: machine

import type { AmfValue } from "../amf/value.ts";
import { createStatus } from "./command.ts";
import type { MessageLink } from "./message_link.ts";
import type { NetStream } from "./net_stream.ts";

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

/** The answer to a command over a link. */
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
