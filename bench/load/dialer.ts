// Makes calls: through the gateway as an RTMP client does, or through the bare relay with six bytes of hello.
// Role: edge

import { TransportError } from "../../lib/base/errors.ts";
import { LoadCall } from "./call.ts";
import { type KindOfCall, kindOfCall } from "./call_kinds.ts";
import { ChunkParser } from "./chunk_parser.ts";
import { FrameSender } from "./frame_sender.ts";
import type { LoadConn, LoadSockets } from "./load_sockets.ts";
import type { CallKind } from "./protocol.ts";
import type { RtpEcho } from "./rtp_echo.ts";
import { Refused, RtmpLoadClient } from "./rtmp_client.ts";
import type { Tally } from "./tally.ts";
import { CONFIGURATION, createPicture, PICTURE_LENGTH, VideoLeg } from "./video_leg.ts";

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
  /** Behind the path. */
  readonly query: string;
  readonly audio: Tally;
  readonly video: Tally;
  readonly sockets: LoadSockets;
}

const AUDIO = 8;
const VIDEO = 9;
const AUDIO_CHUNKS = 8;
const VIDEO_CHUNKS = 9;
const PATIENCE_MS = 20_000;
/** Time for the BYE before the connection goes. */
const BYE_MS = 200;

/** Through the gateway, to the answerer at `sipPort`. Throws what went wrong. */
export async function dialGateway(
  dialing: Dialing & { readonly sipPort: number; readonly onCall: (call: LoadCall) => void },
): Promise<DialledCall> {
  const { index, port, query, sipPort, sockets } = dialing;
  const kind = kindOfCall(dialing.kind);
  const startMs = performance.now();
  const answer = Promise.withResolvers<void>();
  answer.promise.catch(() => {}); // it may fail when nobody waits yet
  let call: LoadCall | null = null;
  const client = await RtmpLoadClient.open(
    { port, app: `sip/u${index}@127.0.0.1${query}`, args: [`u${index}`, "", null, "wideband"], sockets },
    {
      onCall: (name, args) => {
        if (name === "accepted") answer.resolve();
        else if (name === "rejected") answer.reject(new Refused(`rejected: ${args[0]}`));
      },
      onMedia: (type, body) => type === AUDIO ? call?.hear(body) : call?.video?.see(body),
      onClosed: () => answer.reject(new Refused("the gateway closed the connection")),
    },
  );
  try {
    const [speaking, listening] = [await client.createStream(), await client.createStream()];
    client.send(speaking, "publish", "local", "live");
    client.send(listening, "play", "remote", -2000);
    call = createCall(client, speaking, kind, dialing);
    dialing.onCall(call);
    const invitedMs = performance.now();
    client.send(0, "invite", `sip:u${index}@127.0.0.1:${sipPort}`, ...kind.tokens);
    await withPatience(answer.promise);
    const setUpUs = (performance.now() - invitedMs) * 1000;
    const end = (): void => {
      client.send(0, "bye");
      setTimeout(() => client.close(), BYE_MS);
    };
    return { call, setUpUs, connectUs: (invitedMs - startMs) * 1000, end };
  } catch (error) {
    client.close();
    throw error;
  }
}

function createCall(
  client: RtmpLoadClient,
  streamId: number,
  kind: KindOfCall,
  { index, audio, video }: Dialing,
): LoadCall {
  const { bodies, stamped } = kind;
  const shape = { chunkStreamId: AUDIO_CHUNKS, type: AUDIO, streamId, bodies, announce: true } as const;
  const call = new LoadCall(index, new FrameSender(client.conn, shape), { tally: audio, stamped });
  if (!kind.video) return call;
  client.sendMessage(VIDEO_CHUNKS, VIDEO, streamId, CONFIGURATION);
  const pictures = new FrameSender(client.conn, {
    ...{ chunkStreamId: VIDEO_CHUNKS, type: VIDEO, streamId, announce: true },
    bodies: [createPicture(PICTURE_LENGTH)],
  });
  call.video = new VideoLeg(index, pictures, video);
  return call;
}

/** Through the bare relay, to the echo. */
export async function dialRelay(dialing: Dialing & { readonly echo: RtpEcho }): Promise<DialledCall> {
  const { index, port, audio, echo, sockets } = dialing;
  const startMs = performance.now();
  const conn = await sockets.connect(port);
  const { bodies } = kindOfCall(dialing.kind);
  const length = bodies[0]!.length;
  const shape = { chunkStreamId: AUDIO_CHUNKS, type: AUDIO, streamId: 1, bodies, announce: false } as const;
  const sender = new FrameSender(conn, shape);
  const call = new LoadCall(index, sender, { tally: audio, stamped: true });
  const parser = new ChunkParser((_type, _stream, heard) => call.hear(heard));
  parser.prime(AUDIO_CHUNKS, AUDIO, length);
  const hello = new DataView(new ArrayBuffer(6));
  hello.setUint16(0, echo.port);
  hello.setUint16(2, sender.bodyAt + length);
  hello.setUint16(4, length - 1);
  await conn.write(new Uint8Array(hello.buffer));
  void readAll(conn, parser);
  return { call, setUpUs: null, connectUs: (performance.now() - startMs) * 1000, end: () => conn.close() };
}

async function readAll(conn: LoadConn, parser: ChunkParser): Promise<void> {
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
    if (!ended && !(error instanceof TransportError)) throw error;
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
