// What broken or odd audio of either side does to a call: nothing ends, nothing grows, and when the source is whole
// again its tone is heard within 500 ms, measured in what arrives.
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { type ClientAudio, clientFormat, type SipAudio, sipFormat } from "../support/audio_formats.ts";
import { AacEncoder } from "../../lib/codecs/aac.ts";
import { codecs, tone, toneBackMs } from "../support/codecs_audio.ts";
import { AudioBench, chainOf, CLOCKS, TYPES } from "../support/audio_bench.ts";
import { mutate } from "../support/mutate.ts";
import { audioTag, built, type CodedAudio, encodeAudio } from "../support/transcode_bench.ts";

const HZ = 1004;
const BACK_WITHIN_MS = 500;
/** What the audio path holds at most, of each kind of audio that was heard in the call. */
const MOST_WAITING_MS = 400;
const CLIENTS: readonly ClientAudio[] = ["speex", "pcmu", "pcma", "aac", "opus"];
const PEERS: readonly SipAudio[] = ["pcmu", "pcma", "g722", "speex", "opus"];

const test = (name: string, fn: () => void) => Deno.test({ name, ignore: !built, fn });

function toneOf(format: AudioFormat, milliseconds: number): CodedAudio {
  return encodeAudio(format, tone(HZ, format.sampleRate, milliseconds));
}

/** The ways in which packets are spoilt. */
type Damage = (packet: Uint8Array, seed: number) => Uint8Array;

function randomOctets(count: number, seed: number): Uint8Array {
  const random = seededRandom(seed + 1);
  return Uint8Array.from({ length: count }, () => Math.floor(random.float() * 256));
}

const DAMAGES: Readonly<Record<string, Damage>> = {
  "bits and octets changed": (packet, seed) => mutate(packet, seed),
  "cut off anywhere": (packet, seed) =>
    packet.subarray(0, 1 + Math.floor(seededRandom(seed).float() * (packet.length - 1))),
  "random octets of the same length": (packet, seed) => randomOctets(packet.length, seed),
  "random octets of any length": (_packet, seed) =>
    randomOctets(1 + Math.floor(seededRandom(seed).float() * 1400), seed),
  "zeros": (packet) => new Uint8Array(packet.length),
  "ones": (packet) => new Uint8Array(packet.length).fill(255),
};

function spoilt(audio: CodedAudio, damage: Damage): CodedAudio {
  return { ...audio, config: null, packets: audio.packets.map((packet, i) => damage(packet, i)) };
}

/** A codec of a peer that cannot pass through. */
function otherPeer(client: ClientAudio): SipAudio {
  return client === "speex" || client === "opus" ? "g722" : "speex";
}

function otherClient(peer: SipAudio): ClientAudio {
  return peer.startsWith("pcm") ? "opus" : "pcma";
}

/** The client's tone is back in what the peer hears, counted from a moment of the clock. */
function assertPeerHears(bench: AudioBench, peer: SipAudio, sinceMs: number): void {
  const from = bench.sent.findIndex(({ atMs }) => atMs >= sinceMs);
  const backMs = toneBackMs(bench.heard(peer, from), HZ, sipFormat(peer, CLOCKS[peer]).sampleRate);
  assert.ok(backMs <= BACK_WITHIN_MS, `back after ${backMs} ms`);
}

/** The peer's tone is back in what the player hears, from one of its messages on. */
function assertPlayerHears(bench: AudioBench, from: number): void {
  const { samples, sampleRate } = bench.playedSound(from);
  const backMs = toneBackMs(samples, HZ, sampleRate);
  assert.ok(backMs <= BACK_WITHIN_MS, `back after ${backMs} ms`);
}

function assertBounded(bench: AudioBench, formats = 1): void {
  assert.ok(bench.mostBufferedMs <= MOST_WAITING_MS * formats, `${bench.mostBufferedMs} ms waited`);
}

/** One packet for each 20 ms that passed, whatever came in. */
function assertSteady(bench: AudioBench): void {
  const passedMs = bench.clock.now() - 10_000;
  const sentMs = bench.sent.length * 20;
  assert.ok(Math.abs(sentMs - passedMs) <= 40, `${sentMs} ms sent in ${passedMs} ms`);
}

for (const [what, damage] of Object.entries(DAMAGES)) {
  for (const client of CLIENTS) {
    test(`${client} of the client, ${what}: the peer hears the tone again within 500 ms`, () => {
      const peer = otherPeer(client);
      using bench = new AudioBench(chainOf(client, peer));
      const audio = toneOf(clientFormat(client), 1000);
      bench.publish(client, audio, 0);
      bench.publish(client, spoilt(audio, damage), 1000);
      const sinceMs = bench.clock.now();
      bench.publish(client, { ...audio, config: null }, 2000);
      assertPeerHears(bench, peer, sinceMs);
      assertBounded(bench);
      assertSteady(bench);
      assert.ok(bench.warning.length <= 1, bench.warning.map(({ text }) => text).join());
    });
  }

  for (const peer of PEERS) {
    test(`${peer} of the peer, ${what}: the player hears the tone again within 500 ms`, () => {
      using bench = new AudioBench(chainOf(otherClient(peer), peer));
      const audio = toneOf(sipFormat(peer, CLOCKS[peer]), 1000);
      bench.receive(peer, audio);
      bench.receive(peer, spoilt(audio, damage));
      const from = bench.played.length;
      bench.receive(peer, audio);
      assertPlayerHears(bench, from);
      assertBounded(bench);
      assert.ok(bench.warning.length <= 1, bench.warning.map(({ text }) => text).join());
    });
  }
}

