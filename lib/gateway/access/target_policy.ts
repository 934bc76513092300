// Where SIP and RTP may be sent when not the operator names the place (a client's dial, a peer's Contact, Record-Route, SDP). This machine, link-local hosts and a
// cloud's metadata service answer to who asks from here, so nobody outside may have them asked. And which
// domains and numbers may be dialled.
// Role: machine

import {
  decodeIp,
  embeddedIpv4,
  type Endpoint,
  formatIp,
  isInNetwork,
  isLoopback,
  type Network,
  parseNetwork,
  sameAddress,
  sameEndpoint,
} from "../../net/endpoint.ts";

/** What is open besides what usually is. */
interface TargetPolicyOptions {
  readonly allowed: readonly Network[];
  /** Single places that are ours: the built-in SIP server, our own SIP ports. */
  readonly open: readonly Endpoint[];
}

/** Addresses of which nobody but the operator may make us a messenger, in the words of the log. */
const DENIED: readonly (readonly [words: string, networks: readonly string[]])[] = [
  ["no address of anybody", ["0.0.0.0/8", "::/128"]],
  // Metadata services stand before link-local, as which some of them count.
  ["the metadata service of a cloud", [
    "169.254.169.254", // nearly all of them
    "169.254.170.2", // containers
    "fd00:ec2::/32",
    "fd20:ce::254",
    "fd00:42::42",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
  ]],
  ["a link-local address", ["169.254.0.0/16", "fe80::/10"]],
  ["a multicast address", ["224.0.0.0/4", "ff00::/8"]],
  ["a broadcast address", ["255.255.255.255"]],
];

const DENIED_NETWORKS = DENIED.map(([words, networks]) => ({
  words,
  networks: networks.map((text) => parseNetwork(text)!),
}));

export function loopbackPlaces(port: number): Endpoint[] {
  return [{ hostname: "127.0.0.1", port }, { hostname: "::1", port }];
}

/** Decides where may be sent to. */
export class TargetPolicy {
  /** Told who was refused, each time. */
  onRefused: ((askedBy: string) => void) | null = null;
  readonly #allowed: readonly Network[];
  readonly #open: Endpoint[];

  constructor(options: TargetPolicyOptions) {
    this.#allowed = options.allowed;
    this.#open = [...options.open];
  }

  /** A SIP port of ours on this machine: whoever calls it calls our own users. */
  openOwnPort(port: number): void {
    this.#open.push(...loopbackPlaces(port));
  }

  /**
   * Why nothing may be sent there, in words that name the option; null when it may.
   * @param askedBy IP address of who named the place; null: the operator, who may do everything
   */
  refusal(to: Endpoint, askedBy: string | null): string | null {
    if (askedBy === null) return null;
    const what = classOf(to.hostname) ?? (isHere(to.hostname) && !isHere(askedBy) ? "this machine" : null);
    if (what === null || this.#isOpen(to, askedBy)) return null;
    this.onRefused?.(askedBy);
    return `nothing is sent to ${to.hostname}, ${what}: --allowed-targets opens it`;
  }

  /** Whoever asks is reached where it is. */
  #isOpen(to: Endpoint, askedBy: string): boolean {
    return sameAddress(to.hostname, askedBy) || this.#open.some((place) => sameEndpoint(place, to)) ||
      this.#allowed.some((network) => isInNetwork(to.hostname, network));
  }
}

function classOf(hostname: string): string | null {
  const found = DENIED_NETWORKS.find(({ networks }) =>
    networks.some((network) => isInNetwork(hostname, network))
  );
  return found?.words ?? null;
}

function isHere(hostname: string): boolean {
  const bytes = decodeIp(hostname);
  return isLoopback(bytes === null ? hostname : formatIp(embeddedIpv4(bytes)));
}

export interface DialMatcher {
  /** True when it wants user@host, not the user alone. */
  readonly wantsHost: boolean;
  /** Null when the text does not fit. */
  match(text: string): unknown;
}

/** What is allowed; null: everything. */
interface DialRuleOptions {
  readonly domains: readonly string[] | null;
  /** Patterns; one has to fit. */
  readonly dials: readonly DialMatcher[] | null;
}

/** Where a call goes, as its SIP URI says. */
export interface DialTarget {
  /** Number or name; null when the URI has none. */
  readonly user: string | null;
  /** Domain or address; empty for tel:. */
  readonly host: string;
}

/** A decision; the reason is for the client and the log. */
export type Decision = { readonly type: "allowed" } | { readonly type: "refused"; readonly reason: string };

export const ALLOWED: Decision = { type: "allowed" };

/**
 * Decides by domain and number.
 *
 *   domains   "example.com" that one, "*.example.com" all below it; none: any
 *   dials     patterns over what is before the @ (or the whole user@host when they name an @); none: any
 */
export class DialRules {
  readonly #options: DialRuleOptions;

  constructor(options: DialRuleOptions) {
    this.#options = options;
  }

  mayUse(host: string): Decision {
    const { domains } = this.#options;
    if (domains === null || domains.some((domain) => isWithin(host, domain))) return ALLOWED;
    return { type: "refused", reason: `the domain ${shown(host)} is not in allowed-domains` };
  }

  mayDial({ user, host }: DialTarget): Decision {
    const { dials } = this.#options;
    const domain = host === "" ? ALLOWED : this.mayUse(host); // tel: has none
    if (domain.type === "refused" || dials === null) return domain;
    const name = user ?? "";
    const fits = dials.some((dial) => dial.match(dial.wantsHost ? `${name}@${host}` : name) !== null);
    return fits ? ALLOWED : { type: "refused", reason: `${shown(name)} is not in allowed-dials` };
  }
}

/** Names are compared without case and final dot (RFC 4343). */
function isWithin(host: string, domain: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  return domain.startsWith("*.") ? name.endsWith(domain.slice(1)) : name === domain;
}

/** A peer's text in a reason stays short and on one line. */
function shown(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.slice(0, 80).replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
