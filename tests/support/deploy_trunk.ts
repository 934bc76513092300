// The far side of deploy/: a trunk that answers every call with PCMU and returns each RTP packet to where it came from.
// SIP is read and written as text; it keeps just what a test wants to know of each call.

export interface TrunkCall {
  readonly callId: string;
  /** What was dialled. */
  readonly number: string;
  /** Set when the other side has hung up. */
  ended: boolean;
}

export interface Trunk extends Disposable {
  readonly sipPort: number;
  /** Calls that were answered, oldest first. */
  readonly calls: readonly TrunkCall[];
  /** RTP packets returned so far. */
  readonly returned: number;
  /** Calls a number through a proxy and hangs up when it is answered; how it was answered, as in "404 Not Found". */
  call(number: string, proxy: Deno.NetAddr): Promise<string>;
}

type Reply = (status: string, more?: string, body?: string) => string;

/** Opens it on free ports of a loopback address. */
export function openTrunk(hostname: string): Trunk {
  const sip = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  const rtp = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  const calls = new Map<string, TrunkCall>();
  const { port: sipPort } = sip.addr as Deno.NetAddr;
  const { port: rtpPort } = rtp.addr as Deno.NetAddr;
  const sdp =
    `v=0\r\no=- 1 1 IN IP4 ${hostname}\r\ns=-\r\nc=IN IP4 ${hostname}\r\nt=0 0\r\nm=audio ${rtpPort} RTP/AVP 0\r\n`;
  const answer = (text: string): string | null => {
    const [, method = "", user = ""] = /^(\w+) sip:([^@; ]*)/.exec(text) ?? [];
    const reply: Reply = (status, more = "", body = "") => responseTo(text, { status, more, body });
    const callId = callIdOf(text);
    const call = calls.get(callId);
    switch (method) {
      case "INVITE":
        calls.set(callId, call ?? { callId, number: user, ended: false });
        return reply(
          "200 OK",
          `Contact: <sip:${user}@${hostname}:${sipPort}>\r\nContent-Type: application/sdp\r\n`,
          sdp,
        );
      case "BYE":
        if (call !== undefined) call.ended = true;
        return reply("200 OK");
      case "OPTIONS":
        return reply("200 OK");
      default: // ACK, and responses to nothing we have asked
        return null;
    }
  };
  let returned = 0;
  const asked = new Map<string, (response: string) => void>();
  void receiveAll(sip, (bytes, from) => {
    const text = new TextDecoder().decode(bytes);
    if (text.startsWith("SIP/2.0 ")) return asked.get(callIdOf(text))?.(text);
    const response = answer(text);
    if (response !== null) void sip.send(new TextEncoder().encode(response), from);
  });
  const call = async (number: string, proxy: Deno.NetAddr): Promise<string> => {
    const callId = crypto.randomUUID();
    const { promise: final, resolve } = Promise.withResolvers<string>();
    asked.set(callId, (response) => {
      if (/^SIP\/2.0 [2-6]/.test(response)) resolve(response);
    });
    const send = (text: string) => sip.send(new TextEncoder().encode(text), proxy);
    const invite = inviteTo(number, { callId, hostname, sipPort, body: sdp });
    await send(invite);
    const response = await final;
    await send(followUp("ACK", invite, response));
    if (response.startsWith("SIP/2.0 200")) await send(followUp("BYE", invite, response));
    return response.slice("SIP/2.0 ".length, response.indexOf("\r\n"));
  };
  void receiveAll(rtp, (bytes, from) => {
    returned++;
    void rtp.send(bytes, from);
  });
  return {
    sipPort,
    get calls() {
      return [...calls.values()];
    },
    get returned() {
      return returned;
    },
    call,
    [Symbol.dispose]() {
      sip.close();
      rtp.close();
    },
  };
}

async function receiveAll(
  socket: Deno.DatagramConn,
  onDatagram: (bytes: Uint8Array, from: Deno.Addr) => void,
): Promise<void> {
  for await (const [bytes, from] of socket) onDatagram(bytes, from);
}

/** What a response takes from its request (RFC 3261 section 8.2.6), and the route of the dialog. */
function responseTo(request: string, { status, more, body }: { status: string; more: string; body: string }) {
  const head = request.split("\r\n\r\n")[0] ?? "";
  const copied = head.split("\r\n").filter((line) =>
    /^(?:Via|From|To|Call-ID|CSeq|Record-Route)\s*:/i.test(line)
  )
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

function inviteTo(
  number: string,
  from: { callId: string; hostname: string; sipPort: number; body: string },
): string {
  const { callId, hostname, sipPort, body } = from;
  const lines = [
    `INVITE sip:${number}@sip.example.com SIP/2.0`,
    `Via: SIP/2.0/UDP ${hostname}:${sipPort};branch=z9hG4bK${callId}`,
    "Max-Forwards: 70",
    `From: <sip:+15550100@${hostname}>;tag=trunk`,
    `To: <sip:${number}@sip.example.com>`,
    `Call-ID: ${callId}`,
    "CSeq: 1 INVITE",
    `Contact: <sip:${hostname}:${sipPort}>`,
    "Content-Type: application/sdp",
    `Content-Length: ${body.length}`,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
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
