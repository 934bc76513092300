// An audio line under whatever may come, in any order: tags and payloads of random octets or half right, floods, pauses,
// changes of source, publisher and player, DTMF. Nothing throws, nothing grows, no timer is left, and afterwards
// a whole tone is heard.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClientAudio, clientFormat, type SipAudio, sipFormat } from "../support/audio_formats.ts";
import { tone, toneBackMs } from "../support/codecs_audio.ts";
import { AudioBench, chainOf, CLOCKS, TYPES } from "../support/audio_bench.ts";
import { mutate } from "../support/mutate.ts";
import { audioTag, built, type CodedAudio, encodeAudio } from "../support/transcode_bench.ts";

const HZ = 1004;
const CLIENTS: readonly ClientAudio[] = ["speex", "pcmu", "pcma", "aac", "opus"];
const PEERS: readonly SipAudio[] = ["pcmu", "pcma", "g722", "speex", "opus"];

type Step =
  | { readonly type: "tag"; readonly body: Uint8Array; readonly timeMs: number }
  | { readonly type: "audio"; readonly codec: number; readonly index: number; readonly seed: number | null }
  | { readonly type: "config"; readonly seed: number | null }
  | {
    readonly type: "payload";
    readonly body: Uint8Array;
    readonly kind: number;
    readonly jump: number;
    lost: number;
  }
  | {
    readonly type: "rtp";
    readonly codec: number;
    readonly index: number;
    readonly seed: number | null;
    lost: number;
  }
  | { readonly type: "pass"; readonly milliseconds: number }
  | { readonly type: "source" | "publisher" | "player" }
  | { readonly type: "digits"; readonly digits: string };

const damage = fc.option(fc.integer({ min: 0, max: 1e6 }));
const index = fc.integer({ min: 0, max: 20 });
const codec = fc.integer({ min: 0, max: 4 });
const lost = fc.constantFrom(0, 0, 0, 1, 5, 60_000);
const octets = fc.uint8Array({ maxLength: 300 });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constant("tag" as const),
    body: octets,
    timeMs: fc.integer({ min: 0, max: 0xffffffff }),
  }),
  fc.record({ type: fc.constant("audio" as const), codec, index, seed: damage }),
  fc.record({ type: fc.constant("config" as const), seed: damage }),
  fc.record({
    type: fc.constant("payload" as const),
    body: octets,
    kind: fc.integer({ min: 0, max: 127 }),
    jump: fc.integer({ min: -100_000, max: 100_000 }),
    lost,
  }),
  fc.record({ type: fc.constant("rtp" as const), codec, index, seed: damage, lost }),
  fc.record({ type: fc.constant("pass" as const), milliseconds: fc.integer({ min: 1, max: 500 }) }),
  fc.record({ type: fc.constantFrom("source" as const, "publisher" as const, "player" as const) }),
  fc.record({ type: fc.constant("digits" as const), digits: fc.string({ maxLength: 5 }) }),
);

/** What whole senders send; made once. */
const SAID = built ? CLIENTS.map((name) => coded(clientFormat(name))) : [];
const SPOKEN = built ? PEERS.map((name) => coded(sipFormat(name, CLOCKS[name]))) : [];

function coded(format: Parameters<typeof encodeAudio>[0]): CodedAudio {
  return encodeAudio(format, tone(HZ, format.sampleRate, 1500));
}

const spoilt = (bytes: Uint8Array, seed: number | null): Uint8Array =>
  seed === null ? bytes : mutate(bytes, seed);

class Fuzz {
  readonly #bench: AudioBench;
  #timeMs = 0;
  #timestamp = 0;

  constructor(bench: AudioBench) {
    this.#bench = bench;
  }

  run(one: Step): void {
    const { line, clock } = this.#bench;
    switch (one.type) {
      case "tag":
        return this.#bench.message(one.timeMs, one.body);
      case "audio": {
        const body = spoilt(SAID[one.codec]!.packets[one.index]!, one.seed);
        return this.#bench.message(this.#timeMs += 20, audioTag(CLIENTS[one.codec]!, body));
      }
      case "config":
        return this.#bench.message(this.#timeMs, audioTag("aac", spoilt(SAID[3]!.config!, one.seed), true));
      case "payload":
        return void line.fromRtp(one.body, this.#timestamp += one.jump, one.lost > 0, one.kind, one.lost);
      case "rtp": {
        const name = PEERS[one.codec]!;
        const body = spoilt(SPOKEN[one.codec]!.packets[one.index]!, one.seed);
        this.#timestamp += (1 + one.lost) * CLOCKS[name] / 50;
        return void line.fromRtp(body, this.#timestamp, false, TYPES[name], one.lost);
      }
      case "pass":
        return clock.advance(one.milliseconds);
      case "source":
        return line.sourceChanged();
      case "publisher":
        return line.publisherChanged();
      case "player":
        return line.playerChanged();
      case "digits":
        return void line.sendDigits(one.digits, 100);
    }
  }
}

for (const [i, client] of CLIENTS.entries()) {
  const peer = PEERS[(i + 2) % PEERS.length]!;
  Deno.test({
    name:
      `anything in any order between a client of ${client} and a peer of ${peer}: bounded, and then a tone is heard`,
    ignore: !built,
    fn: () =>
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          using bench = new AudioBench(chainOf(client, peer, ...PEERS.filter((other) => other !== peer)));
          const fuzz = new Fuzz(bench);
          for (const one of steps) fuzz.run(one);
          const beganMs = bench.clock.now();
          bench.line.publisherChanged();
          bench.publish(client, SAID[i]!, 50_000);
          const from = bench.sent.findIndex(({ atMs }) => atMs >= beganMs);
          const heard = bench.heard(peer, from);
          assert.ok(toneBackMs(heard, HZ, sipFormat(peer, CLOCKS[peer]).sampleRate) <= 700);
          assert.ok(bench.mostBufferedMs <= 400 * PEERS.length, `${bench.mostBufferedMs} ms`);
          assert.ok(bench.sent.length <= (bench.clock.now() - 10_000) / 20 + steps.length + 10, "no flood");
        }),
        { numRuns: 40 },
      ),
  });
}
