// Header field names: compact forms, the spelling we send, and which headers are lists (RFC 3261 7.3, 20; the
// compact forms of the extensions after their own RFCs).
// Role: wire

/** How a header may repeat: one value, addresses or the like one by one, tokens that read well as one line. */
export type HeaderKind = "single" | "elements" | "tokens";

const COMPACT: ReadonlyMap<string, string> = new Map([
  ["a", "accept-contact"],
  ["b", "referred-by"],
  ["c", "content-type"],
  ["d", "request-disposition"],
  ["e", "content-encoding"],
  ["f", "from"],
  ["i", "call-id"],
  ["j", "reject-contact"],
  ["k", "supported"],
  ["l", "content-length"],
  ["m", "contact"],
  ["n", "identity-info"],
  ["o", "event"],
  ["r", "refer-to"],
  ["s", "subject"],
  ["t", "to"],
  ["u", "allow-events"],
  ["v", "via"],
  ["x", "session-expires"],
  ["y", "identity"],
]);

/** Names whose usual spelling is not "First-Letters-In-Capitals". */
const SPELLING: ReadonlyMap<string, string> = new Map([
  ["call-id", "Call-ID"],
  ["cseq", "CSeq"],
  ["mime-version", "MIME-Version"],
  ["min-se", "Min-SE"],
  ["rack", "RAck"],
  ["remote-party-id", "Remote-Party-ID"],
  ["rseq", "RSeq"],
  ["sip-etag", "SIP-ETag"],
  ["sip-if-match", "SIP-If-Match"],
  ["www-authenticate", "WWW-Authenticate"],
]);

const ELEMENT_LISTS: ReadonlySet<string> = new Set([
  "alert-info",
  "call-info",
  "contact",
  "diversion",
  "error-info",
  "history-info",
  "p-asserted-identity",
  "path",
  "reason",
  "record-route",
  "route",
  "service-route",
  "via",
  "warning",
]);

const TOKEN_LISTS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "allow",
  "allow-events",
  "content-encoding",
  "content-language",
  "in-reply-to",
  "proxy-require",
  "require",
  "supported",
  "unsupported",
]);

/** The full lower-case name of a header, whatever its case and also from its compact form. */
export function headerKey(name: string): string {
  const lower = name.toLowerCase();
  return COMPACT.get(lower) ?? lower;
}

/** The spelling in which a header is sent; compact forms become full ones. */
export function headerName(name: string): string {
  const key = headerKey(name);
  return SPELLING.get(key) ?? key.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** How a header repeats. Credentials and challenges hold commas of their own and are never split (7.3.1). */
export function headerKind(key: string): HeaderKind {
  if (ELEMENT_LISTS.has(key)) return "elements";
  return TOKEN_LISTS.has(key) ? "tokens" : "single";
}
