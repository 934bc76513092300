// The number `echo`: returns each RTP packet to its sender, payload, timestamp and marker as they came, in any format the
// project knows, and each instant message (RFC 3428), within bounds: two programs that both answer would talk for ever.
// Role: edge

import type { Clock } from "../../base/clock.ts";
import type { MediaKind } from "../../call/call_streams.ts";
import type { RtpSession } from "../../rtp/session.ts";
import type { AgreedMedia } from "../../sdp/agreed_media.ts";
import { formatName, type MediaFormat, mediaFormat } from "../../sdp/media_format.ts";
import type { SipBody } from "../../sip/message/body.ts";
import { nameAddrOf } from "../../sip/message/name_addr.ts";
import type { SipUri } from "../../sip/message/uri.ts";
import type { IncomingMessage, UserAgent } from "../../sip/ua/user_agent.ts";
import { BuiltInNumber } from "./built_in_number.ts";
import type { MediaTreatment, NumberServices } from "./number_media.ts";

/** Every encoding that is returned, as "name/clock" or "name/clock/channels" in lower case. */
const RETURNED: ReadonlySet<string> = new Set([
  "speex/8000",
  "speex/16000",
  "speex/32000",
  "pcmu/8000",
  "pcma/8000",
  "g722/8000",
  "opus/48000/2",
  "cn/8000",
  "telephone-event/8000",
  "telephone-event/16000",
  "telephone-event/32000",
  "telephone-event/48000",
  "h264/90000",
  "x-flv/90000",
]);

/** What a caller without an offer is offered; the payload types are those of siprtmp's codec table. */
const OFFERED: readonly MediaFormat[] = [
  mediaFormat(0, "PCMU", 8000),
  mediaFormat(8, "PCMA", 8000),
  mediaFormat(96, "speex", 16000),
  mediaFormat(98, "speex", 8000),
  mediaFormat(9, "G722", 8000),
  mediaFormat(107, "opus", 48000, { channels: 2 }),
  mediaFormat(101, "telephone-event", 8000, { fmtp: "0-16" }),
];

/** RTCP feedback that is passed on: asking the sender of the picture for a key frame. */
const FEEDBACK: ReadonlySet<string> = new Set(["nack pli", "ccm fir"]);

export const echoTreatment: MediaTreatment = {
  offered: [{ kind: "audio", formats: OFFERED }],
  accept: (_kind: MediaKind, offered: readonly MediaFormat[]) =>
    offered.filter((format) => RETURNED.has(formatName(format).toLowerCase())).map((format) => ({
      ...format,
      rtcpFb: format.rtcpFb.filter((type) => FEEDBACK.has(type)),
    })),
  connect: (agreed: AgreedMedia, session: RtpSession) => connectEcho(agreed, session),
};

function connectEcho(agreed: AgreedMedia, session: RtpSession): Disposable {
  const sendAs = payloadTypeMap(agreed);
  session.receiver = {
    fromRtp: (payload, timestamp, marker, payloadType) => {
      const returned = sendAs[payloadType]!;
      if (returned >= 0) session.send(payload, timestamp, marker, returned);
    },
  };
  // Whoever cannot decode the picture has it from the caller's own encoder.
  const forwards = agreed.formats.some((format) => format.rtcpFb.length > 0);
  session.onRtcp = (event) => {
    if (forwards && (event.type === "pli" || event.type === "fir")) session.sendFeedback(event.type);
  };
  return {
    [Symbol.dispose]: () => {
      session.receiver = null;
      session.onRtcp = null;
    },
  };
}

/** Payload type received -> payload type returned; -1 for what was not agreed. */
function payloadTypeMap(agreed: AgreedMedia): Int16Array {
  const map = new Int16Array(128).fill(-1);
  for (const format of [...agreed.formats, ...agreed.telephoneEvents, ...agreed.comfortNoise]) {
    for (const payloadType of format.receivePayloadTypes) map[payloadType] = format.sendPayloadType;
  }
  return map;
}

interface EchoNumberOptions {
  readonly agent: UserAgent;
  readonly services: NumberServices;
  /** Users whose messages get no reply: the built-in numbers. */
  readonly neverTo: ReadonlySet<string>;
}

export function openEchoNumber(options: EchoNumberOptions): BuiltInNumber {
  const { agent, services, neverTo } = options;
  const log = services.log.category("call").child("number echo");
  const echo = new MessageEcho({
    clock: services.clock,
    neverTo,
    send: (to, body, done) =>
      number.spawn("reply", async (signal) => {
        const { status, reason } = await agent.request("MESSAGE", nameAddrOf(to), body, signal);
        log.debug(`MESSAGE to ${to.user ?? ""} answered ${status} ${reason}`);
        done();
      }),
  });
  const number: BuiltInNumber = new BuiltInNumber({
    agent,
    services,
    treatment: echoTreatment,
    onMessage: (message) => echo.receive(message),
    onCallMessage: (call, body) =>
      echo.receiveInCall(body, (text, done) =>
        number.spawn("reply in a call", async () => {
          await call.message(text);
          done();
        })),
  });
  return number;
}

/** Replies under way at a time; messages beyond get none. */
export const MAX_REPLIES = 8;
/** Replies begun in any one second; messages beyond get none. */
export const MAX_REPLIES_PER_SECOND = 10;
/** Longest text sent back, in octets; requests over UDP should stay below 1300 (RFC 3428 8). */
export const MAX_TEXT_OCTETS = 8192;

interface MessageEchoOptions {
  readonly clock: Clock;
  /** Users that are never answered. */
  readonly neverTo: ReadonlySet<string>;
  /** Sends one reply outside calls and calls `done` when it was answered or failed. */
  readonly send: (to: SipUri, body: SipBody, done: () => void) => void;
}

export class MessageEcho {
  /** Messages that got no reply. */
  dropped = 0;
  readonly #options: MessageEchoOptions;
  #underWay = 0;
  #secondMs = -Infinity;
  #begun = 0;

  constructor(options: MessageEchoOptions) {
    this.#options = options;
  }

  receive(message: IncomingMessage): void {
    const { uri } = message.from;
    if (uri.user === null || this.#options.neverTo.has(uri.user)) return void this.dropped++;
    if (this.#mayReply(message.body)) this.#options.send(uri, message.body, this.#done());
  }

  /** Takes a message of a call; `send` is the call's. */
  receiveInCall(body: SipBody, send: (body: SipBody, done: () => void) => void): void {
    if (this.#mayReply(body)) send(body, this.#done());
  }

  #mayReply(body: SipBody): boolean {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#secondMs >= 1000) {
      this.#secondMs = nowMs;
      this.#begun = 0;
    }
    const allowed = this.#underWay < MAX_REPLIES && this.#begun < MAX_REPLIES_PER_SECOND &&
      body.bytes.length <= MAX_TEXT_OCTETS;
    if (allowed) this.#begun++;
    else this.dropped++;
    return allowed;
  }

  /** Counts a reply until what it returns is called. */
  #done(): () => void {
    this.#underWay++;
    let open = true;
    return () => {
      if (open) this.#underWay--;
      open = false;
    };
  }
}
