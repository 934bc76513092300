// Audio and video of a call in step, measured: 60 s on a network and a clock in memory, the peer's clock 100 ppm
// off ours and its pictures 180 ms behind its sound, as an encoder and a jitter buffer leave them.

import assert from "node:assert/strict";
import type { Clock } from "../../lib/base/clock.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import { Codecs } from "../../lib/codecs/codecs.ts";
import { flashCapability, NO_TRANSCODING, planCodecs } from "../../lib/call/codec_tokens.ts";
import { MediaContext } from "../../lib/call/media_context.ts";
import { RtpPorts } from "../../lib/net/rtp_ports.ts";
import { RtpSession } from "../../lib/rtp/session.ts";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeUdpNetwork } from "../support/fake_udp.ts";
import { description, tag } from "../support/gateway_media.ts";
import { avc, CONFIG, PPS, slice, SPS } from "../support/media_h264.ts";
import { RecordLog } from "../support/record_log.ts";

const SECONDS = 60;
const LATE_MS = 180;
const LIMIT_MS = 40;
const GATEWAY = "192.0.2.1";
const PEER = "192.0.2.2";

/** A clock that runs faster than the test's by so many millionths. */
class OffClock implements Clock {
  readonly #base: FakeClock;
  readonly #rate: number;

  constructor(base: FakeClock, ppm: number) {
    this.#base = base;
    this.#rate = 1 + ppm / 1e6;
  }

  now(): number {
    return 777_000 + this.#base.now() * this.#rate;
  }

  wallMs(): number {
    return Date.UTC(2025, 5, 1) + this.now();
  }

  after(ms: number, run: () => void): Disposable {
    return this.#base.after(ms / this.#rate, run);
  }
}

// Blocks and pictures are told apart by the instant they were taken at.
const AUDIO_STEP_MS = 20;
const VIDEO_STEP_MS = 40;

/** Index of a block or picture in four octets that look like nothing else. */
const numbered = (
  index: number,
): number[] => [index >> 12 & 63 | 64, index >> 6 & 63 | 64, index & 63 | 64, 64];
const numberIn = (octets: Uint8Array): number =>
  (octets[0]! & 63) << 12 | (octets[1]! & 63) << 6 | octets[2]! & 63;

function audioBlock(index: number): Uint8Array {
  const block = new Uint8Array(160).fill(0xff);
  block.set(numbered(index));
  return block;
}

function picture(index: number): Uint8Array {
  const nal = slice("I", 60);
  nal.set(numbered(index), 20);
  return nal;
}

/** The gateway's side of a call with a phone whose two sessions the test drives. */
async function call(ppm: number) {
  const clock = new FakeClock(1000);
  const network = new FakeUdpNetwork({ clock, delayMs: 3, jitterMs: 5 });
  const log = new RecordLog("warn");
  const ticker = new Ticker(clock, 10);
  const scope = new Scope("test", { log });
  const ports = new RtpPorts({ min: 30000, max: 30099, coolDownMs: 0 }, clock, (at) => network.bind(at));
  const codecs = new Codecs(new Map());
  const services = { clock, random: seededRandom(1), log, ports, ticker, scope, codecs };
  const media = new MediaContext({
    services,
    log,
    plan: planCodecs(["pcmu", "h264"], flashCapability("wideband", NO_TRANSCODING)),
    localAddress: GATEWAY,
    bind: GATEWAY,
    originMs: clock.now(),
    onEnd: () => {},
  });
  const peerClock = new OffClock(clock, ppm);
  const session = (clockRate: number) =>
    new RtpSession({
      pair: ports.bindPair(PEER),
      clockRate,
      cname: "peer",
      clock: peerClock,
      random: seededRandom(clockRate),
      ticker,
      log,
      latch: true,
    });
  const [audio, video] = [session(8000), session(90_000)];
  scope.spawn("audio", () => audio.run());
  scope.spawn("video", () => video.run());
  const [audioPort, videoPort] = /m=audio (\d+)[^]*m=video (\d+)/.exec(
    new TextDecoder().decode(media.makeOffer().bytes),
  )!.slice(1).map(Number);
  const answered = media.takeAnswer(description(
    PEER,
    `m=audio ${audio.localPort} RTP/AVP 0`,
    `m=video ${video.localPort} RTP/AVP 99`,
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=42e01f;packetization-mode=1",
  ));
  assert.equal(answered.type, "agreed");
  const at = (port: number) => ({ hostname: GATEWAY, port });
  audio.setRemote(at(audioPort!), at(audioPort! + 1));
  video.setRemote(at(videoPort!), at(videoPort! + 1));
  await settle();
  return {
    clock,
    peerClock,
    media,
    audio,
    video,
    async end() {
      media[Symbol.dispose]();
      audio[Symbol.dispose]();
      video[Symbol.dispose]();
      await scope.close();
      assert.deepEqual(log.lines, []);
    },
  };
}

/** Video time minus audio time of each picture's instant; a block of audio takes `blockMs` of the peer's time. */
function skews(
  heard: ReadonlyMap<number, number>,
  seen: ReadonlyMap<number, number>,
  blockMs = AUDIO_STEP_MS,
): number[] {
  const found: number[] = [];
  for (const [index, timeMs] of seen) {
    const block = Math.floor(index * VIDEO_STEP_MS / blockMs);
    const audioMs = heard.get(block);
    if (audioMs !== undefined) found.push(timeMs - audioMs - (index * VIDEO_STEP_MS - block * blockMs));
  }
  return found;
}

