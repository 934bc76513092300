// The audio line where its sides speak different codecs: what passes, what is made, how one follows the other, and
// what a troublesome encoder or network does to it.
import assert from "node:assert/strict";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { encodeComfortNoise } from "../../lib/codecs/comfort_noise.ts";
import { type ClientAudio, clientFormat, type SipAudio, sipFormat } from "../support/audio_formats.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { levelDb, measureTone, tone, toneBackMs } from "../support/codecs_audio.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { AudioBench, chainOf, CLOCKS } from "../support/audio_bench.ts";
import { mutate } from "../support/mutate.ts";
import {
  audioTag,
  built,
  type CodedAudio,
  decodePayloads,
  encodeAudio,
  PlayerEar,
  transcodeServices,
} from "../support/transcode_bench.ts";

const toneOf = (format: AudioFormat, milliseconds: number): CodedAudio =>
  encodeAudio(format, tone(1004, format.sampleRate, milliseconds));

function assertTone(samples: Int16Array, sampleRate: number, least = 14): void {
  const { amplitude, snrDb } = measureTone(samples, 1004, sampleRate);
  const gain = 20 * Math.log10(amplitude / 10000);
  assert.ok(Math.abs(gain) < 1 && snrDb > least, `${gain.toFixed(2)} dB, SNR ${snrDb.toFixed(1)} dB`);
}

const test = (name: string, fn: () => void) => Deno.test({ name, ignore: !built, fn });

test("transcoded: silence leaves both ways from the start, each packet tagged for its side", () => {
  using bench = new AudioBench(chainOf("speex", "pcmu"));
  bench.clock.advance(1000);
  assert.ok(bench.sent.length >= 49 && bench.played.length >= 49);
  assert.ok(bench.sent.every(({ payload, payloadType }) => payload.length === 160 && payloadType === 0));
  assert.ok(bench.played.every(({ body }) => body[0] === 0xb2));
  assert.ok(levelDb(bench.heard("pcmu")) < -60);
});

const CLIENTS: readonly ClientAudio[] = ["speex", "pcmu", "pcma", "aac", "opus"];
const PEERS: readonly SipAudio[] = ["pcmu", "pcma", "g722", "speex", "opus"];

for (const client of CLIENTS) {
  for (const peer of PEERS) {
    test(`a client of ${client}, a peer of ${peer}: the tone arrives both ways`, () => {
      using bench = new AudioBench(chainOf(client, peer));
      using ear = new PlayerEar();
      bench.publish(client, toneOf(clientFormat(client), 1200), 500);
      bench.receive(peer, toneOf(sipFormat(peer, CLOCKS[peer]), 1200));
      const { sampleRate } = sipFormat(peer, CLOCKS[peer]);
      const spoken = bench.sent.findIndex(({ timestamp }) => timestamp > 0);
      assert.ok(spoken >= 0);
      assertTone(bench.heard(peer).subarray(sampleRate * 0.5, sampleRate * 1.1), sampleRate);
      const from = bench.played.findIndex(({ timeMs }) => timeMs >= 10_000 - 9_000 + 1200);
      bench.played.forEach(({ body }, i) => {
        if (i >= from || i < 2) ear.hear(body);
      });
      const rate = ear.sampleRate;
      assertTone(ear.all().subarray(-rate * 0.7, -rate * 0.1), rate);
      assert.deepEqual([...ear.codecs], [client]);
      assert.deepEqual([bench.line.unusable, bench.warning], [0, []]);
    });
  }
}

test("what passes as it is stays octet for octet, transcoding or not", () => {
  using bench = new AudioBench(chainOf("speex", "speex", "pcmu"));
  const audio = toneOf(clientFormat("speex"), 500);
  bench.publish("speex", audio, 0);
  assert.deepEqual(bench.sent.map(({ payload }) => payload), audio.packets);
  bench.receive("speex", audio);
  assert.deepEqual(bench.played.map(({ body }) => body.subarray(1)), audio.packets);
});

