// What makes a 2xx to an INVITE of ours one that no call can be made of, although it set up a dialog.
// RFC 3261 sections 12.1.2 (Contact, Record-Route), 20.32 (Require).
// Role: wire

import { unsupportedOptions } from "./capabilities.ts";
import { contactOf, routesOf } from "./dialog_headers.ts";
import type { SipResponse } from "../message/message.ts";

/**
 * In a few words what is wrong with it; null when it can be used. A missing Contact is no fault: the Request-URI of the
 * INVITE has reached whoever answered.
 */
export function answerFault(response: SipResponse): string | null {
  const contacts = response.headers.all("Contact");
  if (contacts.some((one) => one !== "*") && contactOf(response) === null) {
    return "its Contact cannot be read";
  }
  if (!hasUsableRoute(response)) return "its Record-Route cannot be read";
  const unsupported = unsupportedOptions(response);
  return unsupported.length === 0 ? null : `it requires ${unsupported.join(", ")}`;
}

/** False: requests inside the dialog can only go where the INVITE went. */
export function namesItsTarget(response: SipResponse): boolean {
  return contactOf(response) !== null && hasUsableRoute(response);
}

/** Hops that cannot be read are left out, unless that leaves none. */
function hasUsableRoute(response: SipResponse): boolean {
  return response.headers.all("Record-Route").length === 0 || routesOf(response).length > 0;
}
