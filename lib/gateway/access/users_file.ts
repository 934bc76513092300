// The users file, `alice:pbkdf2-sha256:600000:<salt>:<hash>` a line (base64, RFC 4648 4; # begins a comment), and its
// password hashes (PBKDF2, RFC 8018 5.2). Made by `siprtmp user add`. Hashing runs beside the event loop.
// Role: edge

import { encodeUtf8 } from "../../base/bytes.ts";
import { ConfigError, messageOf } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";

/** A password that was hashed (RFC 8018 5.2, with HMAC-SHA-256). */
export interface PasswordHash {
  readonly iterations: number;
  /** Random bytes. */
  readonly salt: Uint8Array<ArrayBuffer>;
  readonly hash: Uint8Array<ArrayBuffer>;
}

export type Users = ReadonlyMap<string, PasswordHash>;

/** The only scheme so far; another one gets another name. */
const SCHEME = "pbkdf2-sha256";

/** Most lines of a file. */
const MAX_USERS = 100_000;

/** Rounds that are accepted: fewer protect nothing, more would stall every login. */
const MIN_ITERATIONS = 10_000;
const MAX_ITERATIONS = 10_000_000;
const MIN_BYTES = 16;
const MAX_BYTES = 64;

/** Names: no colon, no white space, no control characters. */
const NAME = /^[^:\s\p{Cc}]{1,128}$/u;

export function isUserName(name: string): boolean {
  return NAME.test(name) && !name.startsWith("#");
}

/** Reads a whole file. @throws ConfigError naming file and line */
export function parseUsers(file: { readonly name: string; readonly text: string }): Users {
  const users = new Map<string, PasswordHash>();
  for (const [index, line] of file.text.replace(/^\uFEFF/, "").split(/\r?\n/).entries()) {
    const text = line.trim();
    if (text === "" || text.startsWith("#")) continue;
    const complain = (what: string): ConfigError =>
      new ConfigError(`${file.name}, line ${index + 1}: ${what}`);
    const [name = "", ...rest] = text.split(":");
    if (!isUserName(name)) throw complain("a line is NAME:HASH, as `siprtmp user add` writes it");
    if (users.has(name)) throw complain(`the user ${name} is there twice`);
    if (users.size >= MAX_USERS) throw complain(`more than ${MAX_USERS} users`);
    try {
      users.set(name, parseHash(rest));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw complain(`the hash of ${name} cannot be used: ${messageOf(error)}`);
    }
  }
  return users;
}

export function formatUser(name: string, { iterations, salt, hash }: PasswordHash): string {
  return [name, SCHEME, String(iterations), toBase64(salt), toBase64(hash)].join(":");
}

function parseHash(fields: readonly string[]): PasswordHash {
  const [scheme, rounds = "", salt = "", hash = ""] = fields;
  if (scheme !== SCHEME || fields.length !== 4) throw new ConfigError(`it is not ${SCHEME}:ROUNDS:SALT:HASH`);
  const iterations = /^\d{1,9}$/.test(rounds) ? Number(rounds) : 0;
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) {
    throw new ConfigError(`the rounds must be ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`);
  }
  return { iterations, salt: fromBase64(salt), hash: fromBase64(hash) };
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const usable = /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0;
  const bytes = usable
    ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
    : new Uint8Array();
  if (bytes.length < MIN_BYTES || bytes.length > MAX_BYTES) {
    throw new ConfigError(`salt and hash are ${MIN_BYTES} to ${MAX_BYTES} bytes in base64`);
  }
  return bytes;
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Rounds of new hashes: about a tenth of a second. */
const ITERATIONS = 600_000;

const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** Hashes a new password with a fresh salt. @param random must be fit for secrets */
export async function hashPassword(
  password: string,
  random: Random,
  iterations: number = ITERATIONS,
): Promise<PasswordHash> {
  const salt = new Uint8Array(random.bytes(SALT_BYTES));
  return { iterations, salt, hash: await derive(password, salt, iterations, HASH_BYTES) };
}

export async function verifyPassword(password: string, expected: PasswordHash): Promise<boolean> {
  const { salt, iterations, hash } = expected;
  return equalSecrets(await derive(password, salt, iterations, hash.length), hash);
}

/** Compares in a time that depends on the lengths only. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) difference |= a[at]! ^ b[at]!;
  return difference === 0;
}

/** The same letters typed on another system are the same password (RFC 8265 4.2). */
async function derive(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
  bytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const secret = new Uint8Array(encodeUtf8(password.normalize("NFC")));
  const key = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 8 * bytes));
}
