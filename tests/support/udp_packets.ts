// A UDP socket that is read one packet at a time.
// Role: edge

import { Mailbox } from "../../lib/base/mailbox.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { UdpSocket } from "../../lib/net/udp.ts";

/** One packet with bytes of its own. */
export interface Datagram {
  /** The payload; nobody else holds it. */
  readonly bytes: Uint8Array;
  /** Who sent it. */
  readonly from: Endpoint;
}

/** Yields packets until the socket is closed. It is run from the call on, so what arrives before the first look is kept. */
export function packetsOf(socket: Pick<UdpSocket, "run">): AsyncIterableIterator<Datagram> {
  const arrived = new Mailbox<Datagram>(1000);
  void socket.run((bytes, from) => void arrived.push({ bytes: bytes.slice(), from })).then(
    () => arrived.close(),
    (error) => arrived.close(error),
  );
  return take(arrived);
}

async function* take(arrived: Mailbox<Datagram>): AsyncGenerator<Datagram, void, void> {
  for await (const packet of arrived) yield packet;
}
