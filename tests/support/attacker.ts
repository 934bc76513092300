// Somebody who means harm, as a process of its own so that it costs the gateway's process nothing but what it sends.
// `deno run -A attacker.ts '{"kind":"scan",...}'`: attacks for a while, prints what it did as JSON, and ends.
// Role: edge

import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { connectTcp, type TcpConnection } from "../../lib/net/tcp.ts";
import { UdpSocket } from "../../lib/net/udp.ts";
import { ChunkWriter } from "../../lib/rtmp/chunk_stream.ts";
import { initiateHandshake, ReadBuffer } from "../../lib/rtmp/handshake_io.ts";
import { type Attack, type AttackResult, BEGUN } from "./attack.ts";
import { inviteText, messageText, nastyText, scanText, SLOW_TEXTS } from "./attack_texts.ts";
import { rtpBytes } from "./rtp_packets.ts";

const encoder = new TextEncoder();

/** Batches this far apart keep a rate. */
const BATCH_MS = 5;

/** Calls `act` at a rate until time is up; how often. */
async function atRate(perSecond: number, seconds: number, act: (n: number) => unknown): Promise<number> {
  await Deno.stdout.write(encoder.encode(BEGUN));
  const start = performance.now();
  let done = 0;
  for (;;) {
    const elapsedMs = performance.now() - start;
    if (elapsedMs >= seconds * 1000) return done;
    const due = Math.min(Math.floor(elapsedMs / 1000 * perSecond), done + perSecond / 10);
    const batch: unknown[] = [];
    while (done < due) batch.push(act(done++));
    await Promise.all(batch);
    await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
  }
}

async function floodUdp(
  { from, port, perSecond, seconds }: Attack,
  bytesOf: (n: number) => { bytes: Uint8Array; port: number },
): Promise<AttackResult> {
  const sockets = (from ?? ["127.0.0.9"]).map((hostname) => UdpSocket.bind({ hostname, port: 0 }));
  let answers = 0;
  const receiving = sockets.map((socket) => socket.run(() => void answers++));
  const sent = await atRate(perSecond, seconds, (n) => {
    const { bytes, port: to } = bytesOf(n);
    sockets[n % sockets.length]!.send(bytes, { hostname: "127.0.0.1", port: to || port });
  });
  for (const socket of sockets) socket.close();
  await Promise.all(receiving);
  return { sent, answers };
}

/** Connections that begin a handshake, or say a byte a second, and never more. */
async function halfOpen({ port, perSecond, seconds }: Attack): Promise<AttackResult> {
  const open: TcpConnection[] = [];
  let closed = 0;
  const readings: Promise<unknown>[] = [];
  const sent = await atRate(perSecond, seconds, async () => {
    const stream = await connectTcp({ hostname: "127.0.0.1", port }).catch(() => null);
    if (stream === null) return;
    open.push(stream);
    stream.put(Uint8Array.of(3));
    readings.push(
      stream.read(new Uint8Array(16)).catch(() => null).then((count) => count === null && closed++),
    );
    for (const slow of open.slice(-20)) slow.put(Uint8Array.of(0));
  });
  const answers = closed;
  for (const stream of open) stream.close();
  await Promise.all(readings);
  return { sent, answers };
}

/** An RTMP client behind its handshake that has said connect; `fill` waits for what comes. */
async function saidConnect(port: number, app: string) {
  const stream = await connectTcp({ hostname: "127.0.0.1", port });
  const input = new ReadBuffer(stream);
  await initiateHandshake({ stream, input, clock: systemClock, random: systemRandom }, null);
  const writer = new ChunkWriter();
  const tcUrl = `rtmp://127.0.0.1:${port}/${app}`;
  const say = (...values: Parameters<typeof encodeAmf0>[0]) =>
    stream.put(writer.encode(3, 20, 0, 0, encodeAmf0(values)));
  say("connect", 1, { app, tcUrl, flashVer: "x", objectEncoding: 0 }, null, "", "", "wideband");
  return { stream, writer, say, input };
}

/** The same after the answer, with a stream; what comes back is read and thrown away. */
async function connected(port: number, app: string): Promise<{ stream: TcpConnection; writer: ChunkWriter }> {
  const { stream, writer, say, input } = await saidConnect(port, app);
  await input.fill();
  say("createStream", 2, null);
  stream.put(writer.encode(8, 20, 1, 0, encodeAmf0(["publish", 3, null, "junk"])));
  void drain(input);
  return { stream, writer };
}

