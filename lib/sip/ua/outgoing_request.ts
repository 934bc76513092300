// Requests outside dialogs: REGISTER, INVITE, MESSAGE, OPTIONS with the headers they share.
// RFC 3261 section 8.1.1; outbound proxy and service route are preloaded Routes (section 8.1.2).
// Role: wire

import { nullIfMalformed, WireError } from "../../base/errors.ts";
import { setBody, type SipBody } from "../message/body.ts";
import { parseCSeq } from "../message/header_values.ts";
import { SipHeaders } from "../message/header.ts";
import { NO_BODY, type SipRequest, type SipResponse } from "../message/message.ts";
import { formatNameAddr, type NameAddr, nameAddrOf, parseNameAddr, withParam } from "../message/name_addr.ts";
import type { SipUri } from "../message/uri.ts";
import { addRequestCapabilities } from "./capabilities.ts";
import { requestUri } from "./identity.ts";

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

/** Most hops that a registrar may name; more than these mean nothing. */
export const MAX_SERVICE_ROUTES = 8;

/** What the registrar said in its last 200. */
export class ServiceRoute {
  #hops: readonly NameAddr[] = [];

  /** Nearest hop first; empty without any. */
  get hops(): readonly NameAddr[] {
    return this.#hops;
  }

  /**
   * Takes what a 2xx to a REGISTER says: it replaces what was known, and nothing means none (RFC 3608 section 6.1).
   * @returns false when it says something that cannot be used, which counts as none
   */
  learn(response: SipResponse): boolean {
    const texts = response.headers.all("Service-Route");
    const hops = texts.length > MAX_SERVICE_ROUTES ? null : readAll(texts);
    this.#hops = hops ?? [];
    return hops !== null;
  }
}

function readAll(texts: readonly string[]): NameAddr[] | null {
  return nullIfMalformed(() =>
    texts.map((text) => {
      const { uri } = parseNameAddr(text);
      if (uri.scheme === "tel") throw new WireError("SIP", "a hop is no host");
      return nameAddrOf(uri);
    })
  );
}

/** The outbound proxy as a route; loose, whatever was written. */
export function proxyRoute(proxy: SipUri | null): readonly NameAddr[] {
  if (proxy === null) return [];
  const params = new Map(proxy.params).set("lr", null);
  return [nameAddrOf({ ...proxy, user: null, password: null, params, headers: null })];
}

/** Proxy and service route; a registrar that names our proxy first does not make it stand there twice. */
export function routeSet(proxy: SipUri | null, service: readonly NameAddr[]): readonly NameAddr[] {
  const [first] = service;
  const [own] = proxyRoute(proxy);
  if (own === undefined || first === undefined) return [...proxyRoute(proxy), ...service];
  return isSameHop(own.uri, first.uri) ? service : [own, ...service];
}

/** Same host and port, as they are written; `maddr` leads elsewhere. */
export function isSameHop(a: SipUri, b: SipUri): boolean {
  return a.host.toLowerCase() === b.host.toLowerCase() && (a.port ?? 5060) === (b.port ?? 5060) &&
    a.params.get("maddr") === b.params.get("maddr");
}
