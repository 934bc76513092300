// An audio line with a client on one side and a peer on the other, both of the test: what they send at which time,
// what each of them hears, and how much waits in between.
// Role: machine

import assert from "node:assert/strict";
import { AudioBridge, type AudioBridgeOptions } from "../../lib/call/audio_bridge.ts";
import { type ClientAudio, type SipAudio, sipFormat } from "./audio_formats.ts";
import type { MediaWarning } from "../../lib/call/media_warnings.ts";
import type { NegotiatedAudio, ReceivedAudio } from "../../lib/call/negotiation.ts";
import { FakeClock } from "./fake_clock.ts";
import {
  audioTag,
  type CodedAudio,
  decodePayloads,
  PlayerEar,
  transcodeServices,
} from "./transcode_bench.ts";

/** Payload types of the peer's codecs. */
export const TYPES: Record<SipAudio, number> = { pcmu: 0, pcma: 8, g722: 9, opus: 107, speex: 96 };
/** Their RTP clocks. */
export const CLOCKS: Record<SipAudio, number> = {
  pcmu: 8000,
  pcma: 8000,
  g722: 8000,
  opus: 48000,
  speex: 16000,
};

/** The chain of a client of `from` with a peer that takes `peer[0]` and may send all of them. */
export function chainOf(from: ClientAudio, ...peer: SipAudio[]): NegotiatedAudio {
  const receive = peer.map((codec): ReceivedAudio => ({
    payloadType: TYPES[codec],
    codec,
    clockRate: CLOCKS[codec],
    toClient: from,
  }));
  const [to] = peer as [SipAudio];
  const line = { clockRate: CLOCKS[to], sendPayloadType: TYPES[to], receive, ptimeMs: null };
  return { kind: "codec", client: from, remote: to, ...line };
}

/** One RTP payload. */
export interface Sent {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payloadType: number;
  readonly atMs: number;
}

/** One audio line between a client and a peer of the test, on a clock of its own. */
export class AudioBench implements Disposable {
  readonly clock = new FakeClock(10_000);
  readonly sent: Sent[] = [];
  readonly played: { timeMs: number; body: Uint8Array }[] = [];
  readonly warning: MediaWarning[] = [];
  readonly line: AudioBridge;
  /** The most audio that ever waited in either direction. */
  mostBufferedMs = 0;
  readonly #services = transcodeServices(this.clock);
  #timestamp = 0;

  constructor(chain: NegotiatedAudio, options: Partial<AudioBridgeOptions> = {}) {
    this.line = new AudioBridge({
      chain,
      telephoneEvents: [],
      redundancy: null,
      clock: this.clock,
      originMs: 9_000,
      toSip: {
        send: (payload, timestamp, marker, payloadType) =>
          this.sent.push({
            payload: payload.slice(),
            timestamp,
            marker,
            payloadType,
            atMs: this.clock.now(),
          }),
      },
      toRtmp: { play: (_type, timeMs, body) => this.played.push({ timeMs, body: body.slice() }) },
      onDigit: () => {},
      onPlaced: () => {},
      transcoding: this.#services,
      onWarning: (warning) => this.warning.push(warning),
      ...options,
    });
  }

  /** The client sends, each packet at its time. */
  publish(codec: ClientAudio, audio: CodedAudio, fromMs: number): void {
    if (audio.config !== null) this.message(fromMs, audioTag(codec, audio.config, true));
    audio.packets.forEach((packet, i) => {
      this.message(Math.round(fromMs + i * audio.packetMs), audioTag(codec, packet));
      this.clock.advance(audio.packetMs);
    });
  }

  message(timeMs: number, body: Uint8Array): void {
    this.line.fromRtmp({ type: 8, timeMs, body });
    this.#look();
  }

  /** The peer sends, each packet at its time; `everyMs` 0: all at once. */
  receive(codec: SipAudio, audio: CodedAudio, everyMs: number = audio.packetMs): void {
    for (const packet of audio.packets) {
      assert.ok(this.line.fromRtp(packet, this.#timestamp, false, TYPES[codec], 0));
      this.skip(codec, audio.packetMs);
      this.#look();
      this.clock.advance(everyMs);
    }
  }

  /** The peer's time goes on without it. */
  skip(codec: SipAudio, milliseconds: number): void {
    this.#timestamp += milliseconds * CLOCKS[codec] / 1000;
  }

  /** What the peer heard from a packet on, decoded. */
  heard(codec: SipAudio, from = 0): Int16Array {
    return decodePayloads(
      sipFormat(codec, CLOCKS[codec]),
      this.sent.slice(from).map(({ payload }) => payload),
    );
  }

  /** What the player heard from a message on, decoded, at the rate of its codec. */
  playedSound(from = 0): { samples: Int16Array; sampleRate: number } {
    using ear = new PlayerEar();
    this.played.forEach(({ body }, i) => {
      if (i >= from || i < 1) ear.hear(body); // the first may be the configuration
    });
    return { samples: ear.all(), sampleRate: ear.sampleRate };
  }

  #look(): void {
    const { fromRtmp, fromRtp } = this.line.bufferedMs;
    this.mostBufferedMs = Math.max(this.mostBufferedMs, fromRtmp, fromRtp);
  }

  [Symbol.dispose](): void {
    this.line[Symbol.dispose]();
    this.#services[Symbol.dispose]();
    assert.equal(this.clock.pending, 0, "a timer is left");
  }
}
