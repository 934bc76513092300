// Parts of the built-in SIP server without sockets: SIP and RTP in memory under one fake clock.
// Role: edge

import type { RtpReceiver } from "../../lib/rtp/session.ts";
import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import type { Clock } from "../../lib/base/clock.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import { CallRegistry } from "../../lib/call/registry.ts";
import { encodeRtp } from "../../lib/rtp/packet.ts";
import type { AgreedMedia } from "../../lib/sdp/agreed_media.ts";
import type { Direction } from "../../lib/sdp/description.ts";
import { formatSdp, parseSdp, type SessionDescription } from "../../lib/sdp/description.ts";
import { type MediaFormat, mediaFormat } from "../../lib/sdp/media_format.ts";
import { createAnswer, createOffer, readAnswer } from "../../lib/sdp/offer_answer.ts";
import { SDP_TYPE, type SipBody } from "../../lib/sip/message/body.ts";
import type { MessageTransport } from "../../lib/sip/ua/endpoint.ts";
import type { SipMessage } from "../../lib/sip/message/message.ts";
import { decodeSipDatagram } from "../../lib/sip/message/parser.ts";
import type { Flow } from "../../lib/sip/message/target.ts";
import type { NumberServices } from "../../lib/tools/sipd/number_media.ts";
import { FakeUdpNetwork } from "./fake_udp.ts";
import { RecordLog } from "./record_log.ts";
import type { SipNetwork } from "./sip_network.ts";

/** Where the callers of these tests receive RTP. */
export const CALLER_RTP = { hostname: "10.0.0.9", port: 7000 };
export const PCMU = mediaFormat(0, "PCMU", 8000);
export const PCMA = mediaFormat(8, "PCMA", 8000);
export const SPEEX = mediaFormat(96, "speex", 16000);

/** What numbers share, with sockets in memory. */
export function memoryServices(clock: Clock): NumberServices & { rtp: FakeUdpNetwork; log: RecordLog } {
  const rtp = new FakeUdpNetwork();
  const log = new RecordLog();
  const ticker = new Ticker(clock, 20, (error) => log.error("a tick failed", error));
  const random = seededRandom(1);
  const calls = new CallRegistry({ clock, random: seededRandom(2) });
  const scope = new Scope("media", { log });
  return { clock, random, log, calls, ticker, scope, ports: rtp, bind: "10.0.0.2", rtp };
}

/** What an offer or answer of a caller says. */
export interface Described {
  kind?: "audio" | "video";
  formats?: readonly MediaFormat[];
  direction?: Direction;
  address?: string;
  port?: number;
}

/** An offer with one m-line. */
export function offerOf(options: Described = {}): SipBody {
  return bodyOf(offered(options));
}

function offered(options: Described): SessionDescription {
  const { kind = "audio", formats = [PCMU], direction = "sendrecv" } = options;
  const { address = CALLER_RTP.hostname, port = CALLER_RTP.port } = options;
  const media = [{ kind, port, formats, direction }];
  return createOffer({ address, sessionId: 1, sessionVersion: 1, media });
}

/** The caller's answer to an offer of ours. */
export function answerOf(offer: SipBody, options: Described = {}): SipBody {
  const { kind = "audio", formats = [PCMU], address = CALLER_RTP.hostname, port = CALLER_RTP.port } = options;
  const fields = { address, sessionId: 1, sessionVersion: 1 };
  const outcome = createAnswer(parseSdp(offer.bytes), { ...fields, media: [{ kind, port, formats }] });
  assert.ok(outcome.type === "answer");
  return bodyOf(outcome.answer);
}

/** What the numbers' side understands when it answers an offer of a caller. */
export function agreedOn(options: Described = {}, ours: readonly MediaFormat[] = []): AgreedMedia {
  const { kind = "audio", formats = [PCMU] } = options;
  const media = [{ kind, port: 9, formats: ours.length === 0 ? formats : ours }];
  const outcome = createAnswer(offered(options), {
    address: "10.0.0.2",
    sessionId: 2,
    sessionVersion: 1,
    media,
  });
  assert.ok(outcome.type === "answer" && outcome.agreed[0]);
  return outcome.agreed[0];
}

/** What the caller understands of our answer to its offer. */
export function understood(answer: SipBody, options: Described = {}): AgreedMedia {
  const outcome = readAnswer(offered(options), parseSdp(answer.bytes));
  assert.ok(outcome.type === "answer" && outcome.agreed[0]);
  return outcome.agreed[0];
}

function bodyOf(description: SessionDescription): SipBody {
  return { type: SDP_TYPE, bytes: encodeUtf8(formatSdp(description)) };
}

/** A session that only notes what is sent. */
export class RecordingSession {
  readonly sent: { payload: number[]; timestamp: number; marker: boolean; payloadType: number }[] = [];
  readonly anchors: [timestamp: number, atMs: number][] = [];
  readonly feedback: string[] = [];
  receiver: RtpReceiver | null = null;
  onRtcp: ((event: { type: string }) => void) | null = null;

  send(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): void {
    this.sent.push({ payload: [...payload], timestamp, marker, payloadType });
  }

  anchor(timestamp: number, atMs: number): void {
    this.anchors.push([timestamp, atMs]);
  }

  sendFeedback(kind: string): boolean {
    this.feedback.push(kind);
    return true;
  }
}

/** Opens SIP ports at one host of a network in memory; port 0 gives 40000 and up. */
export function memoryTransports(
  network: SipNetwork,
): (at: { bind: string; port: number }) => MessageTransport {
  let free = 40000;
  return ({ bind, port }) => {
    const local = { hostname: bind, port: port === 0 ? free++ : port };
    const transport: MessageTransport = {
      port: local.port,
      onMessage: null as ((message: SipMessage, flow: Flow) => void) | null,
      send: (message, target) => {
        network.carry(message, local, target);
        const { transport: by, endpoint: remote } = target;
        const flow = { transport: by, remote, local, connectionId: 0 };
        return Promise.resolve({ type: "sent", transport: by, flow });
      },
      [Symbol.asyncDispose]: () => {
        network.detach(local);
        return Promise.resolve();
      },
    };
    network.attach(local, (bytes, from, target) => {
      const { message } = decodeSipDatagram(bytes);
      transport.onMessage?.(message, { transport: target.transport, remote: from, local, connectionId: 0 });
    });
    return transport;
  };
}

/** An RTP packet as the callers of these tests send it. */
export function rtpPacket(sequenceNumber: number, payload: readonly number[], payloadType = 0): Uint8Array {
  return encodeRtp({
    marker: false,
    payloadType,
    sequenceNumber,
    timestamp: 160 * sequenceNumber,
    ssrc: 7,
    csrcs: [],
    extension: null,
    payload: Uint8Array.from(payload),
    padding: 0,
  });
}
