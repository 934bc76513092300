// An RTMP player of a live stream: how much it lags, what it is told, when it has seen enough.
// Role: machine

import type { Congestion } from "../rtmp/drop_policy.ts";
import type { NetStream } from "../rtmp/net_stream.ts";
import type { Runtime } from "../base/runtime.ts";

export type LivePlayer = Pick<
  NetStream,
  "name" | "send" | "congestion" | "lagMs" | "started" | "published" | "stop"
>;

interface PlayerSinkOptions extends Pick<Runtime, "clock" | "log"> {
  /** Later than this nothing should arrive: pictures are left out, and from twice as much on sound. */
  readonly latencyMs: number;
  /** Of the stream's time that is played; -1 for all. */
  readonly durationMs: number;
  /** Told when the duration is over and the player has been told so. */
  readonly onFinished: () => void;
}

const TELL_EVERY_MS = 1_000;

export class PlayerSink implements LiveSink {
  readonly #player: LivePlayer;
  readonly #options: PlayerSinkOptions;
  #firstMs: number | null = null;
  #finished = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #toldVideo = 0;
  #toldAudio = 0;

  /** Nothing is said before started(). */
  constructor(player: LivePlayer, options: PlayerSinkOptions) {
    this.#player = player;
    this.#options = options;
  }

  congestion(): Congestion {
    const { latencyMs } = this.#options;
    const { congestion, lagMs } = this.#player;
    if (congestion === 2 || lagMs >= 2 * latencyMs) return 2;
    return congestion === 1 || lagMs >= latencyMs ? 1 : 0;
  }

  media(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    if (this.#finished) return true;
    if (type !== 18) this.#firstMs ??= timeMs;
    const { durationMs } = this.#options;
    if (durationMs >= 0 && this.#firstMs !== null && timeMs > this.#firstMs + durationMs) {
      this.#finish();
      return true;
    }
    return this.#player.send(type, timeMs, body);
  }

  started(): void {
    this.#player.started(false);
  }

  published(): void {
    this.#player.published();
  }

  unpublished(): void {
    if (this.#finished) return;
    this.#player.stop("NetStream.Play.UnpublishNotify", `${this.#player.name} is now unpublished.`);
  }

  dropped(video: number, audio: number): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    this.#options.log.warn(
      `"${this.#player.name}" arrives ${Math.round(this.#player.lagMs)} ms late: ` +
        `${video - this.#toldVideo} video and ${audio - this.#toldAudio} audio messages left out`,
    );
    this.#toldVideo = video;
    this.#toldAudio = audio;
  }

  #finish(): void {
    this.#finished = true;
    this.#player.stop();
    this.#options.onFinished();
  }
}

/** Takes tags of one stream. Nothing here may wait, nor end the stream it is called from. */
export interface LiveSink {
  /** Asked before a frame: 0 send all, 1 no pictures before the next key frame, 2 no sound either. */
  congestion(): Congestion;
  /** One tag, its body borrowed. False when it was not taken, which is counted. */
  media(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean;
  /** It is a player now; comes once, before everything else. */
  started?(): void;
  /** A publisher has come; not told when it was there before. */
  published?(): void;
  /** The publisher has gone; another one may come. */
  unpublished?(): void;
  /** Frames have been left out; so many in all so far. */
  dropped?(video: number, audio: number): void;
}
