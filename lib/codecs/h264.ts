// H.264 in calls (RFC 6184), passed through; its packets, pictures and parameter sets are in the folder h264. Constrained
// baseline of level 3.1 (720p30): siprtmp's 420014 was level 2.0, less than any encoder sends.
// Role: wire

import { mediaFormat } from "../sdp/media_format.ts";
import type { Codec } from "./codec.ts";

/** What we show may be of another level than what we send: each side says what it takes (RFC 6184 8.2.2). */
const FMTP = "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1";
/** How a peer may ask for a key frame: RFC 4585 section 6.3.1, RFC 5104 section 3.5.1. */
const KEY_FRAME_REQUESTS: readonly string[] = ["nack pli", "ccm fir"];

export const h264: Codec<"h264"> = {
  name: "h264",
  label: "H.264",
  kind: "video",
  encodingName: "h264",
  tokens: [{
    token: "h264",
    formats: [mediaFormat(99, "h264", 90000, { fmtp: FMTP, rtcpFb: KEY_FRAME_REQUESTS })],
    prefix: true,
  }],
};
