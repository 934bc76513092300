// What workers and their supervisor post to each other: plain values, one type for each way. Workers know only the
// supervisor; what one has to say to another goes through it, so that a worker that is replaced misses nothing.
// Role: wire

import type { AddressChange } from "../gateway/access/address_limits.ts";
import { ConfigError, messageOf, TransportError, type TransportErrorCode } from "../base/errors.ts";
import type { CallChange, CallRecord } from "../call/registry.ts";
import type { ConfigSources } from "../config/config.ts";
import type { Arrival, ClientPath } from "../gateway/shared_address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { AgentNews, DialogRecord } from "../sip/ua/worker_events.ts";
import type { HandedMessage, RelayedMessage } from "./shared_transport.ts";
import type { WorkerSlot } from "./worker_slot.ts";
import type { RemoteUser } from "./user_directory.ts";

/** Where a worker that has opened is reached by the others. */
export interface WorkerEndpoints {
  readonly worker: number;
  readonly sipPort: number;
  /** Its private port for clients that want streams; null: it has no streams. */
  readonly relay: Endpoint | null;
}

/** Everything a worker needs to begin. */
export interface Opening {
  readonly type: "open";
  /** The configuration as it was written: a checked one holds what cannot be posted. */
  readonly sources: ConfigSources;
  readonly slot: WorkerSlot;
  readonly memory: SharedArrayBuffer;
  /** Where the thread notes its open files: see lib/net/linux/calls.ts. */
  readonly files: SharedArrayBuffer;
  /** Known to the workers of this run only. */
  readonly secret: string;
  readonly workers: readonly WorkerEndpoints[];
  readonly remoteUsers: readonly RemoteUser[];
  readonly addresses: readonly AddressChange[];
  readonly orphans: readonly DialogRecord[];
}

export type ToWorker =
  | Opening
  | { readonly type: "endpoints"; readonly endpoints: WorkerEndpoints }
  | { readonly type: "gone"; readonly worker: number }
  | { readonly type: "came"; readonly user: RemoteUser }
  | { readonly type: "left"; readonly line: string }
  | { readonly type: "handed"; readonly from: number; readonly message: HandedMessage }
  | { readonly type: "relayed"; readonly message: RelayedMessage }
  | { readonly type: "address"; readonly change: AddressChange }
  | { readonly type: "arrival"; readonly ask: number; readonly arrival: Arrival }
  | { readonly type: "entry"; readonly ask: number; readonly rejected: string | null }
  | { readonly type: "replaced"; readonly id: number }
  | { readonly type: "request"; readonly ask: number; readonly request: CallsRequest }
  /** From now on every change of its calls is told, until it is switched off. */
  | { readonly type: "watch calls"; readonly on: boolean }
  | { readonly type: "reload" }
  | { readonly type: "stop" };

export type CallsRequest =
  | { readonly type: "list" }
  /** Those that ended last. */
  | { readonly type: "ended" }
  | { readonly type: "hang up"; readonly id: string };

export type CallsReply =
  | {
    readonly type: "calls";
    /** At most {@linkcode MAX_POSTED_CALLS}. */
    readonly calls: readonly CallRecord[];
    readonly more: number;
  }
  | { readonly type: "hung up"; readonly found: boolean };

export const MAX_POSTED_CALLS = 4096;

export type FromWorker =
  | { readonly type: "loaded" }
  | { readonly type: "opened"; readonly endpoints: WorkerEndpoints }
  | { readonly type: "failed"; readonly error: PostedError }
  | { readonly type: "log"; readonly lines: readonly string[] }
  | { readonly type: "came"; readonly news: AgentNews }
  | { readonly type: "left"; readonly line: string }
  | { readonly type: "hand over"; readonly to: number; readonly message: HandedMessage }
  | { readonly type: "relay"; readonly to: number; readonly message: RelayedMessage }
  | { readonly type: "dialog"; readonly record: DialogRecord }
  | { readonly type: "dialog ended"; readonly id: string }
  | { readonly type: "address"; readonly change: AddressChange }
  | {
    readonly type: "arrive";
    readonly ask: number;
    readonly path: ClientPath;
    readonly registers: boolean;
  }
  | {
    readonly type: "enter";
    readonly ask: number;
    readonly path: ClientPath;
    readonly id: number;
    readonly registered: boolean;
  }
  | { readonly type: "leave"; readonly path: ClientPath; readonly id: number }
  | { readonly type: "reply"; readonly ask: number; readonly reply: CallsReply }
  | { readonly type: "call"; readonly change: CallChange }
  | { readonly type: "reloaded" }
  | { readonly type: "stopped" };

interface PostedError {
  /** Whose fault it is: a setting's, the machine's, or ours. */
  readonly kind: "config" | TransportErrorCode | "defect";
  /** What is wrong; of a defect with its stack. */
  readonly message: string;
}

export function postedError(error: unknown): PostedError {
  if (error instanceof ConfigError) return { kind: "config", message: error.message };
  if (error instanceof TransportError) return { kind: error.code, message: messageOf(error) };
  return {
    kind: "defect",
    message: error instanceof Error ? error.stack ?? messageOf(error) : String(error),
  };
}

export function errorOf({ kind, message }: PostedError): Error {
  if (kind === "config") return new ConfigError(message);
  return kind === "defect" ? new Error(message) : new TransportError(message, kind);
}
