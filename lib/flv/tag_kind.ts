// What a tag is to somebody who stores or relays it: headers that are needed later, frames to start at, the rest.
// Looks at the first two bytes of a body only.
// Adobe FLV file format 10.1, annex E.4.2-E.4.3; packet types of Enhanced RTMP v2.
// Role: wire
// Answers to: the tests for 17 00 and for intra frames in the wirecast application of rtmp.py.

/**
 * "header" tags hold decoder configuration: without the last one of its kind nothing that follows can be decoded.
 * "metadata" is a data tag called onMetaData. A "key frame" is a picture to start at, "video" any other one.
 */
export type TagKind =
  | "metadata"
  | "data"
  | "audio header"
  | "audio"
  | "video header"
  | "key frame"
  | "video";

const AAC = 10;
const FOURCC_AUDIO = 9;
const AVC = 7;
const HEVC = 12;

/** AMF0: a string of ten characters, onMetaData. */
const ON_METADATA = [2, 0, 10, 0x6f, 0x6e, 0x4d, 0x65, 0x74, 0x61, 0x44, 0x61, 0x74, 0x61] as const;

/** Which kind a tag body is; never throws, whatever the body. */
export function tagKindOf(type: 8 | 9 | 18, body: Uint8Array): TagKind {
  if (type === 8) return isAudioHeader(body) ? "audio header" : "audio";
  if (type === 9) return videoKindOf(body);
  return isMetaData(body) ? "metadata" : "data";
}

function isAudioHeader(body: Uint8Array): boolean {
  const first = body[0] ?? 0;
  if (first >> 4 === AAC) return body[1] === 0;
  return first >> 4 === FOURCC_AUDIO && (first & 15) === 0;
}

function videoKindOf(body: Uint8Array): TagKind {
  const first = body[0] ?? 0;
  const frameType = first >> 4 & 7;
  if (frameType === 5) return "video"; // a command to the player, not a picture
  const key = frameType === 1;
  if (first >= 0x80) {
    const packetType = first & 15;
    if (packetType === 0 || packetType === 5) return "video header"; // start of sequence, and its MPEG-2 TS form
    return key && packetType !== 2 && packetType !== 4 ? "key frame" : "video";
  }
  const codec = first & 15;
  if (codec !== AVC && codec !== HEVC) return key ? "key frame" : "video";
  if (body[1] === 0) return "video header";
  return key && body[1] === 1 ? "key frame" : "video";
}

function isMetaData(body: Uint8Array): boolean {
  for (let at = 0; at < ON_METADATA.length; at++) {
    if (body[at] !== ON_METADATA[at]) return false;
  }
  return true;
}
