// Answers every call at once and takes every registration, with no state: one UDP socket, texts put together from the
// request. The user part of the Request-URI is the number of the call.
// RFC 3261; RFC 3264 for the answer.
// Role: edge

/** What is answered to an INVITE: the body; null: 486. */
export type Answer = (call: number, offer: string) => string | null;

const LOOPBACK = "127.0.0.1";

/** A SIP peer for any number of calls. */
export class SipAnswerer implements Disposable {
  /** UDP port. */
  readonly port: number;
  /** Requests seen, by method. */
  readonly counts: Record<string, number> = {};
  readonly #socket: Deno.DatagramConn;
  readonly #answer: Answer;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();

  /** Opens any free port. */
  constructor(answer: Answer) {
    this.#answer = answer;
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
    this.port = (this.#socket.addr as Deno.NetAddr).port;
    void this.#run();
  }

  /** Closes the port. */
  [Symbol.dispose](): void {
    this.#socket.close();
  }

  async #run(): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (;;) {
        const [bytes, from] = await this.#socket.receive(buffer);
        this.#receive(this.#decoder.decode(bytes), from);
      }
    } catch (error) {
      const ended = error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
      if (!ended) throw error;
    }
  }

  #receive(request: string, from: Deno.Addr): void {
    const method = /^([A-Z]+) \S+ SIP\/2\.0\r\n/.exec(request)?.[1];
    if (method === undefined) return; // a response, or line ends that keep a NAT open
    this.counts[method] = (this.counts[method] ?? 0) + 1;
    if (method === "ACK") return;
    if (method === "REGISTER") return this.#reply(request, from, "200 OK", registrationHeaders(request), "");
    if (method !== "INVITE") return this.#reply(request, from, "200 OK", "", "");
    const call = Number(/^INVITE sips?:(?:u)?(\d+)@/.exec(request)?.[1] ?? -1);
    const body = this.#answer(call, request.slice(request.indexOf("\r\n\r\n") + 4));
    if (body === null) return this.#reply(request, from, "486 Busy Here", "", "");
    const contact = `Contact: <sip:u${call}@${LOOPBACK}:${this.port}>\r\n`;
    this.#reply(request, from, "180 Ringing", contact, "");
    this.#reply(request, from, "200 OK", `${contact}Content-Type: application/sdp\r\n`, body);
  }

  #reply(request: string, to: Deno.Addr, status: string, headers: string, body: string): void {
    const head = request.slice(0, request.indexOf("\r\n\r\n") + 2);
    const copied = (head.match(/^(?:Via|v|From|f|To|t|Call-ID|i|CSeq|Record-Route)\s*:.*\r\n/gim) ?? [])
      .map((line) => withTag(line)).join("");
    const text = `SIP/2.0 ${status}\r\n${copied}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
    this.#socket.send(this.#encoder.encode(text), to).catch(() => {});
  }
}

/** Responses of one dialog need one tag; here all have the same, because Call-ID and the other tag tell them apart. */
function withTag(line: string): string {
  return /^(?:To|t)\s*:/i.test(line) && !/;\s*tag=/i.test(line)
    ? line.replace("\r\n", ";tag=bench\r\n")
    : line;
}

function registrationHeaders(request: string): string {
  const contact = /^(?:Contact|m)\s*:.*\r\n/im.exec(request)?.[0] ?? "";
  const seconds = /^Expires\s*:\s*(\d+)/im.exec(request)?.[1] ?? "3600";
  const bare = contact.replace(/;\s*expires=\d+/i, "").replace("\r\n", `;expires=${seconds}\r\n`);
  return `${bare}Expires: ${seconds}\r\n`;
}
