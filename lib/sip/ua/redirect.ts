// Where a 3xx to an INVITE sends the caller.
// RFC 3261 sections 8.1.3.4, 19.1.5 (what of a Contact may become a request), 21.3.
// Role: wire

import { WireError } from "../../base/errors.ts";
import { requestUri } from "./identity.ts";
import type { SipResponse } from "../message/message.ts";
import { parseNameAddr } from "../message/name_addr.ts";
import { formatSipUri, type SipUri } from "../message/uri.ts";

/** Addresses of one 3xx that are looked at. */
export const MAX_REDIRECTS = 5;

/** Moved, or one of several: what is named there may be called. 305 and 380 want another kind of request. */
const FOLLOWED: readonly number[] = [300, 301, 302];

/** The addresses a response names, best first; empty when there are none to follow. */
export function redirectsOf(response: SipResponse): readonly SipUri[] {
  if (!FOLLOWED.includes(response.status)) return [];
  const contacts = response.headers.all("Contact").slice(0, MAX_REDIRECTS).flatMap(contactOf);
  contacts.sort((a, b) => b.q - a.q);
  const uris = new Map(contacts.map(({ uri }) => [formatSipUri(uri), uri]));
  return [...uris.values()];
}

/** Empty when it cannot be read. */
function contactOf(text: string): { readonly uri: SipUri; readonly q: number }[] {
  try {
    const { uri, params } = parseNameAddr(text);
    const q = Number(params.get("q") ?? "1");
    return [{ uri: requestUri(uri), q: q >= 0 && q <= 1 ? q : 0 }];
  } catch (error) {
    if (error instanceof WireError) return [];
    throw error;
  }
}
