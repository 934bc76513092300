// Headers that are not ours: what a caller says about itself, for the client, and what an account or a client adds to its
// own INVITEs.
// RFC 3325 (P-Asserted-Identity); Remote-Party-ID and X- headers by custom. Nobody has verified what a caller says.
// Role: wire

import { WireError } from "../../base/errors.ts";
import { isToken } from "./grammar.ts";
import { headerKey, SipHeaders } from "./header.ts";
import type { SipRequest } from "./message.ts";

type ExtraHeader = readonly [name: string, value: string];

/** What is different about the INVITEs of an account or client. */
export interface CallerFields {
  /** User part of From; that of the address when absent. */
  readonly fromUser?: string;
  readonly headers?: readonly ExtraHeader[];
}

/** Headers of one INVITE, each way. */
export const MAX_EXTRA_HEADERS = 32;
const MAX_NAME_LENGTH = 64;
/** Characters of a value; of a longer one of a caller, so many are told. */
const MAX_VALUE_LENGTH = 512;
const MAX_USER_LENGTH = 64;

/** What the gateway writes itself, or what says how a message is to be read. Contents, credentials: by their beginning. */
const RESERVED: ReadonlySet<string> = new Set([
  ...["accept", "allow", "call-id", "contact", "cseq", "event", "expires", "from", "identity", "in-reply-to"],
  ...["max-forwards", "mime-version", "min-expires", "min-se", "path", "rack", "record-route", "refer-to"],
  ...["replaces", "require", "route", "rseq", "server", "service-route", "session-expires", "sip-etag"],
  ...["sip-if-match", "supported", "target-dialog", "timestamp", "to", "unsupported", "user-agent", "via"],
]);
const RESERVED_BEGINNINGS: readonly string[] = [
  ...["accept-", "allow-", "auth", "content-", "identity-", "proxy-", "www-"],
];

/** Reads a table of names and values; a text says what is wrong with it, and reads well behind its name. */
export function readExtraHeaders(table: unknown): readonly ExtraHeader[] | string {
  if (typeof table !== "object" || table === null || Array.isArray(table)) {
    return 'must be names and values, like "X-Tenant" = "7"';
  }
  const entries = Object.entries(table);
  if (entries.length > MAX_EXTRA_HEADERS) return `has more than ${MAX_EXTRA_HEADERS} headers`;
  const headers: ExtraHeader[] = [];
  for (const [name, written] of entries) {
    const value = typeof written === "number" ? String(written) : written;
    const problem = nameProblem(name) ?? valueProblem(name, value);
    if (problem !== null) return problem;
    headers.push([name, String(value).trim()]);
  }
  return headers;
}

function nameProblem(name: string): string | null {
  if (!isToken(name) || name.length > MAX_NAME_LENGTH) return "has a name that is none of a SIP header";
  const key = headerKey(name);
  if (!RESERVED.has(key) && !RESERVED_BEGINNINGS.some((beginning) => key.startsWith(beginning))) return null;
  return `has "${name}", which is the gateway's own to write`;
}

/** The value is not repeated: it may be a secret. */
function valueProblem(name: string, value: unknown): string | null {
  const text = typeof value === "string" ? value.trim() : "";
  if (text === "" || text.length > MAX_VALUE_LENGTH) {
    return `must give "${name}" a text of 1 to ${MAX_VALUE_LENGTH} characters`;
  }
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) {
    return `must give "${name}" a text of one line, without control characters`;
  }
  try {
    new SipHeaders().add(name, text);
    return null;
  } catch (error) {
    if (error instanceof WireError) return `must give "${name}" a text that can be read as a header`;
    throw error;
  }
}

/** Reads a user part; null when it is none. */
export function readFromUser(value: unknown): string | null {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string" || text === "" || text.length > MAX_USER_LENGTH) return null;
  return /[\s\p{Cc}@<>":;,?]/u.test(text) ? null : text;
}

/** What a caller says about itself; several values of one header stand behind each other with commas. */
export function callerHeaders(request: SipRequest): Readonly<Record<string, string>> {
  const found = new Map<string, string>();
  for (const [name, value] of request.headers.entries()) {
    if (!isAboutCaller(name) || name.length > MAX_NAME_LENGTH) continue;
    const before = found.get(name);
    if (before === undefined && found.size >= MAX_EXTRA_HEADERS) continue;
    const all = before === undefined ? value : `${before}, ${value}`;
    found.set(name, all.slice(0, MAX_VALUE_LENGTH).replace(/\p{Cc}/gu, " "));
  }
  return Object.fromEntries(found);
}

function isAboutCaller(name: string): boolean {
  const key = headerKey(name);
  return key === "p-asserted-identity" || key === "remote-party-id" || key.startsWith("x-");
}
