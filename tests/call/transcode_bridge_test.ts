// Both directions of a transcoded call on a clock of the test: pace, timestamps, losses, pauses, the shared tick.
import assert from "node:assert/strict";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { encodeComfortNoise } from "../../lib/codecs/comfort_noise.ts";
import { clientFormat, codecNamed, sipFormat } from "../support/audio_formats.ts";
import type { PeerAudio } from "../../lib/call/audio_passthrough.ts";
import { TranscodeBridge } from "../../lib/call/transcode_bridge.ts";
import { createFrame } from "../../lib/media/frame.ts";
import { greatestStep, levelDb, measureTone, tone } from "../support/codecs_audio.ts";
import { FakeClock } from "../support/fake_clock.ts";
import {
  built,
  type CodedAudio,
  decodePayloads,
  encodeAudio,
  transcodeServices,
} from "../support/transcode_bench.ts";

const ORIGIN_MS = 400;
const SPEEX = clientFormat("speex");
const PEER: PeerAudio = { format: sipFormat("pcmu", 8000), clockRate: 8000 };

class Bench implements Disposable {
  readonly clock = new FakeClock(1000);
  readonly services = transcodeServices(this.clock);
  readonly sent: {
    payload: Uint8Array;
    timestamp: number;
    marker: boolean;
    mediaMs: number;
    atMs: number;
  }[] = [];
  readonly played: { packet: Uint8Array; timeMs: number; atMs: number }[] = [];
  readonly warning: string[] = [];
  readonly line: TranscodeBridge;

  constructor(toSip: AudioFormat = PEER.format, toRtmp: AudioFormat = SPEEX) {
    this.line = new TranscodeBridge({
      services: this.services,
      clock: this.clock,
      originMs: ORIGIN_MS,
      toSip,
      clockRate: 8000,
      toRtmp,
      emitPayload: (payload, timestamp, marker, mediaMs) =>
        this.sent.push({ payload: payload.slice(), timestamp, marker, mediaMs, atMs: this.clock.now() }),
      emitPacket: (packet, timeMs) =>
        this.played.push({ packet: packet.slice(), timeMs, atMs: this.clock.now() }),
      onWarning: (text) => this.warning.push(text),
    });
  }

  publish(audio: CodedAudio, fromMs: number): void {
    audio.packets.forEach((data, i) => {
      assert.ok(
        this.line.fromRtmp(codecNamed("speex"), {
          ...createFrame(),
          codec: "speex",
          timeMs: fromMs + i * 20,
          data,
        }),
      );
      this.clock.advance(20);
    });
  }

  /** The peer's packets; those in `missing` do not come, and the next one says so. */
  receive(audio: CodedAudio, missing: ReadonlySet<number> = new Set(), from = 0): void {
    let lost = 0;
    audio.packets.forEach((payload, i) => {
      if (missing.has(i)) lost++;
      else {
        assert.ok(this.line.fromRtp(PEER, payload, (from + i) * 160, lost));
        lost = 0;
      }
      this.clock.advance(20);
    });
  }

  heardByPeer(from = 0): Int16Array {
    return decodePayloads(PEER.format, this.sent.slice(from).map(({ payload }) => payload));
  }

  heardByPlayer(from = 0): Int16Array {
    return decodePayloads(SPEEX, this.played.slice(from).map(({ packet }) => packet));
  }

  [Symbol.dispose](): void {
    this.line[Symbol.dispose]();
    assert.equal(this.services.ticker.size, 0, "a tick is left");
    this.services[Symbol.dispose]();
    assert.equal(this.clock.pending, 0, "a timer is left");
  }
}

const speexTone = (milliseconds: number) => encodeAudio(SPEEX, tone(1004, 16000, milliseconds));
const ulawTone = (milliseconds: number, hz = 1004) => encodeAudio(PEER.format, tone(hz, 8000, milliseconds));

Deno.test({
  name: "to the peer: one packet in 20 ms, timestamps without gaps, the marker on the first, and the tone",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    bench.line.startUp(SPEEX);
    bench.publish(speexTone(3000), 70_000);
    assert.deepEqual([
      ...new Set(bench.sent.slice(1).map((one, i) => one.timestamp - bench.sent[i]!.timestamp)),
    ], [160]);
    assert.deepEqual(bench.sent.map(({ marker }) => marker), [true, ...bench.sent.slice(1).map(() => false)]);
    const steps = bench.sent.slice(1).map((one, i) => one.atMs - bench.sent[i]!.atMs);
    assert.deepEqual([...new Set(steps)], [20]);
    const { amplitude, snrDb } = measureTone(bench.heardByPeer().subarray(8000, 20000), 1004, 8000);
    assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 1 && snrDb > 18, `${amplitude} ${snrDb}`);
    const places = bench.sent.filter(({ mediaMs }) => !Number.isNaN(mediaMs));
    const delays = places.map(({ atMs, mediaMs }) => atMs - 1000 - (mediaMs - 70_000));
    assert.ok(
      Math.max(...delays) <= 80 && Math.min(...delays) >= 40,
      `${Math.min(...delays)}-${Math.max(...delays)}`,
    );
  },
});

