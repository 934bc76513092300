// Media of calls on a network in memory or on loopback, and the frames to send through them.
// Role: edge

import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../lib/base/clock.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import { Codecs } from "../../lib/codecs/codecs.ts";
import { flashCapability, NO_TRANSCODING, planCodecs } from "../../lib/call/codec_tokens.ts";
import { MediaContext, type MediaServices } from "../../lib/call/media_context.ts";
import { RtpPorts } from "../../lib/net/rtp_ports.ts";
import { bodyText, SDP_TYPE, type SipBody } from "../../lib/sip/message/body.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { FakeUdpNetwork } from "./fake_udp.ts";
import { coreBits, layerBits, packBits } from "./media_speex.ts";
import { RecordLog } from "./record_log.ts";

/** One side of a call: its media, and what its client played and was told. */
export interface MediaSide {
  /** The media. */
  readonly media: MediaContext;
  /** Tag bodies that reached the player. */
  readonly played: Uint8Array[];
  /** Their times. */
  readonly timesMs: number[];
  /** DTMF of the remote party: "5/160". */
  readonly digits: string[];
}

/** What a test needs to open media. */
export interface MediaBench extends AsyncDisposable {
  /** Log of all sides. */
  readonly log: RecordLog;
  /** Sockets and time. */
  readonly services: MediaServices;
  /** How many sides were disposed. */
  readonly ended: () => number;
  /** Opens one side; an empty list is a client that gave none. */
  open(localAddress: string, codecs?: readonly string[], rate?: "wideband" | "narrowband"): MediaSide;
}

function bench(clock: Clock, ports: RtpPorts, check: () => void): MediaBench {
  const log = new RecordLog("debug");
  const scope = new Scope("media", { log });
  const ticker = new Ticker(clock, 10);
  const codecs = new Codecs(new Map());
  const services: MediaServices = { clock, random: seededRandom(5), log, ports, ticker, scope, codecs };
  let ended = 0;
  return {
    log,
    services,
    ended: () => ended,
    open(localAddress, codecs = [], rate = "wideband") {
      const media = new MediaContext({
        services,
        log,
        plan: planCodecs(codecs, flashCapability(rate, NO_TRANSCODING, false)),
        localAddress,
        bind: localAddress,
        originMs: clock.now(),
        onEnd: () => ended++,
      });
      return watched(media);
    },
    async [Symbol.asyncDispose]() {
      assert.equal(ports.inUse, 0, "ports are left");
      assert.equal(ticker.size, 0, "a tick is left");
      await scope.close();
      assert.deepEqual(log.at("error"), []);
      check();
    },
  };
}

function watched(media: MediaContext): MediaSide {
  const side: MediaSide = { media, played: [], timesMs: [], digits: [] };
  media.toRtmp = {
    play: (type, timeMs, body) => {
      assert.equal(type, 8);
      side.played.push(body.slice());
      side.timesMs.push(timeMs);
    },
  };
  media.onDigit = (digit, durationMs) => side.digits.push(`${digit}/${durationMs}`);
  return side;
}

/** A bench whose network and time are the test's. */
export interface FakeMediaBench extends MediaBench {
  /** Time. */
  readonly clock: FakeClock;
  /** Wires. */
  readonly network: FakeUdpNetwork;
}

/** Media on a network in memory. */
export function fakeMediaBench(): FakeMediaBench {
  const clock = new FakeClock(1000);
  const network = new FakeUdpNetwork({ clock });
  const inOrder = { ...seededRandom(1), float: () => 0 };
  const ports = new RtpPorts(
    { min: 30000, max: 30099, coolDownMs: 0 },
    clock,
    (at) => network.bind(at),
    inOrder,
  );
  const made = bench(clock, ports, () => assert.equal(network.size, 0, "sockets are left"));
  return Object.assign(made, { clock, network });
}

/** Media on loopback. */
export function loopbackMediaBench(): MediaBench {
  return bench(systemClock, new RtpPorts({ min: 0, max: 0 }, systemClock), () => {});
}

/** Two sides settle what they have in common; the first one offers. */
export function negotiate(
  offerer: MediaSide,
  answerer: MediaSide,
): { offer: string; answer: string; reports: [offerer: unknown, answerer: unknown] } {
  const offer = offerer.media.makeOffer();
  const answered = answerer.media.takeOffer(offer);
  assert.ok(answered.type === "agreed", JSON.stringify(answered));
  const read = offerer.media.takeAnswer(answered.answer);
  assert.ok(read.type === "agreed", JSON.stringify(read));
  return {
    offer: bodyText(offer),
    answer: bodyText(answered.answer),
    reports: [read.report, answered.report],
  };
}

/** A description written by hand, of a phone at `address`. */
export function description(address: string, ...mediaLines: string[]): SipBody {
  const head = `v=0\r\no=- 7 7 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 ${address}\r\nt=0 0\r\n`;
  const text = head + mediaLines.map((line) => `${line}\r\n`).join("");
  return { type: SDP_TYPE, bytes: new TextEncoder().encode(text) };
}

/** The lines of a description that begin so. */
export function linesOf(text: string, start: string): string[] {
  return text.split("\r\n").filter((line) => line.startsWith(start));
}

const random = seededRandom(11);

/** Speex frames of 20 ms with random parameters: wideband ones have a layer. */
export function speexFrames(count: number, band: "wideband" | "narrowband" = "wideband"): Uint8Array[] {
  return Array.from({ length: count }, () => {
    const layer = band === "wideband" ? layerBits(3, random) : "";
    return packBits(coreBits(5, random) + layer);
  });
}

/** G.711 of 20 ms each. */
export function g711Frames(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => random.bytes(160));
}

/** The body of an audio tag. */
export function tag(first: number, data: Uint8Array): Uint8Array {
  const body = new Uint8Array(1 + data.length);
  body[0] = first;
  body.set(data, 1);
  return body;
}

/** One side publishes frames, 20 ms each, as time passes. */
export async function publish(
  clock: FakeClock,
  side: MediaSide,
  first: number,
  frames: readonly Uint8Array[],
  fromMs = 0,
): Promise<void> {
  for (const [i, frame] of frames.entries()) {
    side.media.fromRtmp({ type: 8, timeMs: fromMs + 20 * i, body: tag(first, frame) });
    await settle();
    await clock.advanceAsync(20);
  }
}

/** As hex, which reads better in a failure. */
export function hexOf(bodies: readonly Uint8Array[]): string[] {
  return bodies.map((body) => body.toHex());
}
