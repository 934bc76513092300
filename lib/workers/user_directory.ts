// Which worker has which SIP user, replicated in every worker and the supervisor: found by line, else the best of those
// with the user, as in each worker's own directory (RFC 3261 8.2.2.1).
// Role: machine

import { chooseAgent } from "../sip/ua/agent_directory.ts";
import type { AgentNews } from "../sip/ua/worker_events.ts";
import type { SipUri } from "../sip/message/uri.ts";

/** A user agent and where it is. */
export interface RemoteUser extends AgentNews {
  readonly worker: number;
}

/** The prefix of the lines of a worker: whoever reads a Contact sees whose it is, and lines of two never meet. */
export function linePrefixOf(worker: number): string {
  return `${worker}.`;
}

export class UserDirectory {
  readonly #byLine = new Map<string, RemoteUser>();
  readonly #byUser = new Map<string, RemoteUser[]>();

  get size(): number {
    return this.#byLine.size;
  }

  /** All of them, oldest first: what a new worker is told. */
  all(): RemoteUser[] {
    return [...this.#byLine.values()];
  }

  /** A user agent came; the newest are found first. */
  add(user: RemoteUser): void {
    this.remove(user.line);
    this.#byLine.set(user.line, user);
    const key = keyOf(user.user);
    const others = this.#byUser.get(key);
    if (others === undefined) this.#byUser.set(key, [user]);
    else others.push(user);
  }

  remove(line: string): void {
    const user = this.#byLine.get(line);
    if (user === undefined) return;
    this.#byLine.delete(line);
    const key = keyOf(user.user);
    const others = this.#byUser.get(key)!.filter((other) => other.line !== line);
    if (others.length === 0) this.#byUser.delete(key);
    else this.#byUser.set(key, others);
  }

  removeWorker(worker: number): void {
    for (const { line, worker: owner } of this.all()) if (owner === worker) this.remove(line);
  }

  /** Whose line this is; null: nobody's, or no longer anybody's. */
  ownerOf(line: string): number | null {
    return this.#byLine.get(line)?.worker ?? null;
  }

  /** Whose a request outside dialogs is; null: nobody's. */
  find(uri: Pick<SipUri, "user" | "host" | "params">): number | null {
    const line = uri.params.get("line");
    if (typeof line === "string") return this.ownerOf(line);
    const users = this.#byUser.get(keyOf(uri.user)) ?? [];
    return chooseAgent(users, uri.host, (user) => ({ ...user, closing: false }))?.worker ?? null;
  }
}

/** Nobody's name begins with a null character. */
function keyOf(user: string | null): string {
  return user ?? "\0";
}