Deno.test({
  name: "to the player: RTMP time since the client connected, in even steps, and where each moment is heard",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    assert.equal(bench.line.peekMs(0), null);
    bench.line.startDown(PEER.format);
    bench.receive(ulawTone(2000));
    assert.equal(bench.played[0]?.timeMs, 1010 - ORIGIN_MS);
    assert.deepEqual([
      ...new Set(bench.played.slice(1).map((one, i) => one.timeMs - bench.played[i]!.timeMs)),
    ], [20]);
    assert.ok(measureTone(bench.heardByPlayer().subarray(8000, 28000), 1004, 16000).snrDb > 18);
    const heardMs = bench.line.peekMs(1000)!; // arrived 2000 on the clock, 1600 in RTMP time
    assert.ok(heardMs >= 1600 + 20 && heardMs <= 1600 + 80, `${heardMs}`);
  },
});

Deno.test({
  name: "losses are concealed without a click and without stretching time",
  ignore: !built,
  fn: () => {
    using bench = new Bench(PEER.format, clientFormat("pcma"));
    const missing = new Set(Array.from({ length: 100 }, (_, i) => i).filter((i) => i > 10 && i % 9 === 4));
    bench.receive(ulawTone(2000, 204), missing);
    const heard = decodePayloads(sipFormat("pcma", 8000), bench.played.map(({ packet }) => packet));
    const wave = heard.subarray(2400, 15000);
    assert.ok(greatestStep(wave) < 2.2 * greatestStep(tone(204, 8000, 200)), `${greatestStep(wave)}`);
    assert.ok(Math.abs(levelDb(wave) - levelDb(tone(204, 8000, 200))) < 1, `${levelDb(wave)}`);
    assert.ok(Math.abs(bench.played.length - 100) <= 2);
    assert.match(bench.line.summary(), /to the player: 0 underruns, 0 ms skipped/);
  },
});

Deno.test({
  name: "a pause of the peer is silence, comfort noise when it describes some; speech comes back in 100 ms",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    bench.receive(ulawTone(1000));
    const silent = bench.played.length;
    bench.clock.advance(2000);
    assert.ok(levelDb(bench.heardByPlayer(silent + 20)) < -70);
    bench.line.comfortNoise(encodeComfortNoise({ levelDbov: 40, reflection: [] }));
    bench.line.comfortNoise(new Uint8Array(0)); // broken
    const noisy = bench.played.length;
    bench.clock.advance(2000);
    assert.ok(levelDb(bench.heardByPlayer(noisy + 20)) > -50);
    const speaking = bench.played.length;
    bench.receive(ulawTone(400), new Set(), 250);
    assert.ok(levelDb(bench.heardByPlayer(speaking).subarray(1600, 6000)) > -16);
    assert.equal(bench.line.brokenFromRtp, 1);
    assert.equal(bench.played.length, Math.round(5400 / 20));
  },
});

Deno.test({
  name: "another source of the peer, another publisher: time goes on",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    bench.receive(ulawTone(1000));
    bench.line.sourceChanged();
    bench.receive(ulawTone(1000), new Set(), 1_000_000);
    bench.publish(speexTone(500), 90_000);
    bench.line.publisherChanged();
    bench.publish(speexTone(500), 0);
    const { played, sent } = bench;
    assert.deepEqual([...new Set(played.slice(1).map((one, i) => one.timeMs - played[i]!.timeMs))], [20]);
    assert.deepEqual([...new Set(sent.slice(1).map((one, i) => one.timestamp - sent[i]!.timestamp))], [160]);
    assert.ok(levelDb(bench.heardByPeer().subarray(-3200)) > -20);
  },
});

Deno.test({
  name: "the tick runs while a direction does",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    const { ticker } = bench.services;
    assert.equal(ticker.size, 0);
    bench.line.startUp(SPEEX);
    bench.line.startDown(PEER.format);
    assert.equal(ticker.size, 1);
    bench.line.stopUp();
    bench.clock.advance(100);
    assert.deepEqual([ticker.size, bench.sent.length], [1, 0]);
    assert.ok(bench.played.length >= 4);
    bench.line.stopDown();
    bench.line.stopDown();
    assert.equal(ticker.size, 0);
    bench.publish(speexTone(100), 0);
    assert.equal(ticker.size, 1);
    assert.ok(bench.sent[0]!.marker);
  },
});

Deno.test({
  name: "what nobody can transcode is told apart, and starts nothing",
  ignore: !built,
  fn: () => {
    using bench = new Bench();
    assert.equal(
      bench.line.fromRtmp(codecNamed("g722"), { ...createFrame(), codec: "mp3", data: Uint8Array.of(1) }),
      false,
    );
    assert.equal(bench.services.ticker.size, 0);
    assert.equal(bench.line.summary(), "");
  },
});

Deno.test({
  name: "AAC for the player comes with its configuration, at 48 kHz and its own pace",
  ignore: !built,
  fn: () => {
    using bench = new Bench(PEER.format, clientFormat("aac"));
    bench.receive(ulawTone(2000));
    assert.equal(bench.line.playerConfig?.toHex(), "1188");
    const times = bench.played.map(({ timeMs }) => timeMs - bench.played[0]!.timeMs);
    assert.deepEqual(times, times.map((_, i) => Math.round(610 + i * 1024 / 48) - 610));
    assert.ok(Math.abs(times.length - 2000 / (1024 / 48)) <= 2, `${times.length}`);
  },
});
