// One stream of an RTMP client: publishes or plays, sends or takes media.
// Adobe RTMP 1.0, section 7.2.2.
// Role: machine

import { type AmfObject, type AmfValue, getProperty, propertiesOf, textOf } from "../amf/value.ts";
import type { MessageLink } from "./message_link.ts";
import type { MediaMessage, RtmpMessage } from "./message.ts";

interface Waiting {
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
  #waiting: Waiting | null = null;
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