test("a client that sends something else than was agreed is transcoded, and passes again when it returns", () => {
  using bench = new AudioBench(chainOf("pcmu", "pcmu"));
  const plain = toneOf(clientFormat("pcmu"), 1000);
  bench.publish("pcmu", plain, 0);
  const passed = bench.sent.length;
  bench.publish("aac", toneOf(clientFormat("aac"), 1000), 1000);
  const made = bench.sent.length;
  bench.publish("pcmu", plain, 2000);
  assert.deepEqual(bench.sent.slice(0, passed).map(({ payload }) => payload), plain.packets);
  assert.deepEqual(bench.sent.slice(made).map(({ payload }) => payload), plain.packets);
  assertTone(bench.heard("pcmu").subarray(11000, 15800), 8000, 25);
  assert.deepEqual(
    bench.sent.flatMap(({ marker }, i) => marker ? [i] : []),
    [0, passed, made],
    "a marker where one takes over from the other",
  );
  for (let i = 1; i < bench.sent.length; i++) {
    const step = bench.sent[i]!.timestamp - bench.sent[i - 1]!.timestamp;
    assert.ok(step > 0 && step <= 480, `${step} at ${i}`); // up to two packets of silence at a change
  }
  assert.equal(bench.line.unusable, 0);
});

test("the AudioSpecificConfig may come long before the first frame, and again", () => {
  using bench = new AudioBench(chainOf("aac", "g722"));
  const audio = toneOf({ codec: "aac", sampleRate: 44100 }, 1500);
  bench.message(0, audioTag("aac", audio.config!, true));
  bench.clock.advance(5000);
  const before = bench.sent.length;
  bench.publish("aac", { ...audio, config: null }, 5000);
  bench.message(6500, audioTag("aac", audio.config!, true));
  assertTone(bench.heard("g722", before).subarray(8000, 22000), 16000, 25);
});

test("AAC in tags of Enhanced RTMP (FourCC mp4a) is heard like AAC in tags of old", () => {
  using bench = new AudioBench(chainOf("aac", "g722"));
  const audio = toneOf({ codec: "aac", sampleRate: 44100 }, 1500);
  const tag = (type: number, data: Uint8Array) => Uint8Array.of(0x90 | type, 0x6d, 0x70, 0x34, 0x61, ...data);
  bench.message(0, tag(0, audio.config!));
  audio.packets.forEach((packet, i) => {
    bench.message(Math.round(i * audio.packetMs), tag(1, packet));
    bench.clock.advance(audio.packetMs);
  });
  assertTone(bench.heard("g722").subarray(8000, 22000), 16000, 25);
  assert.deepEqual([bench.warning, bench.line.unusable], [[], 0]);
});

/** Real HE-AAC, as an encoder of others made it. */
const HE_AAC: { streams: { name: string; configs: string[]; frames: string[] }[] } = JSON.parse(
  await Deno.readTextFile(new URL("../golden/he_aac.json", import.meta.url)),
);

test("HE-AAC of a client, with and without parametric stereo: the remote party hears the tone", () => {
  for (const { name, configs, frames } of HE_AAC.streams) {
    using bench = new AudioBench(chainOf("aac", "g722"));
    bench.publish("aac", {
      config: Uint8Array.fromHex(configs[0]!),
      packets: frames.map((frame) => Uint8Array.fromBase64(frame)),
      packetMs: 1024_000 / (name.includes("48k") ? 24000 : 22050),
    }, 0);
    assert.ok(toneBackMs(bench.heard("g722"), 1004, 16000) < 300, name);
    assert.deepEqual([bench.warning, bench.line.broken.fromRtmp], [[], 0]);
  }
});

test("linear PCM, MP3, Nellymoser: refused once, with words and a status for the publisher", () => {
  const table: [first: number, words: RegExp][] = [
    [0x3e, /linear PCM/],
    [0x0e, /linear PCM/],
    [0x1e, /ADPCM/],
    [0x2e, /MP3/],
    [0xe2, /MP3/], // of 8 kHz
    [0x42, /Nellymoser/],
    [0x62, /Nellymoser/],
    [0x52, /Nellymoser/],
  ];
  for (const [first, words] of table) {
    using bench = new AudioBench(chainOf("speex", "pcmu"));
    for (let i = 0; i < 5; i++) bench.message(i * 20, Uint8Array.of(first, 1, 2));
    assert.equal(bench.warning.length, 1);
    assert.match(bench.warning[0]!.text, words);
    assert.equal(bench.warning[0]!.status, "NetStream.Publish.UnsupportedCodec");
    assert.equal(bench.line.unusable, 5);
    bench.line.publisherChanged();
    bench.message(100, Uint8Array.of(first, 1, 2));
    assert.equal(bench.warning.length, 2, "another publisher is told, too");
  }
});

