// Requests outside dialogs: REGISTER, INVITE, MESSAGE, OPTIONS with the headers they share.
// RFC 3261 section 8.1.1; outbound proxy and service route are preloaded Routes (section 8.1.2).
// Role: wire

import { setBody, type SipBody } from "../message/body.ts";
import { addRequestCapabilities } from "./capabilities.ts";
import { SipHeaders } from "../message/header.ts";
import { parseCSeq } from "../message/header_values.ts";
import { requestUri } from "./identity.ts";
import { NO_BODY, type SipRequest } from "../message/message.ts";
import { formatNameAddr, type NameAddr, nameAddrOf, withParam } from "../message/name_addr.ts";
import type { SipUri } from "../message/uri.ts";

interface OutgoingRequestParts {
  readonly method: string;
  /** Request-URI; what does not belong there is taken out. */
  readonly uri: SipUri;
  /** From, without tag. */
  readonly from: NameAddr;
  readonly fromTag: string;
  /** To, without tag. */
  readonly to: NameAddr;
  readonly callId: string;
  readonly sequence: number;
  /** Our Contact; null: none. */
  readonly contact: NameAddr | null;
  /** Preloaded routes, nearest first. */
  readonly routes: readonly NameAddr[];
  readonly userAgent: string;
  /** Body; null: none. */
  readonly body: SipBody | null;
}

/** Builds the request, without Via. */
export function createOutgoingRequest(parts: OutgoingRequestParts): SipRequest {
  const headers = new SipHeaders();
  const { uri, routes } = routed(requestUri(parts.uri), parts.routes);
  for (const route of routes) headers.add("Route", formatNameAddr(route));
  headers.add("Max-Forwards", "70");
  headers.add("From", formatNameAddr(withParam(parts.from, "tag", parts.fromTag)));
  headers.add("To", formatNameAddr({ ...parts.to, uri: requestUri(parts.to.uri), params: new Map() }));
  headers.add("Call-ID", parts.callId);
  headers.add("CSeq", `${parts.sequence} ${parts.method}`);
  if (parts.contact !== null) headers.add("Contact", formatNameAddr(parts.contact));
  addRequestCapabilities(headers, parts.userAgent);
  const request: SipRequest = {
    kind: "request",
    method: parts.method,
    uri,
    headers,
    body: NO_BODY,
  };
  setBody(request, parts.body);
  return request;
}

/** RFC 3261 section 12.2.1.1: loose routes stand beside the target, a strict first one takes its place. */
function routed(
  target: SipUri,
  routes: readonly NameAddr[],
): { readonly uri: SipUri; readonly routes: readonly NameAddr[] } {
  const [first, ...others] = routes;
  if (first === undefined || first.uri.params.has("lr")) return { uri: target, routes };
  return { uri: requestUri(first.uri), routes: [...others, nameAddrOf(target)] };
}

/** A copy with the next CSeq number, for requests outside dialogs. */
export function withNextSequence(request: SipRequest): SipRequest {
  const headers = request.headers.clone();
  const { sequence, method } = parseCSeq(headers.get("CSeq") ?? `0 ${request.method}`);
  headers.set("CSeq", `${sequence + 1} ${method}`);
  return { ...request, headers };
}
