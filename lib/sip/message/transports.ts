// The transports that SIP is carried by here. What is asked of one (is it reliable, is it secure, how do DNS, Via and
// URIs name it) is asked of its row; a new transport is a row, its sockets (lib/sip/transport) and its settings.
// Role: wire

interface SipTransportRow {
  /** In Via (RFC 3261 20.42). */
  readonly via: string;
  /** Connections that neither lose nor reorder: no retransmissions, no waiting for them (RFC 3261 17). */
  readonly reliable: boolean;
  /** Encrypted to the next hop: what a sips: URI asks for. */
  readonly secure: boolean;
  /** RFC 3261 19.1.2. */
  readonly defaultPort: number;
  /** Service of NAPTR records (RFC 3263 4.1). */
  readonly naptrService: string;
  /** What stands before the domain in the name of SRV records (RFC 3263 4.2). */
  readonly srvPrefix: string;
  /** Value of ;transport= in our Contact; null: it is what URIs mean without one. */
  readonly uriParameter: string | null;
  /** Where requests go that are too large for it (RFC 3261 18.1.1); null: they are not. */
  readonly forLargeRequests: "tcp" | null;
}

/** In the order in which they are tried when nothing says which. */
const TRANSPORTS = {
  udp: {
    via: "UDP",
    reliable: false,
    secure: false,
    defaultPort: 5060,
    naptrService: "SIP+D2U",
    srvPrefix: "_sip._udp.",
    uriParameter: null,
    forLargeRequests: "tcp",
  },
  tcp: {
    via: "TCP",
    reliable: true,
    secure: false,
    defaultPort: 5060,
    naptrService: "SIP+D2T",
    srvPrefix: "_sip._tcp.",
    uriParameter: "tcp",
    forLargeRequests: null,
  },
} as const satisfies Readonly<Record<string, SipTransportRow>>;

export type TransportName = keyof typeof TRANSPORTS;

/** What is used when neither DNS nor the URI says which (RFC 3263 4.1). */
export const DEFAULT_TRANSPORT: TransportName = "udp";

/** The names, best first. */
export const transportNames: readonly TransportName[] = Object.keys(TRANSPORTS) as TransportName[];

export function transportRow(name: TransportName): SipTransportRow {
  return TRANSPORTS[name];
}

export function isReliable(name: TransportName): boolean {
  return TRANSPORTS[name].reliable;
}

/** The transport of this name in any case, as in ;transport=; null: it is not spoken here. */
export function findTransport(name: string): TransportName | null {
  const known = name.toLowerCase();
  return transportNames.find((one) => one === known) ?? null;
}

/** The port that a Via without one means (RFC 3261 18.2.2); 5060 for transports that are not spoken here. */
export function defaultViaPort(via: string): number {
  if (via === "TLS" || via === "WSS") return 5061;
  return transportNames.map(transportRow).find((row) => row.via === via)?.defaultPort ?? 5060;
}
