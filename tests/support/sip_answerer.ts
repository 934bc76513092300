// A SIP phone of a few lines: answers every request with 200, and every INVITE with the audio of one address.

import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { type Endpoint, formatEndpoint } from "../../lib/net/endpoint.ts";
import { UdpSocket } from "../../lib/net/udp.ts";
import { createResponse, encodeSipMessage } from "../../lib/sip/message/message.ts";
import { decodeSipDatagram } from "../../lib/sip/message/parser.ts";

export class SipAnswerer implements AsyncDisposable {
  readonly #socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  readonly #running: Promise<void>;
  #tags = 0;

  constructor() {
    this.#running = this.#socket.run((bytes, from) => this.#answer(bytes.slice(), from));
  }

  /** Whom to call. */
  get address(): string {
    return formatEndpoint(this.#socket.local);
  }

  #answer(bytes: Uint8Array, from: Endpoint): void {
    const { message } = decodeSipDatagram(bytes);
    if (message.kind !== "request" || message.method === "ACK") return;
    const response = createResponse(message, 200, undefined, `tag${this.#tags++}`);
    if (message.method === "INVITE") {
      response.headers.add("Contact", `<sip:phone@${this.address}>`);
      response.headers.set("Content-Type", "application/sdp");
      const lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"];
      const media = ["m=audio 9 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", ""];
      response.body = encodeUtf8([...lines, ...media].join("\r\n"));
    }
    this.#socket.send(encodeSipMessage(response), from);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#running;
  }
}
