// "@setDataFrame": how publishers ask a server to keep a data message for later players.
// Adobe Flash Media Server documentation, "Add metadata to a live stream"; FMLE, ffmpeg and OBS send it.
// Role: wire

import { encodeAmf0 } from "../amf/amf0.ts";

const PREFIX = encodeAmf0(["@setDataFrame"]);

/** The data message as players and files have it: without the leading "@setDataFrame". A view. */
export function withoutSetDataFrame(body: Uint8Array): Uint8Array {
  for (let at = 0; at < PREFIX.length; at++) {
    if (body[at] !== PREFIX[at]) return body;
  }
  return body.subarray(PREFIX.length);
}
