// The RTMP handshake as functions of bytes: plain (Adobe RTMP 1.0, section 5.2) and with digests, both schemes.
// The digest form is not in the specification; Flash Player needs it for H.264 and AAC. Every party signs its
// packet with HMAC-SHA256 under a key that is public knowledge, so this proves nothing and protects nothing.
// Role: wire

import { createHmac } from "node:crypto";
import { ByteWriter, concatBytes, encodeUtf8, equalBytes, fromHex } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

/** Length of C1, S1, C2 and S2. */
export const HANDSHAKE_SIZE = 1536;

/** The version this gateway speaks; 6, 8 and 9 are encrypted forms (RTMPE) and refused. */
export const RTMP_VERSION = 3;

const DIGEST_SIZE = 32;
const SIGNED_SIZE = HANDSHAKE_SIZE - DIGEST_SIZE;
const KEY_TAIL = fromHex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae");
const CLIENT_NAME = encodeUtf8("Genuine Adobe Flash Player 001");
const SERVER_NAME = encodeUtf8("Genuine Adobe Flash Media Server 001");
const CLIENT_KEY = concatBytes([CLIENT_NAME, KEY_TAIL]);
const SERVER_KEY = concatBytes([SERVER_NAME, KEY_TAIL]);
const SERVER_VERSION = 0x04050001;
const CLIENT_VERSION = 0x09007c02;

/** Where in C1 or S1 the digest is. */
export type DigestScheme = 0 | 1;

/** A digest that was found and is right. */
export interface FoundDigest {
  /** Where it was. */
  scheme: DigestScheme;
  /** The 32 bytes. */
  digest: Uint8Array;
}

/** Source of random bytes, such as Random.bytes. */
export type RandomBytes = (count: number) => Uint8Array;

/** What answers a client: S0, S1 and S2 in one. */
export interface ServerHandshake {
  /** 3073 bytes to send; the client's 1536 bytes C2 follow. */
  reply: Uint8Array;
  /** Which digest the client used; null when it is a plain one. */
  scheme: DigestScheme | null;
}

/**
 * Answers C0 and C1 (1537 bytes). A client with version field 0 gets the plain form; one with a digest gets
 * its own scheme; one with a version but no right digest an echo. Throws WireError for another C0.
 *
 *   C0, S0   version:u8 (3)            C1, S1   time:u32 version:u32 random:1528       C2, S2   echo, or signed
 *   scheme 0 digest block at 8, key block at 772     scheme 1 key block at 8, digest block at 772
 *   digest block   place:4 x u8 ... digest:32 at (sum of place) % 728 behind them
 */
export function answerClient(hello: Uint8Array, uptimeMs: number, random: RandomBytes): ServerHandshake {
  const version = hello[0];
  if (version !== RTMP_VERSION) {
    throw new WireError("RTMP handshake", `version ${version}: not RTMP`); // what it is, other_protocol.ts knows
  }
  if (hello.length < 1 + HANDSHAKE_SIZE) throw new WireError("RTMP handshake", "C1 is cut");
  const c1 = hello.subarray(1, 1 + HANDSHAKE_SIZE);
  const found = hasVersion(c1) ? findDigest(c1, CLIENT_KEY.subarray(0, CLIENT_NAME.length)) : null;
  const s0 = Uint8Array.of(RTMP_VERSION);
  if (found === null) {
    const s1 = createPacket(uptimeMs, 0, random);
    return { reply: concatBytes([s0, s1, c1]), scheme: null };
  }
  const s1 = createPacket(uptimeMs, SERVER_VERSION, random);
  writeDigest(s1, found.scheme, SERVER_KEY.subarray(0, SERVER_NAME.length));
  const s2 = createSigned(SERVER_KEY, found.digest, random);
  return { reply: concatBytes([s0, s1, s2]), scheme: found.scheme };
}

/** What a client starts with. */
export interface ClientHandshake {
  /** C0 and C1, 1537 bytes. */
  hello: Uint8Array;
  /** Digest of C1; null for the plain form. */
  digest: Uint8Array | null;
}

/** Makes C0 and C1, plain or signed in one of the two schemes. */
export function createHello(
  scheme: DigestScheme | null,
  uptimeMs: number,
  random: RandomBytes,
): ClientHandshake {
  const c0 = Uint8Array.of(RTMP_VERSION);
  const c1 = createPacket(uptimeMs, scheme === null ? 0 : CLIENT_VERSION, random);
  if (scheme === null) return { hello: concatBytes([c0, c1]), digest: null };
  const digest = writeDigest(c1, scheme, CLIENT_KEY.subarray(0, CLIENT_NAME.length));
  return { hello: concatBytes([c0, c1]), digest };
}

