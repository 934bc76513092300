// Digest challenges (WWW-Authenticate, Proxy-Authenticate): parse, choose, format (RFC 3261 22.4, RFC 7616 3.3,
// RFC 8760 2.4: several challenges for one realm, one per algorithm).
// Role: wire

import { WireError } from "../../base/errors.ts";
import { blankAt, clip, endOfQuoted, isBlank, isToken, SIP, trimBlanks } from "../message/grammar.ts";

/** The hash algorithms of RFC 7616 and RFC 8760. */
export type DigestAlgorithm =
  | "MD5"
  | "MD5-sess"
  | "SHA-256"
  | "SHA-256-sess"
  | "SHA-512-256"
  | "SHA-512-256-sess";
/** What a response protects: method and URI, or the body as well. */
export type DigestQop = "auth" | "auth-int";

/** A challenge this program can answer. Strings are as they stood between the quotes, escapes included. */
export interface DigestChallenge {
  readonly realm: string;
  /** Server's nonce. */
  readonly nonce: string;
  /** To be sent back unchanged; null when there is none. */
  readonly opaque: string | null;
  readonly algorithm: DigestAlgorithm;
  /** The algorithm as the server wrote it, to be echoed; null when it was left out (MD5). */
  readonly algorithmText: string | null;
  /** The credentials were right but the nonce is too old. */
  readonly stale: boolean;
  /** Offered protections in the server's order; empty when none was named (RFC 2069). */
  readonly qop: readonly DigestQop[];
}

/** Weakest first. */
const BY_STRENGTH: readonly DigestAlgorithm[] = [
  "MD5",
  "MD5-sess",
  "SHA-256",
  "SHA-256-sess",
  "SHA-512-256",
  "SHA-512-256-sess",
];

/** The algorithm of that name in any case; MD5 for null, null for one that is not known. */
export function parseAlgorithm(text: string | null): DigestAlgorithm | null {
  if (text === null) return "MD5";
  return BY_STRENGTH.find((name) => name.toLowerCase() === text.toLowerCase()) ?? null;
}

/**
 * Parses one WWW-Authenticate or Proxy-Authenticate value. Null when it cannot be answered by this program: another
 * scheme, algorithm or qop, no nonce. WireError when it is malformed.
 */
export function parseChallenge(header: string): DigestChallenge | null {
  const { scheme, params } = parseAuthValue(header);
  const algorithmText = params.get("algorithm") ?? null;
  const algorithm = parseAlgorithm(algorithmText);
  const nonce = params.get("nonce");
  if (scheme !== "digest" || algorithm === null || nonce === undefined) return null;
  const offered = (params.get("qop") ?? "").split(",").map((one) => one.trim().toLowerCase()).filter((one) =>
    one
  );
  const qop = offered.filter((one): one is DigestQop => one === "auth" || one === "auth-int");
  if (offered.length > 0 && qop.length === 0) return null;
  return {
    realm: params.get("realm") ?? "",
    nonce,
    opaque: params.get("opaque") ?? null,
    algorithm,
    algorithmText,
    stale: params.get("stale")?.toLowerCase() === "true",
    qop,
  };
}

/** The strongest of several challenges; of equals the first, as the server prefers it. Null for an empty list. */
export function selectChallenge(list: readonly DigestChallenge[]): DigestChallenge | null {
  let best: DigestChallenge | null = null;
  for (const one of list) if (best === null || strength(one) > strength(best)) best = one;
  return best;
}

/** -sess changes who computes what, not how strong it is. */
function strength(challenge: DigestChallenge): number {
  return Math.floor(BY_STRENGTH.indexOf(challenge.algorithm) / 2);
}

const QUOTED: ReadonlySet<string> = new Set(["realm", "nonce", "opaque", "qop"]);

export function formatChallenge(challenge: DigestChallenge): string {
  const params: [string, string][] = [["realm", challenge.realm], ["nonce", challenge.nonce]];
  if (challenge.opaque !== null) params.push(["opaque", challenge.opaque]);
  if (challenge.stale) params.push(["stale", "true"]);
  if (challenge.algorithmText !== null) params.push(["algorithm", challenge.algorithmText]);
  if (challenge.qop.length > 0) params.push(["qop", challenge.qop.join(",")]);
  return formatAuthValue(params, QUOTED);
}

interface AuthValue {
  readonly scheme: string;
  /** Lower-case name -> value without quotes; escapes inside quotes are kept as they came (RFC 7616 `unq`). */
  readonly params: ReadonlyMap<string, string>;
}

/** Parses one challenge or credentials value. WireError when it is malformed. */
export function parseAuthValue(text: string): AuthValue {
  const trimmed = trimBlanks(text);
  const end = blankAt(trimmed);
  const scheme = trimmed.slice(0, end).toLowerCase();
  if (!isToken(scheme)) throw new WireError(SIP, `bad authentication scheme ${clip(text)}`);
  // Parameters of other schemes need not look like ours; nobody here reads them.
  return { scheme, params: scheme === "digest" ? parseAuthParams(trimmed.slice(end)) : new Map() };
}

function parseAuthParams(text: string): Map<string, string> {
  const params = new Map<string, string>();
  for (let at = nextName(text, 0); at < text.length;) {
    const equals = text.indexOf("=", at);
    const name = trimBlanks(text.slice(at, equals < 0 ? undefined : equals)).toLowerCase();
    if (equals < 0 || !isToken(name)) throw new WireError(SIP, `bad authentication parameter ${clip(name)}`);
    const { value, end } = valueAt(text, equals + 1);
    if (!params.has(name)) params.set(name, value);
    at = nextName(text, end);
  }
  return params;
}

/** Where the next name starts: empty elements have no effect. */
function nextName(text: string, from: number): number {
  let at = from;
  while (at < text.length && (text[at] === "," || isBlank(text.charCodeAt(at)))) at++;
  return at;
}

/** The value that starts at `from`, and the place after the comma behind it. */
function valueAt(text: string, from: number): { value: string; end: number } {
  let start = from;
  while (text[start] === " " || text[start] === "\t") start++;
  const quoted = text[start] === '"';
  const close = quoted ? endOfQuoted(text, start) : start;
  if (close < 0) throw new WireError(SIP, "a quoted value has no end");
  const stop = quoted ? close + 1 : start;
  const comma = text.indexOf(",", stop);
  const end = comma < 0 ? text.length : comma;
  const rest = trimBlanks(text.slice(stop, end));
  if (!quoted) return { value: rest, end: end + 1 };
  if (rest !== "") throw new WireError(SIP, `text after a quoted value: ${clip(rest)}`);
  return { value: text.slice(start + 1, stop - 1), end: end + 1 };
}

/** Formats credentials or a challenge. @param quoted names whose values are quoted (already escaped) strings */
export function formatAuthValue(
  params: Iterable<readonly [name: string, value: string]>,
  quoted: ReadonlySet<string>,
): string {
  const parts: string[] = [];
  for (const [name, value] of params) {
    parts.push(quoted.has(name) ? `${name}="${value}"` : `${name}=${value}`);
  }
  return `Digest ${parts.join(", ")}`;
}
