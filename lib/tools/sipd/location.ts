// Who is registered where: the newest contact of each user, in memory, with expiry (RFC 3261 10.3).
// No passwords: whoever can reach the built-in server may be anybody. It is there for trying things out.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { WireError } from "../../base/errors.ts";
import { parseDeltaSeconds } from "../../sip/message/header_values.ts";
import { createResponse, type SipRequest, type SipResponse } from "../../sip/message/message.ts";
import { formatNameAddr, parseNameAddr, withParam } from "../../sip/message/name_addr.ts";
import { sameSipUri, type SipUri } from "../../sip/message/uri.ts";

/** Most users kept; a REGISTER for one more gets 503. */
export const MAX_USERS = 10_000;
/** Most contacts of one user; the oldest goes. */
export const MAX_CONTACTS = 10;
/** Life of a registration that asks for none, and the longest granted, in seconds. */
const MAX_EXPIRES_SECONDS = 3600;

interface Binding {
  readonly contact: SipUri;
  readonly endsMs: number;
}

export class Location {
  readonly #clock: Clock;
  readonly #users = new Map<string, Binding[]>();
  readonly #builtIn = new Map<string, SipUri>();

  /** Nobody is registered yet. @param clock judges expiry */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  addBuiltIn(user: string, contact: SipUri): void {
    this.#builtIn.set(user, contact);
  }

  /** Where to send a request for this user: the newest registration; null when there is none. */
  find(user: string): SipUri | null {
    return this.#builtIn.get(user) ?? this.#live(user).at(-1)?.contact ?? null;
  }

  get size(): number {
    let size = 0;
    for (const user of this.#users.keys()) if (this.#live(user).length > 0) size++;
    return size;
  }

  /** Carries out a REGISTER and answers it with the contacts that are left (10.3 step 8). */
  register(request: SipRequest, toTag: string): SipResponse {
    try {
      return this.#register(request, toTag);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return createResponse(request, 400, `Bad Request (${error.message})`, toTag);
    }
  }

  #register(request: SipRequest, toTag: string): SipResponse {
    const user = parseNameAddr(request.headers.get("To") ?? "").uri.user;
    if (user === null) return createResponse(request, 404, undefined, toTag);
    if (this.#builtIn.has(user)) return createResponse(request, 403, "This number is built in", toTag);
    if (!this.#users.has(user) && this.#users.size >= MAX_USERS && !this.#forgetExpired()) {
      return createResponse(request, 503, undefined, toTag);
    }
    const wanted = parseDeltaSeconds(request.headers.get("Expires"));
    for (const text of request.headers.all("Contact")) this.#bind(user, text, wanted);
    return this.#listing(request, user, toTag);
  }

  #bind(user: string, text: string, wanted: number | null): void {
    if (text.trim() === "*") {
      if (wanted === 0) this.#users.delete(user); // 10.2.2: the asterisk only ever removes
      return;
    }
    const contact = parseNameAddr(text);
    const own = contact.params.get("expires");
    const seconds = (own ? parseDeltaSeconds(own) : null) ?? wanted ?? MAX_EXPIRES_SECONDS;
    const others = this.#live(user).filter((binding) => !sameSipUri(binding.contact, contact.uri));
    if (seconds > 0) {
      const endsMs = this.#clock.now() + Math.min(seconds, MAX_EXPIRES_SECONDS) * 1000;
      others.push({ contact: contact.uri, endsMs });
    }
    if (others.length === 0) this.#users.delete(user);
    else this.#users.set(user, others.slice(-MAX_CONTACTS));
  }

  #listing(request: SipRequest, user: string, toTag: string): SipResponse {
    const response = createResponse(request, 200, undefined, toTag);
    for (const { contact, endsMs } of this.#live(user)) {
      const seconds = Math.max(1, Math.round((endsMs - this.#clock.now()) / 1000));
      const address = { displayName: null, uri: contact, params: new Map() };
      response.headers.add("Contact", formatNameAddr(withParam(address, "expires", String(seconds))));
    }
    return response;
  }

  #live(user: string): Binding[] {
    const nowMs = this.#clock.now();
    return (this.#users.get(user) ?? []).filter((binding) => binding.endsMs > nowMs);
  }

  /** Makes room; false when every user is live. */
  #forgetExpired(): boolean {
    for (const user of [...this.#users.keys()]) if (this.#live(user).length === 0) this.#users.delete(user);
    return this.#users.size < MAX_USERS;
  }
}
