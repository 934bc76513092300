// DTMF as events in the audio stream (RFC 4733), told again in later packets (RFC 2198, two keys back).
// Role: wire

import { mediaFormat } from "../sdp/media_format.ts";
import type { Codec } from "./codec.ts";

export const telephoneEvent: Codec<"telephone-event"> = {
  name: "telephone-event",
  label: "DTMF events",
  kind: "audio",
  encodingName: "telephone-event",
  tokens: [{
    token: "dtmf",
    formats: [
      mediaFormat(101, "telephone-event", 8000),
      mediaFormat(100, "red", 8000, { fmtp: "101/101/101" }),
    ],
    client: null,
  }],
};
