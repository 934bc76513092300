// What the supervisor knows of all workers: users, calls, who has which address, what addresses do. Tells the others what
// they must know; when a worker is gone, clears up after it and gives its calls back, so that somebody can end them.
// Role: machine

import type { AddressChange } from "../gateway/access/address_limits.ts";
import type { SameAddressConfig } from "../config/config.ts";
import { AddressRegistry, type ClientPath } from "../gateway/shared_address.ts";
import type { DialogRecord } from "../sip/ua/worker_events.ts";
import type { FromWorker, Opening, ToWorker, WorkerEndpoints } from "./messages.ts";
import { type RemoteUser, UserDirectory } from "./user_directory.ts";

interface RemoteClient {
  readonly id: number;
  readonly worker: number;
  readonly path: ClientPath;
}

interface TeamStateOptions {
  readonly sameAddress: SameAddressConfig;
  readonly workers: number;
  readonly post: (worker: number, message: ToWorker) => void;
}

/** Messages that change the state or go to other workers; the others are about the worker itself. */
export type TeamMessage = Exclude<
  FromWorker,
  { type: "loaded" | "opened" | "failed" | "log" | "reloaded" | "stopped" | "reply" | "call" }
>;

export class TeamState {
  readonly #options: TeamStateOptions;
  readonly #users = new UserDirectory();
  readonly #sipAddresses: AddressRegistry<RemoteClient>;
  readonly #clients = new Map<number, RemoteClient>();
  readonly #dialogs: readonly Map<string, DialogRecord>[];
  readonly #presences: readonly Map<string, number>[];
  readonly #endpoints: (WorkerEndpoints | null)[];
  /** Workers that are told what happens: from the moment they were told what there is. */
  readonly #listening = new Set<number>();

  constructor(options: TeamStateOptions) {
    const each = <T>(create: () => T): T[] => Array.from({ length: options.workers }, create);
    this.#options = options;
    this.#sipAddresses = new AddressRegistry(options.sameAddress);
    this.#dialogs = each(() => new Map<string, DialogRecord>());
    this.#presences = each(() => new Map<string, number>());
    this.#endpoints = each(() => null);
  }

  /** What a worker must know that begins now; from now on it is told what changes. */
  opening(worker: number): Pick<Opening, "workers" | "remoteUsers" | "addresses"> {
    this.#listening.add(worker);
    return {
      workers: this.#endpoints.filter((endpoints) => endpoints !== null),
      remoteUsers: this.#users.all(),
      addresses: this.#presences.flatMap((presences) => cameFrom(presences, "came")),
    };
  }

  calls(worker: number): number {
    return this.#dialogs[worker]!.size;
  }

  opened(endpoints: WorkerEndpoints): void {
    this.#endpoints[endpoints.worker] = endpoints;
    this.#postToOthers(endpoints.worker, { type: "endpoints", endpoints });
  }

  /** A worker is gone; gives its calls. */
  gone(worker: number): DialogRecord[] {
    this.#endpoints[worker] = null;
    this.#listening.delete(worker);
    this.#users.removeWorker(worker);
    this.#postToOthers(worker, { type: "gone", worker });
    for (const change of cameFrom(this.#presences[worker]!, "left")) {
      this.#postToOthers(worker, { type: "address", change });
    }
    this.#presences[worker]!.clear();
    for (const client of [...this.#clients.values()]) {
      if (client.worker === worker) this.#leave(client.id);
    }
    const orphans = [...this.#dialogs[worker]!.values()];
    this.#dialogs[worker]!.clear();
    return orphans;
  }

  take(from: number, message: TeamMessage): void {
    switch (message.type) {
      case "came":
        return this.#came({ worker: from, ...message.news });
      case "left":
        this.#users.remove(message.line);
        return this.#postToOthers(from, message);
      case "hand over":
        return this.#options.post(message.to, { type: "handed", from, message: message.message });
      case "relay":
        return this.#options.post(message.to, { type: "relayed", message: message.message });
      case "dialog":
        return void this.#dialogs[from]!.set(message.record.id, message.record);
      case "dialog ended":
        return void this.#dialogs[from]!.delete(message.id);
      case "address":
        return this.#address(from, message.change);
      case "arrive": {
        const arrival = this.#sipAddresses.arrive(message.path, message.registers);
        return this.#options.post(from, { type: "arrival", ask: message.ask, arrival });
      }
      case "enter":
        return this.#enter(from, message);
      case "leave":
        return this.#leave(message.id);
    }
  }

  #came(user: RemoteUser): void {
    this.#users.add(user);
    this.#postToOthers(user.worker, { type: "came", user });
  }

  #address(from: number, change: AddressChange): void {
    const presences = this.#presences[from]!;
    const count = presences.get(change.key) ?? 0;
    if (change.type === "came") presences.set(change.key, count + 1);
    else if (change.type === "left" && count > 1) presences.set(change.key, count - 1);
    else if (change.type === "left") presences.delete(change.key);
    this.#postToOthers(from, { type: "address", change });
  }

  #enter(worker: number, { ask, path, id, registered }: FromWorker & { type: "enter" }): void {
    const client: RemoteClient = { id, worker, path };
    const entry = this.#sipAddresses.enter(path, client, registered);
    if (entry.type === "rejected") {
      return this.#options.post(worker, { type: "entry", ask, rejected: entry.reason });
    }
    this.#clients.set(id, client);
    const { replaced } = entry;
    if (replaced !== null) {
      this.#clients.delete(replaced.id);
      this.#options.post(replaced.worker, { type: "replaced", id: replaced.id });
    }
    this.#options.post(worker, { type: "entry", ask, rejected: null });
  }

  #leave(id: number): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    this.#clients.delete(id);
    this.#sipAddresses.leave(client.path, client);
  }

  #postToOthers(worker: number, message: ToWorker): void {
    for (const other of this.#listening) if (other !== worker) this.#options.post(other, message);
  }
}

function cameFrom(presences: ReadonlyMap<string, number>, type: "came" | "left"): AddressChange[] {
  return [...presences].flatMap(([key, count]) => Array.from({ length: count }, () => ({ type, key })));
}
