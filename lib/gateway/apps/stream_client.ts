// A client of calls that is made of streams: what one RTMP program publishes goes to the remote party, whose media
// are published for any number of players.
// Role: edge

import { CallLeg, type CallLegParts, type CallState, type LegOwner } from "../../call/leg.ts";
import type { RtmpPeer } from "../../call/registry.ts";
import type { LiveStreams, Publication } from "../../live/streams.ts";

interface StreamClientParts extends CallLegParts {
  /** Where the remote party is published while there is a call. */
  readonly remote: { readonly streams: LiveStreams; readonly path: string };
  /** Who publishes now; null: nobody. */
  readonly rtmpPeer: () => RtmpPeer | null;
}

export class StreamClient implements LegOwner, AsyncDisposable {
  readonly leg: CallLeg;
  /** Players are many, and others than who called: none of them is told of trouble. */
  readonly player = null;
  readonly #remote: StreamClientParts["remote"];
  readonly #rtmpPeer: () => RtmpPeer | null;
  #publication: Publication | null = null;
  #unpublished = false;

  constructor(parts: StreamClientParts) {
    this.leg = new CallLeg(this, parts);
    this.#remote = parts.remote;
    this.#rtmpPeer = parts.rtmpPeer;
  }

  get rtmpPeer(): RtmpPeer | null {
    return this.#rtmpPeer();
  }

  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (this.#publication === null) this.#publish();
    this.#publication?.put(type, timeMs, body);
  }

  /** Who plays late is given what is needed to begin: nothing is missed. */
  takeMissed(): boolean {
    return false;
  }

  stateChanged(_from: CallState, to: CallState): void {
    if (to.type === "idle") this.#unpublish();
  }

  /** Hangs up, and waits for every task. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.leg[Symbol.asyncDispose]();
  }

  /** Not before there is something to hear: early media is published, ringing alone is not. */
  #publish(): void {
    if (this.#unpublished || this.leg.state.type === "idle") return;
    const { streams, path } = this.#remote;
    const outcome = streams.publish(path);
    if (outcome.type === "publishing") {
      this.#publication = outcome.publication;
      return;
    }
    this.#unpublished = true; // until the next call
    this.leg.log.warn(`cannot publish the remote party: ${outcome.reason}`);
  }

  #unpublish(): void {
    this.#publication?.end();
    this.#publication = null;
    this.#unpublished = false;
  }
}
