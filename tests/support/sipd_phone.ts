// A phone for the tests of the built-in SIP server: an own user agent that calls a number with one audio or video
// line and plain sockets, so that what comes back is seen as it is on the wire.
// Role: edge

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import { AddressPolicy } from "../../lib/net/route.ts";
import { RtpPorts } from "../../lib/net/rtp_ports.ts";
import { decodeRtp, encodeRtpHeader, RTP_HEADER_LENGTH, type RtpPacket } from "../../lib/rtp/packet.ts";
import type { AgreedMedia } from "../../lib/sdp/agreed_media.ts";
import { formatSdp, parseSdp } from "../../lib/sdp/description.ts";
import { type MediaFormat, mediaFormat } from "../../lib/sdp/media_format.ts";
import { createOffer, readAnswer } from "../../lib/sdp/offer_answer.ts";
import { SDP_TYPE, type SipBody } from "../../lib/sip/message/body.ts";
import type { Call } from "../../lib/sip/ua/call.ts";
import { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { sipUri } from "../../lib/sip/message/uri.ts";
import type { UserAgent } from "../../lib/sip/ua/user_agent.ts";
import { RecordLog } from "./record_log.ts";

/** PCMU and DTMF. */
export const VOICE: readonly MediaFormat[] = [
  mediaFormat(0, "PCMU", 8000),
  mediaFormat(101, "telephone-event", 8000, { fmtp: "0-16" }),
];

/** An endpoint on a free loopback port. */
export function openPhones(bind = "127.0.0.1"): SipEndpoint {
  return SipEndpoint.open({
    bind,
    port: 0,
    portFallback: false,
    addresses: new AddressPolicy({ bind, advertise: null }),
    outboundProxy: null,
    userAgent: "test phone",
    expiresSeconds: 60,
  }, { clock: systemClock, log: new RecordLog("warn"), random: systemRandom, dns: systemDns });
}

/** A user of the server. */
export function createPhone(phones: SipEndpoint, user: string, server: Endpoint): UserAgent {
  const aor = sipUri(server.hostname, { user, port: server.port });
  return phones.createUserAgent({ aor, displayName: null, username: null, password: "any" });
}

/** Sockets of one line, and its offer. */
export class PhoneLine implements Disposable {
  readonly kind: "audio" | "video";
  readonly formats: readonly MediaFormat[];
  readonly received: RtpPacket[] = [];
  readonly #pair = new RtpPorts({ min: 0, max: 0 }, systemClock).bindPair("127.0.0.1", "video");
  readonly #running: Promise<void>;
  #waiting: (() => void) | null = null;
  #sequence = systemRandom.u16();
  agreed: AgreedMedia | null = null;

  constructor(formats: readonly MediaFormat[] = VOICE, kind: "audio" | "video" = "audio") {
    this.formats = formats;
    this.kind = kind;
    this.#running = this.#pair.rtp.run((bytes) => {
      const packet = decodeRtp(bytes);
      this.received.push({ ...packet, payload: packet.payload.slice() });
      this.#waiting?.();
    });
  }

  get port(): number {
    return this.#pair.rtp.local.port;
  }

  offer(direction: "sendrecv" | "sendonly" = "sendrecv", sessionVersion = 1): SipBody {
    const media = [{ kind: this.kind, port: this.port, formats: this.formats, direction }];
    const description = createOffer({ address: "127.0.0.1", sessionId: 1, sessionVersion, media });
    return { type: SDP_TYPE, bytes: encodeUtf8(formatSdp(description)) };
  }

  /** Reads the answer to offer(). */
  take(answer: SipBody | null, offer: SipBody = this.offer()): AgreedMedia {
    assert.ok(answer);
    const outcome = readAnswer(parseSdp(offer.bytes), parseSdp(answer.bytes));
    assert.ok(outcome.type === "answer");
    const [agreed] = outcome.agreed;
    assert.ok(agreed);
    return this.agreed = agreed;
  }

  /** Sends one packet to the agreed address. */
  send(payload: Uint8Array, timestamp: number, marker = false, payloadType?: number): void {
    const { remote, formats } = this.agreed!;
    const packet = new Uint8Array(RTP_HEADER_LENGTH + payload.length);
    encodeRtpHeader(packet, {
      marker,
      payloadType: payloadType ?? formats[0]!.sendPayloadType,
      sequenceNumber: this.#sequence++ & 0xffff,
      timestamp: timestamp >>> 0,
      ssrc: 0x1234,
    });
    packet.set(payload, RTP_HEADER_LENGTH);
    this.#pair.rtp.send(packet, remote!);
  }

  /** Waits until so many packets have come back. */
  async receive(count: number): Promise<readonly RtpPacket[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => this.#waiting = resolve);
    }
    return this.received;
  }

  [Symbol.dispose](): void {
    this.#pair[Symbol.dispose]();
  }

  /** Closes the sockets and waits for their tasks. */
  async close(): Promise<void> {
    this.#pair[Symbol.dispose]();
    await this.#running;
  }
}

/** Calls a number; gives the call, or the status of the refusal. */
export async function place(
  agent: UserAgent,
  uri: string,
  offer: SipBody | null,
  signal: AbortSignal = new AbortController().signal,
): Promise<{ call: Call | null; status: number; statuses: number[] }> {
  const statuses: number[] = [];
  for await (const step of agent.invite(parseNameAddr(uri), offer, signal)) {
    if (step.type === "accepted") return { call: step.call, status: 200, statuses };
    if (step.type === "offer") continue;
    statuses.push(step.status);
    if (step.type === "refused") return { call: null, status: step.status, statuses };
  }
  throw new Error("the attempt ended without an outcome");
}
