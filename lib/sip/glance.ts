// What a datagram is, from its first line and a look for the headers it needs: a fraction of the price of parsing it.
// Used only on what comes from a source that floods, and only to find what would be refused anyway.
// RFC 3261 sections 7.1 (start lines), 8.1.1 (headers of every request), 12.2 (in dialogs there is a To tag).
// Role: wire
// Answers to: nothing in siprtmp.

import { decodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { findHeadEnd, isFiller } from "./framing.ts";
import { parseSipUri, type SipUri } from "./uri.ts";

/** What can be seen without parsing. "rubbish": the parser would refuse it. */
export type Glance =
  | { readonly type: "rubbish" }
  | { readonly type: "response" }
  | { readonly type: "request"; readonly method: string; readonly uri: SipUri; readonly inDialog: boolean };

const RUBBISH: Glance = { type: "rubbish" };
const RESPONSE: Glance = { type: "response" };

const START_LINE = /^(?:SIP\/2\.0 [0-9]{3}|([^ \r\n]+) ([^ \r\n]+) SIP\/2\.0\r?\n)/i;
const WANTED: readonly RegExp[] = [
  /\n(?:via|v)[^\S\n]*:/i,
  /\n(?:from|f)[^\S\n]*:/i,
  /\n(?:to|t)[^\S\n]*:/i,
  /\n(?:call-id|i)[^\S\n]*:/i,
  /\ncseq[^\S\n]*:/i,
];
/** A line that goes on in the next one (7.3.1); the parser bears it in the first line, too. */
const FOLD = /\r?\n[ \t]+/g;
const TO_TAG = /\n(?:to|t)[^\S\n]*:(?:[^\r\n]|\r?\n[ \t])*;[ \t]*tag[ \t]*=/i;

/** Looks at the bytes of a datagram that is no keep-alive. Never throws. */
export function glance(bytes: Uint8Array): Glance {
  let start = 0;
  while (start < bytes.length && isFiller(bytes[start]!)) start++;
  const end = findHeadEnd(bytes, start);
  if (end === null) return RUBBISH;
  const head = decodeUtf8(bytes.subarray(start, end.head)).replace(FOLD, " ");
  const line = START_LINE.exec(head);
  if (line === null || !WANTED.every((pattern) => pattern.test(head))) return RUBBISH;
  const [, method, uriText] = line;
  if (method === undefined || uriText === undefined) return RESPONSE;
  const uri = uriOf(uriText);
  return uri === null ? RUBBISH : { type: "request", method, uri, inDialog: TO_TAG.test(head) };
}

function uriOf(text: string): SipUri | null {
  try {
    return parseSipUri(text);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}