test("AAC of six channels: refused once, with a status for the publisher", () => {
  using bench = new AudioBench(chainOf("aac", "pcmu"));
  const audio = toneOf(clientFormat("aac"), 500);
  bench.publish("aac", { ...audio, config: Uint8Array.fromHex("1130") }, 0);
  assert.deepEqual(bench.warning.map(({ status }) => status), ["NetStream.Publish.UnsupportedCodec"]);
  assert.match(bench.warning[0]!.text, /AAC cannot be decoded.*neither mono nor stereo/);
  assert.ok(bench.line.broken.fromRtmp > 0);
});

test("DTMF stop the made audio, too, and it goes on at its place", () => {
  const events = {
    name: "telephone-event",
    sendPayloadType: 101,
    receivePayloadTypes: [101],
    clockRate: 8000,
    channels: 1,
    fmtp: null,
    localFmtp: null,
    rtcpFb: [],
  };
  using bench = new AudioBench(chainOf("speex", "pcmu"), { telephoneEvents: [events] });
  bench.publish("speex", toneOf(clientFormat("speex"), 500), 0);
  bench.line.sendDigits("5", 100);
  bench.publish("speex", toneOf(clientFormat("speex"), 500), 500);
  const first = bench.sent.findIndex(({ payloadType }) => payloadType === 101);
  const last = bench.sent.findLastIndex(({ payloadType }) => payloadType === 101);
  assert.ok(bench.sent.slice(first, last).every(({ payloadType }) => payloadType === 101));
  const [before, after] = [bench.sent[first - 1]!, bench.sent[last + 1]!];
  const passed = (after.atMs - before.atMs) * 8;
  assert.ok(
    Math.abs(after.timestamp - before.timestamp - passed) <= 160,
    `${after.timestamp - before.timestamp}`,
  );
});

test("a peer that changes its codec is heard with each", () => {
  using bench = new AudioBench(chainOf("pcma", "pcma", "g722", "opus"));
  bench.receive("pcma", toneOf(sipFormat("pcma", 8000), 1000));
  bench.receive("g722", toneOf(sipFormat("g722", 8000), 1000));
  bench.receive("opus", toneOf(sipFormat("opus", 48000), 1000));
  bench.receive("pcma", toneOf(sipFormat("pcma", 8000), 1000));
  assert.ok(bench.played.every(({ body }) => body[0] === 0x72));
  const heard = decodePayloads(sipFormat("pcma", 8000), bench.played.map(({ body }) => body.subarray(1)));
  for (const at of [0, 1, 2, 3]) assertTone(heard.subarray(at * 8000 + 2400, at * 8000 + 7600), 8000, 25);
  const steps = bench.played.slice(1).map(({ timeMs }, i) => timeMs - bench.played[i]!.timeMs);
  assert.ok(steps.every((step) => step >= 0 && step <= 60), `${Math.max(...steps)}`);
});

test("players of AAC and Opus get the configuration first, and again when another one plays", () => {
  for (const [client, peer] of [["aac", "pcmu"], ["opus", "pcmu"], ["opus", "opus"]] as const) {
    using bench = new AudioBench(chainOf(client, peer));
    bench.receive(peer, toneOf(sipFormat(peer, CLOCKS[peer]), 200));
    bench.line.playerChanged();
    bench.receive(peer, toneOf(sipFormat(peer, CLOCKS[peer]), 200));
    const isConfig = ({ body }: { body: Uint8Array }): boolean =>
      client === "aac" ? body[1] === 0 : body[0] === 0x90;
    const configs = bench.played.flatMap((one, i) => isConfig(one) ? [i] : []);
    assert.equal(configs.length, 2, `${client} ${peer}`);
    assert.equal(configs[0], 0);
  }
});

test("comfort noise of the peer is taken where its audio is transcoded", () => {
  using bench = new AudioBench(chainOf("speex", "pcmu"));
  bench.receive("pcmu", toneOf(sipFormat("pcmu", 8000), 500));
  const noise = encodeComfortNoise({ levelDbov: 38, reflection: [] });
  assert.equal(bench.line.fromRtp(noise, 0, false, 13, 0), true);
  const before = bench.played.length;
  bench.clock.advance(1000);
  const heard = decodePayloads(
    clientFormat("speex"),
    bench.played.slice(before).map(({ body }) => body.subarray(1)),
  );
  assert.ok(levelDb(heard.subarray(8000)) > -48);
  using passing = new AudioBench(chainOf("pcmu", "pcmu"));
  assert.equal(passing.line.fromRtp(noise, 0, false, 13, 0), false);
});

