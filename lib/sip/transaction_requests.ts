// The requests that belong to another request: the ACK for a final response other than 2xx and the CANCEL.
// RFC 3261 17.1.1.3 and 9.1: same Request-URI, topmost Via, Call-ID, From, CSeq number and Route.
// Role: wire
// Answers to: createAck and createCancel of siprtmp's transactions.

import { formatCSeq, SipHeaders } from "./header.ts";
import { cseqOf } from "./matching.ts";
import { NO_BODY, type SipRequest, type SipResponse } from "./message.ts";

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
  return createSibling(invite, "ACK", response.headers.get("To") ?? invite.headers.get("To"));
}

/**
 * The CANCEL for an INVITE that has had a provisional response (RFC 3261 9.1).
 *
 * @param invite the INVITE as it was sent, with its Via
 */
export function createCancel(invite: SipRequest): SipRequest {
  return createSibling(invite, "CANCEL", invite.headers.get("To"));
}
