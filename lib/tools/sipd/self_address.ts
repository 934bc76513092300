// By which addresses the built-in server is known: the bound one, or, when it listens on every address, the one
// that faces each peer. RFC 3261 16.4 (our own Route), 16.6 step 8 (our Via), 16.7 step 3 (is this Via ours?).
// Role: wire

import { TransportError } from "../../base/errors.ts";
import { type Endpoint, isIpAddress, isLoopback, isUnspecified, sameAddress } from "../../net/endpoint.ts";

/** Which of our addresses faces a destination; `AddressPolicy` of net is one. */
export interface FacingAddress {
  /** The address; throws TransportError when nothing of ours faces it. */
  addressFor(destination: Endpoint): string;
}

/** Port of a host without one (RFC 3261 19.1.2). */
const DEFAULT_SIP_PORT = 5060;

/** The addresses of one listening port. */
export class SelfAddress {
  readonly #local: Endpoint;
  readonly #facing: FacingAddress;

  /** `local` is the bound address with the real port; `facing` is asked when that is 0.0.0.0 or ::. */
  constructor(local: Endpoint, facing: FacingAddress) {
    this.#local = local;
    this.#facing = facing;
  }

  /** Our address as `remote` is to use it. Throws TransportError when nothing of ours faces it. */
  towards(remote: Endpoint): Endpoint {
    const { hostname, port } = this.#local;
    return { hostname: isUnspecified(hostname) ? this.#facing.addressFor(remote) : hostname, port };
  }

  /** Whether a host and port that somebody wrote mean this server. */
  includes(host: string, port: number | null): boolean {
    const { hostname } = this.#local;
    if ((port ?? DEFAULT_SIP_PORT) !== this.#local.port) return false;
    if (isLoopback(host)) return isLoopback(hostname) || isUnspecified(hostname);
    if (!isIpAddress(host)) return false;
    if (!isUnspecified(hostname)) return sameAddress(host, hostname);
    return this.#isOfThisHost(host);
  }

  /** An address faces itself exactly when it is one of this host's. */
  #isOfThisHost(address: string): boolean {
    try {
      return sameAddress(address, this.#facing.addressFor({ hostname: address, port: this.#local.port }));
    } catch (error) {
      if (error instanceof TransportError) return false; // no address of that family, so not ours either
      throw error;
    }
  }
}
