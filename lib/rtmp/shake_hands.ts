// Carries a handshake over a stream, for either side, and answers the Flash policy file request.
// Adobe RTMP 1.0, section 5.2; the policy file is Adobe's "Setting up a socket policy file server".
// Role: edge

import type { Clock } from "../base/clock.ts";
import { encodeUtf8, equalBytes } from "../base/bytes.ts";
import { TransportError, WireError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { ByteStream } from "../net/tcp.ts";
import {
  answerClient,
  answerServer,
  createHello,
  type DigestScheme,
  HANDSHAKE_SIZE,
  RTMP_VERSION,
} from "./handshake.ts";
import { recognise } from "./other_protocol.ts";
import type { ReadBuffer } from "./read_buffer.ts";

const POLICY_REQUEST = encodeUtf8("<policy-file-request/>\0");
const LESS_THAN = 0x3c;
const FLUSH_MS = 1_000;

/** Who came by mistake has so long to read the answer and to close. */
const LINGER_MS = 1_000;
const MAX_PASSED_OVER = 1024 * 1024;

export interface ShakeHandsOptions {
  /** Where the bytes go. */
  stream: ByteStream;
  /** Where they come from; nothing else may be reading. */
  input: ReadBuffer;
  clock: Clock;
  random: Random;
}

/** How it went: ready for chunks; or a policy file was asked for and sent; or the peer has left. */
export type HandshakeOutcome = "ready" | "policy" | "left";

/** The server's side. Throws WireError for anything but RTMP, TransportError when the stream breaks. */
export async function receiveHandshake(options: ShakeHandsOptions): Promise<HandshakeOutcome> {
  const { stream, input } = options;
  if (!await input.need(1)) return "left";
  if (input.view()[0] === LESS_THAN) return await answerPolicy(stream, input);
  if (input.view()[0] !== RTMP_VERSION) return await refuseOther(options);
  if (!await input.need(1 + HANDSHAKE_SIZE)) return "left";
  const answer = answerClient(input.view(), options.clock.now(), (count) => options.random.bytes(count));
  input.consume(1 + HANDSHAKE_SIZE);
  stream.put(answer.reply);
  // C2 is not checked: several clients fill it with anything.
  if (!await input.need(HANDSHAKE_SIZE)) return "left";
  input.consume(HANDSHAKE_SIZE);
  return "ready";
}

/** Another protocol came by mistake: it is told so, and what it was is thrown. A stranger need not send much for that. */
async function refuseOther({ stream, input, clock }: ShakeHandsOptions): Promise<never> {
  let found = recognise(input.view(), false);
  while (found === null) found = recognise(input.view(), !await input.fill());
  if (found.reply !== null) {
    stream.put(found.reply);
    await stream.flush(FLUSH_MS);
  }
  if (found.more) {
    using _timer = clock.after(LINGER_MS, () => stream.close());
    await passOver(input);
  }
  throw new WireError("RTMP handshake", found.what);
}

/** Reads until the peer has closed: what nobody has read would turn our close into a reset, and the answer be lost. */
async function passOver(input: ReadBuffer): Promise<void> {
  try {
    for (let passed = 0; passed < MAX_PASSED_OVER; passed += input.length) {
      input.consume(input.length);
      if (!await input.fill()) return;
    }
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
  }
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
  await stream.flush(FLUSH_MS);
  return "policy";
}

/** The cross-domain policy for programs that connect to `port`, with its closing zero byte. */
export function policyFile(port: number): Uint8Array {
  const access = `<allow-access-from domain="*" to-ports="${port}" secure="false"/>`;
  return encodeUtf8(`<?xml version="1.0"?><cross-domain-policy>${access}</cross-domain-policy>\0`);
}
