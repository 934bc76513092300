// What one media packet costs on its way through the gateway, without sockets.

import { systemClock } from "../lib/base/clock.ts";
import { AudioBridge } from "../lib/call/audio_bridge.ts";
import type { NegotiatedAudio } from "../lib/call/negotiation.ts";
import { speexSample } from "../lib/codecs/sample.ts";
import { encodeRtpHeader, RtpView } from "../lib/rtp/packet.ts";

function line(kind: "pcmu" | "speex", clockRate: number): AudioBridge {
  const receive = [{ payloadType: 96, codec: kind, clockRate, toClient: kind }];
  const chain: NegotiatedAudio = {
    kind: "codec",
    client: kind,
    remote: kind,
    clockRate,
    sendPayloadType: 96,
    receive,
    ptimeMs: null,
  };
  return new AudioBridge({
    chain,
    telephoneEvents: [],
    redundancy: null,
    clock: systemClock,
    originMs: systemClock.now(),
    toSip: { send: () => {} },
    toRtmp: { play: () => {} },
    onDigit: () => {},
    onPlaced: () => {},
  });
}

const pcmu = new Uint8Array(161).fill(0x55);
pcmu[0] = 0x82;
const speex = new Uint8Array([0xb2, ...speexSample()[10]!]);

for (
  const { name, kind, rate, body } of [
    { name: "PCMU", kind: "pcmu", rate: 8000, body: pcmu },
    { name: "Speex wideband", kind: "speex", rate: 16000, body: speex },
    { name: "Speex, wideband layer stripped", kind: "speex", rate: 8000, body: speex },
  ] as const
) {
  const up = line(kind, rate);
  const message = { type: 8 as const, timeMs: 0, body };
  Deno.bench({ name: `RTMP -> RTP, ${name}`, group: "up" }, () => {
    message.timeMs += 20;
    up.fromRtmp(message);
  });
  const down = line(kind, rate);
  const payload = body.subarray(1);
  let timestamp = 0;
  Deno.bench({ name: `RTP -> RTMP, ${name}`, group: "down" }, () => {
    timestamp += rate / 50;
    down.fromRtp(payload, timestamp, false, 96, 0);
  });
}

const packet = new Uint8Array(172);
const header = { marker: false, payloadType: 0, sequenceNumber: 1, timestamp: 160, ssrc: 7 };
encodeRtpHeader(packet, header);
const view = new RtpView();
Deno.bench({ name: "RTP header in", group: "header" }, () => void view.decode(packet));
Deno.bench({ name: "RTP header out", group: "header" }, () => encodeRtpHeader(packet, header));
