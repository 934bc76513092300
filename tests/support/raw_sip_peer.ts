// A SIP peer on a UDP socket that writes its messages by hand, so that they may be odd.
// Role: edge

import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../lib/base/bytes.ts";
import { Mailbox } from "../../lib/base/mailbox.ts";
import { UdpSocket } from "../../lib/net/udp.ts";

/** Changes what is sent; lines are separated by CRLF. */
export type Edit = (text: string) => string;

const LIMIT_MS = 10_000;

/** Sends to one port of 127.0.0.1, hears everything. */
export class RawSipPeer implements AsyncDisposable {
  readonly #socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  readonly #inbox = new Mailbox<string>(1000);
  readonly #running = this.#socket.run((bytes) => void this.#inbox.push(decodeUtf8(bytes)));
  readonly #toPort: number;
  /** Messages that an edit has changed. */
  edited = 0;

  constructor(toPort: number) {
    this.#toPort = toPort;
  }

  /** The port it listens on. */
  get port(): number {
    return this.#socket.local.port;
  }

  /** Sends a text as it is. */
  send(text: string): void {
    this.#socket.send(encodeUtf8(text), { hostname: "127.0.0.1", port: this.#toPort });
  }

  /** A request of the call `id` to `user`, edited. @param to header, with its tag once it is known */
  request(
    method: string,
    user: string,
    parts: { id: string; cseq: number; to?: string; body?: string },
    edit: Edit,
  ): void {
    const { id, cseq, to = `<sip:${user}@127.0.0.1>`, body = "" } = parts;
    const branch = `${id}${cseq}${method === "ACK" ? "ack" : method === "CANCEL" ? "INVITE" : method}`;
    this.#sendEdited(
      [
        `${method} sip:${user}@127.0.0.1:${this.#toPort} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${this.port};rport;branch=z9hG4bK${branch}`,
        "Max-Forwards: 70",
        `From: <sip:phone@127.0.0.1:${this.port}>;tag=from${id}`,
        `To: ${to}`,
        `Call-ID: ${id}`,
        `CSeq: ${cseq} ${method}`,
        `Contact: <sip:phone@127.0.0.1:${this.port}>`,
        ...(body === "" ? [] : ["Content-Type: application/sdp"]),
        `Content-Length: ${body.length}`,
        "",
        body,
      ].join("\r\n"),
      edit,
    );
  }

  #sendEdited(text: string, edit: Edit): void {
    const edited = edit(text);
    if (edited !== text) this.edited++;
    this.send(edited);
  }

  /** Answers a request that was heard, edited. */
  respond(request: string, status: number, tag: string, body: string, edit: Edit): void {
    const copied = request.split("\r\n").filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line));
    this.#sendEdited(
      [
        `SIP/2.0 ${status} OK`,
        ...copied.map((line) =>
          line.startsWith("To:") && !line.includes("tag=") ? `${line};tag=${tag}` : line
        ),
        `Contact: <sip:phone@127.0.0.1:${this.port}>`,
        ...(body === "" ? [] : ["Content-Type: application/sdp"]),
        `Content-Length: ${body.length}`,
        "",
        body,
      ].join("\r\n"),
      edit,
    );
  }

  /** The next message that matches; others are skipped. */
  async next(pattern: RegExp): Promise<string> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`${pattern} does not come`)), LIMIT_MS);
    try {
      for (;;) {
        const text = await Promise.race([this.#inbox.next(), late.promise]) ?? assert.fail("closed");
        if (pattern.test(text)) return text;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#running;
  }
}

/** The value of a header line. */
export function headerOf(text: string, name: string): string {
  return new RegExp(`^${name}: (.*)\r$`, "m").exec(text)?.[1] ?? assert.fail(`no ${name} in ${text}`);
}
