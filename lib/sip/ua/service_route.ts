// The way of a user's requests outside dialogs: its outbound proxy, then what its registrar named (Service-Route).
// RFC 3261 section 8.1.2 (preloaded Route), 12.2.1.1 (loose and strict); RFC 3608 section 6.1.
// Role: machine

import { nullIfMalformed, WireError } from "../../base/errors.ts";
import { type NameAddr, nameAddrOf, parseNameAddr } from "../message/name_addr.ts";
import type { SipResponse } from "../message/message.ts";
import type { SipUri } from "../message/uri.ts";

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
