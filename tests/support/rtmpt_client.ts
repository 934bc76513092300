// The client's end of RTMPT over any stream of bytes: requests out, answers in.
// Role: edge

import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../lib/base/bytes.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";

/** An answer, whole. */
export interface HttpAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: Uint8Array;
}

/** One HTTP connection. */
export class HttpTestClient {
  readonly #stream: ByteStream;
  #rest = new Uint8Array(0);

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Sends a request without waiting. */
  send(path: string, body: Uint8Array = Uint8Array.of(0), method = "POST"): void {
    const head = `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`;
    this.#stream.put(encodeUtf8(head));
    this.#stream.put(body);
  }

  async post(path: string, body?: Uint8Array): Promise<HttpAnswer> {
    this.send(path, body);
    return await this.receive();
  }

  async receive(): Promise<HttpAnswer> {
    let end = -1;
    while ((end = decodeUtf8(this.#rest).indexOf("\r\n\r\n")) < 0) await this.#more();
    const head = decodeUtf8(this.#rest.subarray(0, end));
    const length = Number(/Content-Length: (\d+)/.exec(head)?.[1] ?? 0);
    while (this.#rest.length < end + 4 + length) await this.#more();
    const body = this.#rest.slice(end + 4, end + 4 + length);
    this.#rest = this.#rest.slice(end + 4 + length);
    return { status: Number(head.split(" ")[1]), head, body };
  }

  /** Opens a session and says its name. */
  async open(): Promise<string> {
    const { status, body } = await this.post("/open/1");
    assert.equal(status, 200);
    const match = /^([a-z0-9]{24})\n$/.exec(decodeUtf8(body));
    assert.ok(match);
    return match[1]!;
  }

  /** True when the server has closed the connection. */
  async ended(): Promise<boolean> {
    return await this.#stream.read(new Uint8Array(1)) === null;
  }

  async #more(): Promise<void> {
    const buffer = new Uint8Array(4096);
    const count = await this.#stream.read(buffer);
    if (count === null) throw new Error("the server closed the connection");
    this.#rest = Uint8Array.of(...this.#rest, ...buffer.subarray(0, count));
  }
}
