// Carries a handshake over a stream, for either side, and answers the Flash policy file request.
// Adobe RTMP 1.0, section 5.2; the policy file is Adobe's "Setting up a socket policy file server".
// Role: edge
// Answers to: the first part of Protocol.parse in rtmp.py.

import type { Clock } from "../base/clock.ts";
import { encodeUtf8, equalBytes } from "../base/bytes.ts";
import { TransportError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { ByteStream } from "../net/tcp.ts";
import { answerClient, answerServer, createHello, type DigestScheme, HANDSHAKE_SIZE } from "./handshake.ts";
import type { ReadBuffer } from "./read_buffer.ts";

const POLICY_REQUEST = encodeUtf8("<policy-file-request/>\0");
const LESS_THAN = 0x3c;
const POLICY_FLUSH_MS = 1_000;

/** What is needed to shake hands. */
export interface ShakeHandsOptions {
  /** Where the bytes go. */
  stream: ByteStream;
  /** Where they come from; nothing else may be reading. */
  input: ReadBuffer;
  /** For the time field. */
  clock: Clock;
  /** Fills the packets. */
  random: Random;
}

/** How it went: ready for chunks; or a policy file was asked for and sent; or the peer has left. */
export type HandshakeOutcome = "ready" | "policy" | "left";

/** The server's side. Throws WireError for anything but RTMP, TransportError when the stream breaks. */
export async function receiveHandshake(options: ShakeHandsOptions): Promise<HandshakeOutcome> {
  const { stream, input } = options;
  if (!await input.need(1)) return "left";
  if (input.view()[0] === LESS_THAN) return await answerPolicy(stream, input);
  // The version alone decides about refusal: a stranger need not send 1537 bytes to be told.
  if (input.view()[0] !== 3) answerClient(input.view(), 0, () => new Uint8Array(0));
  if (!await input.need(1 + HANDSHAKE_SIZE)) return "left";
  const answer = answerClient(input.view(), options.clock.now(), (count) => options.random.bytes(count));
  input.consume(1 + HANDSHAKE_SIZE);
  stream.put(answer.reply);
  // C2 is not checked: several clients fill it with anything.
  if (!await input.need(HANDSHAKE_SIZE)) return "left";
  input.consume(HANDSHAKE_SIZE);
  return "ready";
}

/** The client's side, plain or signed. Throws WireError, or TransportError also when the server leaves. */
export async function initiateHandshake(
  options: ShakeHandsOptions,
  scheme: DigestScheme | null,
): Promise<void> {
  const { stream, input } = options;
  const random = (count: number): Uint8Array => options.random.bytes(count);
  const hello = createHello(scheme, options.clock.now(), random);
  stream.put(hello.hello);
  if (!await input.need(1 + 2 * HANDSHAKE_SIZE)) {
    throw new TransportError("the server closed the connection during the handshake", "closed");
  }
  const finish = answerServer(input.view(), hello, random);
  input.consume(1 + 2 * HANDSHAKE_SIZE);
  stream.put(finish.reply);
}

async function answerPolicy(stream: ByteStream, input: ReadBuffer): Promise<HandshakeOutcome> {
  if (!await input.need(POLICY_REQUEST.length)) return "left";
  if (!equalBytes(input.view().subarray(0, POLICY_REQUEST.length), POLICY_REQUEST)) return "left";
  stream.put(policyFile(stream.local.port));
  await stream.flush(POLICY_FLUSH_MS);
  return "policy";
}

/** The cross-domain policy for programs that connect to `port`, with its closing zero byte. */
export function policyFile(port: number): Uint8Array {
  const access = `<allow-access-from domain="*" to-ports="${port}" secure="false"/>`;
  return encodeUtf8(`<?xml version="1.0"?><cross-domain-policy>${access}</cross-domain-policy>\0`);
}