test("comfort noise has any number of the peer's description, and the static one", () => {
  using bench = new AudioBench(chainOf("speex", "pcmu"), { comfortNoise: [120, 97] });
  bench.receive("pcmu", toneOf(sipFormat("pcmu", 8000), 100));
  const noise = encodeComfortNoise({ levelDbov: 38, reflection: [] });
  const taken = [13, 97, 120, 96].map((type) => bench.line.fromRtp(noise, 0, false, type, 0));
  assert.deepEqual(taken, [true, true, true, false]);
});

test("a peer that changes between transcoded codecs of different clocks is heard in time, without a gap", () => {
  using bench = new AudioBench(chainOf("speex", "opus", "pcmu", "g722"));
  for (const codec of ["opus", "pcmu", "opus", "g722", "pcmu"] as const) {
    bench.receive(codec, toneOf(sipFormat(codec, CLOCKS[codec]), 1000));
  }
  const steps = bench.played.slice(1).map(({ timeMs }, i) => timeMs - bench.played[i]!.timeMs);
  assert.ok(steps.every((step) => step >= 0 && step <= 60), `${Math.max(...steps)} ms`);
  assert.ok(bench.played.length > 230, `${bench.played.length} packets`);
  assert.ok(bench.mostBufferedMs <= 400);
  const { samples, sampleRate } = bench.playedSound();
  for (const second of [0.6, 1.6, 2.6, 3.6, 4.6]) {
    const { amplitude } = measureTone(
      samples.subarray(sampleRate * second, sampleRate * (second + 0.3)),
      1004,
      sampleRate,
    );
    assert.ok(amplitude > 7000, `${amplitude} at ${second} s`);
  }
});

test("stereo G.711 is mixed down, whatever the peer takes", () => {
  const mono = encodeAudio(clientFormat("pcmu"), tone(1004, 8000, 1000));
  const packets = mono.packets.map((packet) => {
    const stereo = new Uint8Array(packet.length * 2);
    packet.forEach((octet, i) => stereo[2 * i] = stereo[2 * i + 1] = octet);
    return stereo;
  });
  for (const peer of ["g722", "pcma"] as const) {
    using bench = new AudioBench(chainOf("pcmu", peer));
    packets.forEach((packet, i) => {
      const body = audioTag("pcmu", packet);
      body[0] = 0x83;
      bench.message(i * 20, body);
      bench.clock.advance(20);
    });
    const { sampleRate } = sipFormat(peer, 8000);
    assertTone(bench.heard(peer).subarray(sampleRate * 0.3, sampleRate * 0.9), sampleRate, 25);
  }
});

test("wideband where both ends can: 5 kHz is heard, and does not turn into something else where only one can", () => {
  /** With a lower tone below, since Speex has no upper band without a lower one. */
  const high = (format: AudioFormat): CodedAudio => {
    const upper = tone(5004, format.sampleRate, 1500, 6000);
    return encodeAudio(
      format,
      tone(1004, format.sampleRate, 1500, 6000).map((sample, i) => sample + upper[i]!),
    );
  };
  for (const client of ["speex", "aac", "opus"] as const) {
    for (const peer of ["g722", "speex", "opus"] as const) {
      using bench = new AudioBench(chainOf(client, peer));
      bench.publish(client, high(clientFormat(client)), 0);
      const { sampleRate: there } = sipFormat(peer, CLOCKS[peer]);
      const up = measureTone(bench.heard(peer).subarray(there * 0.5, there * 1.3), 5004, there).amplitude;
      bench.receive(peer, high(sipFormat(peer, CLOCKS[peer])));
      const { samples, sampleRate } = bench.playedSound();
      const down =
        measureTone(samples.subarray(-sampleRate * 0.8, -sampleRate * 0.1), 5004, sampleRate).amplitude;
      assert.ok(Math.min(up, down) > 3000 && Math.max(up, down) < 7500, `${client} ${peer}: ${up} ${down}`);
    }
    for (const peer of ["pcmu", "pcma"] as const) {
      using bench = new AudioBench(chainOf(client, peer));
      bench.publish(client, high(clientFormat(client)), 0);
      const alias = measureTone(bench.heard(peer).subarray(4000, 10000), 8000 - 5004, 8000).amplitude;
      assert.ok(alias < 100, `${client} ${peer}: ${alias}`);
    }
  }
});

// ---- packets of other lengths

