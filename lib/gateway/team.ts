// What a gateway asks of the others when it is one of several in a process: lib/workers makes them a team.
// Role: wire

import type { AddressChange } from "./access/address_limits.ts";
import type { Counter } from "../base/counter.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import type { MessageTransport } from "../sip/ua/endpoint.ts";
import type { SipWorkerEvents } from "../sip/ua/worker_events.ts";
import type { SharedAddresses } from "./shared_address.ts";

export interface Team {
  readonly sip: SipWorkerEvents;
  /** Puts around the SIP port what hands others their messages. */
  joinTransport(transport: MessageTransport): MessageTransport;
  /** A number for an RTMP connection, from 1, that no gateway of the team has given before. */
  nextConnectionId(): number;
  readonly connections: Counter;
  readonly calls: Counter;
  readonly sipAddresses: SharedAddresses<RtmpConnection>;
  readonly addresses: AddressNews;
  readonly streams: StreamsWorker;
}

/** Streams and what is like them are in one place, or players would not find publishers. */
export type StreamsWorker =
  | {
    readonly type: "here";
    /** Clients that came to another gateway, from their first byte on; they are counted there. */
    arrivals(signal: AbortSignal): AsyncIterable<ByteStream>;
  }
  | {
    readonly type: "elsewhere";
    /** Wraps a client that has just come, so that it can be carried. */
    watch(stream: ByteStream): ByteStream;
    /** Carries a client, by its wrapped stream, until it leaves. Throws TransportError when the way is closed. */
    carry(stream: ByteStream, signal: AbortSignal): Promise<void>;
  };

/** Keeps the limits of addresses the same everywhere. */
export interface AddressNews {
  tell(change: AddressChange): void;
  onChange: ((change: AddressChange) => void) | null;
}
