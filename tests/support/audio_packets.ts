// Frames of a client packed, payloads of a peer unpacked, on a clock of the test.
// Role: machine

import type { AudioPacketizer } from "../../lib/codecs/codec.ts";
import { createAudioDepacketizer, createAudioPacketizer, type PassThroughAudio } from "./audio_formats.ts";
import { type CodecName, createFrame, type Frame } from "../../lib/media/frame.ts";
import { FakeClock } from "./fake_clock.ts";

export interface Sent {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
}

export function audioFrame(codec: CodecName, timeMs: number, data: Uint8Array, tag = 0): Frame {
  return { ...createFrame(), codec, timeMs, data, tag };
}

export function packetizer(codec: PassThroughAudio, clockRate: number, ptimeMs: number | null = null): {
  clock: FakeClock;
  packetizer: AudioPacketizer;
  send: (frame: Frame) => Sent[];
} {
  const clock = new FakeClock();
  const made = createAudioPacketizer({ codec, clockRate, clock, ptimeMs });
  const send = (frame: Frame): Sent[] => {
    const sent: Sent[] = [];
    made.push(
      frame,
      (payload, timestamp, marker) => sent.push({ payload: payload.slice(), timestamp, marker }),
    );
    return sent;
  };
  return { clock, packetizer: made, send };
}

export function receiver(codec: PassThroughAudio, clockRate: number): {
  clock: FakeClock;
  restart: () => void;
  dropped: () => number;
  receive: (
    payload: Uint8Array,
    timestamp: number,
  ) => { timeMs: number; data: Uint8Array; codec: CodecName }[];
} {
  const clock = new FakeClock();
  const made = createAudioDepacketizer({ codec, clockRate, clock, originMs: 0 });
  return {
    clock,
    restart: () => made.restart(),
    dropped: () => made.dropped,
    receive: (payload, timestamp) => {
      const frames: { timeMs: number; data: Uint8Array; codec: CodecName }[] = [];
      made.push(payload, timestamp, false, (frame) => {
        frames.push({ timeMs: frame.timeMs, data: frame.data.slice(), codec: frame.codec });
      }, 0);
      return frames;
    },
  };
}
