// When transcoded audio leaves: one packet at each deadline of a grid that is fixed by its first tick, taken from an audio path
// that arrivals fill, and silence when there is nothing to say; and how long arrivals must wait for that (JitterEstimate).
// Role: machine

import type { AudioPath, PacketSink } from "../codecs/audio_path.ts";

/**
 * Takes a packet and its place on the grid, in ms since the grid began. `resumed`: it does not follow the last;
 * `mediaMs`: where it begins on the source's time scale, NaN when it is nothing of the source's.
 */
export type PlayoutSink = (packet: Uint8Array, elapsedMs: number, resumed: boolean, mediaMs: number) => void;

/** Deadlines missed by more than this are given up. */
const MAX_LATE_MS = 200;
/** A tick this long after the one before was held up. */
const HELD_UP_MS = 30;
/** A deadline this close is due: timers are not exact. */
const EARLY_MS = 0.5;
/** The least that waited is looked at over one to two of these. */
const SLACK_WINDOW_MS = 4000;
/** Running dry for longer is a pause of the source, not a gap in its audio. */
const GAP_MS = 500;
/** Never less waiting than this for so long: it is too much ... */
const SLACK_TOO_MUCH_MS = 60;
const SLACK_KEPT_MS = 30;

/**
 * One direction's grid. The path may be exchanged; the grid goes on. While it plays, an underrun is concealed, which lengthens
 * the delay by itself; audio that keeps waiting longer than needed, because the sender's clock is faster or the jitter is over,
 * is skipped. A flood is cut at once. Deadlines that were missed while the process was busy are made up for, up to a bound; the
 * first tick after that conceals nothing, since what seems to be missing lies unread in a socket (decisions/late-ticks.md).
 *
 *     waiting -> (the first arrival is a target delay old) -> playing -> (ran dry, and faded out) -> waiting
 */
export class Playout {
  /** How often audio came too late, and something was made up in the middle of it. */
  underruns = 0;
  /** Audio skipped to catch up, in ms. */
  skippedMs = 0;
  readonly jitter = new JitterEstimate();
  readonly #packetMs: number;
  readonly #sink: PlayoutSink;
  readonly #emit: PacketSink;
  #path: AudioPath;
  #startMs = NaN;
  #lastTickMs = NaN;
  #count = 0;
  #resumed = true;
  #waiting = true;
  #firstArrivalMs = NaN;
  /** Where on the source's time scale the path's audio ends, and the packet begins that leaves now. */
  #mediaEndMs = NaN;
  #mediaMs = NaN;
  #filledMs = 0;
  #dryMs = 0;
  #cutMs = 0;
  #flooded = false;
  #least = Infinity;
  #leastBefore = Infinity;
  #windowLeft: number;

