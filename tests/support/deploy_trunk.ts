// The far side of deploy/: a trunk that answers every call with PCMU and returns each RTP packet to where it came from.
// SIP is read and written as text; it keeps just what a test wants to know of each call.

export interface TrunkCall {
  readonly callId: string;
  /** What was dialled. */
  readonly number: string;
  /** Set when the caller has hung up. */
  ended: boolean;
}

/** A trunk at free ports of one loopback address, until disposed. */
export class Trunk implements Disposable {
  readonly hostname: string;
  readonly sipPort: number;
  /** True: it has no line free and says 503 to every call. */
  full = false;
  /** True: it says nothing at all. */
  silent = false;
  /** How often it was called. */
  asked = 0;
  readonly #sip: Deno.DatagramConn;
  readonly #calls = new Map<string, TrunkCall>();
  /** One for each call, so that each has the kernel's buffer for itself when this process is held up. */
  readonly #sockets = new Map<string, Deno.DatagramConn>();
  readonly #waiting = new Map<string, (response: string) => void>();

  constructor(hostname: string) {
    this.hostname = hostname;
    this.#sip = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
    this.sipPort = (this.#sip.addr as Deno.NetAddr).port;
    void receiveAll(this.#sip, (bytes, from) => {
      const text = new TextDecoder().decode(bytes);
      if (text.startsWith("SIP/2.0 ")) return this.#waiting.get(callIdOf(text))?.(text);
      const response = this.#answer(text);
      if (response !== null) void this.#sip.send(new TextEncoder().encode(response), from);
    });
  }

  /** Calls that were answered, oldest first. */
  get calls(): readonly TrunkCall[] {
    return [...this.#calls.values()];
  }

  /** Calls a number through a proxy and hangs up when it is answered; how it was answered, as in "404 Not Found". */
  async call(number: string, proxy: Deno.NetAddr): Promise<string> {
    const callId = crypto.randomUUID();
    const { promise: final, resolve } = Promise.withResolvers<string>();
    this.#waiting.set(callId, (response) => {
      if (/^SIP\/2.0 [2-6]/.test(response)) resolve(response);
    });
    const send = (text: string) => this.#sip.send(new TextEncoder().encode(text), proxy);
    const invite = this.#inviteTo(number, callId);
    await send(invite);
    const response = await final;
    await send(followUp("ACK", invite, response));
    if (response.startsWith("SIP/2.0 200")) await send(followUp("BYE", invite, response));
    return response.slice("SIP/2.0 ".length, response.indexOf("\r\n"));
  }

  [Symbol.dispose](): void {
    this.#sip.close();
    for (const socket of this.#sockets.values()) socket.close();
  }

  #answer(request: string): string | null {
    if (request.startsWith("INVITE ")) this.asked++;
    if (this.silent) return null;
    const [, method = "", user = ""] = /^(\w+) sip:([^@; ]*)/.exec(request) ?? [];
    const callId = callIdOf(request);
    const call = this.#calls.get(callId);
    switch (method) {
      case "INVITE": {
        if (this.full) return responseTo(request, "503 Service Unavailable");
        this.#calls.set(callId, call ?? { callId, number: user, ended: false });
        const more =
          `Contact: <sip:${user}@${this.hostname}:${this.sipPort}>\r\nContent-Type: application/sdp\r\n`;
        return responseTo(request, "200 OK", more, this.#describe(callId));
      }
      case "BYE":
        if (call !== undefined) call.ended = true;
        return responseTo(request, "200 OK");
      case "OPTIONS":
        return responseTo(request, "200 OK");
      default: // ACK
        return null;
    }
  }

  /** Opens the call's socket, which returns what comes, and says where it is. */
  #describe(callId: string): string {
    let socket = this.#sockets.get(callId);
    if (socket === undefined) {
      const echo = Deno.listenDatagram({ transport: "udp", hostname: this.hostname, port: 0 });
      void receiveAll(echo, (bytes, from) => void echo.send(bytes, from));
      this.#sockets.set(callId, socket = echo);
    }
    const { hostname, port } = socket.addr as Deno.NetAddr;
    const lines = [`o=- 1 1 IN IP4 ${hostname}`, "s=-", `c=IN IP4 ${hostname}`, "t=0 0"];
    return ["v=0", ...lines, `m=audio ${port} RTP/AVP 0`, ""].join("\r\n");
  }

  #inviteTo(number: string, callId: string): string {
    const body = this.#describe(callId);
    const lines = [
      `INVITE sip:${number}@sip.example.com SIP/2.0`,
      `Via: SIP/2.0/UDP ${this.hostname}:${this.sipPort};branch=z9hG4bK${callId}`,
      "Max-Forwards: 70",
      `From: <sip:+15550100@${this.hostname}>;tag=trunk`,
      `To: <sip:${number}@sip.example.com>`,
      `Call-ID: ${callId}`,
      "CSeq: 1 INVITE",
      `Contact: <sip:${this.hostname}:${this.sipPort}>`,
      "Content-Type: application/sdp",
      `Content-Length: ${body.length}`,
    ];
    return `${lines.join("\r\n")}\r\n\r\n${body}`;
  }
}

async function receiveAll(
  socket: Deno.DatagramConn,
  onDatagram: (bytes: Uint8Array, from: Deno.Addr) => void,
): Promise<void> {
  for await (const [bytes, from] of socket) onDatagram(bytes, from);
}

/** What a response takes from its request (RFC 3261 section 8.2.6), and the route of the dialog (12.1.1). */
function responseTo(request: string, status: string, more = "", body = ""): string {
  const head = request.split("\r\n\r\n")[0] ?? "";
  const copied = head.split("\r\n")
    .filter((line) => /^(?:Via|From|To|Call-ID|CSeq|Record-Route)\s*:/i.test(line))
    .map((line) => /^To\s*:/i.test(line) && !/;tag=/i.test(line) ? `${line};tag=trunk` : line);
  return `SIP/2.0 ${status}\r\n${
    copied.join("\r\n")
  }\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
}

function callIdOf(message: string): string {
  return headerOf(message, "Call-ID");
}

function headerOf(message: string, name: string): string {
  return new RegExp(`^${name}\\s*:\\s*(.*?)\\s*$`, "mi").exec(message)?.[1] ?? "";
}

/** The ACK or BYE after a final response: hop by hop for a refusal, along the route for a call. */
function followUp(method: "ACK" | "BYE", invite: string, response: string): string {
  const answered = response.startsWith("SIP/2.0 200");
  const target = answered ? /<([^>]+)>/.exec(headerOf(response, "Contact"))?.[1] : invite.split(" ")[1];
  const via = headerOf(invite, "Via");
  const lines = [
    `${method} ${target} SIP/2.0`,
    `Via: ${answered ? `${via}${method}` : via}`,
    ...(answered ? [`Route: ${headerOf(response, "Record-Route")}`] : []),
    "Max-Forwards: 70",
    `From: ${headerOf(invite, "From")}`,
    `To: ${headerOf(response, "To")}`,
    `Call-ID: ${callIdOf(invite)}`,
    `CSeq: ${method === "ACK" ? 1 : 2} ${method}`,
    "Content-Length: 0",
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}
