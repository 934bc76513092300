// Somebody who means harm, as a process of its own so that it costs the gateway's process nothing but what it sends.
// `deno run -A attacker.ts '{"kind":"scan",...}'`: attacks for a while, prints what it did as JSON, and ends.
// Role: edge

import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { connectTcp, type TcpConnection } from "../../lib/net/tcp.ts";
import { UdpSocket } from "../../lib/net/udp.ts";
import { ChunkWriter } from "../../lib/rtmp/chunk_writer.ts";
import { ReadBuffer } from "../../lib/rtmp/read_buffer.ts";
import { initiateHandshake } from "../../lib/rtmp/shake_hands.ts";
import { type Attack, type AttackResult, BEGUN } from "./attack.ts";

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

function sipText(method: string, uri: string, n: number, spoil = ""): string {
  return `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bK${n}${spoil};rport\r\n` +
    `Max-Forwards: 70\r\nFrom: "x" <sip:x@127.0.0.9>;tag=${n}\r\nTo: <${uri.replace(/;.*/, "")}>\r\n` +
    `Call-ID: ${n}@127.0.0.9\r\nCSeq: 1 ${method}\r\nContact: <sip:x@127.0.0.9>\r\n` +
    "User-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n";
}

/** What scanners send, in turn: rubbish, methods we do not serve, names nobody has, broken headers, made-up calls. */
function scanText(n: number, port: number): string {
  const nobody = `sip:${100 + n % 9000}@127.0.0.1:${port}`;
  switch (n % 8) {
    case 0:
      return `\u0007${n} not SIP at all`;
    case 1:
      return sipText("REGISTER", `sip:127.0.0.1:${port}`, n);
    case 2:
      return sipText("OPTIONS", nobody, n);
    case 3:
      return sipText("INVITE", nobody, n);
    case 4:
      return sipText("INVITE", nobody, n).replace(/CSeq.*\r\n/, "CSeq: many\r\n");
    case 5:
      return sipText("OPTIONS", `sip:127.0.0.1:${port}`, n);
    case 6:
      return sipText("INVITE", nobody, n).replace("\r\n\r\n", "\r\n");
    default:
      return sipText("BYE", nobody, n).replace(/(To: .*)\r\n/, "$1;tag=made-up\r\n");
  }
}

/** What only the parser can tell: broken requests for somebody who is there, and answers to nothing. */
function nastyText(n: number, port: number): string {
  if (n % 2 === 0) {
    return sipText("INVITE", `sip:u0@127.0.0.1:${port}`, n).replace(/CSeq.*\r\n/, "CSeq: x y\r\n");
  }
  return sipText("INVITE", "sip:x@y", n).replace(/^.*\r\n/, "SIP/2.0 200 OK\r\n");
}

/** A call that nothing is wrong with. */
function inviteText(n: number, port: number): string {
  const sdp =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\nm=audio 42000 RTP/AVP 0\r\n";
  const described = `Content-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`;
  return sipText("INVITE", `sip:target@127.0.0.1:${port}`, n).replace("Content-Length: 0\r\n\r\n", described);
}

async function floodUdp(
  { from, port, perSecond, seconds }: Attack,
  bytesOf: (n: number) => { bytes: Uint8Array; port: number },
): Promise<AttackResult> {
  const socket = UdpSocket.bind({ hostname: from ?? "127.0.0.9", port: 0 });
  let answers = 0;
  const receiving = socket.run(() => void answers++);
  const sent = await atRate(perSecond, seconds, (n) => {
    const { bytes, port: to } = bytesOf(n);
    socket.send(bytes, { hostname: "127.0.0.1", port: to || port });
  });
  socket.close();
  await receiving;
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

/** An RTMP client behind its handshake and connect; what comes back is read and counted. */
async function connected(port: number, app: string): Promise<{ stream: TcpConnection; writer: ChunkWriter }> {
  const stream = await connectTcp({ hostname: "127.0.0.1", port });
  const input = new ReadBuffer(stream);
  await initiateHandshake({ stream, input, clock: systemClock, random: systemRandom }, null);
  const writer = new ChunkWriter();
  const tcUrl = `rtmp://127.0.0.1:${port}/${app}`;
  const say = (...values: Parameters<typeof encodeAmf0>[0]) =>
    stream.put(writer.encode(3, 20, 0, 0, encodeAmf0(values)));
  say("connect", 1, { app, tcUrl, flashVer: "x", objectEncoding: 0 }, null, "", "", "wideband");
  await input.fill();
  say("createStream", 2, null);
  stream.put(writer.encode(8, 20, 1, 0, encodeAmf0(["publish", 3, null, "junk"])));
  void drain(input);
  return { stream, writer };
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

function perform(attack: Attack): Promise<AttackResult> {
  const { port } = attack;
  const text = (made: string) => ({ bytes: encoder.encode(made), port });
  switch (attack.kind) {
    case "scan":
      return floodUdp(attack, (n) => text(scanText(n, port)));
    case "nasty":
      return floodUdp(attack, (n) => text(nastyText(n, port)));
    case "invites":
      return floodUdp(attack, (n) => text(inviteText(n, port)));
    case "rtp":
      return floodUdp(attack, (n) => rtpGarbage(n, attack.ports ?? [port]));
    case "half-open":
      return halfOpen(attack);
    case "video":
      return junkVideo(attack);
    case "commands":
      return junkCommands(attack);
  }
}

if (import.meta.main) {
  const result = await perform(JSON.parse(Deno.args[0]!) as Attack);
  await Deno.stdout.write(encoder.encode(JSON.stringify(result)));
  Deno.exit(0);
}