  constructor(path: AudioPath, sink: PlayoutSink) {
    this.#path = path;
    this.#packetMs = path.packetMs;
    this.#sink = sink;
    this.#cutMs = path.droppedMs;
    this.#windowLeft = this.#windowPackets;
    this.#emit = (packet) => {
      const resumed = this.#resumed;
      this.#resumed = false;
      this.#sink(packet, this.#count * this.#packetMs, resumed, this.#mediaMs);
    };
  }

  /** When the grid began: the deadline of the first packet; NaN before the first tick. */
  get startMs(): number {
    return this.#startMs;
  }

  /** Audio that was made up since the last arrival, in ms. */
  get filledMs(): number {
    return this.#filledMs;
  }

  /** True while nothing of the source is to be heard. */
  get waiting(): boolean {
    return this.#waiting;
  }

  use(path: AudioPath): void {
    if (path === this.#path) return;
    path.skip(path.bufferedMs); // what it held is old
    this.#path = path;
    this.#cutMs = path.droppedMs;
    this.#flooded = false;
    this.#wait();
  }

  /** The path was given audio. @param mediaMs its place on the source's time scale, before what it lasts */
  arrived(nowMs: number, mediaMs: number): void {
    const path = this.#path;
    this.jitter.observe(nowMs, mediaMs);
    this.#mediaEndMs = mediaMs + path.receivedMs;
    if (this.#filledMs > 0 && nowMs - this.#dryMs < GAP_MS) this.underruns++;
    this.#filledMs = 0;
    if (this.#waiting && Number.isNaN(this.#firstArrivalMs) && path.bufferedMs > 0) {
      this.#firstArrivalMs = nowMs;
    }
    if (path.droppedMs > this.#cutMs) this.#flooded = true;
  }

  tick(nowMs: number): void {
    if (this.#flooded) this.#trim(nowMs);
    if (Number.isNaN(this.#startMs)) this.#startMs = nowMs;
    let dueMs = this.#startMs + this.#count * this.#packetMs;
    if (nowMs - dueMs > MAX_LATE_MS) {
      this.#count += Math.floor((nowMs - dueMs) / this.#packetMs);
      this.#resumed = true;
      dueMs = this.#startMs + this.#count * this.#packetMs;
    }
    const heldUp = nowMs - this.#lastTickMs >= HELD_UP_MS;
    this.#lastTickMs = nowMs;
    while (dueMs <= nowMs + EARLY_MS) {
      if (heldUp && !this.#waiting && this.#path.bufferedMs < this.#packetMs) return;
      this.#play(nowMs);
      this.#count++;
      dueMs = this.#startMs + this.#count * this.#packetMs;
    }
  }

  get #windowPackets(): number {
    return Math.round(SLACK_WINDOW_MS / this.#packetMs);
  }

  /** A packet longer than 20 ms must be whole before it can leave. */
  get #waitMs(): number {
    return this.jitter.targetMs + this.#packetMs - 20;
  }

  #play(nowMs: number): void {
    const path = this.#path;
    this.#mediaMs = NaN;
    if (this.#waiting) {
      if (!(nowMs - this.#firstArrivalMs >= this.#waitMs)) return path.encodePause(this.#emit);
      this.#waiting = false;
    }
    const slackMs = path.bufferedMs - this.#packetMs;
    this.#watch(slackMs);
    if (slackMs >= 0) this.#mediaMs = this.#mediaEndMs - path.bufferedMs;
    if (!path.encode(this.#emit)) {
      if (this.#filledMs === 0) this.#dryMs = nowMs;
      this.#filledMs -= slackMs;
      path.fill();
      path.encode(this.#emit);
      if (path.idle) this.#wait();
    }
  }

  #wait(): void {
    this.#waiting = true;
    this.#firstArrivalMs = NaN;
    this.#least = this.#leastBefore = Infinity;
    this.#windowLeft = this.#windowPackets;
  }

  #watch(slackMs: number): void {
    if (slackMs < this.#least) this.#least = slackMs;
    if (--this.#windowLeft > 0) return;
    this.#windowLeft = this.#windowPackets;
    const least = Math.min(this.#least, this.#leastBefore);
    const excess = least > SLACK_TOO_MUCH_MS && this.#leastBefore < Infinity ? least - SLACK_KEPT_MS : 0;
    if (excess > 0) this.#skip(excess);
    this.#leastBefore = this.#least - excess;
    this.#least = Infinity;
  }

  /** More came at once than the path holds: the newest stays, no more than is needed to play on. */
  #trim(nowMs: number): void {
    this.#flooded = false;
    if (this.#waiting) this.#firstArrivalMs = nowMs - this.#waitMs; // enough has come
    const path = this.#path;
    const excess = path.bufferedMs - this.#waitMs - path.receivedMs;
    if (excess > 0) this.#skip(excess);
    else this.#cutMs = path.droppedMs;
  }

  #skip(milliseconds: number): void {
    this.#path.skip(milliseconds);
    this.skippedMs += milliseconds;
    this.#cutMs = this.#path.droppedMs;
  }
}

/** The least delay ever aimed at. */
export const MIN_TARGET_MS = 20;
/** The greatest delay ever aimed at; what comes later still is lost. */
export const MAX_TARGET_MS = 200;

const WINDOW_MS = 4000;
/** What is assumed before the first window is full. */
const ASSUMED_SPREAD_MS = 20;
/** Packets farther apart than this are a stall, or another time scale: no jitter that could be waited for. */
const STALL_MS = 2 * MAX_TARGET_MS;

/**
 * How unevenly the packets of one stream arrive, and so how long the first of them must wait for the others: the spread between
 * the fastest and the slowest of the last seconds (RFC 3550 6.4.1 measures a mean deviation instead). A jump of the source's
 * time starts the measurement anew, and so does the end of a stall, which no delay could have covered.
 *
 *     transit = arrival - media time          target = greatest transit - least transit + 20 ms, from 20 to 200 ms
 */
export class JitterEstimate {
  /** Holds until the window is full; then what the window has shown, for the next start. */
  #assumedMs = ASSUMED_SPREAD_MS;
  #learntMs = ASSUMED_SPREAD_MS;
  #known = false;
  #windowEndMs = 0;
  #least = Infinity;
  #greatest = -Infinity;
  #leastBefore = Infinity;
  #greatestBefore = -Infinity;

  /** How long playing should wait after the first packet. */
  get targetMs(): number {
    return Math.min(MAX_TARGET_MS, Math.max(this.#assumedMs, this.#spreadMs) + MIN_TARGET_MS);
  }

  get #spreadMs(): number {
    const spread = Math.max(this.#greatest, this.#greatestBefore) - Math.min(this.#least, this.#leastBefore);
    return spread > 0 ? spread : 0;
  }

  /** A packet has come. @param mediaMs its place on the source's own time scale */
  observe(arrivalMs: number, mediaMs: number): void {
    const transit = arrivalMs - mediaMs;
    const isEarly = Math.max(this.#greatest, this.#greatestBefore) - transit > STALL_MS;
    if (!this.#known || isEarly) this.#restart(arrivalMs);
    if (arrivalMs >= this.#windowEndMs) this.#turn(arrivalMs);
    if (transit - Math.min(this.#least, this.#leastBefore) > STALL_MS) return;
    if (transit < this.#least) this.#least = transit;
    if (transit > this.#greatest) this.#greatest = transit;
  }

  /** The source starts over: its time means something else, the way to it has not changed. */
  restart(): void {
    this.#known = false;
  }

  /** What was learnt of the way stays as the assumption for the next window. */
  #restart(arrivalMs: number): void {
    this.#known = true;
    this.#assumedMs = this.#learntMs;
    this.#windowEndMs = arrivalMs + WINDOW_MS;
    this.#least = this.#leastBefore = Infinity;
    this.#greatest = this.#greatestBefore = -Infinity;
  }

  #turn(arrivalMs: number): void {
    if (this.#greatest >= this.#least) this.#learntMs = this.#spreadMs;
    this.#assumedMs = 0;
    this.#windowEndMs = arrivalMs + WINDOW_MS;
    this.#leastBefore = this.#least;
    this.#greatestBefore = this.#greatest;
    this.#least = Infinity;
    this.#greatest = -Infinity;
  }
}
