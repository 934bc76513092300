// Digest authentication: the calculation and the client (RFC 3261 22, RFC 7616 3.4, RFC 8760).
// MD5, SHA-256 and SHA-512-256, each with -sess; qop auth and auth-int, or none (RFC 2069).
// Role: wire

import { createHash } from "node:crypto";
import { encodeUtf8 } from "../../base/bytes.ts";
import { nullIfMalformed, WireError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { blankAt, clip, endOfQuoted, isBlank, isToken, quote, SIP, trimBlanks } from "../message/grammar.ts";
import { parseCSeq } from "../message/header_values.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { formatSipUri, type SipUri } from "../message/uri.ts";

export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  /** User name without quotes and escapes. */
  readonly username: string;
  readonly realm: string;
  readonly password: string;
  readonly method: string;
  readonly uri: string;
  /** Nonce as between its quotes. */
  readonly nonce: string;
  /** Client nonce; used with qop and -sess. */
  readonly cnonce: string;
  /** Nonce count, eight hex digits; used with qop. */
  readonly nc: string;
  /** Protection; null for RFC 2069. */
  readonly qop: DigestQop | null;
  readonly body: Uint8Array;
}

/** The `response` value, lower-case hex. */
export function digestResponse(input: DigestInput): string {
  const { algorithm, nonce, cnonce, qop } = input;
  const hash = (text: string) => digestHash(algorithm, encodeUtf8(text));
  let ha1 = hash(`${input.username}:${input.realm}:${input.password}`);
  if (algorithm.endsWith("-sess")) ha1 = hash(`${ha1}:${nonce}:${cnonce}`);
  const entity = qop === "auth-int" ? `:${digestHash(algorithm, input.body)}` : "";
  const ha2 = hash(`${input.method}:${input.uri}${entity}`);
  return hash(
    qop === null ? `${ha1}:${nonce}:${ha2}` : `${ha1}:${nonce}:${input.nc}:${cnonce}:${qop}:${ha2}`,
  );
}

/** The hash of an algorithm (its -sess form has the same), lower-case hex. */
export function digestHash(algorithm: DigestAlgorithm, bytes: Uint8Array): string {
  return createHash(HASH_NAMES[algorithm]).update(bytes).digest("hex");
}

const HASH_NAMES: Readonly<Record<DigestAlgorithm, string>> = {
  "MD5": "md5",
  "MD5-sess": "md5",
  "SHA-256": "sha256",
  "SHA-256-sess": "sha256",
  "SHA-512-256": "sha512-256",
  "SHA-512-256-sess": "sha512-256",
};

export interface AuthorizationHeader {
  readonly header: "Authorization" | "Proxy-Authorization";
  /** Header value; contains a digest, never the password. */
  readonly value: string;
}

/** Whether a challenge may be answered, by the header its answer would go into. */
type MayAnswer = (header: AuthorizationHeader["header"], challenge: DigestChallenge) => boolean;

/** What is answered: the kind of challenger and its realm. */
interface Session {
  readonly header: "Authorization" | "Proxy-Authorization";
  readonly challenge: DigestChallenge;
  readonly cnonce: string;
  /** Host of the Request-URI it was learned for; credentials are offered unasked to no other. */
  readonly host: string;
  nonceCount: number;
}

interface Attempt {
  cseq: number;
  /** Session key -> how often it was answered. */
  readonly answered: Map<string, number>;
}

/** More stale nonces in a row than this and the server is given up. */
const MAX_ANSWERS_PER_REALM = 4;
/** Realms and attempts remembered; the oldest goes. */
const MAX_REMEMBERED = 32;

/**
 * Answers challenges with one user's password. A request and its repetitions belong together when they share
 * Call-ID and method and each has the CSeq number after the one before (22.2).
 *
 *   response = H( H(A1) ":" nonce ":" nc ":" cnonce ":" qop ":" H(A2) )     A1 = user:realm:password   A2 = method:uri
 */
export class DigestClient {
  readonly #username: string;
  readonly #password: string;
  readonly #random: Random;
  /** Made by the first challenge: most registrars of thousands of users know them without. */
  #sessions: Map<string, Session> | null = null;
  #attempts: Map<string, Attempt> | null = null;

  /** Knows nothing of any realm yet. @param username may hold any characters, sent as UTF-8 */
  constructor(username: string, password: string, random: Random) {
    this.#username = username;
    this.#password = password;
    this.#random = random;
  }

