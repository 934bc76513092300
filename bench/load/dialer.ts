// Makes calls: through the gateway as an RTMP client does, or through the bare relay with six bytes of hello.
// Role: edge

import { LoadCall } from "./call.ts";
import { ChunkParser } from "./chunk_parser.ts";
import { FrameSender } from "./frame_sender.ts";
import type { CallKind } from "./protocol.ts";
import type { RtpEcho } from "./rtp_echo.ts";
import { Refused, RtmpLoadClient } from "./rtmp_client.ts";
import { createPayload, type Payload, PAYLOADS } from "./stamp.ts";
import type { Tally } from "./tally.ts";

/** A call that is up, and how to end it. */
export interface DialledCall {
  readonly call: LoadCall;
  /** From `invite` to `accepted`, in microseconds; null for the relay. */
  readonly setUpUs: number | null;
  /** From connecting to streams made, in microseconds. */
  readonly connectUs: number;
  /** Hangs up and disconnects. */
  end(): void;
}

/** What calls are made of. */
export interface Dialing {
  readonly index: number;
  readonly port: number;
  readonly kind: CallKind;
  readonly tally: Tally;
}

const AUDIO = 8;
const CHUNK_STREAM = 8;
const PATIENCE_MS = 20_000;

/** What the client speaks in this kind of call. */
function payloadOf(kind: CallKind): Payload {
  return kind === "pcmu" ? "pcmu" : "speex";
}

function tagBody(kind: CallKind): Uint8Array {
  const payload = payloadOf(kind);
  return Uint8Array.of(PAYLOADS[payload].tag, ...createPayload(payload));
}

/** Through the gateway, to the answerer at `sipPort`. Throws what went wrong. */
export async function dialGateway(dialing: Dialing & { readonly sipPort: number }): Promise<DialledCall> {
  const { index, port, kind, tally, sipPort } = dialing;
  const startUs = performance.now() * 1000;
  const answer = Promise.withResolvers<void>();
  let call: LoadCall | null = null;
  const client = await RtmpLoadClient.open(
    { port, app: `sip/u${index}@127.0.0.1`, args: [`u${index}`, "", null, "wideband"] },
    {
      onCall: (name, args) => {
        if (name === "accepted") answer.resolve();
        else if (name === "rejected") answer.reject(new Refused(`rejected: ${args[0]}`));
      },
      onMedia: (type, body) => type === AUDIO ? call?.hear(body) : undefined,
      onClosed: () => answer.reject(new Refused("the gateway closed the connection")),
    },
  );
  answer.promise.catch(() => {}); // it may fail when nobody waits yet
  const [speaking, listening] = [await client.createStream(), await client.createStream()];
  client.send(speaking, "publish", "local", "live");
  client.send(listening, "play", "remote", -2000);
  const sender = new FrameSender(client.conn, {
    chunkStreamId: CHUNK_STREAM,
    type: AUDIO,
    streamId: speaking,
    body: tagBody(kind),
    announce: true,
  });
  call = new LoadCall(index, sender, { tally, stamped: kind !== "transcoded" });
  const connectUs = performance.now() * 1000 - startUs;
  const invitedUs = performance.now() * 1000;
  client.send(0, "invite", `sip:u${index}@127.0.0.1:${sipPort}`, PAYLOADS[payloadOf(kind)].token);
  await withPatience(answer.promise);
  const end = (): void => {
    client.send(0, "bye");
    setTimeout(() => client.close(), 200);
  };
  return { call, setUpUs: performance.now() * 1000 - invitedUs, connectUs, end };
}

/** Through the bare relay, to the echo. */
export async function dialRelay(dialing: Dialing & { readonly echo: RtpEcho }): Promise<DialledCall> {
  const { index, port, kind, tally, echo } = dialing;
  const startUs = performance.now() * 1000;
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  const body = tagBody(kind);
  const shape = { chunkStreamId: CHUNK_STREAM, type: AUDIO, streamId: 1, body, announce: false } as const;
  const sender = new FrameSender(conn, shape);
  const call = new LoadCall(index, sender, { tally, stamped: true });
  const parser = new ChunkParser((_type, _stream, heard) => call.hear(heard));
  parser.prime(CHUNK_STREAM, AUDIO, body.length);
  const hello = new DataView(new ArrayBuffer(6));
  hello.setUint16(0, echo.port);
  hello.setUint16(2, sender.bodyAt + body.length);
  hello.setUint16(4, body.length - 1);
  await conn.write(new Uint8Array(hello.buffer));
  void readAll(conn, parser);
  const connectUs = performance.now() * 1000 - startUs;
  return { call, setUpUs: null, connectUs, end: () => conn.close() };
}

async function readAll(conn: Deno.TcpConn, parser: ChunkParser): Promise<void> {
  const buffer = new Uint8Array(4096);
  let end = 0;
  try {
    for (;;) {
      const count = await conn.read(end === 0 ? buffer : buffer.subarray(end));
      if (count === null) return;
      end += count;
      const used = parser.push(buffer, end);
      if (used < end) buffer.copyWithin(0, used, end);
      end -= used;
    }
  } catch (error) {
    const ended = error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
    if (!ended) throw error;
  }
}

async function withPatience(promise: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => late.reject(new Refused(`no answer in ${PATIENCE_MS / 1000} s`)),
    PATIENCE_MS,
  );
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
