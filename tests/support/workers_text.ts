// SIP as text over one TCP connection: the peer says exactly what a test wants.

export class TextConnection implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;
  readonly #reading: Promise<void>;
  #text = "";
  #wake: (() => void) | null = null;

  static async open(port: number): Promise<TextConnection> {
    return new TextConnection(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#reading = this.#read();
  }

  /** Sends text as it is; `$` becomes CRLF. */
  send(text: string): void {
    void this.#conn.write(new TextEncoder().encode(text.replaceAll("$", "\r\n")));
  }

  /** The next message whose first line matches; others before it are skipped. Bodies count as lines nobody reads. */
  async receive(firstLine: RegExp): Promise<string> {
    for (let waits = 0; waits < 100; waits++) {
      for (let end = this.#text.indexOf("\r\n\r\n"); end >= 0; end = this.#text.indexOf("\r\n\r\n")) {
        const head = this.#text.slice(0, end);
        const length = Number(/^Content-Length:\s*(\d+)/im.exec(head)?.[1] ?? 0);
        if (this.#text.length < end + 4 + length) break;
        const message = this.#text.slice(0, end + 4 + length);
        this.#text = this.#text.slice(message.length);
        if (firstLine.test(message)) return message;
      }
      await this.#more();
    }
    throw new Error(`no ${firstLine} came`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#conn.close();
    await this.#reading;
  }

  async #more(): Promise<void> {
    const timer = setTimeout(() => this.#wake?.(), 100);
    await new Promise<void>((resolve) => this.#wake = resolve);
    clearTimeout(timer);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65536);
    try {
      for (let count = await this.#conn.read(buffer); count !== null; count = await this.#conn.read(buffer)) {
        this.#text += decoder.decode(buffer.subarray(0, count), { stream: true });
        this.#wake?.();
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) {
        throw error;
      }
    }
  }
}
