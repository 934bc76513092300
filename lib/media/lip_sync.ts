// Brings the video of a peer in step with its audio: its sender reports say which timestamps of the two streams
// belong to one moment (RFC 3550 6.4.1). Audio keeps its time line, since ears are keener; video is moved to it.
// Role: machine

/** Nobody notices less (ITU-T J.100 asks for 20 ms ahead, 40 ms behind). */
const LEAST_SKEW_MS = 5;
/** Reports that are farther apart do not share a wall clock. */
const MOST_SKEW_MS = 2000;

/** One instant on the peer's wall clock and on the RTP clock of a stream. */
interface StreamReport {
  /** Wall clock, in ms. */
  readonly wallMs: number;
  readonly timestamp: number;
}

interface TimedStream {
  /** RTMP time of a timestamp as things stand; null before the first. */
  peekMs(timestamp: number): number | null;
}

interface MovableStream extends TimedStream {
  /** Moves the times of what follows by `ms`, little by little; replaces what was left of an earlier move. */
  shift(ms: number): void;
}

export class LipSync {
  /** Video time minus audio time of one moment at the last report of either, before it was mended; null: unknown. */
  skewMs: number | null = null;
  readonly #audio: TimedStream;
  readonly #video: MovableStream;
  readonly #audioRate: number;
  readonly #videoRate: number;
  #audioReport: StreamReport | null = null;
  #videoReport: StreamReport | null = null;

  /** Idle until its first use. @param rates RTP clocks of audio and video in Hz */
  constructor(
    audio: TimedStream,
    video: MovableStream,
    rates: { readonly audio: number; readonly video: number },
  ) {
    this.#audio = audio;
    this.#video = video;
    this.#audioRate = rates.audio;
    this.#videoRate = rates.video;
  }

  audioReported(report: StreamReport): void {
    this.#audioReport = report;
    this.#align(report.wallMs);
  }

  videoReported(report: StreamReport): void {
    this.#videoReport = report;
    this.#align(report.wallMs);
  }

  /** A stream has another source: what was reported of the old one is void. */
  audioChanged(): void {
    this.#audioReport = null;
  }

  /** As {@link audioChanged}. */
  videoChanged(): void {
    this.#videoReport = null;
  }

  #align(wallMs: number): void {
    const [audio, video] = [this.#audioReport, this.#videoReport];
    if (audio === null || video === null) return;
    const heardMs = this.#audio.peekMs(timestampAt(audio, wallMs, this.#audioRate));
    const seenMs = this.#video.peekMs(timestampAt(video, wallMs, this.#videoRate));
    if (heardMs === null || seenMs === null) return;
    const skewMs = seenMs - heardMs;
    this.skewMs = skewMs;
    if (Math.abs(skewMs) > MOST_SKEW_MS) return;
    this.#video.shift(Math.abs(skewMs) < LEAST_SKEW_MS ? 0 : -skewMs);
  }
}

function timestampAt(report: StreamReport, wallMs: number, clockRate: number): number {
  return report.timestamp + (wallMs - report.wallMs) * clockRate / 1000;
}
