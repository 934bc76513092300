// Passwords against their hashes (PBKDF2 with HMAC-SHA-256, RFC 8018 5.2). The work is done beside the event
// loop, so that media goes on while somebody logs in.
// Role: edge

import { encodeUtf8 } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import type { PasswordHash } from "./users_file.ts";

/** Rounds of new hashes: about a tenth of a second. */
export const ITERATIONS = 600_000;

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

/** Whether this is the password. */
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
