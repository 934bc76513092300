// Symmetric RTP with a lock: packets go to the address of the session description until one arrives, then to
// where it came from, which is what gets through address translators. Once locked, another sender is believed
// only when it is the described address itself, or when the locked one has been silent for a while. A peer that sends
// from the described address has no address translator and is never left for a stranger: silence (hold, voice
// detection) would let anybody who sprays packets over our ports take its sound.
//
//   unlocked -> (packet) -> locked -> (described address speaks | silence of another and a new sender) -> locked there
//   locked -> (the description names another address) -> unlocked, the old sender heard but not locked for a while
//
// Role: machine
// Answers to: siprtmp sent to the described address only (defect 16).

import { type Endpoint, sameAddress, sameEndpoint } from "../net/endpoint.ts";

/** Silence after which another sender may take over. */
export const RELOCK_AFTER_MS = 2000;

/** How a lock behaves. */
export interface RemoteLockOptions {
  /** False sends to the described address always, and hears only its host. */
  readonly latch: boolean;
}

/** Where one stream goes to and may come from. */
export class RemoteLock {
  readonly #latch: boolean;
  /** As described; null while the peer takes nothing. */
  #remote: Endpoint | null = null;
  /** The last address described, which hold does not forget. */
  #lastRemote: Endpoint | null = null;
  #locked: Endpoint | null = null;
  #lastHeardMs = 0;
  /** The sender before the description changed. */
  #former: Endpoint | null = null;
  #formerUntilMs = 0;

  /** Nothing described, nothing heard. */
  constructor(options: RemoteLockOptions) {
    this.#latch = options.latch;
  }

  /** Where to send; null while nothing is described. */
  get target(): Endpoint | null {
    return this.#remote === null ? null : this.#locked ?? this.#remote;
  }

  /** Where packets came from last; null before the first. */
  get locked(): Endpoint | null {
    return this.#locked;
  }

  /** The address of the description; null (hold) stops sending and keeps the lock. */
  setRemote(remote: Endpoint | null, nowMs: number): void {
    this.#remote = remote === null ? null : { hostname: remote.hostname, port: remote.port };
    if (this.#remote === null) return;
    const moved = this.#lastRemote !== null && !sameEndpoint(this.#lastRemote, this.#remote);
    this.#lastRemote = this.#remote;
    if (!moved || this.#locked === null || sameEndpoint(this.#locked, this.#remote)) return;
    this.#former = this.#locked;
    this.#formerUntilMs = nowMs + RELOCK_AFTER_MS;
    this.#locked = null;
  }

  /** Whether a valid packet from `from` belongs to the stream; locks on to it when it should. */
  accept(from: Endpoint, nowMs: number): boolean {
    const locked = this.#locked;
    if (locked !== null && from.port === locked.port && from.hostname === locked.hostname) {
      this.#lastHeardMs = nowMs;
      return true;
    }
    if (!this.#latch) {
      return this.#lastRemote === null || sameAddress(from.hostname, this.#lastRemote.hostname);
    }
    if (locked === null && this.#isFormer(from, nowMs)) return true;
    if (locked !== null && !this.#mayTakeOver(from, nowMs)) return false;
    this.#locked = { hostname: from.hostname, port: from.port };
    this.#lastHeardMs = nowMs;
    this.#former = null;
    return true;
  }

  #isFormer(from: Endpoint, nowMs: number): boolean {
    return this.#former !== null && nowMs < this.#formerUntilMs && sameEndpoint(from, this.#former);
  }

  #mayTakeOver(from: Endpoint, nowMs: number): boolean {
    const described = this.#lastRemote;
    if (described !== null && sameEndpoint(from, described)) return true;
    if (described !== null && this.#locked !== null && sameEndpoint(this.#locked, described)) return false;
    return nowMs - this.#lastHeardMs >= RELOCK_AFTER_MS;
  }
}
