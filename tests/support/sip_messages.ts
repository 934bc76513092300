// SIP messages for the tests of transactions and dialogs, short to write and complete enough to be matched.
// Role: wire

import { SipHeaders } from "../../lib/sip/message/header.ts";
import { createResponse, NO_BODY, type SipRequest, type SipResponse } from "../../lib/sip/message/message.ts";
import type { Flow, Target } from "../../lib/sip/message/target.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";

/** What differs from the usual request; null leaves a header out, an array repeats it. */
export type HeaderChanges = Record<string, string | readonly string[] | null>;

/** Where the peer of the tests lives. */
export const PEER = { hostname: "192.0.2.1", port: 5060 };

/** Our own address in the tests. */
export const OURSELVES = { hostname: "192.0.2.99", port: 5070 };

/** A target over UDP or TCP at 192.0.2.1, or at another last octet. */
export function targetAt(transport: "udp" | "tcp" = "udp", octet = 1): Target {
  return { transport, endpoint: { hostname: `192.0.2.${octet}`, port: 5060 } };
}

/** The way a message of the peer came. */
export function flowBy(transport: "udp" | "tcp" = "udp"): Flow {
  return { transport, remote: PEER, local: OURSELVES, connectionId: transport === "udp" ? 0 : 7 };
}

/** A request of alice to bob. `Via` is left out unless it is among the changes. */
export function sipRequest(
  method: string,
  changes: HeaderChanges = {},
  uri = "sip:bob@example.net",
): SipRequest {
  const headers = new SipHeaders();
  const values: HeaderChanges = {
    From: "<sip:alice@example.net>;tag=alice-1",
    To: "<sip:bob@example.net>",
    "Call-ID": "call-1",
    CSeq: `1 ${method}`,
    Contact: "<sip:alice@192.0.2.99:5070>",
    ...changes,
  };
  for (const [name, value] of Object.entries(values)) {
    for (const line of typeof value === "string" ? [value] : value ?? []) headers.add(name, line);
  }
  return { kind: "request", method, uri: parseSipUri(uri), headers, body: NO_BODY };
}

/** A request as it arrives from the peer, with a Via of its own. */
export function receivedRequest(method: string, changes: HeaderChanges = {}, uri?: string): SipRequest {
  return sipRequest(method, { Via: "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpeer1", ...changes }, uri);
}

/** The answer of the peer to a request of ours. @param toTag put into To above 100 */
export function responseTo(
  request: SipRequest,
  status: number,
  toTag = "bob-1",
  changes: HeaderChanges = {},
): SipResponse {
  const response = createResponse(request, status, undefined, toTag);
  for (const [name, value] of Object.entries(changes)) {
    for (const line of typeof value === "string" ? [value] : value ?? []) response.headers.add(name, line);
  }
  return response;
}