/** Clients that each say one thing; they stay for as long as the gateway likes. */
async function clients(
  { port, perSecond, seconds }: Attack,
  appOf: (n: number) => string,
  play: string | null,
): Promise<AttackResult> {
  const open: TcpConnection[] = [];
  let closed = 0;
  const sent = await atRate(perSecond, seconds, async (n) => {
    try {
      const { stream, writer, say, input } = await saidConnect(port, appOf(n));
      open.push(stream);
      if (play !== null) {
        await input.fill();
        say("createStream", 2, null);
        stream.put(writer.encode(8, 20, 1, 0, encodeAmf0(["play", 3, null, play])));
      }
      void drain(input).then(() => void closed++);
    } catch (error) {
      if (!(error instanceof TransportError || error instanceof WireError)) throw error;
      closed++;
    }
  });
  const answers = closed;
  for (const stream of open) stream.close();
  return { sent, answers };
}

async function drain(input: ReadBuffer): Promise<void> {
  try {
    do input.consume(input.length); while (await input.fill());
  } catch (error) {
    if (!(error instanceof Error)) throw error; // the gateway has closed
  }
}

/** `perSecond` kilobits a second of pictures that are none, as far as TCP takes them. */
async function junkVideo({ port, app, perSecond, seconds }: Attack): Promise<AttackResult> {
  const { stream, writer } = await connected(port, app ?? "live/junk");
  const body = new Uint8Array(6_000).fill(0x41);
  body.set([0x27, 1, 0, 0, 0, 0, 0, 0x17, 0x65]);
  let bytes = 0;
  await atRate(perSecond * 125 / body.length, seconds, (n) => {
    if (stream.unsent > 1_000_000) return;
    bytes += body.length;
    stream.put(writer.encode(8, 9, 1, n * 2, body));
  });
  const sent = bytes - stream.unsent;
  stream.close();
  return { sent: Math.round(sent * 8 / 1000 / seconds), answers: 0 };
}

/** Commands without sense. */
async function junkCommands({ port, app, perSecond, seconds }: Attack): Promise<AttackResult> {
  const { stream, writer } = await connected(port, app ?? "live/junk");
  const names = ["createStream", "junk", "invite", "deleteStream", "bye"];
  let sent = 0;
  await atRate(perSecond, seconds, (n) => {
    if (stream.unsent > 1_000_000) return;
    sent++;
    stream.put(writer.encode(3, 20, 0, 0, encodeAmf0([names[n % names.length]!, n, null, "x"])));
  });
  stream.close();
  return { sent, answers: 0 };
}

function rtpGarbage(n: number, ports: readonly number[]): { bytes: Uint8Array; port: number } {
  const bytes = new Uint8Array(172).fill(n);
  if (n % 3 > 0) bytes.set([0x80, n % 3 === 1 ? 0 : 97, n >> 8, n, 0, 0, n >> 8, n, 1, 2, 3, 4]);
  return { bytes, port: ports[n % ports.length]! };
}

/** A stream of somebody who is not the peer, in order. */
function unknownRtp(n: number, ports: readonly number[]): { bytes: Uint8Array; port: number } {
  const sequenceNumber = Math.floor(n / ports.length) & 0xffff;
  const payload = new Uint8Array(160).fill(0x55);
  const bytes = rtpBytes({
    payloadType: 97,
    sequenceNumber,
    timestamp: sequenceNumber * 320,
    ssrc: 9,
    payload,
  });
  return { bytes, port: ports[n % ports.length]! };
}

function perform(attack: Attack): Promise<AttackResult> {
  const { port, kind } = attack;
  const text = (made: string) => ({ bytes: encoder.encode(made), port });
  const ports = attack.ports ?? [port];
  const slowTexts = Object.values(SLOW_TEXTS);
  switch (kind) {
    case "scan":
      return floodUdp(attack, (n) => text(scanText(n, port)));
    case "nasty":
      return floodUdp(attack, (n) => text(nastyText(n, port)));
    case "invites":
      return floodUdp(attack, (n) => text(inviteText(n, port, attack.users)));
    case "messages":
      return floodUdp(attack, (n) => text(messageText(n, port)));
    case "rtp":
      return floodUdp(attack, (n) => rtpGarbage(n, ports));
    case "unknown-rtp":
      return floodUdp(attack, (n) => unknownRtp(n, ports));
    case "half-open":
      return halfOpen(attack);
    case "video":
      return junkVideo(attack);
    case "commands":
      return junkCommands(attack);
    case "slashes":
      return clients(attack, () => `x${"/".repeat(60_000)}x`, null);
    case "slash-names":
      return clients(attack, () => "call", `x${"/".repeat(100_000)}x`);
    case "logins":
      return clients(attack, (n) => `live/x?token=wrong${n}`, null);
    case "slow-texts":
      return floodUdp(attack, (n) => text(slowTexts[n % slowTexts.length]!(n, port)));
    default:
      return floodUdp(attack, (n) => text(SLOW_TEXTS[kind](n, port)));
  }
}

if (import.meta.main) {
  const result = await perform(JSON.parse(Deno.args[0]!) as Attack);
  await Deno.stdout.write(encoder.encode(JSON.stringify(result)));
  Deno.exit(0);
}
