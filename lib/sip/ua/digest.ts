// Digest authentication: the calculation and the client (RFC 3261 22, RFC 7616 3.4, RFC 8760).
// MD5, SHA-256 and SHA-512-256, each with -sess; qop auth and auth-int, or none (RFC 2069).
// Role: wire

import { createHash } from "node:crypto";
import { encodeUtf8 } from "../../base/bytes.ts";
import { nullIfMalformed } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import {
  type DigestAlgorithm,
  type DigestChallenge,
  type DigestQop,
  formatAuthValue,
  parseChallenge,
  selectChallenge,
} from "./digest_challenge.ts";
import { quote } from "../message/grammar.ts";
import { parseCSeq } from "../message/header_values.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { formatSipUri, type SipUri } from "../message/uri.ts";

export {
  type DigestAlgorithm,
  type DigestChallenge,
  type DigestQop,
  parseChallenge,
  selectChallenge,
} from "./digest_challenge.ts";

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
