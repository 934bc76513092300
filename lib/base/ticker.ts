// One timer for many: what all calls do every 10 ms, all connections every second.
// Role: edge

import type { Clock } from "./clock.ts";

interface Member {
  readonly run: (nowMs: number) => void;
}

/** Members that are called on every n-th tick, spread over n rounds, so that no tick has to look at all of them. */
class Rounds {
  readonly #rounds: readonly Set<Member>[];
  #current = 0;
  #joined = 0;

  constructor(count: number) {
    this.#rounds = Array.from({ length: count }, () => new Set());
  }

  join(member: Member): Set<Member> {
    const round = this.#rounds[this.#joined++ % this.#rounds.length]!;
    round.add(member);
    return round;
  }

  next(): Set<Member> {
    this.#current = (this.#current + 1) % this.#rounds.length;
    return this.#rounds[this.#current]!;
  }

  clear(): void {
    for (const round of this.#rounds) round.clear();
  }
}

/**
 * One shared periodic tick for many members. Deadlines are absolute, so ticks do not drift; ticks missed
 * while the process was busy are skipped, not made up for. It holds a timer only while it has members.
 */
export class Ticker implements Disposable {
  readonly #clock: Clock;
  readonly periodMs: number;
  readonly #onError: (error: unknown) => void;
  /** By how many ticks lie between two calls. */
  readonly #rounds = new Map<number, Rounds>();
  #size = 0;
  #timer: Disposable | null = null;
  #dueMs = 0;
  #ticking = false;

  /** Idle until the first add(). @param onError told what a member threw; that member is removed, the others go on */
  constructor(clock: Clock, periodMs: number, onError: (error: unknown) => void = () => {}) {
    this.#clock = clock;
    this.periodMs = periodMs;
    this.#onError = onError;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Calls `run` with `clock.now()` until the result is disposed: on every tick, or on each `every`-th, the first time
   * within so many ticks.
   */
  add(run: (nowMs: number) => void, every = 1): Disposable {
    let rounds = this.#rounds.get(every);
    if (rounds === undefined) this.#rounds.set(every, rounds = new Rounds(every));
    const member = { run };
    const round = rounds.join(member);
    this.#size++;
    if (this.#timer === null && !this.#ticking) {
      this.#dueMs = this.#clock.now() + this.periodMs;
      this.#arm();
    }
    return { [Symbol.dispose]: () => this.#remove(member, round) };
  }

  /** Removes all members and stops. */
  [Symbol.dispose](): void {
    for (const rounds of this.#rounds.values()) rounds.clear();
    this.#size = 0;
    this.#stopWhenEmpty();
  }

  #remove(member: Member, round: Set<Member>): void {
    if (round.delete(member)) this.#size--;
    this.#stopWhenEmpty();
  }

  #stopWhenEmpty(): void {
    if (this.#size > 0) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#dueMs - this.#clock.now(), () => this.#tick());
  }

  #tick(): void {
    const nowMs = this.#clock.now();
    this.#timer = null;
    this.#ticking = true;
    for (const rounds of this.#rounds.values()) this.#call(rounds.next(), nowMs);
    this.#ticking = false;
    if (this.#size === 0) return;
    this.#dueMs += this.periodMs *
      Math.max(1, Math.ceil((this.#clock.now() - this.#dueMs) / this.periodMs));
    this.#arm();
  }

  #call(round: Set<Member>, nowMs: number): void {
    for (const member of round) {
      try {
        member.run(nowMs);
      } catch (error) {
        this.#remove(member, round);
        this.#onError(error);
      }
    }
  }
}
