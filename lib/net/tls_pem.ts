// A certificate chain and its private key as PEM text (RFC 7468): what is in the two files, and whether the key is that
// of the certificate. node:tls finds out in the first handshake only, and not every version of the runtime before it.
// Role: wire

import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { ConfigError, messageOf } from "../base/errors.ts";

/** A certificate chain and its private key, both PEM text (RFC 7468). */
export interface TlsPem {
  readonly certificate: string;
  /** Its private key, without a pass phrase. */
  readonly privateKey: string;
}

interface Block {
  readonly label: string;
  /** With its first and last line. */
  readonly text: string;
}

const KEY_LABELS: readonly string[] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
const MAX_BLOCKS = 100;
const BEGIN = "-----BEGIN ";
const DASHES = "-----";

/**
 * The certificates of the one file and the key of the other, without what else is in them. Throws {@link ConfigError}
 * when they cannot be used together.
 */
export function readTlsPem(files: TlsPem): TlsPem {
  const certificates = certificatesOf(blocksOf(files.certificate));
  const key = keyOf(blocksOf(files.privateKey));
  checkFit(certificates.map(parseCertificate), parseKey(key));
  return { certificate: certificates.map(({ text }) => `${text}\n`).join(""), privateKey: `${key.text}\n` };
}

/** What is wrong with the time of a certificate that can be used all the same; null: nothing. @param nowMs since 1970 */
export function validityProblem({ certificate }: TlsPem, nowMs: number): string | null {
  const { validFrom, validTo } = new X509Certificate(certificate);
  if (Date.parse(validTo) < nowMs) return `has expired (${validTo})`;
  return Date.parse(validFrom) > nowMs ? `is not valid yet (from ${validFrom})` : null;
}

/** Every PEM block of a text, in order; a block without its last line is none. */
function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  for (
    let at = text.indexOf(BEGIN);
    at >= 0 && blocks.length < MAX_BLOCKS;
    at = text.indexOf(BEGIN, at + 1)
  ) {
    const labelEnd = text.indexOf(DASHES, at + BEGIN.length);
    const label = labelEnd < 0 ? "" : text.slice(at + BEGIN.length, labelEnd);
    const last = `-----END ${label}-----`;
    const end = label === "" ? -1 : text.indexOf(last, labelEnd);
    if (end < 0) break;
    blocks.push({ label, text: text.slice(at, end + last.length) });
  }
  return blocks;
}

function certificatesOf(blocks: readonly Block[]): Block[] {
  const certificates = blocks.filter(({ label }) => label === "CERTIFICATE");
  if (certificates.length > 0) return certificates;
  if (blocks.some(({ label }) => label.endsWith("PRIVATE KEY"))) {
    throw unusable(
      "the certificate file holds a private key and no certificate; are the two files exchanged?",
    );
  }
  if (blocks.some(({ label }) => label.endsWith("CERTIFICATE REQUEST"))) {
    throw unusable("the certificate file holds a certificate request, which has to be signed first");
  }
  throw unusable(`the certificate file holds no certificate in PEM form (${BEGIN}CERTIFICATE${DASHES})`);
}

function keyOf(blocks: readonly Block[]): Block {
  const encrypted = blocks.some(({ label, text }) =>
    label === "ENCRYPTED PRIVATE KEY" || KEY_LABELS.includes(label) && text.includes("4,ENCRYPTED")
  );
  if (encrypted) {
    throw unusable("the key has a pass phrase; write it without: openssl pkey -in KEY -out NEW-KEY");
  }
  const [key, another] = blocks.filter(({ label }) => KEY_LABELS.includes(label));
  if (another !== undefined) throw unusable("the key file holds more than one private key");
  if (key !== undefined) return key;
  if (blocks.some(({ label }) => label === "CERTIFICATE")) {
    throw unusable("the key file holds a certificate and no private key; are the two files exchanged?");
  }
  if (blocks.some(({ label }) => label.endsWith("PUBLIC KEY"))) {
    throw unusable("the key file holds a public key and no private one");
  }
  throw unusable(`the key file holds no private key in PEM form (${BEGIN}PRIVATE KEY${DASHES})`);
}

function parseCertificate({ text }: Block, index: number): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw unusable(`certificate ${index + 1} of the file is damaged: ${messageOf(error)}`);
  }
}

function parseKey({ text }: Block): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw unusable(`the private key is damaged: ${messageOf(error)}`);
  }
}

function checkFit(certificates: readonly X509Certificate[], key: KeyObject): void {
  const fitting = certificates.findIndex((certificate) => fits(certificate.publicKey, key));
  if (fitting === 0) return;
  if (fitting > 0) {
    throw unusable(`the key is that of certificate ${fitting + 1} of the file, which has to be the first`);
  }
  const kinds = [certificates[0]!.publicKey, key].map((one) => one.asymmetricKeyType ?? "unknown");
  const detail = kinds[0] === kinds[1] ? "" : ` (an ${kinds[1]} key, a certificate for ${kinds[0]})`;
  throw unusable(`the key is not that of the certificate${detail}`);
}

/** By the public half of the key, which every version of the runtime can compute. */
function fits(certified: KeyObject, key: KeyObject): boolean {
  const [wanted, own] = [certified, createPublicKey(key)]
    .map((half) => half.export({ type: "spki", format: "pem" }).toString());
  return wanted === own;
}

function unusable(reason: string): ConfigError {
  return new ConfigError(`the TLS certificate and key cannot be used: ${reason}`);
}
