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
    const callId = /^Call-ID:\s*(\S+)/mi.exec(text)?.[1] ?? "";
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
  void receiveAll(sip, (bytes, from) => {
    const response = answer(new TextDecoder().decode(bytes));
    if (response !== null) void sip.send(new TextEncoder().encode(response), from);
  });
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
