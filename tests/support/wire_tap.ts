// One party on loopback that writes down what the gateway sends it, for traces that are compared: SIP as text and RTP as
// headers, with what differs from run to run masked. It answers what a test tells it to, as text.

import { type AmfValue, formatAmf } from "../../lib/amf/value.ts";
import { RtmpClient, type RtmpClientOptions } from "../../lib/rtmp/client.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";

const PATIENCE_MS = 15_000;

/** Waits until `condition` gives something; says what is missing. */
export async function waitFor<T>(what: string, condition: () => T | undefined | false): Promise<T> {
  const endMs = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = condition();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > endMs) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function header(message: string, name: string): string {
  return new RegExp(`^${name}\\s*:\\s*(.*)$`, "im").exec(message)?.[1]?.trim() ?? "";
}

/** Names for what is random in one scenario: the same text has the same name wherever it stands. */
export class Mask {
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** Gives `value` a name by hand. */
  name(value: string | number, name: string): void {
    this.#names.set(String(value), name);
  }

  #nameOf(kind: string, value: string): string {
    const known = this.#names.get(value);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#names.set(value, `${kind}${count}`);
    return `${kind}${count}`;
  }

  text(text: string): string {
    const as = (kind: string) => (_all: string, before: string, value: string): string =>
      before + this.#nameOf(kind, value);
    return text
      .replace(/(\bbranch=)([^;,\s>]+)/g, as("BRANCH"))
      .replace(/(;tag=)([^;,\s>]+)/g, as("TAG"))
      .replace(/(;line=)([^;,\s>]+)/g, as("LINE"))
      .replace(/(^Call-ID: )(\S+)/gim, as("CALLID"))
      .replace(/(\bcnonce=")([^"]+)/g, as("CNONCE"))
      .replace(/(\bresponse=")([^"]+)/g, "$1RESPONSE")
      .replace(/(\bopaque=")([^"]+)/g, as("OPAQUE"))
      .replace(/(^CSeq: )(\d+)/gim, as("CSEQ"))
      .replace(/(^RSeq: )(\d+)/gim, as("RSEQ"))
      .replace(
        /(^RAck: )(\d+) (\d+)/gim,
        (_all, before, r, c) => `${before}${this.#nameOf("RSEQ", r)} ${this.#nameOf("CSEQ", c)}`,
      )
      .replace(/(^o=\S+ )(\d+ \d+)/gim, as("SESSION"))
      .replace(/(^Content-Length: )(\d+)/gim, (_all, before, length) => before + (length === "0" ? "0" : "N"))
      .replace(/(\bm=(?:audio|video) )(\d{2,5})/g, as("MEDIA"))
      .replace(/(^a=rtcp:)(\d{2,5})/gim, as("RTCP"))
      .replace(/(\bduration=|Duration=)(\d+)/g, "$1MS")
      .replace(/(127\.0\.0\.1:)(\d{2,5})/g, as("PORT"))
      .replace(/(;rport=)(\d{2,5})/g, as("PORT"))
      .replace(/(^Warning: \d+ )(\S+)/gim, "$1AGENT")
      .replace(/(^a=ssrc:)(\d+)/gim, as("SSRC"))
      .replaceAll("\r\n", "\n");
  }
}

export interface RtpSeen {
  readonly payloadType: number;
  readonly marker: boolean;
  readonly sequence: number;
  readonly timestamp: number;
  readonly payload: Uint8Array;
}

/** A SIP phone or server of text over UDP, with one audio and one video port. */
export class WirePeer implements Disposable {
  readonly received: string[] = [];
  readonly rtp: RtpSeen[] = [];
  readonly videoRtp: RtpSeen[] = [];
  readonly rtcp: Uint8Array[] = [];
  readonly #sip = listen();
  readonly #audio = listen();
  readonly #video = listen();
  readonly #mask: Mask;
  #to = 0;
  #read = 0;