test("several Speex frames in one message of the client, and in one packet of the peer, are all heard", () => {
  for (const packetMs of [40, 60]) {
    using up = new AudioBench(chainOf("speex", "g722"));
    up.publish("speex", toneOf({ ...clientFormat("speex"), packetMs }, 1500), 0);
    assertTone(up.heard("g722").subarray(8000, 22000), 16000);
    using down = new AudioBench(chainOf("pcma", "speex"));
    down.receive("speex", toneOf({ ...sipFormat("speex", 16000), packetMs }, 1500));
    const { samples, sampleRate } = down.playedSound();
    assertTone(samples.subarray(sampleRate * 0.5, sampleRate * 1.3), sampleRate);
    assert.match(down.line.transcodingSummary, /to the player: 0 underruns, 0 ms skipped/);
  }
});

test("a peer that asks for packets of 40 or 60 ms gets them, of every codec, its clock counting all of each", () => {
  const octets: Partial<Record<SipAudio, number>> = { pcmu: 8, pcma: 8, g722: 8 };
  for (const peer of PEERS) {
    for (const ptimeMs of [40, 60]) {
      const client = peer === "speex" ? "pcmu" : "speex";
      using bench = new AudioBench({ ...chainOf(client, peer), ptimeMs });
      bench.publish(client, toneOf(clientFormat(client), 1500), 0);
      const steps = bench.sent.slice(1).map((one, i) => one.timestamp - bench.sent[i]!.timestamp);
      assert.deepEqual([...new Set(steps)], [CLOCKS[peer] * ptimeMs / 1000], `${peer} ${ptimeMs}`);
      const size = octets[peer];
      if (size !== undefined) {
        assert.deepEqual([...new Set(bench.sent.map(({ payload }) => payload.length))], [size * ptimeMs]);
      }
      const { sampleRate } = sipFormat(peer, CLOCKS[peer]);
      assertTone(bench.heard(peer).subarray(sampleRate * 0.5, sampleRate * 1.3), sampleRate);
    }
  }
});

test("Opus passes between Enhanced RTMP and RFC 7587 octet for octet, both ways", () => {
  using bench = new AudioBench(chainOf("opus", "opus", "pcmu"));
  const audio = toneOf(clientFormat("opus"), 500);
  bench.publish("opus", audio, 0);
  assert.deepEqual(bench.sent.map(({ payload }) => payload), audio.packets);
  bench.receive("opus", audio);
  const [config, ...frames] = bench.played.map(({ body }) => body);
  assert.deepEqual([...config!.subarray(0, 5)], [0x90, 0x4f, 0x70, 0x75, 0x73]);
  assert.deepEqual(frames.map((body) => body.subarray(5)), audio.packets);
  assert.equal(bench.mostBufferedMs, 0);
});

