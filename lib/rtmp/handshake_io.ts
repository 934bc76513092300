// Reads a stream in pieces of a known length, and carries a handshake over it, for either side; answers the Flash policy file
// request. Adobe RTMP 1.0, section 5.2; the policy file is Adobe's "Setting up a socket policy file server".
// Role: edge

import { decodeUtf8, encodeUtf8, equalBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { TransportError, WireError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import {
  answerClient,
  answerServer,
  createHello,
  type DigestScheme,
  HANDSHAKE_SIZE,
  RTMP_VERSION,
} from "./handshake.ts";

const POLICY_REQUEST = encodeUtf8("<policy-file-request/>\0");
const LESS_THAN = 0x3c;
const FLUSH_MS = 1_000;

/** Who came by mistake has so long to read the answer and to close. */
const LINGER_MS = 1_000;
const MAX_PASSED_OVER = 1024 * 1024;

export interface HandshakeOptions {
  /** Where the bytes go. */
  stream: ByteStream;
  /** Where they come from; nothing else may be reading. */
  input: ReadBuffer;
  clock: Clock;
  random: Random;
}

/** How it went: ready for chunks; or a policy file was asked for and sent; or the peer has left. */
type HandshakeOutcome = "ready" | "policy" | "left";

/** The server's side. Throws WireError for anything but RTMP, TransportError when the stream breaks. */
export async function receiveHandshake(options: HandshakeOptions): Promise<HandshakeOutcome> {
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

/** Another protocol came by mistake: it is told so, and what it was is thrown. A few octets are enough to tell. */
async function refuseOther({ stream, input, clock }: HandshakeOptions): Promise<never> {
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
  options: HandshakeOptions,
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

interface OtherProtocol {
  /** For the log: "HTTP (GET / HTTP/1.1)". */
  readonly what: string;
  /** What it is answered with; null: nothing it would understand. */
  readonly reply: Uint8Array | null;
  /** More of it may be on its way: a connection that is closed then is reset, and the answer lost. */
  readonly more: boolean;
}

/** So much of a request is read before it is judged. */
const MAX_REQUEST_BYTES = 4096;

/** Longest request line in the log. */
const MAX_SHOWN = 60;

const SENTENCE = "This is an RTMP port: connect to it with an rtmp:// address.";
const HTTP_METHODS = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) /;

/** RFC 8446 6.2: the fatal alert handshake_failure, in a record that all versions read. */
const TLS_ALERT = Uint8Array.of(0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28);

const REPLIES = { HTTP: httpReply, SIP: sipReply, RTSP: rtspReply };

/** What these first bytes are, whose first is not the RTMP version; null: more are needed. @param ended none will come */
export function recognise(bytes: Uint8Array, ended: boolean): OtherProtocol | null {
  const first = bytes[0] ?? 0;
  if (first === 6 || first === 8 || first === 9) {
    return unanswered(`version ${first}: RTMPE is not supported`);
  }
  if (first === 0x16) {
    return { what: "not RTMP but TLS, which this port does not speak", reply: TLS_ALERT, more: true };
  }
  if (!isLetter(first)) return unanswered(`version ${first}: not RTMP`);
  const text = decodeUtf8(bytes.subarray(0, MAX_REQUEST_BYTES));
  const head = headEnd(text);
  if (head < 0 && !ended && bytes.length < MAX_REQUEST_BYTES) return null;
  const more = head < 0 ||
    /^(?:(?:content-length|l)[ \t]*:[ \t]*[0-9]{0,10}[1-9]|transfer-encoding[ \t]*:)/im.test(text);
  const line = text.split("\n", 1)[0]!.trim();
  const protocol = protocolOf(line);
  const shown = line.slice(0, MAX_SHOWN);
  if (protocol === null) return unanswered(`not RTMP but text of another protocol (${shown})`);
  return {
    what: `not RTMP but ${protocol} (${shown}), answered with 400`,
    reply: REPLIES[protocol](text),
    more,
  };
}

/** By the version at the end of the request line; HTTP/0.9 had none. */
function protocolOf(line: string): "HTTP" | "SIP" | "RTSP" | null {
  const [, name] = / (HTTP|SIP|RTSP)\/[0-9.]{1,3}$/.exec(line) ?? [];
  if (name === "SIP" || name === "RTSP") return name;
  return name === "HTTP" || HTTP_METHODS.test(line) ? "HTTP" : null;
}

function unanswered(what: string): OtherProtocol {
  return { what, reply: null, more: false };
}

/** RFC 9112; a response to HEAD has no body. */
function httpReply(text: string): Uint8Array {
  const body = `${SENTENCE}\n`;
  const head = [
    "HTTP/1.1 400 Bad Request",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  return encodeUtf8(`${head.join("\r\n")}\r\n\r\n${text.startsWith("HEAD ") ? "" : body}`);
}

/** RFC 3261 8.2.6.2: the headers by which the client knows what is answered come back. */
function sipReply(text: string): Uint8Array {
  const head = headEnd(text);
  const kept = text.slice(0, head < 0 ? text.length : head).split("\n").map((line) => line.trimEnd())
    .filter((line) => /^(?:via|v|from|f|to|t|call-id|i|cseq)[ \t]*:/i.test(line));
  const lines = ["SIP/2.0 400 This is an RTMP port, SIP has another one", ...kept, "Content-Length: 0"];
  return encodeUtf8(`${lines.join("\r\n")}\r\n\r\n`);
}

/** RFC 2326 12.17 */
function rtspReply(text: string): Uint8Array {
  const sequence = /^cseq[ \t]*:[ \t]*([0-9]{1,9})/im.exec(text)?.[1] ?? "0";
  return encodeUtf8(`RTSP/1.0 400 Bad Request\r\nCSeq: ${sequence}\r\nConnection: close\r\n\r\n`);
}

function headEnd(text: string): number {
  const ends = [text.indexOf("\r\n\r\n"), text.indexOf("\n\n")].filter((at) => at >= 0);
  return ends.length === 0 ? -1 : Math.min(...ends);
}

function isLetter(code: number): boolean {
  return code >= 0x41 && code <= 0x5a || code >= 0x61 && code <= 0x7a;
}

const FIRST_BYTES = 4 * 1024;
const LARGEST_BYTES = 64 * 1024;
/** Holds two messages of 20 ms. */
const SMALLEST_BYTES = 512;
/** So many reads in a row that left three quarters unused shrink it. */
const READS_TO_SHRINK = 25;

/** Bytes that were read and not yet consumed. */
export class ReadBuffer {
  readonly #stream: ByteStream;
  #bytes = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  #smallReads = 0;

  /** Empty. */
  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** The bytes; those from {@link start} to {@link end} can be consumed now. Borrowed: valid until the next fill. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where what can be consumed begins in {@link bytes}. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** What can be consumed now, borrowed: valid until the next fill. */
  view(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Passes over the first `count` bytes. */
  consume(count: number): void {
    this.#start += count;
  }

  /** Reads once; false when the stream has ended. Throws TransportError. */
  async fill(): Promise<boolean> {
    return this.filled(await this.read());
  }

  /** Begins to read once; what it resolves to must be handed to {@link filled}. Rejects with TransportError. */
  read(): Promise<number | null> {
    this.#makeRoom();
    return this.#stream.read(this.#end === 0 ? this.#bytes : this.#bytes.subarray(this.#end));
  }

  /** Takes the outcome of {@link read}; false when the stream has ended. */
  filled(count: number | null): boolean {
    if (count === null) return false;
    this.#end += count;
    this.#smallReads = 4 * this.#end <= this.#bytes.length ? this.#smallReads + 1 : 0;
    return true;
  }

  /** Nothing long is expected from now on. Does nothing while bytes wait to be consumed. */
  shrink(): void {
    if (this.length > 0) return;
    this.#resize(SMALLEST_BYTES);
  }

  /** Reads until `count` bytes (at most 4096) can be consumed; false when the stream ends before. */
  async need(count: number): Promise<boolean> {
    while (this.length < count) {
      if (!await this.fill()) return false;
    }
    return true;
  }

  #makeRoom(): void {
    const size = this.#bytes.length;
    if (this.#end === size && size < LARGEST_BYTES) return this.#resize(2 * size);
    if (this.#smallReads >= READS_TO_SHRINK && size > SMALLEST_BYTES && 2 * this.length <= size) {
      return this.#resize(size / 2);
    }
    if (this.#start === 0) return;
    if (this.#end > this.#start) this.#bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  #resize(size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.view());
    this.#bytes = bytes;
    this.#end -= this.#start;
    this.#start = 0;
    this.#smallReads = 0;
  }
}
