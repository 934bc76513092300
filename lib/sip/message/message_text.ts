// SIP messages in the log.
// Role: wire

import { decodeUtf8 } from "../../base/bytes.ts";
import { encodeSipMessage, type SipMessage } from "./message.ts";

/** Longest method and Call-ID that are shown. */
const MAX_SHOWN = 200;

/** "INVITE, Call-ID abc" or "200 INVITE, Call-ID abc": what lines about a message begin with, so that they can be found. */
export function messageTitle(message: SipMessage): string {
  const method = message.kind === "request"
    ? message.method
    : message.headers.get("CSeq")?.split(" ")[1] ?? "";
  const what = message.kind === "request" ? method : `${message.status} ${method}`.trimEnd();
  return `${what.slice(0, MAX_SHOWN)}, Call-ID ${
    (message.headers.get("Call-ID") ?? "none").slice(0, MAX_SHOWN)
  }`;
}

/** A message as people read it. */
export function messageText(message: SipMessage): string {
  return decodeUtf8(encodeSipMessage(message)).replaceAll("\r\n", "\n").trimEnd();
}
