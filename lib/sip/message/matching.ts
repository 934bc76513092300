// Which transaction, which 2xx and which dialog a message belongs to, as comparable keys. RFC 3261 17.1.3 (responses),
// 17.2.3 (requests, also with branches of RFC 2543), 8.2.2.2 (merged requests), 12 (dialogs), 13.3.1.4 and 13.2.2.4
// (the ACK of a 2xx belongs to the dialog, whatever its branch).
// Role: wire

import { type CSeq, parseCSeq, readVia, type Via } from "./header.ts";
import { branchOf } from "./header_values.ts";
import { type SipMessage, type SipRequest, type SipResponse, tagOf } from "./message.ts";
import { formatSipUri } from "./uri.ts";
import { defaultViaPort } from "./transports.ts";

/** Default ports of sent-by (18.2.2). */

/** Joins the parts of a key; it cannot occur in a header value. */
const SEPARATOR = "\n";

/** Everything here that needs the CSeq throws WireError when it cannot be read. */
export function cseqOf(message: SipMessage): CSeq {
  return parseCSeq(message.headers.get("CSeq") ?? "");
}

/** The From and To tags of a message; "" for a missing one (requests outside dialogs, RFC 2543 peers). */
export function tagsOf(message: SipMessage): { from: string; to: string } {
  return { from: tagOf(message.headers.get("From")) ?? "", to: tagOf(message.headers.get("To")) ?? "" };
}

/** The Call-ID of a message; "" when it is missing. */
export function callIdOf(message: SipMessage): string {
  return message.headers.get("Call-ID") ?? "";
}

function topVia(message: SipMessage): Via {
  return readVia(message.headers.get("Via") ?? "");
}

/** Whether the branch of the top Via alone tells the transaction (the magic cookie of RFC 3261 8.1.1.7). */
export function hasUniqueBranch(message: SipMessage): boolean {
  return branchOf(topVia(message)) !== null;
}

/**
 * The key under which a request finds its server transaction (17.2.3). ACK has the key of its INVITE.
 *
 * @param method another method to look for: "INVITE" for a CANCEL (9.2)
 */
export function serverKey(request: SipRequest, method: string = request.method): string {
  const via = topVia(request);
  const kind = method === "ACK" ? "INVITE" : method;
  const branch = branchOf(via);
  if (branch === null) return oldServerKey(request, kind);
  const port = via.port ?? defaultViaPort(via.transport);
  return [branch.toLowerCase(), via.host.toLowerCase(), port, kind].join(SEPARATOR);
}

/** RFC 2543: Request-URI, From tag, Call-ID, CSeq number and the whole top Via; the To tag is compared apart. */
function oldServerKey(request: SipRequest, kind: string): string {
  const uri = formatSipUri(request.uri);
  const via = request.headers.get("Via");
  const { sequence } = cseqOf(request);
  return ["2543", uri, tagsOf(request).from, callIdOf(request), sequence, via, kind].join(SEPARATOR);
}

/** The key of a client transaction: its branch and the method of its CSeq (17.1.3). */
export function clientKey(branch: string, method: string): string {
  return branch.toLowerCase() + SEPARATOR + method;
}

/** The key under which a response finds its client transaction (17.1.3). */
export function responseKey(response: SipResponse): string {
  return clientKey(topVia(response).params.get("branch") ?? "", cseqOf(response).method);
}

/**
 * Requests that arrive on two paths have this in common (8.2.2.2). The Request-URI is part of it, beyond the RFC:
 * users behind one port are user agents of their own, and a fork to two of them is no merge.
 */
export function mergeKey(request: SipRequest): string {
  const { sequence, method } = cseqOf(request);
  const uri = formatSipUri(request.uri);
  return [tagsOf(request).from, callIdOf(request), sequence, method, uri].join(SEPARATOR);
}

/** What an ACK and the 2xx it acknowledges have in common: Call-ID, both tags and the CSeq number. */
export function acknowledgementKey(message: SipMessage): string {
  const { from, to } = tagsOf(message);
  return [callIdOf(message), from, to, cseqOf(message).sequence].join(SEPARATOR);
}

/** A dialog as its own side sees it (12): Call-ID, local tag, remote tag. */
export function dialogId(callId: string, localTag: string, remoteTag: string): string {
  return [callId, localTag, remoteTag].join(SEPARATOR);
}

/** The id of the dialog that a request we received belongs to; equals `Dialog.id`. */
export function dialogIdOfRequest(request: SipRequest): string {
  const { from, to } = tagsOf(request);
  return dialogId(callIdOf(request), to, from);
}

/** The id of the dialog that a response we received belongs to; equals `Dialog.id`. */
export function dialogIdOfResponse(response: SipResponse): string {
  const { from, to } = tagsOf(response);
  return dialogId(callIdOf(response), from, to);
}
