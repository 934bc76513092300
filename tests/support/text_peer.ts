// A SIP peer of text and an RTMP client on loopback that write down what the gateway sends them.

import { formatAmf } from "../../lib/amf/value.ts";
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

/** A SIP phone or server of text over UDP. */
export class WirePeer implements Disposable {
  readonly received: string[] = [];
  readonly #sip = listen();
  #to = 0;

  constructor() {
    void this.#run(this.#sip, (bytes, from) => {
      const text = new TextDecoder().decode(bytes);
      if (text.trim() === "" || this.received.includes(text)) return;
      this.#to = from;
      this.received.push(text);
    });
  }

  get port(): number {
    return portOf(this.#sip);
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

  async #run(socket: Deno.DatagramConn, take: (bytes: Uint8Array, from: number) => void): Promise<void> {
    for await (const [bytes, from] of socket) take(bytes.slice(), (from as Deno.NetAddr).port);
  }

  [Symbol.dispose](): void {
    this.#sip.close();
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

/** An RTMP client that writes down what it is told. */
export class WireClient implements AsyncDisposable {
  readonly told: string[] = [];
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}
