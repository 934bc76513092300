// What a transcoded call costs on its way through the gateway, without sockets: one second of both directions, as
// fast as it can be computed. A thousandth of a second is 0.1 % of a core.

import { seededRandom } from "../lib/base/random.ts";
import type { Clock } from "../lib/base/clock.ts";
import { Ticker } from "../lib/base/ticker.ts";
import { loadCodecs } from "../lib/codecs/load.ts";
import { AudioBridge } from "../lib/call/audio_bridge.ts";
import { type ClientAudio, clientFormat, type SipAudio, sipFormat } from "../tests/support/audio_formats.ts";
import type { NegotiatedAudio } from "../lib/call/negotiation.ts";
import { speechSamples } from "../lib/codecs/sample.ts";

const codecs = await loadCodecs();

/** Time that the bench turns; the ticker is turned by it, too. */
class BenchClock implements Clock {
  nowMs = 0;
  #due: { atMs: number; run: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs;
  }

  after(ms: number, run: () => void): Disposable {
    const timer = { atMs: this.nowMs + ms, run };
    this.#due.push(timer);
    return { [Symbol.dispose]: () => void (this.#due = this.#due.filter((one) => one !== timer)) };
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#due.find((timer) => timer.atMs <= endMs);
      if (next === undefined) break;
      this.#due = this.#due.filter((one) => one !== next);
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = endMs;
  }
}

const TAGS: Record<ClientAudio, readonly number[]> = {
  speex: [0xb2],
  pcmu: [0x82],
  pcma: [0x72],
  aac: [0xaf, 1],
  opus: [0x91, 0x4f, 0x70, 0x75, 0x73],
};
const CLOCKS: Record<SipAudio, number> = { pcmu: 8000, pcma: 8000, g722: 8000, opus: 48000, speex: 16000 };

function packetsOf(format: Parameters<typeof codecs.createEncoder>[0]): Uint8Array[] {
  using encoder = codecs.createEncoder(format, format.sampleRate);
  const samples = speechSamples(format.sampleRate);
  const packets: Uint8Array[] = [];
  for (
    let at = 0;
    at + encoder.frameSamples <= samples.length && packets.length < 50;
    at += encoder.frameSamples
  ) {
    packets.push(encoder.encode(samples.subarray(at, at + encoder.frameSamples)).slice());
  }
  return packets;
}

/** A second of a call. */
function callSecond(client: ClientAudio, peer: SipAudio): () => void {
  const clock = new BenchClock();
  const received = { payloadType: 96, codec: peer, clockRate: CLOCKS[peer], toClient: client };
  const line = { clockRate: CLOCKS[peer], sendPayloadType: 96, receive: [received], ptimeMs: null };
  const chain: NegotiatedAudio = { kind: "codec", client, remote: peer, ...line };
  const audio = new AudioBridge({
    chain,
    telephoneEvents: [],
    redundancy: null,
    clock,
    originMs: 0,
    toSip: { send: () => {} },
    toRtmp: { play: () => {} },
    onDigit: () => {},
    onPlaced: () => {},
    transcoding: { codecs, random: seededRandom(1), ticker: new Ticker(clock, 10) },
  });
  const tag = TAGS[client];
  if (client === "aac") audio.fromRtmp({ type: 8, timeMs: 0, body: Uint8Array.fromHex("af001188") });
  const bodies = packetsOf(clientFormat(client)).map((packet) => new Uint8Array([...tag, ...packet]));
  const payloads = packetsOf(sipFormat(peer, CLOCKS[peer]));
  const message = { type: 8 as const, timeMs: 0, body: bodies[0]! };
  let timestamp = 0;
  let said = 0;
  const bodyMs = client === "aac" ? 1024 / 48 : 20;
  return () => {
    for (let i = 0; i < 50; i++) {
      for (; said * bodyMs <= clock.nowMs; said++) {
        message.body = bodies[said % bodies.length]!;
        message.timeMs = Math.round(said * bodyMs);
        audio.fromRtmp(message);
      }
      audio.fromRtp(payloads[i % payloads.length]!, timestamp, false, 96, 0);
      timestamp += CLOCKS[peer] / 50;
      clock.advance(20);
    }
  };
}

for (
  const [client, peer] of [
    ["speex", "pcmu"],
    ["speex", "g722"],
    ["speex", "opus"],
    ["opus", "pcmu"],
    ["aac", "pcmu"],
    ["aac", "opus"],
    ["pcmu", "g722"],
  ] as const
) {
  Deno.bench({
    name: `a second of a call, ${client} <-> ${peer}`,
    group: "transcoded calls",
    ignore: codecs.missing.length > 0,
  }, callSecond(client, peer));
}
