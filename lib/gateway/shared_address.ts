// Several clients on one SIP address: which is let in, and which must go.
// Role: machine

import { type AccountRule, type SameAddressPolicy, sameAddressPolicyOf } from "../config/accounts.ts";

export interface AddressClient {
  /** Numbered in the order of the connections. */
  readonly id: number;
}

export interface ClientPath {
  readonly address: string;
  readonly key: string;
}

/** What becomes of a client before it registers; `shared`: it joins the others' registration. */
export type Arrival =
  | { readonly type: "welcome"; readonly shared: boolean }
  | { readonly type: "rejected"; readonly reason: string };

/** What becomes of a client once it is registered. `replaced` must be told and closed. */
export type Entry<Client> =
  | { readonly type: "entered"; readonly replaced: Client | null }
  | { readonly type: "rejected"; readonly reason: string };

/** Keeps who is where: for one gateway {@link AddressRegistry}, for several one of them all, which has to be asked. */
export interface SharedAddresses<Client extends AddressClient> {
  /** Clients of this gateway that have entered and not left. */
  readonly size: number;
  arrive(path: ClientPath, registers: boolean): Arrival | Promise<Arrival>;
  enter(path: ClientPath, client: Client, registered: boolean): Entry<Client> | Promise<Entry<Client>>;
  leave(path: ClientPath, client: Client): void;
  /** Told of a client here whose place was taken by one elsewhere; one gateway alone never calls it. */
  onReplaced?: ((client: Client, path: ClientPath) => void) | null;
}

/** Clients that share one address at most: of those who have registered, and of the others. */
export const MAX_SHARING = 32;

const OCCUPIED = "another client uses this address";
const FULL = "too many clients share this address";
const TAKEN = "a client that gave a password is registered at this address: connect with login and password";
const OVERTAKEN = "a newer client connected to the same address";

/**
 *   policy    another client is there     told to it                          told to the newcomer
 *   replace   it goes                     NetConnection.Connect.Closed        success
 *   share     both stay                   nothing                             success
 *   reject    it stays                    nothing                             one _error
 *   any       it has registered, and the newcomer gives no password:
 *             it stays                    nothing                             one _error
 *   reject    it has given no password, and the newcomer has registered:
 *             it goes                     NetConnection.Connect.Closed        success
 *
 * "There" means: the same path for replace and reject, so /sip/alice@host/anything is one of its own; the same address,
 * whatever follows it, for share. A client with a password counts from the moment its registrar has taken it.
 */
export class AddressRegistry<Client extends AddressClient> implements SharedAddresses<Client> {
  readonly #config: { readonly policy: SameAddressPolicy; readonly accounts: readonly AccountRule[] };
  readonly #places = new Map<string, Map<Client, boolean>>();
  #size = 0;

  constructor(config: { readonly policy: SameAddressPolicy; readonly accounts: readonly AccountRule[] }) {
    this.#config = config;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * A client has connected and is about to register: what would be in vain is refused now.
   * @param registers whether it gave a password
   */
  arrive(path: ClientPath, registers: boolean): Arrival {
    const policy = this.#policyOf(path);
    const others = [...this.#places.get(this.#placeOf(path))?.values() ?? []];
    const equals = others.filter((registered) => registered === registers).length;
    const isOccupied = policy === "reject" && others.some((registered) => registered || !registers);
    if (isOccupied) return { type: "rejected", reason: OCCUPIED };
    if (!registers && others.includes(true)) return { type: "rejected", reason: TAKEN };
    if (policy === "share" && equals >= MAX_SHARING) return { type: "rejected", reason: FULL };
    return { type: "welcome", shared: policy === "share" };
  }

  /**
   * The client has registered, or needs not. Of two that came at a time and have shown as much the newer stays, unless
   * the older may reject it.
   */
  enter(path: ClientPath, client: Client, registered: boolean): Entry<Client> {
    const arrival = this.arrive(path, registered);
    if (arrival.type === "rejected") return arrival;
    const place = this.#placeOf(path);
    const others = this.#places.get(place) ?? new Map<Client, boolean>();
    if (arrival.shared) return this.#put(place, others.set(client, registered), null);
    const [[other, proven] = [null, false]] = others;
    if (other !== null && proven === registered && other.id > client.id) {
      return { type: "rejected", reason: OVERTAKEN };
    }
    if (other !== null) this.leave(path, other);
    return this.#put(place, others.set(client, registered), other);
  }

  /** The client is gone; one that never entered, or was replaced, changes nothing. */
  leave(path: ClientPath, client: Client): void {
    const place = this.#placeOf(path);
    const clients = this.#places.get(place);
    if (clients?.delete(client) !== true) return;
    this.#size -= 1;
    if (clients.size === 0) this.#places.delete(place);
  }

  #put(place: string, clients: Map<Client, boolean>, replaced: Client | null): Entry<Client> {
    this.#places.set(place, clients);
    this.#size += 1;
    return { type: "entered", replaced };
  }

  #policyOf(path: ClientPath): SameAddressPolicy {
    return sameAddressPolicyOf(this.#config, path.address);
  }

  #placeOf(path: ClientPath): string {
    if (this.#policyOf(path) !== "share") return path.key;
    const at = path.address.indexOf("@");
    return path.address.slice(0, at) + path.address.slice(at).toLowerCase();
  }
}
