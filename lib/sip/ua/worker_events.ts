// What a SIP port that is one of several in a process tells the others: whose users it has, so that a request which
// reaches the wrong port finds its way; and which calls it has, so that somebody can end them should it break down.
// Role: wire

import type { Endpoint } from "../../net/endpoint.ts";
import type { TransportName } from "../message/transports.ts";

export interface AgentNews {
  /** The `line` of its Contacts. */
  readonly line: string;
  readonly user: string | null;
  readonly host: string;
  readonly port: number | null;
  readonly ownsAddress: boolean;
}

/** An established dialog, as far as it takes to end it: values that can be posted. */
export interface DialogRecord {
  /** Call-ID and both tags, as `Dialog.id`. */
  readonly id: string;
  readonly callId: string;
  readonly localText: string;
  readonly remoteText: string;
  /** Our Contact; null without one. */
  readonly localContact: string | null;
  /** Values for Route, nearest hop first. */
  readonly routes: readonly string[];
  readonly remoteTarget: string;
  /** CSeq number of our latest request when this was written. */
  readonly localCSeq: number;
  /** Where the dialog was set up with, should the peer's address lead nowhere. */
  readonly fallback: { readonly transport: TransportName; readonly endpoint: Endpoint };
}

export interface SipWorkerEvents {
  /** Put before the token of every `line`, so that it tells whose it is. */
  readonly linePrefix: string;
  /** A user agent is there, or has shown by now that its address is its own. */
  agentCame(news: AgentNews): void;
  agentLeft(line: string): void;
  dialogIs(record: DialogRecord): void;
  dialogEnded(id: string): void;
}
