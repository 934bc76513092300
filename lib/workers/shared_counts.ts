// What all workers of a process count together, in shared memory: whoever looks sees the present, without a message.
// Role: machine

import type { Counter } from "../base/counter.ts";

/** What is counted for each worker. */
type SharedCount = "connections" | "clients" | "calls" | "rtpPorts";

const HEADER = 2;
const SLOTS = 6;
const SERIAL = 0;
const PLACES: Readonly<Record<SharedCount | "beats", number>> = {
  beats: 0,
  connections: 1,
  clients: 2,
  calls: 3,
  rtpPorts: 4,
};

/**
 *   Int32   0          1              2 + 6 w ...  for worker w
 *           serial     (free)         beats, connections, clients, calls, rtpPorts, (free)
 *
 * Each worker writes its own slots only; the supervisor clears those of a worker that has died.
 */
export class SharedCounts {
  readonly memory: SharedArrayBuffer;
  readonly #slots: Int32Array;
  readonly #workers: number;

  /** All zero, or those in `memory`. */
  constructor(workers: number, memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(4 * (HEADER + SLOTS * workers));
    this.#slots = new Int32Array(this.memory);
    this.#workers = workers;
  }

  /** A number that no worker has had, from 1, in the order of asking. */
  nextSerial(): number {
    return Atomics.add(this.#slots, SERIAL, 1) + 1;
  }

  beat(worker: number): void {
    Atomics.add(this.#slots, this.#at(worker, "beats"), 1);
  }

  /** Changes each time the worker has shown that it is alive. */
  beats(worker: number): number {
    return Atomics.load(this.#slots, this.#at(worker, "beats"));
  }

  of(worker: number, count: SharedCount): number {
    return Atomics.load(this.#slots, this.#at(worker, count));
  }

  total(count: SharedCount): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++) sum += this.of(worker, count);
    return sum;
  }

  set(worker: number, count: SharedCount, value: number): void {
    Atomics.store(this.#slots, this.#at(worker, count), value);
  }

  counter(worker: number, count: SharedCount): Counter {
    const add = (by: number): void => void Atomics.add(this.#slots, this.#at(worker, count), by);
    const [here, everywhere] = [() => this.of(worker, count), () => this.total(count)];
    return {
      get here() {
        return here();
      },
      get everywhere() {
        return everywhere();
      },
      add,
    };
  }

  clear(worker: number): void {
    for (const name of Object.keys(PLACES) as (SharedCount | "beats")[]) {
      Atomics.store(this.#slots, this.#at(worker, name), 0);
    }
  }

  #at(worker: number, name: SharedCount | "beats"): number {
    return HEADER + SLOTS * worker + PLACES[name];
  }
}
