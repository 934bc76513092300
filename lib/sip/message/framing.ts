// Where the head of a message ends, and what is no message at all: shared by datagrams and streams
// (RFC 3261 7, 7.5; RFC 5626 4.4, RFC 5389 6 for keep-alives).
// Role: wire

const LF = 10;
const CR = 13;

/** Where a head ends and its body begins. */
export interface HeadEnd {
  /** Just after the last header's text. */
  readonly head: number;
  /** Just after the empty line. */
  readonly body: number;
}

/** Finds the first empty line at or after `from`; CRLF and bare LF both end lines. Null when there is none yet. */
export function findHeadEnd(bytes: Uint8Array, from: number): HeadEnd | null {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    const next = bytes[at + 1] === CR ? at + 2 : at + 1;
    if (bytes[next] !== LF) continue;
    return { head: bytes[at - 1] === CR ? at - 1 : at, body: next + 1 };
  }
  return null;
}

/** Whether a byte may stand between messages without meaning: CR, LF, NUL. */
export function isFiller(byte: number): boolean {
  return byte === CR || byte === LF || byte === 0;
}

/** Whether a datagram only keeps a NAT binding open: line ends, NULs, blanks, up to four odd bytes, or STUN. */
export function isKeepAlive(bytes: Uint8Array): boolean {
  if (bytes.length <= 4) return true;
  // STUN starts with two zero bits; its requests and answers with 0 or 1. No SIP method does.
  if (bytes[0]! <= 1) return true;
  return bytes.every((byte) => isFiller(byte) || byte === 9 || byte === 32);
}
