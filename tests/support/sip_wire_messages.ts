// Requests for the tests of the SIP wire and transport: small, valid, and as large as wanted.
// Role: wire

import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { SipHeaders } from "../../lib/sip/message/header.ts";
import type { SipRequest } from "../../lib/sip/message/message.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";

/** What may differ from the usual request. */
export interface WireRequestOptions {
  /** Default OPTIONS. */
  method?: string;
  /** Topmost Via; default a UDP one of 127.0.0.1:5060. */
  via?: string;
  /** Default "call-1". */
  callId?: string;
  /** Default empty. */
  body?: string;
}

/** A valid request. */
export function wireRequest(options: WireRequestOptions = {}): SipRequest {
  const method = options.method ?? "OPTIONS";
  const headers = new SipHeaders([
    ["Via", options.via ?? "SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKtest1"],
    ["Max-Forwards", "70"],
    ["From", "<sip:alice@example.net>;tag=a1"],
    ["To", "<sip:bob@example.net>"],
    ["Call-ID", options.callId ?? "call-1"],
    ["CSeq", `1 ${method}`],
  ]);
  const body = encodeUtf8(options.body ?? "");
  return { kind: "request", method, uri: parseSipUri("sip:bob@example.net"), headers, body };
}
