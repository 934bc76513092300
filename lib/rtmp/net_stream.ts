// One NetStream of a client, seen from the server: publishing to us or playing from us.
// Adobe RTMP 1.0, section 7.2.2; status codes as ActionScript programs know them.
// States: idle -> publishing | playing (by the client's command) -> idle (closeStream, stop(), failed()).
// Role: machine

import type { AmfObject } from "../amf/value.ts";
import { type Command, createStatus } from "./command.ts";
import { type Congestion, type CongestionLimits, congestionOf, DropPolicy } from "./drop_policy.ts";
import { USER_CONTROL } from "./message.ts";
import type { MessageLink } from "./message_link.ts";

/** What a stream is doing. */
type NetStreamState = "idle" | "publishing" | "playing";

/** What a client asked for with `play`. */
interface PlayRequest {
  /** True when the stream is a recorded one: the player is told. */
  readonly recorded: boolean;
  /** The player's earlier streams are flushed. */
  readonly reset: boolean;
}

/** One message stream. Made by the connection, given to the owner in events. */
export class NetStream {
  /** Message stream id, 1 and up. */
  readonly id: number;
  /** Name it publishes or plays, or did last; without query. */
  name = "";
  /** How much the player buffers, as far as it has said. */
  bufferLengthMs = 0;
  readonly #link: MessageLink;
  readonly #limits: CongestionLimits;
  readonly #drops = new DropPolicy();
  #state: NetStreamState = "idle";
  #started = false;
  #play: PlayRequest = { recorded: false, reset: true };
  #paused = false;
  #receivesAudio = true;
  #receivesVideo = true;
  #lastTimeMs: number | null = null;

  /** A new stream, idle. */
  constructor(id: number, link: MessageLink, limits: CongestionLimits) {
    this.id = id;
    this.#link = link;
    this.#limits = limits;
  }

  /** What it is doing now. */
  get state(): NetStreamState {
    return this.#state;
  }

  /** Video messages not sent because the client is slow. */
  get droppedVideo(): number {
    return this.#drops.droppedVideo;
  }

  /** Audio messages not sent because the client is slow. */
  get droppedAudio(): number {
    return this.#drops.droppedAudio;
  }

  /** How late what is sent now would arrive, as far as can be known. */
  get lagMs(): number {
    return this.#link.lagMs;
  }

