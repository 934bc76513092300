// One port for SIP over UDP and TCP: bound together, or the next port where both are free.
// Role: edge

import { TransportError } from "../../base/errors.ts";
import { listenTcp, type TcpConnection } from "../../net/tcp.ts";
import { UdpSocket } from "../../net/udp.ts";

/** Ports tried after the wanted one. */
const FALLBACK_PORTS = 100;
/** Tries to find a free pair when the system chooses (port 0). */
const ANY_PORT_TRIES = 20;

/** Connections that wait for the system to take their bytes: slower peers than this are closed. */
const SEND_LIMITS = { softUnsent: 256 * 1024, hardUnsent: 1024 * 1024 } as const;

/** Both sockets of one port. */
export interface SipSockets {
  readonly udp: UdpSocket;
  /** Accepted TCP connections, until the signal aborts. */
  readonly accepted: AsyncGenerator<TcpConnection, void, void>;
}

/** What is bound, and how. */
export interface SipSocketOptions {
  /** IP address to bind; `::` serves IPv4 as well. */
  readonly bind: string;
  /** Wanted port; 0: any. */
  readonly port: number;
  /** Take the next free port when the wanted one is taken. */
  readonly fallback: boolean;
  /** Ends the TCP listener. */
  readonly signal: AbortSignal;
  /** Told of connections that failed while being accepted. */
  readonly onError: (error: TransportError) => void;
}

/** Binds both sockets. TransportError when it cannot be done; nothing is left bound then. */
export function openSipSockets(options: SipSocketOptions): SipSockets {
  const tries = options.port === 0 ? ANY_PORT_TRIES : options.fallback ? FALLBACK_PORTS + 1 : 1;
  for (let attempt = 0;; attempt++) {
    const port = options.port === 0 ? 0 : options.port + attempt;
    try {
      return bindBoth(port, options);
    } catch (error) {
      const taken = error instanceof TransportError && error.code === "addr-in-use";
      if (!taken || attempt + 1 >= tries || port >= 65535) throw error;
    }
  }
}

function bindBoth(port: number, options: SipSocketOptions): SipSockets {
  const udp = UdpSocket.bind({ hostname: options.bind, port }, { inTurns: true });
  const local = udp.local;
  let listening = false;
  const { signal, onError } = options;
  const onListening = () => listening = true;
  const accepted = listenTcp(local, { signal, onError, onListening, ...SEND_LIMITS });
  // The generator listens in its first step, before it waits for anything.
  const first = accepted.next();
  if (listening) return { udp, accepted: startingWith(first, accepted) };
  udp.close();
  first.catch(ignore);
  throw new TransportError(`TCP port ${local.port} of ${local.hostname} is taken`, "addr-in-use");
}

/** Why the listener failed is known already: UDP could be bound there, so the TCP port is taken. */
function ignore(): void {}

async function* startingWith(
  first: Promise<IteratorResult<TcpConnection, void>>,
  rest: AsyncGenerator<TcpConnection, void, void>,
): AsyncGenerator<TcpConnection, void, void> {
  const result = await first;
  if (result.done) return;
  yield result.value;
  yield* rest;
}
