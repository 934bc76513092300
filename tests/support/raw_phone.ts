// A SIP phone made of text over one UDP socket and one RTP socket on loopback: it says exactly what a test wants it to
// say, right or wrong.

export interface RawPhone extends Disposable {
  readonly port: number;
  readonly rtpPort: number;
  /** Sends text to a port as it is; `$` becomes CRLF. */
  send(text: string, to: number): void;
  /** The next message whose first line matches; others before it are skipped. */
  receive(firstLine: RegExp): Promise<string>;
  /** Sends one RTP packet. */
  sendRtp(bytes: Uint8Array, to: number): void;
  /** The next RTP packet. */
  receiveRtp(): Promise<Uint8Array>;
}

const PATIENCE_MS = 10_000;

export function openRawPhone(): RawPhone {
  const sip = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const rtp = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const [sipAddress, rtpAddress] = [sip.addr as Deno.NetAddr, rtp.addr as Deno.NetAddr];
  const at = (port: number): Deno.NetAddr => ({ transport: "udp", hostname: "127.0.0.1", port });
  return {
    port: sipAddress.port,
    rtpPort: rtpAddress.port,
    send: (text, to) => void sip.send(new TextEncoder().encode(text.replaceAll("$", "\r\n")), at(to)),
    async receive(firstLine) {
      const skipped: string[] = [];
      for (;;) {
        const text = new TextDecoder().decode((await soon(sip.receive(), () => skipped.join(", ")))[0]);
        const first = text.split("\r\n")[0] ?? "";
        if (firstLine.test(first)) return text;
        skipped.push(first);
      }
    },
    sendRtp: (bytes, to) => void rtp.send(bytes, at(to)),
    receiveRtp: async () => (await soon(rtp.receive(), () => "no RTP"))[0],
    [Symbol.dispose]() {
      sip.close();
      rtp.close();
    },
  };
}

async function soon<T>(promise: Promise<T>, instead: () => string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`nothing came; before: ${instead()}`)), PATIENCE_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A header's value in a message, or "". */
export function header(message: string, name: string): string {
  return new RegExp(`^${name}\\s*:\\s*(.*)$`, "im").exec(message)?.[1]?.trim() ?? "";
}

/** An INVITE to a user of a gateway; `$` stands for CRLF. */
export function rawInvite(phone: RawPhone, to: { user: string; port: number }, changes: {
  readonly callId: string;
  readonly formats?: string;
  /** Of the c= line. */
  readonly connection?: string;
  readonly sdpLines?: string;
  readonly via?: string;
  readonly contact?: string;
  readonly contentLength?: number;
  readonly extra?: string;
}): string {
  const connection = changes.connection ?? "IN IP4 127.0.0.1";
  const body = `v=0$o=- 1 1 IN IP4 127.0.0.1$s=-$c=${connection}$t=0 0$m=audio ${phone.rtpPort} RTP/AVP ` +
    `${changes.formats ?? "0"}$${changes.sdpLines ?? ""}`;
  const via = changes.via ?? `SIP/2.0/UDP 127.0.0.1:${phone.port};branch=z9hG4bK${changes.callId};rport`;
  return `INVITE sip:${to.user}@127.0.0.1:${to.port} SIP/2.0$Via: ${via}$Max-Forwards: 70$` +
    `From: "Desk" <sip:desk@127.0.0.1:${phone.port}>;tag=f${changes.callId}$To: <sip:${to.user}@127.0.0.1:${to.port}>$` +
    `Call-ID: ${changes.callId}$CSeq: 1 INVITE$Contact: ${
      changes.contact ?? `<sip:desk@127.0.0.1:${phone.port}>`
    }$` +
    `${changes.extra ?? ""}Content-Type: application/sdp$` +
    `Content-Length: ${changes.contentLength ?? body.replaceAll("$", "  ").length}$$${body}`;
}

/** A request inside the dialog that a 2xx made. */
export function rawInDialog(
  phone: RawPhone,
  method: string,
  cseq: number,
  ok: string,
  branch: string,
): string {
  const target = /<([^>]+)>/.exec(header(ok, "Contact"))?.[1] ?? "";
  return `${method} ${target} SIP/2.0$Via: SIP/2.0/UDP 127.0.0.1:${phone.port};branch=${branch};rport$Max-Forwards: 70$` +
    `From: ${header(ok, "From")}$To: ${header(ok, "To")}$Call-ID: ${
      header(ok, "Call-ID")
    }$CSeq: ${cseq} ${method}$` +
    `Content-Length: 0$$`;
}

/** An answer to an INVITE that takes one format; a 200 unless told otherwise. */
export function rawAnswer(phone: RawPhone, invite: string, format: string, changes: {
  readonly status?: string;
  readonly connection?: string;
  readonly sdpLines?: string;
} = {}): string {
  const { status = "200 OK", connection = "IN IP4 127.0.0.1", sdpLines = "" } = changes;
  const body =
    `v=0$o=- 1 1 IN IP4 127.0.0.1$s=-$c=${connection}$t=0 0$m=audio ${phone.rtpPort} RTP/AVP ${format}$${sdpLines}`;
  return `SIP/2.0 ${status}$Via: ${header(invite, "Via")}$From: ${header(invite, "From")}$To: ${
    header(invite, "To")
  };tag=d1$` +
    `Call-ID: ${header(invite, "Call-ID")}$CSeq: ${
      header(invite, "CSeq")
    }$Contact: <sip:desk@127.0.0.1:${phone.port}>$` +
    `Content-Type: application/sdp$Content-Length: ${body.replaceAll("$", "  ").length}$$${body}`;
}
