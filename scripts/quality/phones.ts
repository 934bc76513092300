// The remote party of the measured calls: a phone with one number for each codec, which decodes what it hears, and
// encodes it again to say the same.
// Role: edge

import { AudioPath } from "../../lib/codecs/audio_path.ts";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import type { Codecs } from "../../lib/codecs/codecs.ts";
import type { Clock } from "../../lib/base/clock.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import { CallRegistry } from "../../lib/call/registry.ts";
import type { Logger } from "../../lib/base/log.ts";
import { Scope } from "../../lib/base/scope.ts";
import type { Random } from "../../lib/base/random.ts";
import type { DnsResolver } from "../../lib/net/dns.ts";
import { AddressPolicy } from "../../lib/net/route.ts";
import { RtpPorts } from "../../lib/net/rtp_ports.ts";
import type { RtpSession } from "../../lib/rtp/session.ts";
import type { AgreedMedia } from "../../lib/sdp/agreed_media.ts";
import { type MediaFormat, mediaFormat, sameFormat } from "../../lib/sdp/media_format.ts";
import { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import { sipUri } from "../../lib/sip/message/uri.ts";
import { BuiltInNumber } from "../../lib/tools/sipd/built_in_number.ts";
import type { MediaTreatment, NumberServices } from "../../lib/tools/sipd/number_media.ts";

/** One way to carry audio over RTP. */
export interface PeerKind {
  /** For the table. */
  readonly name: string;
  /** The number that speaks it. */
  readonly user: string;
  /** In SDP. */
  readonly format: MediaFormat;
  /** For the codec. */
  readonly audio: AudioFormat;
}

/** What phones speak. */
export const PEERS: readonly PeerKind[] = [
  {
    name: "PCMU",
    user: "pcmu",
    format: mediaFormat(0, "PCMU", 8000),
    audio: { codec: "pcmu", sampleRate: 8000 },
  },
  {
    name: "PCMA",
    user: "pcma",
    format: mediaFormat(8, "PCMA", 8000),
    audio: { codec: "pcma", sampleRate: 8000 },
  },
  {
    name: "G.722",
    user: "g722",
    format: mediaFormat(9, "G722", 8000),
    audio: { codec: "g722", sampleRate: 16000 },
  },
  {
    name: "Speex wb",
    user: "speexwb",
    format: mediaFormat(96, "speex", 16000),
    audio: { codec: "speex", sampleRate: 16000 },
  },
  {
    name: "Speex nb",
    user: "speexnb",
    format: mediaFormat(98, "speex", 8000),
    audio: { codec: "speex", sampleRate: 8000 },
  },
  {
    name: "Opus",
    user: "opus",
    format: mediaFormat(107, "opus", 48000, { channels: 2 }),
    audio: { codec: "opus", sampleRate: 48000 },
  },
];

/** What a running remote party needs. */
export interface PhonesEnvironment {
  /** Time. */
  readonly clock: Clock;
  /** Tags. */
  readonly random: Random;
  /** Lines of trouble. */
  readonly log: Logger;
  /** Never asked: everything is on loopback. */
  readonly dns: DnsResolver;
  /** What the phones decode and encode with. */
  readonly codecs: Codecs;
}

/** All numbers, on one port of loopback. */
export class Phones implements AsyncDisposable {
  readonly #opened: AsyncDisposableStack;
  /** The SIP port. */
  readonly port: number;

  /** Answers from now on. */
  static open(environment: PhonesEnvironment): Phones {
    const bind = "127.0.0.1";
    const opened = new AsyncDisposableStack();
    const endpoint = opened.use(SipEndpoint.open({
      bind,
      port: 0,
      portFallback: false,
      addresses: new AddressPolicy({ bind, advertise: null }),
      outboundProxy: null,
      userAgent: "siprtmp-quality",
      expiresSeconds: 3600,
    }, environment));
    const { clock, random, log, codecs } = environment;
    const ticker = opened.adopt(new Ticker(clock, 20), (one) => one[Symbol.dispose]());
    const services: NumberServices = {
      clock,
      random,
      log,
      calls: new CallRegistry(environment),
      ticker,
      scope: opened.adopt(new Scope("media", { log }), (one) => one.close()),
      ports: new RtpPorts({ min: 0, max: 0 }, clock),
      bind,
    };
    for (const peer of PEERS) {
      const aor = sipUri(bind, { user: peer.user, port: endpoint.port });
      const agent = endpoint.createUserAgent({ aor, displayName: null, username: null, password: null });
      opened.use(new BuiltInNumber({ agent, services, treatment: treatmentOf(peer, { codecs, random }) }));
    }
    return new Phones(endpoint.port, opened);
  }

  private constructor(port: number, opened: AsyncDisposableStack) {
    this.port = port;
    this.#opened = opened;
  }

  /** Hangs up and closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

function treatmentOf(peer: PeerKind, parts: { codecs: Codecs; random: Random }): MediaTreatment {
  return {
    offered: [{ kind: "audio", formats: [peer.format] }],
    accept: (kind, offered) =>
      kind === "audio" ? offered.filter((format) => sameFormat(format, peer.format)).slice(0, 1) : [],
    connect: (agreed, session) => connect(agreed, session, { ...parts, peer }),
  };
}

/** Each packet is decoded and said again; a phone that only returned octets would hide half of the way. */
function connect(
  agreed: AgreedMedia,
  session: RtpSession,
  { codecs, random, peer }: { codecs: Codecs; random: Random; peer: PeerKind },
): Disposable {
  const path = new AudioPath({ from: peer.audio, to: peer.audio, codecs, random });
  const sendAs = agreed.formats[0]!.sendPayloadType;
  const perPacket = peer.format.clockRate / 50;
  let timestamp = 0;
  session.receiver = {
    fromRtp: (payload, _timestamp, marker, _type, lost) => {
      if (lost > 0) path.lost(lost);
      path.push(payload);
      while (path.encode((packet) => session.send(packet, timestamp += perPacket, marker, sendAs)));
    },
  };
  return {
    [Symbol.dispose]: () => {
      session.receiver = null;
      path[Symbol.dispose]();
    },
  };
}
