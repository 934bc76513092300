// What is for nobody here is refused without a transaction, and not at all when it comes in floods: a scan costs its
// sender more than us, fills no table, and is not answered on and on. Requests for our users and calls, and what
// belongs to our transactions, are never refused here, whoever floods from the same address.
// Role: machine

import type { AgentDirectory } from "./agent_directory.ts";
import { addResponseCapabilities, ALLOWED_METHODS, refusalOf } from "./capabilities.ts";
import type { DialogTable } from "./dialog.ts";
import { type PeekedMessage, peekMessage } from "../message/parser.ts";
import { createResponse, type SipRequest, type SipResponse, tagOf, withTag } from "../message/message.ts";
import type { SipUri } from "../message/uri.ts";

/** How a message was bad; reads well behind a number. */
export type BadSip =
  | "malformed SIP messages"
  | "SIP requests for unknown users"
  | "stray SIP messages (no dialog or transaction)"
  | "OPTIONS pings"
  | "INVITEs over the limit";

/** Counts what sources send, and says when it is too much. Addresses are IP addresses. */
export interface SipTraffic {
  /** Whether a bad message would not be answered now. */
  limited(address: string): boolean;
  /** A bad message came; false: drop it in silence. */
  bad(address: string, what: BadSip): boolean;
  dropped(address: string, what: BadSip): void;
  /** Whether a ping, an OPTIONS for the port itself, would not be answered now. */
  pingsLimited(address: string): boolean;
  /** A ping came; false: drop it in silence. */
  ping(address: string): boolean;
  good(address: string): void;
}

/** Everybody's bad messages are answered, as in a trial. */
export const UNLIMITED: SipTraffic = {
  limited: () => false,
  bad: () => true,
  dropped: () => {},
  pingsLimited: () => false,
  ping: () => true,
  good: () => {},
};

interface RequestFilterDeps {
  readonly agents: Pick<AgentDirectory, "find">;
  readonly dialogs: Pick<DialogTable, "find">;
  readonly traffic: SipTraffic;
  readonly tag: string;
  /** Seconds for the Retry-After of a 503 to an OPTIONS for the port itself; null: it is fine. */
  readonly pingRefusal: () => number | null;
}

/** What becomes of a request: goes on, is answered with this, or is dropped. */
export type FilterVerdict = SipResponse | "pass" | "drop";

/**
 * Stands before the transactions of one endpoint.
 *
 *   datagram -> of a flooding source, and plainly bad? -> dropped unread
 *   request  -> known transaction | our user | our call -> on, as always
 *            -> else: 404, 405, 480, 481, 483, 501, or 200 to an OPTIONS for the port itself; or dropped
 *
 * RFC 3261 section 8.2.7: a stateless server answers a repetition as it did the first time, so its To tag is one for
 * all, and it ignores ACK and CANCEL.
 */
export class RequestFilter {
  readonly #options: RequestFilterDeps;

  constructor(options: RequestFilterDeps) {
    this.#options = options;
  }

  /** Whether to drop this datagram before it is parsed; it is counted then. See `DatagramScreen`. */
  dropsUnread(
    bytes: Uint8Array,
    address: string,
    isElsewhere: (uri: SipUri) => boolean = () => false,
  ): boolean {
    const { traffic } = this.#options;
    const [limited, pingsLimited] = [traffic.limited(address), traffic.pingsLimited(address)];
    if (!limited && !pingsLimited) return false;
    const what = this.#plainlyBad(peekMessage(bytes), isElsewhere);
    if (what === null || !(what === "OPTIONS pings" ? pingsLimited : limited)) return false;
    traffic.dropped(address, what);
    return true;
  }

  /** A message could not be parsed; false: it is neither answered nor told. */
  malformed(address: string): boolean {
    return this.#options.traffic.bad(address, "malformed SIP messages");
  }

  /** A request was refused because there was too much of the kind: it is counted. */
  refusedUnheard(address: string): void {
    this.#options.traffic.dropped(address, "INVITEs over the limit");
  }

  useful(address: string): void {
    this.#options.traffic.good(address);
  }

  stray(address: string): void {
    this.#options.traffic.bad(address, "stray SIP messages (no dialog or transaction)");
  }

  /**
   * Judges a request that is no repetition.
   * @param cancels true for a CANCEL whose INVITE is there
   */
  judge(request: SipRequest, address: string, cancels: boolean): FilterVerdict {
    const { traffic } = this.#options;
    if (isPing(request.method, request.uri) && !isInDialog(request) && refusalOf(request) === null) {
      return traffic.ping(address) ? this.#tagged(this.#describe(request)) : "drop";
    }
    const refusal = cancels ? null : this.#refusal(request);
    if (refusal === null) {
      traffic.good(address);
      return "pass";
    }
    const isStray = refusal.status === 481;
    const what = isStray ? "stray SIP messages (no dialog or transaction)" : "SIP requests for unknown users";
    return traffic.bad(address, what) ? this.#tagged(refusal) : "drop";
  }

  #refusal(request: SipRequest): SipResponse | null {
    const { agents, dialogs } = this.#options;
    if (isInDialog(request)) return dialogs.find(request) === null ? createResponse(request, 481) : null;
    if (request.method === "CANCEL") return createResponse(request, 481);
    const refusal = refusalOf(request);
    const { type } = agents.find(request.uri);
    if (refusal !== null) {
      return type === "agent" && ALLOWED_METHODS.includes(request.method) ? null : refusal;
    }
    if (type === "agent") return null;
    // Not ours, and forwarding is not our trade: 483 says that a proxy in front of us is looping.
    if (request.headers.get("Max-Forwards")?.trim() === "0") return createResponse(request, 483);
    // A text for somebody who is not connected now may be tried again (RFC 3428 section 7).
    const later = type === "gone" || request.method === "MESSAGE";
    return createResponse(request, later ? 480 : 404);
  }

  /** RFC 3261 section 11.2: an OPTIONS is answered as an INVITE would be. */
  #describe(request: SipRequest): SipResponse {
    const seconds = this.#options.pingRefusal();
    const response = createResponse(request, seconds === null ? 200 : 503);
    if (seconds === null) addResponseCapabilities(response.headers);
    else response.headers.set("Retry-After", String(seconds));
    return response;
  }

  #plainlyBad(seen: PeekedMessage, isElsewhere: (uri: SipUri) => boolean): BadSip | null {
    if (seen.type === "rubbish") return "malformed SIP messages";
    if (seen.type === "response" || seen.inDialog) return null;
    if (isPing(seen.method, seen.uri)) return "OPTIONS pings";
    const { method, uri } = seen;
    const isHere = this.#options.agents.find(uri).type === "agent";
    const isForSomebody = ALLOWED_METHODS.includes(method) && (isHere || isElsewhere(uri));
    return isForSomebody ? null : "SIP requests for unknown users";
  }

  #tagged(response: SipResponse): SipResponse {
    const to = response.headers.get("To");
    if (to !== null) response.headers.set("To", withTag(to, this.#options.tag));
    return response;
  }
}

function isPing(method: string, uri: SipUri): boolean {
  return method === "OPTIONS" && uri.user === null && uri.scheme === "sip" && !uri.params.has("line");
}

function isInDialog(request: SipRequest): boolean {
  return tagOf(request.headers.get("To")) !== null;
}