  /**
   * Credentials for the repetition of a request that got this 401 or 407; set them all, also those of realms
   * answered before. Null when there is nothing more to try: no usable challenge, or a realm has refused us.
   * @param request the repetition; its body counts when a server insists on auth-int
   * @param mayAnswer asked of each challenge; of those that may be answered the strongest of a realm is
   */
  authorize(
    response: SipResponse,
    request: Pick<SipRequest, "method" | "body"> & { readonly uri: SipUri | string },
    mayAnswer: MayAnswer = () => true,
  ): AuthorizationHeader[] | null {
    const { method, uri, body } = request;
    const attempt = this.#attemptOf(response, method);
    let fresh = false;
    for (const [key, header, challenge] of challengesIn(response, mayAnswer)) {
      const answers = attempt.answered.get(key) ?? 0;
      if (answers > 0 && (!challenge.stale || answers >= MAX_ANSWERS_PER_REALM)) continue;
      fresh = true;
      attempt.answered.set(key, answers + 1);
      const session = { header, challenge, cnonce: this.#random.token(16), host: hostOf(uri), nonceCount: 0 };
      remember(this.#sessions ??= new Map(), key, session);
    }
    if (!fresh) return null;
    return this.#credentials([...attempt.answered.keys()], method, uri, body);
  }

  /** Credentials to send unasked with a new request to a host that has challenged before; often empty. */
  reuse(method: string, uri: SipUri | string, body: Uint8Array): AuthorizationHeader[] {
    if (this.#sessions === null) return [];
    const host = hostOf(uri);
    const keys = [...this.#sessions].filter(([, session]) => session.host === host).map(([key]) => key);
    return this.#credentials(keys, method, uri, body);
  }

  /** Repetitions that are remembered because of a challenge. */
  get attempts(): number {
    return this.#attempts?.size ?? 0;
  }

  /** A request of this method and Call-ID was accepted: no repetition of it will follow. */
  accepted(method: string, callId: string | null): void {
    if (this.attempts > 0) this.#attempts?.delete(attemptKey(method, callId));
  }

  /** Forgets all challenges: the next request starts without credentials, and every answer may be tried again. */
  forget(): void {
    this.#sessions = null;
    this.#attempts = null;
  }

  #attemptOf(response: SipResponse, method: string): Attempt {
    const cseq = parseCSeq(response.headers.get("CSeq") ?? "").sequence;
    const key = attemptKey(method, response.headers.get("Call-ID"));
    const known = this.#attempts?.get(key);
    const attempt = known?.cseq === cseq - 1 ? known : { cseq, answered: new Map<string, number>() };
    attempt.cseq = cseq;
    remember(this.#attempts ??= new Map(), key, attempt);
    return attempt;
  }

  #credentials(
    keys: string[],
    method: string,
    uri: SipUri | string,
    body: Uint8Array,
  ): AuthorizationHeader[] {
    const headers: AuthorizationHeader[] = [];
    for (const key of keys) {
      const session = this.#sessions?.get(key);
      if (session) {
        headers.push({ header: session.header, value: this.#value(session, method, textOf(uri), body) });
      }
    }
    return headers;
  }

  #value(session: Session, method: string, uri: string, body: Uint8Array): string {
    const { challenge, cnonce } = session;
    const { realm, nonce, algorithm } = challenge;
    const qop = challenge.qop.includes("auth") ? "auth" : challenge.qop[0] ?? null;
    const nc = (++session.nonceCount).toString(16).padStart(8, "0");
    const person = { username: this.#username, password: this.#password };
    const response = digestResponse({
      ...person,
      algorithm,
      realm,
      method,
      uri,
      nonce,
      cnonce,
      nc,
      qop,
      body,
    });
    const params: [string, string][] = [["username", quote(this.#username).slice(1, -1)], ["realm", realm]];
    params.push(["nonce", nonce], ["uri", uri], ["response", response]);
    if (challenge.algorithmText !== null) params.push(["algorithm", challenge.algorithmText]);
    if (qop !== null) params.push(["qop", qop], ["nc", nc]);
    if (qop !== null || algorithm.endsWith("-sess")) params.push(["cnonce", cnonce]);
    if (challenge.opaque !== null) params.push(["opaque", challenge.opaque]);
    return formatAuthValue(params, QUOTED);
  }
}

const QUOTED: ReadonlySet<string> = new Set([
  "username",
  "realm",
  "nonce",
  "uri",
  "response",
  "cnonce",
  "opaque",
]);

function attemptKey(method: string, callId: string | null): string {
  return `${method} ${callId}`;
}

/** The strongest challenge of each challenger and realm in a response, of those that may be answered. */
function challengesIn(
  response: SipResponse,
  mayAnswer: MayAnswer,
): [key: string, header: Session["header"], DigestChallenge][] {
  const found: [string, Session["header"], DigestChallenge][] = [];
  for (const [name, header] of PAIRS) {
    const usable = response.headers.all(name).map(readable).filter((one) => one !== null)
      .filter((one) => mayAnswer(header, one));
    for (const realm of new Set(usable.map((one) => one.realm))) {
      const challenge = selectChallenge(usable.filter((one) => one.realm === realm))!;
      found.push([`${header} ${realm}`, header, challenge]);
    }
  }
  return found;
}

const PAIRS = [["WWW-Authenticate", "Authorization"], ["Proxy-Authenticate", "Proxy-Authorization"]] as const;

/** A malformed challenge is one that cannot be answered. */
function readable(header: string): DigestChallenge | null {
  return nullIfMalformed(() => parseChallenge(header));
}

function textOf(uri: SipUri | string): string {
  return typeof uri === "string" ? uri : formatSipUri(uri);
}

function hostOf(uri: SipUri | string): string {
  const text = textOf(uri).replace(/^[a-z]+:/i, "");
  return text.slice(text.indexOf("@") + 1).split(/[;?]/, 1)[0]!.toLowerCase();
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value!);
}

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

const QUOTED_IN_CHALLENGES: ReadonlySet<string> = new Set(["realm", "nonce", "opaque", "qop"]);

export function formatChallenge(challenge: DigestChallenge): string {
  const params: [string, string][] = [["realm", challenge.realm], ["nonce", challenge.nonce]];
  if (challenge.opaque !== null) params.push(["opaque", challenge.opaque]);
  if (challenge.stale) params.push(["stale", "true"]);
  if (challenge.algorithmText !== null) params.push(["algorithm", challenge.algorithmText]);
  if (challenge.qop.length > 0) params.push(["qop", challenge.qop.join(",")]);
  return formatAuthValue(params, QUOTED_IN_CHALLENGES);
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
