// Whether a socket has had its turn. A socket that always has a packet ready is never waited for, and while it is not,
// the runtime asks the system only now and then which other sockets have something: a flood on one port would delay
// the media on all others by tenths of a second. So who has had many packets in a short time waits a moment.
// Role: machine

/** Packets after which the time is looked at. */
export const TURN_PACKETS = 32;

/** So many packets in less than this are a flood, or as good as one: 8000 a second. */
export const TURN_MS = 4;

/** Counts the packets of one socket, or whatever else may come in floods. */
export class ReadBudget {
  readonly #turnPackets: number;
  readonly #turnMs: number;
  #packets = 0;
  #sinceMs = 0;

  /** So many in less than so much time are a flood. */
  constructor(packets: number = TURN_PACKETS, ms: number = TURN_MS) {
    this.#turnPackets = packets;
    this.#turnMs = ms;
  }

  /** One more packet was handled; true: let the others go first. @param now asked once in a turn */
  isOver(now: () => number): boolean {
    if (++this.#packets < this.#turnPackets) return false;
    this.#packets = 0;
    const nowMs = now();
    const wasQuick = nowMs - this.#sinceMs < this.#turnMs;
    this.#sinceMs = nowMs;
    return wasQuick;
  }
}
