// Both directions of a call as streams for other RTMP players: rtmp://gateway/calls/<address>, names `near` (what the
// client says) and `far` (what it hears). Only while the call is up, and only where the settings allow it.
// Role: machine

import type { LiveStreams, Publication } from "../live/streams.ts";

export class CallBroadcast implements Disposable {
  /** Why a direction is not published; empty when both are. */
  readonly refusals: readonly string[];
  readonly #near: Publication | null;
  readonly #far: Publication | null;

  /** Publishes both names; one that is taken stays with its publisher. */
  constructor(streams: LiveStreams, address: string) {
    const refusals: string[] = [];
    const publish = (name: string): Publication | null => {
      const outcome = streams.publish(`${callPath(address)}/${name}`);
      if (outcome.type === "publishing") return outcome.publication;
      refusals.push(`${name}: ${outcome.reason}`);
      return null;
    };
    this.#near = publish("near");
    this.#far = publish("far");
    this.refusals = refusals;
  }

  near(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    this.#near?.put(type, timeMs, body);
  }

  /** One tag of the remote party; the body is borrowed. */
  far(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    this.#far?.put(type, timeMs, body);
  }

  [Symbol.dispose](): void {
    this.#near?.[Symbol.dispose]();
    this.#far?.[Symbol.dispose]();
  }
}

export function callPath(address: string): string {
  return `calls/${address}`;
}