  /** How full the way to the client is: from 1 on send() drops. */
  get congestion(): Congestion {
    const { unsent, awaitsPong } = this.#link;
    return unsent === 0 && !awaitsPong ? 0 : congestionOf(this.#limits, unsent, this.#link.lagMs);
  }

  /** The connection's: the client has said `publish`. */
  beginPublish(name: string): void {
    this.#begin("publishing", name);
  }

  /** The connection's: the client has said `play`. */
  beginPlay(name: string, request: PlayRequest): void {
    this.#begin("playing", name);
    this.#play = request;
  }

  /** The connection's: the client has closed it, or begins something else. */
  end(): void {
    this.#state = "idle";
    this.#started = false;
  }

  /**
   * Tells the client that its publish or play has begun. Media may be sent to a player from now on. `recorded`
   * when what is played turned out to be a file, whatever the client asked for.
   */
  started(recorded: boolean = this.#play.recorded): void {
    if (this.#state === "idle" || this.#started) return;
    this.#started = true;
    this.#play = { ...this.#play, recorded };
    this.#link.sendUserControl(USER_CONTROL.STREAM_BEGIN, this.id);
    if (this.#state === "publishing") {
      return this.status(
        "status",
        "NetStream.Publish.Start",
        `${this.name} is being published.`,
        this.#details(),
      );
    }
    if (this.#play.recorded) this.#link.sendUserControl(USER_CONTROL.STREAM_IS_RECORDED, this.id);
    if (this.#play.reset) {
      this.status("status", "NetStream.Play.Reset", `Playing and resetting ${this.name}.`, this.#details());
    }
    this.status("status", "NetStream.Play.Start", `Started playing ${this.name}.`, this.#details());
    this.#link.sendData(this.id, ["|RtmpSampleAccess", true, true]);
    this.#link.sendData(this.id, [
      "onStatus",
      createStatus("status", "NetStream.Data.Start", "Started playing."),
    ]);
  }

  /** Refuses the client's publish or play, as "NetStream.Publish.BadName" or "NetStream.Play.StreamNotFound". */
  failed(code: string, description: string): void {
    this.status("error", code, description, this.#details());
    this.end();
  }

  /** Sends a status event to the client's NetStream. */
  status(
    level: "status" | "error" | "warning",
    code: string,
    description: string,
    extra: AmfObject = {},
  ): void {
    const command: Command = {
      name: "onStatus",
      transactionId: 0,
      object: null,
      args: [createStatus(level, code, description, extra)],
    };
    this.#link.sendCommand(this.id, command);
  }

  /**
   * Sends one tag body to a player; it is copied. False when it was dropped because the client is slow, or
   * because nothing is being played. What the player has paused or switched off is taken and not sent.
   */
  send(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    if (this.#state !== "playing" || !this.#started) return false;
    if (this.#paused || (type === 8 && !this.#receivesAudio) || (type === 9 && !this.#receivesVideo)) {
      return true;
    }
    if (!this.#drops.admit(type, body, this.congestion)) return false;
    this.#link.sendMedia(type, this.id, timeMs, body);
    return true;
  }

  /**
   * Ends what the stream is doing from our side. A player gets "NetStream.Play.Stop", or with
   * "NetStream.Play.UnpublishNotify" stays and may be sent to again; a publisher gets
   * "NetStream.Unpublish.Success" unless another code is given.
   */
  stop(code?: string, description?: string): void {
    if (this.#state === "idle") return;
    const playing = this.#state === "playing";
    const used = code ?? (playing ? "NetStream.Play.Stop" : "NetStream.Unpublish.Success");
    if (playing) this.#link.sendUserControl(USER_CONTROL.STREAM_EOF, this.id);
    this.status("status", used, description ?? `${this.name} has ended.`, this.#details());
    if (used !== "NetStream.Play.UnpublishNotify") this.end();
  }

  /** Tells a player that stayed after "NetStream.Play.UnpublishNotify", or came early, that there is a publisher. */
  published(): void {
    if (this.#state !== "playing" || !this.#started) return;
    this.#link.sendUserControl(USER_CONTROL.STREAM_BEGIN, this.id);
    const text = `${this.name} is now published.`;
    this.status("status", "NetStream.Play.PublishNotify", text, this.#details());
  }

  /** The connection's: the player pauses or goes on. A recorded stream goes on where it was, a live one has gaps. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (!paused && !this.#play.recorded) this.#drops.awaitKeyFrame();
    this.#link.sendUserControl(paused ? USER_CONTROL.STREAM_EOF : USER_CONTROL.STREAM_BEGIN, this.id);
    const code = paused ? "NetStream.Pause.Notify" : "NetStream.Unpause.Notify";
    this.status(
      "status",
      code,
      paused ? `Pausing ${this.name}.` : `Unpausing ${this.name}.`,
      this.#details(),
    );
  }

  /** The connection's: the player switches a kind on or off; switching on is answered (7.2.2.4, 7.2.2.5). */
  setReceives(kind: "audio" | "video", on: boolean): void {
    if (kind === "audio") this.#receivesAudio = on;
    else this.#receivesVideo = on;
    if (kind === "video" && on) this.#drops.awaitKeyFrame();
    if (!on || this.#state !== "playing") return;
    this.status("status", "NetStream.Seek.Notify", `Seeking in ${this.name}.`, this.#details());
    this.status("status", "NetStream.Play.Start", `Started playing ${this.name}.`, this.#details());
  }

  /** The connection's: continues the publisher's 32-bit times beyond their wrap. */
  unwrapTime(timestamp: number): number {
    const last = this.#lastTimeMs;
    const timeMs = last === null ? timestamp : last + ((timestamp - last) | 0);
    this.#lastTimeMs = timeMs;
    return timeMs;
  }

  #begin(state: NetStreamState, name: string): void {
    this.#state = state;
    this.name = name;
    this.#started = false;
    this.#paused = false;
    this.#drops.restart();
    this.#lastTimeMs = null;
  }

  #details(): AmfObject {
    return { details: this.name };
  }
}
