// A SIP phone made of text over one UDP socket, with sockets for RTP and RTCP of audio and video: what it says and hears
// is written into the trace. It does nothing by itself.

import { octets } from "./octets.ts";
import { type Trace, until } from "./trace.ts";

/** Who a request is about. */
export interface Dialog {
  /** Request-URI. */
  readonly uri: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
}

/** What is special about a message. */
export interface Extras {
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly type?: string;
}

export class Phone {
  readonly port: number;
  readonly audio: RtpEnd;
  readonly video: RtpEnd;
  readonly #sip = bind(0);
  readonly #inbox: string[] = [];
  readonly #seen = new Set<string>();
  readonly #running: Promise<void>;
  #closed = false;
  #branches = 0;

  constructor(readonly name: string, readonly trace: Trace, readonly gatewayPort: number) {
    this.port = portOf(this.#sip);
    trace.mask.port(this.port, name.toUpperCase());
    this.audio = new RtpEnd(`${name} audio`, trace);
    this.video = new RtpEnd(`${name} video`, trace);
    this.#running = receiveAll(this.#sip, (bytes) => this.#sort(new TextDecoder().decode(bytes)));
  }

  /** `<sip:NAME@127.0.0.1:PORT>` without the brackets. */
  get uri(): string {
    return `sip:${this.name}@127.0.0.1:${this.port}`;
  }

  /** Retransmissions and keep-alives are left out. */
  #sort(text: string): void {
    if (text.trim() === "" || this.#seen.has(text)) return;
    this.#seen.add(text);
    this.#inbox.push(text);
  }

  /** Waits for a message whose first line matches, and writes it and all before it. */
  async take(firstLine: RegExp): Promise<string> {
    for (;;) {
      await until(() => `${this.name} hears ${firstLine}`, () => this.#inbox.length > 0);
      const text = this.#inbox.shift()!;
      this.trace.write(this.name, "<-", withoutLength(text));
      if (firstLine.test(text.split("\r\n")[0] ?? "")) return text;
    }
  }

  /** Sends a text as it is. */
  send(text: string): void {
    this.trace.write(this.name, "->", withoutLength(text));
    const to: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: this.gatewayPort };
    void this.#sip.send(new TextEncoder().encode(text), to);
  }

  /** Answers a request. */
  respond(request: string, status: string, extras: Extras = {}): void {
    const to = header(request, "To");
    const tag = to.includes(";tag=") || status.startsWith("100") ? "" : `;tag=${this.name}-tag`;
    const vias = request.split("\r\n").filter((line) => /^(Via|Record-Route):/.test(line));
    this.send(message([
      `SIP/2.0 ${status}`,
      ...vias,
      `From: ${header(request, "From")}`,
      `To: ${to}${tag}`,
      `Call-ID: ${header(request, "Call-ID")}`,
      `CSeq: ${header(request, "CSeq")}`,
      ...(extras.body === undefined && !/^(INVITE|UPDATE)/.test(request) ? [] : [`Contact: <${this.uri}>`]),
    ], extras));
  }

  /** Sends a request; gives its text. @param branch of an earlier request, for ACK of a refusal and CANCEL */
  request(method: string, cseq: number, dialog: Dialog, extras: Extras = {}, branch?: string): string {
    const via = branch ?? `z9hG4bK${this.name}${++this.#branches}`;
    const text = message([
      `${method} ${dialog.uri} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${this.port};branch=${via};rport`,
      "Max-Forwards: 70",
      `From: ${dialog.from}`,
      `To: ${dialog.to}`,
      `Call-ID: ${dialog.callId}`,
      `CSeq: ${cseq} ${method}`,
      ...(/^(INVITE|UPDATE)/.test(method) ? [`Contact: <${this.uri}>`] : []),
    ], extras);
    this.send(text);
    return text;
  }

  /** Somebody of the gateway who is not talked to yet. */
  toward(user: string, callId: string): Dialog {
    return {
      uri: `sip:${user}@127.0.0.1:${this.gatewayPort}`,
      from: `"The ${this.name}" <${this.uri}>;tag=${this.name}-${callId}`,
      to: `<sip:${user}@127.0.0.1:${this.gatewayPort}>`,
      callId,
    };
  }

  /** Session description: one text per media line, with the lines that belong to it. */
  sdp(...media: string[]): string {
    const head = ["v=0", "o=- 7 7 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"];
    return [...head, ...media].map((line) => `${line}\r\n`).join("");
  }

  /** A line of audio with these formats. */
  audioLine(formats: string): string {
    return `m=audio ${this.audio.port} RTP/AVP ${formats}`;
  }

  /** A line of video with these formats. */
  videoLine(formats: string): string {
    return `m=video ${this.video.port} RTP/AVP ${formats}`;
  }

  /** Writes messages that nobody asked for. */
  writeRest(): void {
    for (const text of this.#inbox.splice(0)) {
      this.trace.write(this.name, "<-", `(left) ${withoutLength(text)}`);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#sip.close();
    await this.#running;
    await this.audio.close();
    await this.video.close();
  }
}

/** What came from the gateway as one RTP packet. */
export interface RtpIn {
  readonly payloadType: number;
  readonly marker: boolean;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Uint8Array;
}

/** Sockets for RTP and RTCP beside each other. */
export class RtpEnd {
  readonly port: number;
  /** Where the gateway takes it; known by its description. */
  gatewayPort = 0;
  readonly #rtp: Deno.DatagramConn;
  readonly #rtcp: Deno.DatagramConn;
  readonly #packets: RtpIn[] = [];
  readonly #feedback: Uint8Array[] = [];
  readonly #running: Promise<unknown>;
  #first: RtpIn | null = null;
  #sequence = 1000;
  #timestamp = 50_000;

  constructor(readonly name: string, readonly trace: Trace) {
    [this.#rtp, this.#rtcp] = bindPair();
    this.port = portOf(this.#rtp);
    trace.mask.port(this.port, name.toUpperCase().replace(" ", "_"));
    trace.mask.port(this.port + 1, `${name.toUpperCase().replace(" ", "_")}_RTCP`);
    this.#running = Promise.all([
      receiveAll(this.#rtp, (bytes) => void this.#packets.push(parseRtp(bytes))),
      receiveAll(this.#rtcp, (bytes) => this.#report(bytes)),
    ]);
  }

  /** Learns from a description of the gateway where it takes this media. */
  learn(text: string): void {
    const kind = this.name.split(" ")[1];
    this.gatewayPort = Number(new RegExp(`^m=${kind} (\\d+)`, "m").exec(text)?.[1]);
  }

  /** Sends a packet; the time goes on by `step` behind it. */
  send(payloadType: number, payload: Uint8Array, step: number, marker = false): void {
    const packet = new Uint8Array(12 + payload.length);
    const view = new DataView(packet.buffer);
    view.setUint16(0, 0x8000 | (marker ? 0x80 : 0) | payloadType);
    view.setUint16(2, this.#sequence++ & 0xffff);
    view.setUint32(4, this.#timestamp >>> 0);
    view.setUint32(8, 0x0badcafe);
    packet.set(payload, 12);
    this.#timestamp += step;
    void this.#rtp.send(packet, { transport: "udp", hostname: "127.0.0.1", port: this.gatewayPort });
  }

  /** Sends packets one after the other. */
  async speak(
    payloadType: number,
    payloads: readonly Uint8Array[],
    step: number,
    stepMs = 20,
  ): Promise<void> {
    const startMs = performance.now();
    for (const [i, payload] of payloads.entries()) {
      const waitMs = startMs + i * stepMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.send(payloadType, payload, step, i === 0);
    }
  }

  /** Time that passes without a packet. */
  skip(step: number): void {
    this.#timestamp += step;
  }

  /**
   * Waits until so many packets have come, and writes them beside the first of all; beside the first of these when
   * the moment they began at is that of the clock.
   */
  async take(
    count: number,
    { isTaken = () => true, anew = false }: { isTaken?: (packet: RtpIn) => boolean; anew?: boolean } = {},
  ): Promise<RtpIn[]> {
    const fitting = (): RtpIn[] => this.#packets.filter(isTaken);
    await until(
      () => `${this.name} has ${fitting().length} of ${count} packets`,
      () => fitting().length >= count,
    );
    const taken = fitting().slice(0, count);
    this.#packets.splice(0, this.#packets.indexOf(taken.at(-1)!) + 1);
    if (anew) this.#first = taken[0]!;
    for (const packet of taken) this.#write(packet);
    return taken;
  }

  /** The next packet of ours is lost on its way. */
  lose(): void {
    this.#sequence++;
  }

  /**
   * Waits until so many packets have come and writes only what they have in common: of what is coded by the clock
   * the octets differ from run to run.
   */
  async takeForms(count: number): Promise<void> {
    await until(
      () => `${this.name} has ${this.#packets.length} of ${count} packets`,
      () => this.#packets.length >= count,
    );
    const taken = this.#packets.splice(0);
    const forms = taken.slice(1).map((packet, i) => {
      const before = taken[i]!;
      const step = packet.timestamp - before.timestamp >>> 0;
      return `${packet.payloadType} ${packet.payload.length} octets seq +${
        packet.sequence - before.sequence & 0xffff
      } ts +${step}`;
    });
    const source = this.trace.mask.name("SSRC", String(taken[0]!.ssrc));
    for (const form of new Set(forms)) {
      this.trace.write(this.name, "<-", `RTP as often as it came: ${source} ${form}`);
    }
  }

  /** Forgets what has come. */
  forget(): void {
    this.#packets.length = 0;
  }

  #write(packet: RtpIn): void {
    const { payloadType, marker, sequence, timestamp, ssrc, payload } = packet;
    const first = this.#first ??= packet;
    const source = this.trace.mask.name("SSRC", String(ssrc));
    const sequenceDelta = sequence - first.sequence & 0xffff;
    const timestampDelta = timestamp - first.timestamp >>> 0;
    this.trace.write(
      this.name,
      "<-",
      `RTP ${payloadType}${marker ? " marker" : ""} ${source} seq +${sequenceDelta} ts +${timestampDelta} ${
        octets(payload)
      }`,
    );
  }

  /** Reports are sent by the clock and left out; feedback is kept. */
  #report(compound: Uint8Array): void {
    for (let at = 0; at + 4 <= compound.length;) {
      const end = at + 4 + 4 * (compound[at + 2]! * 256 + compound[at + 3]!);
      if (compound[at + 1] === 205 || compound[at + 1] === 206) this.#feedback.push(compound.slice(at, end));
      at = end;
    }
  }

  /** Waits for a feedback message, and writes its kind, type and the length of what is behind the SSRCs. */
  async takeFeedback(): Promise<void> {
    await until(() => `${this.name} hears RTCP feedback`, () => this.#feedback.length > 0);
    const bytes = this.#feedback.shift()!;
    const kind = `${bytes[1]} format ${bytes[0]! & 31}`;
    this.trace.write(
      this.name,
      "<-",
      `RTCP ${kind}, ${bytes.length} octets, behind the SSRCs ${octets(bytes.subarray(12))}`,
    );
  }

  /** Sends feedback about the video of the gateway: 1 is a PLI, 4 a FIR. */
  sendFeedback(format: 1 | 4, ssrc: number): void {
    const bytes = new Uint8Array(format === 1 ? 12 : 20);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, (0x80 | format) << 24 | 206 << 16 | bytes.length / 4 - 1);
    view.setUint32(4, 0x0badcafe);
    view.setUint32(8, format === 1 ? ssrc : 0);
    if (format === 4) view.setUint32(12, ssrc);
    if (format === 4) bytes[16] = 1;
    this.trace.write(this.name, "->", `RTCP 206 format ${format}`);
    void this.#rtcp.send(bytes, { transport: "udp", hostname: "127.0.0.1", port: this.gatewayPort + 1 });
  }

  async close(): Promise<void> {
    this.#rtp.close();
    this.#rtcp.close();
    await this.#running;
  }
}

function parseRtp(bytes: Uint8Array): RtpIn {
  if (bytes[0] !== 0x80) throw new Error(`not a plain RTP packet: ${bytes.subarray(0, 12).toHex()}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    payloadType: bytes[1]! & 127,
    marker: bytes[1]! > 127,
    sequence: view.getUint16(2),
    timestamp: view.getUint32(4),
    ssrc: view.getUint32(8),
    payload: bytes.slice(12),
  };
}

function bind(port: number): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
}

function bindPair(): [Deno.DatagramConn, Deno.DatagramConn] {
  for (;;) {
    const rtp = bind(0);
    try {
      if (portOf(rtp) % 2 === 0) return [rtp, bind(portOf(rtp) + 1)];
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
    rtp.close();
  }
}

function portOf(socket: Deno.DatagramConn): number {
  return (socket.addr as Deno.NetAddr).port;
}

async function receiveAll(socket: Deno.DatagramConn, take: (bytes: Uint8Array) => void): Promise<void> {
  try {
    for await (const [bytes] of socket) take(bytes);
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
  }
}

/** A header's value, or "". */
export function header(text: string, name: string): string {
  return new RegExp(`^${name}: (.*)\r$`, "m").exec(text)?.[1] ?? "";
}

/** The dialog of our request once it was answered. */
export function dialogOf(answer: string): Dialog {
  return {
    uri: /<([^>]+)>/.exec(header(answer, "Contact"))?.[1] ?? "",
    from: header(answer, "From"),
    to: header(answer, "To"),
    callId: header(answer, "Call-ID"),
  };
}

/** The dialog of the gateway's request that we have answered with `tag`. */
export function dialogOfRequest(request: string, tag: string): Dialog {
  return {
    uri: /<([^>]+)>/.exec(header(request, "Contact"))?.[1] ?? "",
    from: `${header(request, "To")};tag=${tag}`,
    to: header(request, "From"),
    callId: header(request, "Call-ID"),
  };
}

/** The branch of a request. */
export function branchOf(request: string): string {
  return /;branch=([^;\r]+)/.exec(request)?.[1] ?? "";
}

function message(
  head: readonly string[],
  { headers = [], body = "", type = "application/sdp" }: Extras,
): string {
  const lines = [...head, ...headers];
  if (body !== "") lines.push(`Content-Type: ${type}`);
  return [...lines, `Content-Length: ${new TextEncoder().encode(body).length}`, "", body].join("\r\n");
}

/** The length goes with the digits of ports: it is said whether it is right. */
function withoutLength(text: string): string {
  const [head = "", ...body] = text.split("\r\n\r\n");
  const length = new TextEncoder().encode(body.join("\r\n\r\n")).length;
  return text.replace(
    /^Content-Length: (\d+)/m,
    (_all, said) => `Content-Length: ${Number(said) === length ? length === 0 ? "0" : "right" : "WRONG"}`,
  ) + (head.includes("Content-Length") ? "" : "(no length)");
}
