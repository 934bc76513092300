// The server's side of digest authentication (RFC 3261 22, RFC 7616 3.3-3.5), for the built-in registrar and tests.
// Nonces prove themselves (time, random part and a keyed hash of both), so challenges cost no memory; only nonces
// that were used with a count are remembered, to notice replays.
// Role: machine

import { encodeUtf8 } from "../../lib/base/bytes.ts";
import type { Clock } from "../../lib/base/clock.ts";
import { nullIfMalformed } from "../../lib/base/errors.ts";
import type { Random } from "../../lib/base/random.ts";
import {
  type DigestAlgorithm,
  digestHash,
  type DigestQop,
  digestResponse,
  formatChallenge,
  parseAlgorithm,
  parseAuthValue,
} from "../../lib/sip/ua/digest.ts";
import { createResponse, type SipRequest, type SipResponse } from "../../lib/sip/message/message.ts";

export interface DigestVerifierOptions {
  /** Protection domain; shown to users. */
  readonly realm: string;
  /** One challenge per algorithm, preferred first; default SHA-256 and MD5. */
  readonly algorithms?: readonly DigestAlgorithm[];
  /** Offered protections; default auth. Empty for RFC 2069 clients. */
  readonly qop?: readonly DigestQop[];
  /** How long a nonce is good; default five minutes. */
  readonly nonceLifeMs?: number;
}

/** What became of credentials. "stale": right, but challenge again with stale=true. */
export type DigestVerdict =
  | { readonly type: "ok"; readonly username: string }
  | { readonly type: "missing" }
  | { readonly type: "stale" }
  | { readonly type: "wrong"; readonly username: string | null };

/** Nonces whose counts are remembered; the oldest goes. */
const MAX_COUNTED_NONCES = 4096;
const DEFAULT_ALGORITHMS: readonly DigestAlgorithm[] = ["SHA-256", "MD5"];
const DEFAULT_QOP: readonly DigestQop[] = ["auth"];

export class DigestVerifier {
  readonly #realm: string;
  readonly #algorithms: readonly DigestAlgorithm[];
  readonly #qop: readonly DigestQop[];
  readonly #nonceLifeMs: number;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #secret: string;
  readonly #counts = new Map<string, number>();

  /** Has issued no nonce yet. @param options realm and what to offer */
  constructor(options: DigestVerifierOptions, env: { readonly clock: Clock; readonly random: Random }) {
    this.#realm = options.realm.replace(/["\\\r\n]/g, " ");
    this.#algorithms = options.algorithms ?? DEFAULT_ALGORITHMS;
    this.#qop = options.qop ?? DEFAULT_QOP;
    this.#nonceLifeMs = options.nonceLifeMs ?? 300_000;
    this.#clock = env.clock;
    this.#random = env.random;
    this.#secret = env.random.token(32);
  }

  /**
   * A 401 or 407 that asks for credentials.
   * @param asked "user" for 401 (registrars, user agents), "proxy" for 407
   * @param stale the credentials were right, only the nonce was too old
   */
  challenge(request: SipRequest, asked: "user" | "proxy", stale: boolean, toTag?: string): SipResponse {
    const response = createResponse(request, asked === "user" ? 401 : 407, undefined, toTag);
    const common = { realm: this.#realm, nonce: this.#newNonce(), opaque: null, stale, qop: this.#qop };
    for (const algorithm of this.#algorithms) {
      const value = formatChallenge({ ...common, algorithm, algorithmText: algorithm });
      response.headers.add(asked === "user" ? "WWW-Authenticate" : "Proxy-Authenticate", value);
    }
    return response;
  }

  /**
   * Checks the credentials of a request. The digest-uri is used as the client wrote it: phones differ in what they
   * put there, and proxies rewrite Request-URIs.
   * @param passwordOf a user's password, null for unknown users
   */
  verify(
    request: SipRequest,
    asked: "user" | "proxy",
    passwordOf: (username: string) => string | null,
  ): DigestVerdict {
    const name = asked === "user" ? "Authorization" : "Proxy-Authorization";
    for (const header of request.headers.all(name)) {
      const params = digestParams(header);
      if (params === null) return { type: "wrong", username: null };
      if (params.get("realm") === this.#realm) return this.#check(request, params, passwordOf);
    }
    return { type: "missing" };
  }

  #check(
    request: SipRequest,
    params: ReadonlyMap<string, string>,
    passwordOf: (username: string) => string | null,
  ): DigestVerdict {
    const username = params.get("username")?.replace(/\\(.)/g, "$1") ?? null;
    const algorithm = parseAlgorithm(params.get("algorithm") ?? null);
    const qop = qopOf(params.get("qop"));
    const password = username === null ? null : passwordOf(username);
    const wrong = { type: "wrong", username } as const;
    if (username === null || password === null || qop === undefined) return wrong;
    if (algorithm === null || !this.#algorithms.includes(algorithm)) return wrong;
    const [nonce, nc] = [params.get("nonce") ?? "", params.get("nc") ?? ""];
    const { realm, body } = { realm: this.#realm, body: request.body };
    const given = {
      method: request.method,
      uri: params.get("uri") ?? "",
      cnonce: params.get("cnonce") ?? "",
    };
    const expected = digestResponse({ algorithm, username, realm, password, ...given, nonce, nc, qop, body });
    if (params.get("response")?.toLowerCase() !== expected) return wrong;
    return this.#isFresh(nonce, qop === null ? null : nc) ? { type: "ok", username } : { type: "stale" };
  }

  #newNonce(): string {
    const stamp = `${Math.floor(this.#clock.now()).toString(36)}.${this.#random.token(12)}`;
    return `${stamp}.${this.#seal(stamp)}`;
  }

  #seal(stamp: string): string {
    return digestHash("SHA-256", encodeUtf8(`${this.#secret}:${stamp}:${this.#secret}`)).slice(0, 24);
  }

  #isFresh(nonce: string, nc: string | null): boolean {
    const match = /^([0-9a-z]{1,12})\.[0-9a-z]+(?=\.)/.exec(nonce);
    if (!match || nonce !== `${match[0]}.${this.#seal(match[0])}`) return false;
    if (this.#clock.now() - parseInt(match[1]!, 36) > this.#nonceLifeMs) return false;
    if (nc === null) return true;
    const count = /^[0-9a-f]{8}$/i.test(nc) ? parseInt(nc, 16) : 0;
    if (count <= (this.#counts.get(nonce) ?? 0)) return false;
    this.#counts.set(nonce, count);
    if (this.#counts.size > MAX_COUNTED_NONCES) this.#counts.delete(this.#counts.keys().next().value!);
    return true;
  }
}

/** null: none (RFC 2069); undefined: one nobody offered. */
function qopOf(text: string | undefined): DigestQop | null | undefined {
  if (text === undefined) return null;
  const lower = text.toLowerCase();
  return lower === "auth" || lower === "auth-int" ? lower : undefined;
}

/** The parameters of Digest credentials; empty for other schemes, null when malformed. */
function digestParams(header: string): ReadonlyMap<string, string> | null {
  return nullIfMalformed(() => parseAuthValue(header).params);
}
