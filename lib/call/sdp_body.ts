// A session description as the body of a SIP message, and back.
// Role: machine

import { encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { formatSdp, parseSdp, type SessionDescription } from "../sdp/description.ts";
import { SDP_TYPE, type SipBody } from "../sip/message/body.ts";

export function sdpBody(description: SessionDescription): SipBody {
  return { type: SDP_TYPE, bytes: encodeUtf8(formatSdp(description)) };
}

/** The description of a body, or why it cannot be used. */
export function readSdpBody(body: SipBody): SessionDescription | string {
  try {
    return parseSdp(body.bytes);
  } catch (error) {
    if (error instanceof WireError) return error.message;
    throw error;
  }
}