/** What a client sends last. */
export interface ClientFinish {
  /** C2, 1536 bytes. */
  reply: Uint8Array;
  /** True when S1 and S2 were signed, and right. */
  verified: boolean;
}

/**
 * Answers S0, S1 and S2 (3073 bytes): an echo of S1, or a signed packet when S1 has a digest. Servers that
 * know no digests echo a signed C1; that is not an error. Throws WireError when S0 is not version 3.
 */
export function answerServer(answer: Uint8Array, hello: ClientHandshake, random: RandomBytes): ClientFinish {
  if (answer[0] !== RTMP_VERSION) throw new WireError("RTMP handshake", `server version ${answer[0]}`);
  if (answer.length < 1 + 2 * HANDSHAKE_SIZE) throw new WireError("RTMP handshake", "S1 or S2 is cut");
  const s1 = answer.subarray(1, 1 + HANDSHAKE_SIZE);
  const s2 = answer.subarray(1 + HANDSHAKE_SIZE, 1 + 2 * HANDSHAKE_SIZE);
  const found = hello.digest === null ? null : findDigest(s1, SERVER_KEY.subarray(0, SERVER_NAME.length));
  if (found === null || hello.digest === null) return { reply: s1.slice(), verified: false };
  return {
    reply: createSigned(CLIENT_KEY, found.digest, random),
    verified: isSigned(s2, SERVER_KEY, hello.digest),
  };
}

/** True when `packet` (C2 or S2) is signed by the owner of `key` for the peer's digest. */
export function isSigned(packet: Uint8Array, key: Uint8Array, digest: Uint8Array): boolean {
  const expected = hmac(hmac(key, digest), packet.subarray(0, SIGNED_SIZE));
  return equalBytes(packet.subarray(SIGNED_SIZE, HANDSHAKE_SIZE), expected);
}

/** The public keys, for tests that play the peer. */
export const HANDSHAKE_KEYS: { readonly client: Uint8Array; readonly server: Uint8Array } = {
  client: CLIENT_KEY,
  server: SERVER_KEY,
};

function hasVersion(packet: Uint8Array): boolean {
  return (packet[4]! | packet[5]! | packet[6]! | packet[7]!) !== 0;
}

/** Looks for a right digest in both schemes. */
export function findDigest(packet: Uint8Array, key: Uint8Array): FoundDigest | null {
  for (const scheme of [0, 1] as const) {
    const at = digestOffset(packet, scheme);
    const digest = packet.subarray(at, at + DIGEST_SIZE);
    if (equalBytes(digest, digestOf(packet, at, key))) return { scheme, digest: digest.slice() };
  }
  return null;
}

function digestOffset(packet: Uint8Array, scheme: DigestScheme): number {
  const block = scheme === 0 ? 8 : 772;
  const place = packet[block]! + packet[block + 1]! + packet[block + 2]! + packet[block + 3]!;
  return block + 4 + place % 728;
}

/** The digest covers the packet without itself. */
function digestOf(packet: Uint8Array, at: number, key: Uint8Array): Uint8Array {
  const signer = createHmac("sha256", key);
  signer.update(packet.subarray(0, at));
  signer.update(packet.subarray(at + DIGEST_SIZE, HANDSHAKE_SIZE));
  return new Uint8Array(signer.digest());
}

function writeDigest(packet: Uint8Array, scheme: DigestScheme, key: Uint8Array): Uint8Array {
  const at = digestOffset(packet, scheme);
  const digest = digestOf(packet, at, key);
  packet.set(digest, at);
  return digest;
}

function createPacket(uptimeMs: number, version: number, random: RandomBytes): Uint8Array {
  const writer = new ByteWriter(HANDSHAKE_SIZE);
  writer.u32(uptimeMs >>> 0);
  writer.u32(version);
  writer.bytes(random(HANDSHAKE_SIZE - 8));
  return writer.take();
}

function createSigned(key: Uint8Array, digest: Uint8Array, random: RandomBytes): Uint8Array {
  const packet = new Uint8Array(HANDSHAKE_SIZE);
  packet.set(random(SIGNED_SIZE));
  packet.set(hmac(hmac(key, digest), packet.subarray(0, SIGNED_SIZE)), SIGNED_SIZE);
  return packet;
}

function hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(bytes).digest());
}
