// Matches audio that came back with audio that was sent, by its bytes and in order: what was lost, altered on
// the way, repeated, and how long the round took. Works on looped samples too, because an echo keeps order.
// Role: machine

/** What was measured. Times in ms; null when nothing matched. */
export interface EchoReport {
  readonly sent: number;
  readonly returned: number;
  /** Of those, equal to one that was sent, in order. */
  readonly matched: number;
  readonly sentBytes: number;
  readonly returnedBytes: number;
  readonly roundTripMs: { readonly min: number; readonly median: number; readonly max: number } | null;
  /** Longest silence between two returned messages. */
  readonly longestGapMs: number;
}

/** Unmatched messages remembered; older ones count as lost. 200 s of 20 ms packets. */
const MAX_PENDING = 10_000;

interface Pending {
  readonly key: string;
  readonly atMs: number;
}

export class EchoMeter {
  readonly #pending: Pending[] = [];
  readonly #roundTrips: number[] = [];
  #head = 0;
  #sent = 0;
  #returned = 0;
  #sentBytes = 0;
  #returnedBytes = 0;
  #lastReturnMs: number | null = null;
  #longestGapMs = 0;

  sent(payload: Uint8Array, nowMs: number): void {
    this.#sent++;
    this.#sentBytes += payload.length;
    if (this.#pending.length - this.#head >= MAX_PENDING) this.#head++;
    this.#pending.push({ key: keyOf(payload), atMs: nowMs });
  }

  returned(payload: Uint8Array, nowMs: number): void {
    this.#returned++;
    this.#returnedBytes += payload.length;
    if (this.#lastReturnMs !== null) {
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastReturnMs);
    }
    this.#lastReturnMs = nowMs;
    const key = keyOf(payload);
    for (let at = this.#head; at < this.#pending.length; at++) {
      if (this.#pending[at]!.key !== key) continue;
      this.#roundTrips.push(nowMs - this.#pending[at]!.atMs);
      this.#head = at + 1; // what was sent before it and has not come back is lost
      return;
    }
  }

  /** True when everything sent has come back. */
  get complete(): boolean {
    return this.#roundTrips.length >= this.#sent;
  }

  report(): EchoReport {
    const times = [...this.#roundTrips].sort((a, b) => a - b);
    return {
      sent: this.#sent,
      returned: this.#returned,
      matched: times.length,
      sentBytes: this.#sentBytes,
      returnedBytes: this.#returnedBytes,
      roundTripMs: times.length === 0
        ? null
        : { min: times[0]!, median: times[times.length >> 1]!, max: times[times.length - 1]! },
      longestGapMs: this.#longestGapMs,
    };
  }
}

/** The bytes as text: exact, and cheap at a hundred messages a second. */
function keyOf(payload: Uint8Array): string {
  return String.fromCharCode(...payload.subarray(0, 512)) + payload.length;
}
