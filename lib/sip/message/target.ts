// Where a message goes and where it came from.
// Role: wire

import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";

/** The transports this program speaks. */
export type TransportName = "udp" | "tcp";

/** The way a message came: answers to a request go back along it. */
export interface Flow {
  readonly transport: TransportName;
  /** Source address of the packet or connection. */
  readonly remote: Endpoint;
  /** Our own address; over UDP the bound one, which may be unspecified. */
  readonly local: Endpoint;
  /** Number of the TCP connection, never used twice; 0 for UDP. */
  readonly connectionId: number;
}

/** One place to send a message to. */
export interface Target {
  /** Transport to use; requests too large for UDP go by TCP all the same. */
  readonly transport: TransportName;
  readonly endpoint: Endpoint;
  /** Connection to prefer while it lives; without it one to `endpoint` is found or made. */
  readonly flow?: Flow;
}

/** What became of a send. "sent" over UDP means handed to the network. */
export type SendOutcome =
  | { readonly type: "sent"; readonly transport: TransportName; readonly flow: Flow }
  | { readonly type: "failed"; readonly reason: string };

/** "udp 192.0.2.1:5060", for logs and comparisons. */
export function formatTarget(target: Target): string {
  return `${target.transport} ${formatEndpoint(target.endpoint)}`;
}

/** The target that answers along a flow. */
export function targetOf(flow: Flow): Target {
  return { transport: flow.transport, endpoint: flow.remote, flow };
}
