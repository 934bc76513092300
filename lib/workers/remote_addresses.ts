// Who has which address, asked of the supervisor, who knows it for all workers: a client is let in, rejected or
// replaces another one wherever that is connected.
// Role: machine

import type { Counter } from "../base/counter.ts";
import type {
  AddressClient,
  Arrival,
  ClientPath,
  Entry,
  SharedAddresses,
} from "../gateway/shared_address.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

type DeskAnswer = ToWorker & { type: "arrival" | "entry" };

export class RemoteAddresses<Client extends AddressClient> implements SharedAddresses<Client> {
  onReplaced: ((client: Client, path: ClientPath) => void) | null = null;
  readonly #post: (message: FromWorker) => void;
  readonly #clients: Counter;
  readonly #inside = new Map<number, { client: Client; path: ClientPath }>();
  readonly #asked = new Map<number, (answer: DeskAnswer) => void>();
  #asks = 0;

  /** Nobody yet. @param clients counts those who have entered */
  constructor(post: (message: FromWorker) => void, clients: Counter) {
    this.#post = post;
    this.#clients = clients;
  }

  /** Clients of this worker that have entered and not left. */
  get size(): number {
    return this.#inside.size;
  }

  arrive(path: ClientPath, registers: boolean): Promise<Arrival> {
    return new Promise((resolve) => {
      const ask = this.#ask((answer) => answer.type === "arrival" && resolve(answer.arrival));
      this.#post({ type: "arrive", ask, path, registers });
    });
  }

  enter(path: ClientPath, client: Client, registered: boolean): Promise<Entry<Client>> {
    return new Promise((resolve) => {
      const ask = this.#ask((answer) => {
        if (answer.type === "entry") resolve(this.#entered(answer.rejected, client));
      });
      this.#inside.set(client.id, { client, path }); // at once: it may be replaced before the answer is read
      this.#clients.add(1);
      this.#post({ type: "enter", ask, path, id: client.id, registered });
    });
  }

  leave(path: ClientPath, client: Client): void {
    if (this.#forget(client.id)) this.#post({ type: "leave", path, id: client.id });
  }

  answered(answer: DeskAnswer): void {
    const settle = this.#asked.get(answer.ask);
    this.#asked.delete(answer.ask);
    settle?.(answer);
  }

  replaced(id: number): void {
    const known = this.#inside.get(id);
    this.#forget(id);
    if (known !== undefined) this.onReplaced?.(known.client, known.path);
  }

  #entered(rejected: string | null, client: Client): Entry<Client> {
    if (rejected === null) return { type: "entered", replaced: null };
    this.#forget(client.id);
    return { type: "rejected", reason: rejected };
  }

  #forget(id: number): boolean {
    const known = this.#inside.delete(id);
    if (known) this.#clients.add(-1);
    return known;
  }

  #ask(settle: (answer: DeskAnswer) => void): number {
    const ask = ++this.#asks;
    this.#asked.set(ask, settle);
    return ask;
  }
}
