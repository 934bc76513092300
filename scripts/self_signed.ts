// A self-signed certificate (RFC 5280) and its key for trials and tests, without any other program:
// `deno run --allow-write scripts/self_signed.ts cert.pem key.pem [name or address ...]`.
// P-256 and ECDSA with SHA-256 (RFC 5480), good for 90 days, an end-entity certificate: clients have to be
// told to trust this very one. Not for public servers.
// Role: edge

/** A certificate and its private key as PEM text (RFC 7468). */
export interface SelfSigned {
  /** The certificate. */
  readonly certificate: string;
  /** PKCS #8, without a pass phrase. */
  readonly privateKey: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const VALID_DAYS = 90;

/** DER tags (X.690 8). */
const TAG = {
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OID: 0x06,
  UTF8: 0x0c,
  UTC_TIME: 0x17,
  SEQUENCE: 0x30,
  SET: 0x31,
};
const BOOLEAN_TRUE = Uint8Array.of(0x01, 0x01, 0xff);

const OID = {
  ECDSA_WITH_SHA256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  COMMON_NAME: [0x55, 0x04, 0x03],
  SUBJECT_ALT_NAME: [0x55, 0x1d, 0x11],
  BASIC_CONSTRAINTS: [0x55, 0x1d, 0x13],
};

/** Makes a fresh pair for these host names and IPv4 addresses. @param fromMs start of its validity, since 1970 */
export async function createSelfSigned(
  names: readonly string[] = ["localhost", "127.0.0.1"],
  fromMs: number = Date.now(),
): Promise<SelfSigned> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const toSign = toBeSigned(names, publicKey, fromMs);
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, keys.privateKey, toSign));
  const certificate = sequence(toSign, signatureAlgorithm(), bitString(derSignature(signature)));
  const privateKey = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return { certificate: pem("CERTIFICATE", certificate), privateKey: pem("PRIVATE KEY", privateKey) };
}

/** RFC 5280 4.1. */
function toBeSigned(
  names: readonly string[],
  publicKey: Uint8Array,
  fromMs: number,
): Uint8Array<ArrayBuffer> {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0] = serial[0]! & 0x7f | 0x40; // positive and of full length
  const name = commonName(names[0] ?? "localhost");
  return sequence(
    der(0xa0, der(TAG.INTEGER, Uint8Array.of(2))), // version 3
    der(TAG.INTEGER, serial),
    signatureAlgorithm(),
    name,
    sequence(utcTime(fromMs - DAY_MS), utcTime(fromMs + VALID_DAYS * DAY_MS)), // clocks differ
    name,
    publicKey,
    der(0xa3, sequence(notAnAuthority(), alternativeNames(names))),
  );
}

function commonName(name: string): Uint8Array {
  return sequence(der(TAG.SET, sequence(oid(OID.COMMON_NAME), der(TAG.UTF8, utf8(name)))));
}

function notAnAuthority(): Uint8Array {
  return sequence(oid(OID.BASIC_CONSTRAINTS), BOOLEAN_TRUE, der(TAG.OCTET_STRING, sequence()));
}

/** RFC 5280 4.2.1.6: [2] is a DNS name, [7] an address. */
function alternativeNames(names: readonly string[]): Uint8Array {
  const entries = names.map((name) =>
    /^\d+(\.\d+){3}$/.test(name) ? der(0x87, Uint8Array.from(name.split("."), Number)) : der(0x82, utf8(name))
  );
  return sequence(oid(OID.SUBJECT_ALT_NAME), der(TAG.OCTET_STRING, sequence(...entries)));
}

function signatureAlgorithm(): Uint8Array {
  return sequence(oid(OID.ECDSA_WITH_SHA256));
}

/** Web Crypto gives r and s side by side, X.509 wants two integers (RFC 5480 appendix A). */
function derSignature(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2;
  return sequence(unsigned(signature.subarray(0, half)), unsigned(signature.subarray(half)));
}

function unsigned(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(first < 0 ? bytes.length - 1 : first);
  return der(TAG.INTEGER, digits[0]! >= 0x80 ? concat([Uint8Array.of(0), digits]) : digits);
}

function utcTime(ms: number): Uint8Array {
  const text = new Date(ms).toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "").slice(2);
  return der(TAG.UTC_TIME, utf8(text));
}

function oid(bytes: readonly number[]): Uint8Array {
  return der(TAG.OID, Uint8Array.from(bytes));
}

function bitString(bytes: Uint8Array): Uint8Array {
  return der(TAG.BIT_STRING, concat([Uint8Array.of(0), bytes]));
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return der(TAG.SEQUENCE, concat(parts));
}

function der(tag: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = content;
  if (length < 0x80) return concat([Uint8Array.of(tag, length), content]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concat([Uint8Array.of(tag, ...bytes), content]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = btoa(String.fromCharCode(...bytes)).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

if (import.meta.main) {
  const [certificateFile, keyFile, ...names] = Deno.args;
  if (certificateFile === undefined || keyFile === undefined) {
    await Deno.stderr.write(utf8("usage: self_signed.ts CERTIFICATE-FILE KEY-FILE [NAME ...]\n"));
    Deno.exit(2);
  }
  const { certificate, privateKey } = await createSelfSigned(names.length > 0 ? names : undefined);
  await Deno.writeTextFile(certificateFile, certificate);
  await Deno.writeTextFile(keyFile, privateKey, { mode: 0o600 });
}