// ---- changes in the middle

/** AAC of any rate, mono or stereo. */
function aacOf(sampleRate: number, channels: 1 | 2, milliseconds: number): CodedAudio {
  using encoder = codecs.createEncoder({ codec: "aac", sampleRate, channels }, sampleRate) as AacEncoder;
  const mono = tone(HZ, sampleRate, milliseconds);
  const samples = new Int16Array(mono.length * channels);
  for (let i = 0; i < samples.length; i++) samples[i] = mono[Math.floor(i / channels)]!;
  const packets: Uint8Array[] = [];
  for (let at = 0; at + encoder.frameSamples <= samples.length; at += encoder.frameSamples) {
    packets.push(encoder.encode(samples.subarray(at, at + encoder.frameSamples)).slice());
  }
  return { packets, packetMs: 1024_000 / sampleRate, config: encoder.config };
}

const RATES: readonly (readonly [sampleRate: number, channels: 1 | 2])[] = [
  [44100, 2],
  [22050, 1],
  [48000, 1],
  [8000, 1],
  [48000, 2],
  [44100, 1],
];

test("AAC of another rate and other channels every second, each with its configuration: the tone goes on", () => {
  for (const peer of ["pcmu", "g722", "opus"] as const) {
    using bench = new AudioBench(chainOf("aac", peer));
    let atMs = 0;
    for (const [sampleRate, channels] of RATES) {
      const sinceMs = bench.clock.now();
      bench.publish("aac", aacOf(sampleRate, channels, 1000), atMs);
      atMs += 1000;
      assertPeerHears(bench, peer, sinceMs);
    }
    assertBounded(bench);
    assertSteady(bench);
    assert.deepEqual(bench.warning, []);
  }
});

test("AAC that is not what its configuration says: no end; with the right one the tone is back", () => {
  for (
    const [told, sent] of [[RATES[0]!, RATES[1]!], [RATES[1]!, RATES[0]!], [RATES[2]!, RATES[4]!]] as const
  ) {
    using bench = new AudioBench(chainOf("aac", "pcmu"));
    const right = aacOf(...sent, 1000);
    bench.publish("aac", { ...right, config: aacOf(...told, 100).config }, 0);
    const sinceMs = bench.clock.now();
    bench.publish("aac", right, 1000);
    assertPeerHears(bench, "pcmu", sinceMs);
    assertBounded(bench);
    assertSteady(bench);
  }
});

test("configurations of random octets between the frames: the last good one counts", () => {
  using bench = new AudioBench(chainOf("aac", "pcmu"));
  const audio = aacOf(44100, 2, 1000);
  bench.publish("aac", audio, 0);
  audio.packets.forEach((packet, i) => {
    bench.message(1000 + i * 23, audioTag("aac", randomOctets(i % 80, i), true));
    bench.message(1000 + i * 23, audioTag("aac", packet));
    bench.clock.advance(audio.packetMs);
  });
  const sinceMs = bench.clock.now();
  bench.publish("aac", audio, 2000);
  assertPeerHears(bench, "pcmu", sinceMs);
  assertBounded(bench);
  assertSteady(bench);
});

for (const peer of ["pcmu", "g722", "opus"] as const) {
  test(`a publisher that goes from AAC to Speex, PCMU, Opus and AAC again is heard by a peer of ${peer}`, () => {
    using bench = new AudioBench(chainOf("aac", peer));
    const sequence: ClientAudio[] = ["aac", "speex", "pcmu", "opus", "aac"];
    sequence.forEach((client, i) => {
      const sinceMs = bench.clock.now();
      bench.publish(client, toneOf(clientFormat(client), 1000), i * 1000);
      assertPeerHears(bench, peer, sinceMs);
    });
    assertBounded(bench, 4);
    assertSteady(bench);
    assert.deepEqual([bench.warning, bench.line.unusable], [[], 0]);
  });
}

test("a peer that goes through all its codecs, each announced in the answer, is heard by every player", () => {
  for (const client of CLIENTS) {
    using bench = new AudioBench(chainOf(client, ...PEERS));
    for (const peer of [...PEERS, "pcmu"] as const) {
      const from = bench.played.length;
      bench.receive(peer, toneOf(sipFormat(peer, CLOCKS[peer]), 1000));
      assertPlayerHears(bench, from);
    }
    assertBounded(bench, PEERS.length);
  }
});

