// A codec that nobody has: u-law with every bit turned over, in 20 ms blocks. All of it is this file; a registry with it
// is `builtInCodecs.with(mirror)`.
// Role: machine

import type {
  AudioDecoder,
  AudioDepacketizer,
  AudioEncoder,
  AudioPacketizer,
  Codec,
} from "../../lib/codecs/codec.ts";
import { linearToUlaw, ulawToLinear } from "../../lib/codecs/g711_tables.ts";
import { fourCcOf } from "../../lib/media/codec_ids.ts";
import { createFrame, type Frame, type FrameSink, type PayloadSink } from "../../lib/media/frame.ts";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "../../lib/media/timeline.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";

const RATE = 8000;
const BLOCK = 160;
const FORMAT = mediaFormat(118, "x-mirror", RATE);
const NOTHING = new Int16Array(0);
/** Enhanced RTMP: coded frames, or a configuration, of the FourCC "Mirr". */
const FRAME_HEADER = Uint8Array.of(0x91, 0x4d, 0x69, 0x72, 0x72);

export const mirror: Codec<"mirror"> = {
  name: "mirror",
  label: "Mirror",
  kind: "audio",
  encodingName: "x-mirror",
  tokens: [{ token: "mirror", formats: [FORMAT] }],
  flv: { ids: [fourCcOf("Mirr")], frameHeader: FRAME_HEADER },
  passthrough: {
    createPacketizer: ({ clockRate, clock }) => packetizer(new RtmpToRtpTimeline(clockRate, clock)),
    createDepacketizer: ({ clockRate, clock, originMs }) =>
      depacketizer(new RtpToRtmpTimeline(clockRate, clock, originMs)),
    silence: () => new Uint8Array(BLOCK),
  },
  transcode: {
    client: { codec: "mirror", sampleRate: RATE },
    offers: [{ format: FORMAT, wideband: false, rank: { wide: 9, narrow: 9 } }],
    createDecoder: () => decoder(),
    createEncoder: () => encoder(),
  },
};

function packetizer(timeline: RtmpToRtpTimeline): AudioPacketizer {
  return {
    timeline,
    dropped: 0,
    restart: () => timeline.restart(),
    push({ timeMs, data }: Frame, emit: PayloadSink) {
      emit(data, timeline.placeBlock(timeMs, data.length) >>> 0, timeline.afterGap);
    },
  };
}

function depacketizer(timeline: RtpToRtmpTimeline): AudioDepacketizer {
  const frame = createFrame();
  return {
    timeline,
    dropped: 0,
    restart: () => timeline.restart(),
    push(payload: Uint8Array, timestamp: number, _marker: boolean, emit: FrameSink) {
      frame.timeMs = timeline.timeMsOf(timestamp);
      frame.data = payload;
      emit(frame);
    },
  };
}

function decoder(): AudioDecoder {
  return {
    sampleRate: RATE,
    channels: 1,
    decode: (packet) => Int16Array.from(packet, (octet) => ulawToLinear(octet ^ 0xff)),
    conceal: () => NOTHING,
    [Symbol.dispose]() {},
  };
}

function encoder(): AudioEncoder {
  return {
    sampleRate: RATE,
    frameSamples: BLOCK,
    encode: (samples) => Uint8Array.from(samples, (sample) => linearToUlaw(sample) ^ 0xff),
    [Symbol.dispose]() {},
  };
}