/** The peer's clock, and how much slower than it the peer's sound card is. */
const FROM_PEER: [ppm: number, soundPpm: number][] = [[100, 0], [-100, 0], [0, 0], [100, 1000]];

for (const [ppm, soundPpm] of FROM_PEER) {
  const off = `its clock ${ppm} ppm off, its sound card another ${soundPpm}`;
  Deno.test(`from the remote party: skew under ${LIMIT_MS} ms after ${SECONDS} s, ${off}`, async () => {
    const { clock, peerClock, media, audio, video, end } = await call(ppm);
    const heard = new Map<number, number>();
    const seen = new Map<number, number>();
    const steps: number[] = [];
    let lastMs = 0;
    media.toRtmp = {
      play: (type, timeMs, body) => {
        if (type === 8) heard.set(numberIn(body.subarray(1)), timeMs);
        if (type !== 9 || body[1] !== 1) return;
        seen.set(numberIn(body.subarray(5 + 4 + 20)), timeMs);
        steps.push(timeMs - lastMs);
        lastMs = timeMs;
      },
    };
    const startMs = peerClock.now();
    const blockMs = AUDIO_STEP_MS * (1 + soundPpm / 1e6);
    for (let index = 0; index < SECONDS * 1000 / AUDIO_STEP_MS; index++) {
      const takenMs = startMs + index * blockMs;
      await clock.advanceAsync(Math.max(0, takenMs - peerClock.now()));
      audio.send(audioBlock(index), index * 160, index === 0, 0);
      audio.anchor(index * 160, takenMs);
      const shown = (index * AUDIO_STEP_MS - LATE_MS) / VIDEO_STEP_MS;
      if (shown < 0 || !Number.isInteger(shown)) continue;
      for (const set of shown % 50 === 0 ? [SPS, PPS] : []) video.send(set, shown * 3600, false, 99);
      video.send(picture(shown), shown * 3600, true, 99);
      video.anchor(shown * 3600, startMs + shown * VIDEO_STEP_MS);
    }
    await clock.advanceAsync(100);
    const all = skews(heard, seen, blockMs);
    assert.ok(all.length > SECONDS * 20, `${all.length} pictures`);
    assert.ok(all[5]! > LATE_MS - 30, `${all[5]} ms: without reports each stream begins at its own now`);
    const worst = Math.max(...all.slice(-500).map(Math.abs));
    assert.ok(worst < LIMIT_MS, `${worst} ms of skew at the end`);
    assert.ok(Math.min(...steps.slice(1)) > 0, "time never stands still");
    await end();
  });
}

for (const ppm of [100, -100, 0]) {
  Deno.test(`to the remote party: its reports say the same within ${LIMIT_MS} ms, our publisher ${ppm} ppm off`, async () => {
    const { clock, peerClock, media, audio, video, end } = await call(ppm);
    /** Timestamp of each block and picture, unwrapped as the peer's session gives them. */
    const [heard, seen] = [new Map<number, number>(), new Map<number, number>()];
    audio.receiver = { fromRtp: (payload, timestamp) => void heard.set(numberIn(payload), timestamp) };
    video.receiver = {
      fromRtp: (payload, timestamp) => {
        const nal = (payload[0]! & 31) === 24 ? payload.subarray(payload.length - 60) : payload; // behind its sets
        if (nal.length === 60) seen.set(numberIn(nal.subarray(20)), timestamp);
      },
    };
    media.fromRtmp({ type: 9, timeMs: 0, body: concatBytes([fromHex("1700000000"), CONFIG]) });
    const startMs = peerClock.now(); // the publisher's clock is as far off as the peer's
    for (let index = 0; index < SECONDS * 1000 / AUDIO_STEP_MS; index++) {
      await clock.advanceAsync(Math.max(0, startMs + index * AUDIO_STEP_MS - peerClock.now()));
      // Flash stamps sound when it reads it, not when it was heard
      const timeMs = index * AUDIO_STEP_MS + (index * 7) % 13;
      media.fromRtmp({ type: 8, timeMs, body: tag(0x82, audioBlock(index)) });
      const shown = (index * AUDIO_STEP_MS - LATE_MS) / VIDEO_STEP_MS;
      if (shown < 0 || !Number.isInteger(shown)) continue;
      const body = concatBytes([fromHex("1701000000"), avc([picture(shown)])]);
      media.fromRtmp({ type: 9, timeMs: shown * VIDEO_STEP_MS, body });
    }
    await clock.advanceAsync(100);
    const [a, v] = [audio.senderClock!, video.senderClock!];
    const wall = (report: typeof a, rate: number, timestamps: ReadonlyMap<number, number>) =>
      new Map([...timestamps].map(([index, timestamp]) => [
        index,
        report.wallMs + (timestamp - report.timestamp) * 1000 / rate,
      ]));
    const all = skews(wall(a, 8000, heard), wall(v, 90_000, seen));
    assert.ok(all.length > SECONDS * 20, `${all.length} pictures`);
    const worst = Math.max(...all.slice(-500).map(Math.abs));
    assert.ok(worst < LIMIT_MS, `${worst} ms of skew at the end`);
    await end();
  });
}
