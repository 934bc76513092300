// What dialogs read out of messages: the addresses of Contact and Record-Route (RFC 3261 12.1). Either may hold
// anything; what cannot be read is left out.
// Role: wire

import { nullIfMalformed } from "../../base/errors.ts";
import { trimEmptyParams } from "../message/grammar.ts";
import type { SipMessage } from "../message/message.ts";
import { formatNameAddr, type NameAddr, parseNameAddr, parseRoute } from "../message/name_addr.ts";

/** One hop: the text goes into Route exactly as it came in Record-Route. */
export interface Route {
  /** Value of the Route header. */
  readonly text: string;
  readonly address: NameAddr;
}

/** The hops that can be read; those that came without brackets get them. */
export function routesOf(message: SipMessage): Route[] {
  const routes: Route[] = [];
  for (const text of message.headers.all("Record-Route")) {
    const address = nullIfMalformed(() => parseRoute(text));
    if (address === null) continue;
    routes.push({ text: text.includes("<") ? trimEmptyParams(text) : formatNameAddr(address), address });
  }
  return routes;
}

/** The first Contact that can be used; null when there is none. */
export function contactOf(message: SipMessage): NameAddr | null {
  for (const text of message.headers.all("Contact")) {
    const contact = nullIfMalformed(() => parseNameAddr(text));
    if (contact !== null) return contact;
  }
  return null;
}