test("all transcoded calls live on one tick", () => {
  const clock = new FakeClock(10_000);
  using services = transcodeServices(clock);
  const benches = Array.from(
    { length: 20 },
    () => new AudioBench(chainOf("speex", "pcmu"), { clock, transcoding: services }),
  );
  assert.deepEqual([clock.pending, services.ticker.size], [1, 20]);
  clock.advance(1000);
  assert.ok(benches.every(({ sent }) => sent.length >= 49));
  assert.equal(clock.pending, 1);
  for (const bench of benches) bench[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});

// ---- troublesome encoders

/** How long after `atMs` the peer hears something. */
function silenceAfter(bench: AudioBench, peer: SipAudio, atMs: number): number {
  const from = bench.sent.findIndex((one) => one.atMs >= atMs);
  const heard = bench.heard(peer, from);
  const sampleRate = sipFormat(peer, CLOCKS[peer]).sampleRate;
  const at = heard.findIndex((sample) => Math.abs(sample) > 1000);
  return at < 0 ? Infinity : bench.sent[from]!.atMs - atMs + at * 1000 / sampleRate;
}

for (const client of CLIENTS) {
  const format = clientFormat(client);

  test(`an encoder of ${client} that sends 3 s at once: bounded, and heard within 500 ms`, () => {
    using bench = new AudioBench(chainOf(client, client === "speex" ? "pcmu" : "speex"));
    const peer = client === "speex" ? "pcmu" : "speex";
    bench.clock.advance(200);
    const burst = encodeAudio(format, loudSpeech(format.sampleRate, 3));
    if (burst.config !== null) bench.message(0, audioTag(client, burst.config, true));
    const atMs = bench.clock.now();
    burst.packets.forEach((packet, i) =>
      bench.message(Math.round(i * burst.packetMs), audioTag(client, packet))
    );
    bench.publish(client, { ...toneOf(format, 1500), config: null }, 3000);
    assert.ok(silenceAfter(bench, peer, atMs) <= 500);
    const { sampleRate } = sipFormat(peer, CLOCKS[peer]);
    assertTone(bench.heard(peer).subarray(-sampleRate * 0.8, -sampleRate * 0.1), sampleRate);
    assert.ok(Math.abs(bench.sent.length - (bench.clock.now() - 10_000) / 20) <= 1, "one packet in 20 ms");
  });

  test(`an encoder of ${client} that stalls for 10 s: silence, then heard within 500 ms`, () => {
    for (const clockStopped of [true, false]) {
      using bench = new AudioBench(chainOf(client, client === "speex" ? "pcma" : "speex"));
      const peer = client === "speex" ? "pcma" : "speex";
      bench.publish(client, toneOf(format, 1000), 0);
      const before = bench.sent.length;
      bench.clock.advance(10_000);
      const { sampleRate } = sipFormat(peer, CLOCKS[peer]);
      assert.ok(levelDb(bench.heard(peer, before).subarray(sampleRate)) < -60, "silence meanwhile");
      const atMs = bench.clock.now();
      bench.publish(client, { ...toneOf(format, 1500), config: null }, clockStopped ? 1000 : 11_000);
      assert.ok(silenceAfter(bench, peer, atMs) <= 500);
      assertTone(bench.heard(peer).subarray(-sampleRate * 0.8, -sampleRate * 0.1), sampleRate);
    }
  });

  test(`ten seconds of ${client} held back by the network and sent in one: the newest is heard within 500 ms`, () => {
    using bench = new AudioBench(chainOf(client, client === "speex" ? "pcma" : "speex"));
    const peer = client === "speex" ? "pcma" : "speex";
    bench.publish(client, toneOf(format, 1000), 0);
    bench.clock.advance(10_000);
    const backlog = toneOf(format, 10_000);
    const atMs = bench.clock.now();
    backlog.packets.forEach((packet, i) =>
      bench.message(1000 + Math.round(i * backlog.packetMs), audioTag(client, packet))
    );
    bench.publish(client, { ...toneOf(format, 1500), config: null }, 11_000);
    assert.ok(silenceAfter(bench, peer, atMs) <= 500);
    const { sampleRate } = sipFormat(peer, CLOCKS[peer]);
    assertTone(bench.heard(peer).subarray(-sampleRate * 0.8, -sampleRate * 0.1), sampleRate);
  });

  test(`broken ${client}: no end of the call, one line in the log, and sound again within 500 ms`, () => {
    using bench = new AudioBench(chainOf(client, client === "speex" ? "pcma" : "speex"));
    const peer = client === "speex" ? "pcma" : "speex";
    const audio = toneOf(format, 1000);
    bench.publish(client, audio, 0);
    const broken = audio.packets.map((packet, seed) => mutate(packet, seed));
    bench.publish(client, { ...audio, packets: broken, config: null }, 1000);
    assert.ok(bench.warning.length <= 1, bench.warning.map(({ text }) => text).join());
    const atMs = bench.clock.now();
    bench.publish(client, { ...toneOf(format, 1500), config: null }, 2000);
    assert.ok(silenceAfter(bench, peer, atMs) <= 500);
    const { sampleRate } = sipFormat(peer, CLOCKS[peer]);
    assertTone(bench.heard(peer).subarray(-sampleRate * 0.8, -sampleRate * 0.1), sampleRate);
  });
}

for (const peer of PEERS) {
  test(`broken ${peer} of the peer: the player hears on`, () => {
    using bench = new AudioBench(chainOf(peer.startsWith("pcm") ? "opus" : "pcmu", peer));
    const audio = toneOf(sipFormat(peer, CLOCKS[peer]), 1000);
    bench.receive(peer, { ...audio, packets: audio.packets.map((packet, seed) => mutate(packet, seed)) });
    const before = bench.played.length;
    bench.receive(peer, audio);
    assert.ok(bench.warning.length <= 1 && Math.abs(bench.played.length - 100) <= 3);
    using ear = new PlayerEar();
    for (const { body } of bench.played.slice(before)) ear.hear(body);
    assertTone(ear.all().subarray(-ear.sampleRate * 0.6, -ear.sampleRate * 0.05), ear.sampleRate);
  });
}

/** Seconds of the speech sample. */
function loudSpeech(sampleRate: number, seconds: number): Int16Array {
  const round = speechSamples(sampleRate);
  return Int16Array.from({ length: sampleRate * seconds }, (_, i) => round[i % round.length]!);
}
