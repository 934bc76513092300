// What makes a 2xx to an INVITE of ours one that no call can be made of, although it set up a dialog.
// RFC 3261 sections 12.1.2 (Contact, Record-Route), 20.32 (Require).
// Role: wire

import { WireError } from "../base/errors.ts";
import { unsupportedOptions } from "./capabilities.ts";
import type { SipResponse } from "./message.ts";
import { parseNameAddr } from "./name_addr.ts";

/**
 * In a few words what is wrong with it; null when it can be used. A missing Contact is no fault: the Request-URI of the
 * INVITE has reached whoever answered.
 */
export function answerFault(response: SipResponse): string | null {
  const [contact] = response.headers.all("Contact");
  if (contact !== undefined && contact !== "*" && !isReadable(contact)) return "its Contact cannot be read";
  if (!response.headers.all("Record-Route").every(isReadable)) return "its Record-Route cannot be read";
  const unsupported = unsupportedOptions(response);
  return unsupported.length === 0 ? null : `it requires ${unsupported.join(", ")}`;
}

/** False: requests inside the dialog can only go where the INVITE went. */
export function namesItsTarget(response: SipResponse): boolean {
  const [contact] = response.headers.all("Contact");
  return contact !== undefined && isReadable(contact) &&
    response.headers.all("Record-Route").every(isReadable);
}

function isReadable(address: string): boolean {
  try {
    parseNameAddr(address);
    return true;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}