  constructor(mask: Mask, name: string) {
    this.#mask = mask;
    mask.name(this.port, name);
    mask.name(this.audioPort, `${name}AUDIO`);
    mask.name(this.videoPort, `${name}VIDEO`);
    void this.#run(this.#sip, (bytes, from) => {
      const text = new TextDecoder().decode(bytes);
      if (text.trim() === "" || this.received.includes(text)) return;
      this.#to = from;
      this.received.push(text);
    });
    void this.#run(this.#audio, (bytes) => this.#media(bytes, this.rtp));
    void this.#run(this.#video, (bytes) => this.#media(bytes, this.videoRtp));
  }

  get port(): number {
    return portOf(this.#sip);
  }

  get audioPort(): number {
    return portOf(this.#audio);
  }

  get videoPort(): number {
    return portOf(this.#video);
  }

  /** The next message whose first line fits; those before it are only written down. */
  async next(firstLine: RegExp): Promise<string> {
    return await waitFor(`${firstLine} after ${this.received.map((text) => text.split("\r\n")[0])}`, () => {
      while (this.#read < this.received.length) {
        const text = this.received[this.#read++]!;
        if (firstLine.test(text.split("\r\n")[0]!)) return text;
      }
      return undefined;
    });
  }

  send(text: string, to: number = this.#to): void {
    const lines = text.replaceAll(/\r?\n/g, "\r\n");
    const whole = lines.includes("\r\n\r\n") ? lines : `${lines}\r\n\r\n`;
    const [head = "", body = ""] = splitOnce(whole, "\r\n\r\n");
    const sized = `${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    void this.#sip.send(new TextEncoder().encode(sized), at(to));
  }

  /** Answers a request. @param more header lines, and after an empty line the body */
  answer(request: string, status: string, more = "", tag = "peertag"): void {
    const to = header(request, "To");
    const tagged = to.includes("tag=") || status.startsWith("100") ? to : `${to};tag=${tag}`;
    const routes = [...request.matchAll(/^(Via|Record-Route):.*$/gim)].map(([line]) => line.trim());
    this.send(
      `SIP/2.0 ${status}\n${routes.join("\n")}\nFrom: ${header(request, "From")}\nTo: ${tagged}\n` +
        `Call-ID: ${header(request, "Call-ID")}\nCSeq: ${header(request, "CSeq")}\n` +
        `Contact: <sip:peer@127.0.0.1:${this.port}>${more === "" ? "" : `\n${more}`}`,
    );
  }

  sdp(lines: string, version = 1): string {
    return `Content-Type: application/sdp\n\nv=0\no=- 1 ${version} IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n${
      lines.replaceAll("AUDIO", String(this.audioPort)).replaceAll("VIDEO", String(this.videoPort))
    }\n`;
  }

  sendRtp(bytes: Uint8Array, to: number, media: "audio" | "video" = "audio"): void {
    void (media === "audio" ? this.#audio : this.#video).send(bytes, at(to));
  }

  /** All SIP that came, masked. */
  sipText(): string {
    return this.received.map((text) => this.#mask.text(text)).join("\n----\n");
  }

  #media(bytes: Uint8Array, into: RtpSeen[]): void {
    if (bytes.length >= 2 && bytes[1]! >= 192 && bytes[1]! <= 223) return void this.rtcp.push(bytes);
    if (bytes.length < 12) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    into.push({
      payloadType: bytes[1]! & 0x7f,
      marker: bytes[1]! > 127,
      sequence: view.getUint16(2),
      timestamp: view.getUint32(4),
      payload: bytes.slice(12),
    });
  }

  async #run(socket: Deno.DatagramConn, take: (bytes: Uint8Array, from: number) => void): Promise<void> {
    for await (const [bytes, from] of socket) take(bytes.slice(), (from as Deno.NetAddr).port);
  }

  [Symbol.dispose](): void {
    for (const socket of [this.#sip, this.#audio, this.#video]) socket.close();
  }
}

function splitOnce(text: string, by: string): [string, string] {
  const place = text.indexOf(by);
  return [text.slice(0, place), text.slice(place + by.length)];
}

function listen(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
}

function portOf(socket: Deno.DatagramConn): number {
  return (socket.addr as Deno.NetAddr).port;
}

function at(port: number): Deno.NetAddr {
  return { transport: "udp", hostname: "127.0.0.1", port };
}

/** The first packets: sequence and timestamp from the first one on, the payload's length and first octets. */
export function rtpText(packets: readonly RtpSeen[], count: number, octets = 12): string {
  const [first] = packets;
  return packets.slice(0, count).map(({ payloadType, marker, sequence, timestamp, payload }) =>
    `pt ${payloadType}${marker ? " M" : ""} seq +${sequence - first!.sequence & 0xffff} ts +${
      timestamp - first!.timestamp >>> 0
    } ${payload.length} ${hex(payload.subarray(0, octets))}`
  ).join("\n");
}

export function hex(bytes: Uint8Array): string {
  return [...bytes].map((octet) => octet.toString(16).padStart(2, "0")).join("");
}

export function rtpPacket(
  { payloadType, sequence, timestamp, marker = false, payload }: {
    payloadType: number;
    sequence: number;
    timestamp: number;
    marker?: boolean;
    payload: readonly number[] | Uint8Array;
  },
): Uint8Array {
  const bytes = new Uint8Array(12 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x80, payloadType | (marker ? 128 : 0)]);
  view.setUint16(2, sequence);
  view.setUint32(4, timestamp);
  view.setUint32(8, 0x01020304);
  bytes.set(payload, 12);
  return bytes;
}

/** An RTMP client that writes down what it is told; what its streams play, by type. */
export class WireClient implements AsyncDisposable {
  readonly told: string[] = [];
  readonly heard: { type: number; timeMs: number; body: Uint8Array }[] = [];
  readonly client: RtmpClient;

  static async open(url: string, more: Partial<RtmpClientOptions> = {}): Promise<WireClient> {
    let client: WireClient | null = null;
    const early: string[] = [];
    const open = await RtmpClient.open(url, {
      clock: systemClock,
      log: silentLog,
      random: systemRandom,
      ...more,
      onCall: (name, args) =>
        void (client?.told ?? early).push(`${name}(${args.map((arg) => formatAmf(arg)).join(", ")})`),
    });
    client = new WireClient(open);
    client.told.unshift(...early);
    return client;
  }

  private constructor(client: RtmpClient) {
    this.client = client;
  }

  async publish(name: string): Promise<Awaited<ReturnType<RtmpClient["createStream"]>>> {
    const stream = await this.client.createStream();
    stream.onStatus = (info) => void this.told.push(`publisher ${formatAmf(info as AmfValue)}`);
    await stream.publish(name);
    return stream;
  }

  async play(name: string): Promise<void> {
    const stream = await this.client.createStream();
    stream.onStatus = (info) => void this.told.push(`player ${formatAmf(info as AmfValue)}`);
    stream.onMedia = ({ type, timeMs, body }) => void this.heard.push({ type, timeMs, body: body.slice() });
    await stream.play(name);
  }

  async hears(start: string): Promise<void> {
    await waitFor(`${start} after ${this.told}`, () => this.told.some((line) => line.startsWith(start)));
  }

  /** The first messages of a type: their lengths and first octets; times only when they do not depend on the clock. */
  heardText(type: number, count: number, times = false, octets = 12): string {
    const heard = this.heard.filter((message) => message.type === type).slice(0, count);
    return heard.map(({ timeMs, body }) =>
      `${times ? `+${timeMs - heard[0]!.timeMs} ` : ""}${body.length} ${hex(body.subarray(0, octets))}`
    ).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}