test("another codec under the wrong name: no end, and the tone is back with the right one", () => {
  for (const client of CLIENTS) {
    for (const other of CLIENTS) {
      if (client === other) continue;
      const peer = otherPeer(client);
      using bench = new AudioBench(chainOf(client, peer));
      const audio = toneOf(clientFormat(client), 1000);
      bench.publish(client, audio, 0);
      bench.publish(client, { ...toneOf(clientFormat(other), 1000), config: null }, 1000);
      const sinceMs = bench.clock.now();
      bench.publish(client, { ...audio, config: null }, 2000);
      assertPeerHears(bench, peer, sinceMs);
      assertBounded(bench);
    }
  }
});

// ---- odd times

for (const client of CLIENTS) {
  const peer = otherPeer(client);
  const format = clientFormat(client);

  test(`${client} of the client, 3 s at once: no more than 400 ms wait, the tone is there within 500 ms`, () => {
    using bench = new AudioBench(chainOf(client, peer));
    const burst = toneOf(format, 3000);
    if (burst.config !== null) bench.message(0, audioTag(client, burst.config, true));
    bench.clock.advance(200);
    const sinceMs = bench.clock.now();
    burst.packets.forEach((packet, i) =>
      bench.message(Math.round(i * burst.packetMs), audioTag(client, packet))
    );
    bench.publish(client, { ...toneOf(format, 2000), config: null }, 3000);
    assertPeerHears(bench, peer, sinceMs);
    assertBounded(bench);
    assertSteady(bench);
  });

  test(`${client} of the client in bursts of a second, each second: bounded, and heard`, () => {
    using bench = new AudioBench(chainOf(client, peer));
    const second = toneOf(format, 1000);
    if (second.config !== null) bench.message(0, audioTag(client, second.config, true));
    for (let i = 0; i < 5; i++) {
      second.packets.forEach((packet, k) =>
        bench.message(Math.round(i * 1000 + k * second.packetMs), audioTag(client, packet))
      );
      bench.clock.advance(1000);
    }
    const sinceMs = bench.clock.now();
    bench.publish(client, { ...second, config: null }, 5000);
    assertPeerHears(bench, peer, sinceMs);
    assertBounded(bench);
    assertSteady(bench);
  });

  for (
    const [what, jumpMs] of [
      ["stalls 10 s and goes on where it was", 0],
      [
        "stalls 10 s and goes on with the time of day",
        10_000,
      ],
      ["jumps an hour ahead", 3_600_000],
      ["starts over at 0", -1000],
    ] as const
  ) {
    test(`${client} of the client ${what}: the tone is back within 500 ms`, () => {
      using bench = new AudioBench(chainOf(client, peer));
      bench.publish(client, toneOf(format, 1000), 0);
      if (what.startsWith("stalls")) bench.clock.advance(10_000);
      const sinceMs = bench.clock.now();
      bench.publish(client, { ...toneOf(format, 1500), config: null }, 1000 + jumpMs);
      assertPeerHears(bench, peer, sinceMs);
      assertBounded(bench);
      assertSteady(bench);
    });
  }
}

for (const peer of PEERS) {
  const format = sipFormat(peer, CLOCKS[peer]);

  test(`${peer} of the peer, 3 s at once: no more than 400 ms wait, the player hears it within 500 ms`, () => {
    using bench = new AudioBench(chainOf(otherClient(peer), peer));
    bench.clock.advance(200);
    const from = bench.played.length;
    bench.receive(peer, toneOf(format, 3000), 0);
    bench.receive(peer, toneOf(format, 2000));
    assertPlayerHears(bench, from);
    assertBounded(bench);
  });

  for (const timeGoesOn of [true, false]) {
    test(`${peer} of the peer stalls 10 s, its time ${timeGoesOn ? "goes on" : "stands"}: back within 500 ms`, () => {
      using bench = new AudioBench(chainOf(otherClient(peer), peer));
      bench.receive(peer, toneOf(format, 1000));
      bench.clock.advance(10_000);
      if (timeGoesOn) bench.skip(peer, 10_000);
      const from = bench.played.length;
      bench.receive(peer, toneOf(format, 1500));
      assertPlayerHears(bench, from);
      assertBounded(bench);
    });
  }

  test(`${peer} of the peer with 30 % of its packets lost: the tone is back within 500 ms of the last loss`, () => {
    using bench = new AudioBench(chainOf(otherClient(peer), peer));
    const audio = toneOf(format, 2000);
    const random = seededRandom(5);
    const ticks = CLOCKS[peer] / 50;
    let lost = 0;
    audio.packets.forEach((packet, i) => {
      if (random.float() < 0.3) lost++;
      else {
        bench.line.fromRtp(packet, i * ticks, false, TYPES[peer], lost);
        lost = 0;
      }
      bench.clock.advance(20);
    });
    bench.skip(peer, 2000);
    const from = bench.played.length;
    bench.receive(peer, toneOf(format, 1500));
    assertPlayerHears(bench, from);
    assertBounded(bench);
  });
}
