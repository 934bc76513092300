// The requests that belong to another request: the ACK for a final response other than 2xx and the CANCEL.
// RFC 3261 17.1.1.3 and 9.1: same Request-URI, topmost Via, Call-ID, From, CSeq number and Route.
// Role: wire

import { WireError } from "../../base/errors.ts";
import { formatCSeq, SipHeaders } from "../message/header.ts";
import { cseqOf } from "../message/matching.ts";
import { NO_BODY, type SipRequest, type SipResponse, tagOf, withTag } from "../message/message.ts";
import { parseNameAddr } from "../message/name_addr.ts";
import { formatSipUri, parseSipUri } from "../message/uri.ts";

const MAX_FORWARDS = "70";

function createSibling(request: SipRequest, method: "ACK" | "CANCEL", to: string | null): SipRequest {
  const headers = new SipHeaders();
  headers.add("Via", request.headers.get("Via") ?? "");
  for (const route of request.headers.all("Route")) headers.add("Route", route);
  headers.add("Max-Forwards", MAX_FORWARDS);
  headers.add("From", request.headers.get("From") ?? "");
  headers.add("To", to ?? "");
  headers.add("Call-ID", request.headers.get("Call-ID") ?? "");
  headers.add("CSeq", formatCSeq({ sequence: cseqOf(request).sequence, method }));
  return { kind: "request", method, uri: request.uri, headers, body: NO_BODY };
}

/**
 * The ACK for a 3xx-6xx response, part of the INVITE's own transaction (RFC 3261 17.1.1.3).
 *
 * @param invite the INVITE as it was sent, with its Via
 */
export function createFailureAck(invite: SipRequest, response: SipResponse): SipRequest {
  return createSibling(invite, "ACK", repeatableTo(invite, response));
}

/**
 * The CANCEL for an INVITE that has had a provisional response (RFC 3261 9.1).
 *
 * @param invite the INVITE as it was sent, with its Via
 */
export function createCancel(invite: SipRequest): SipRequest {
  return createSibling(invite, "CANCEL", invite.headers.get("To"));
}

/** The To of a response, to be sent back; of one that cannot be read only the tag is, behind our own. */
export function repeatableTo(request: SipRequest, response: SipResponse): string {
  const theirs = response.headers.get("To");
  const ours = request.headers.get("To") ?? "";
  if (theirs === null) return ours;
  try {
    parseNameAddr(theirs);
    return theirs;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const tag = tagOf(theirs);
    return tag === null ? ours : withTag(ours, tag);
  }
}

export class KeptRequest {
  readonly #method: string;
  readonly #uri: string;
  readonly #headers: string;
  readonly #body: Uint8Array;

  /** Takes the text; what becomes of the request later does not matter. Its body is shared. */
  constructor({ method, uri, headers, body }: SipRequest) {
    this.#method = method;
    this.#uri = formatSipUri(uri);
    this.#headers = JSON.stringify([...headers.entries()]); // flat: no rope of its parts
    this.#body = body;
  }

  restore(): SipRequest {
    const headers = new SipHeaders(JSON.parse(this.#headers) as [name: string, value: string][]);
    return { kind: "request", method: this.#method, uri: parseSipUri(this.#uri), headers, body: this.#body };
  }
}
