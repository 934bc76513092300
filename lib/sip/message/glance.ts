// What a datagram is, from its first line and a look for the headers it needs: a fraction of the price of parsing it.
// Used only on what comes from a source that floods, and only to find what would be refused anyway.
// RFC 3261 sections 7.1 (start lines), 8.1.1 (headers of every request), 12.2 (in dialogs there is a To tag).
// Role: wire

import { decodeUtf8 } from "../../base/bytes.ts";
import { nullIfMalformed } from "../../base/errors.ts";
import { findHeadEnd, isFiller } from "./framing.ts";
import { parseDecimal, trimBlanks } from "./grammar.ts";
import { headerKey } from "./header_names.ts";
import { tagOf } from "./message.ts";
import { headLines } from "./message_head.ts";
import { parseSipUri, type SipUri } from "./uri.ts";

/** What can be seen without parsing. "rubbish": the parser would refuse it. */
export type Glance =
  | { readonly type: "rubbish" }
  | { readonly type: "response" }
  | { readonly type: "request"; readonly method: string; readonly uri: SipUri; readonly inDialog: boolean };

const RUBBISH: Glance = { type: "rubbish" };
const RESPONSE: Glance = { type: "response" };

const WANTED: readonly string[] = ["via", "from", "to", "call-id", "cseq"];
/** Most header lines looked at: the parser takes no more either. */
const MAX_LINES = 256;

/** Looks at the bytes of a datagram that is no keep-alive. Never throws. */
export function glance(bytes: Uint8Array): Glance {
  let start = 0;
  while (start < bytes.length && isFiller(bytes[start]!)) start++;
  const end = findHeadEnd(bytes, start);
  if (end === null) return RUBBISH;
  const [first, ...lines] = headLines(decodeUtf8(bytes.subarray(start, end.head)));
  const seen = new Map<string, string>();
  for (const line of lines.slice(0, MAX_LINES)) {
    const colon = line.indexOf(":");
    if (colon > 0) seen.set(headerKey(trimBlanks(line.slice(0, colon))), line.slice(colon + 1));
  }
  if (!WANTED.every((name) => seen.has(name))) return RUBBISH;
  return firstLine(first!, () => tagOf(seen.get("to") ?? null) !== null);
}

function firstLine(line: string, inDialog: () => boolean): Glance {
  const [first = "", uriText = "", version = ""] = line.split(" ", 4);
  if (first.toUpperCase() === "SIP/2.0") return parseDecimal(uriText, 699) === null ? RUBBISH : RESPONSE;
  if (version.toUpperCase() !== "SIP/2.0") return RUBBISH;
  const uri = uriOf(uriText);
  return uri === null ? RUBBISH : { type: "request", method: first, uri, inDialog: inDialog() };
}

function uriOf(text: string): SipUri | null {
  return nullIfMalformed(() => parseSipUri(text));
}
