// The near end of the measured calls: an RTMP client of one kind, which says a tone and speech, and keeps what comes
// back. What it says is encoded before the calls begin, what it hears is decoded after they are over, so that the
// gateway has the machine to itself meanwhile.
// Role: edge

import { ByteWriter } from "../../lib/base/bytes.ts";
import { type Clock, delay } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import type { Random } from "../../lib/base/random.ts";
import type { AacEncoder } from "../../lib/codecs/aac.ts";
import type { AudioDecoder, AudioFormat } from "../../lib/codecs/codec.ts";
import type { Codecs } from "../../lib/codecs/codecs.ts";
import { type BuiltInCodec, builtInCodecs } from "../../lib/codecs/registry.ts";
import { decodeTag, encodeTag } from "../../lib/media/flv_tag.ts";
import { createFrame } from "../../lib/media/frame.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";

/** One kind of RTMP client. */
/** Audio that RTMP has. */
type ClientCodec = Exclude<BuiltInCodec, "telephone-event" | "g722" | "h264" | "x-flv">;

export interface ClientKind {
  /** For the table. */
  readonly name: string;
  /** The codec list it gives. */
  readonly tokens: readonly string[];
  /** What it sends. */
  readonly audio: AudioFormat & { readonly codec: ClientCodec };
}

/** What clients send. */
export const CLIENTS: readonly ClientKind[] = [
  { name: "Speex wb", tokens: ["wideband"], audio: { codec: "speex", sampleRate: 16000 } },
  { name: "Speex nb", tokens: ["narrowband"], audio: { codec: "speex", sampleRate: 8000 } },
  { name: "PCMU", tokens: ["pcmu"], audio: { codec: "pcmu", sampleRate: 8000 } },
  { name: "PCMA", tokens: ["pcma"], audio: { codec: "pcma", sampleRate: 8000 } },
  { name: "AAC 44.1 stereo", tokens: ["aac"], audio: { codec: "aac", sampleRate: 44100, channels: 2 } },
  { name: "AAC 48", tokens: ["aac"], audio: { codec: "aac", sampleRate: 48000 } },
  { name: "Opus", tokens: ["opus"], audio: { codec: "opus", sampleRate: 48000 } },
];

/** The tone that is sent. */
export const TONE_HZ = 1004;
/** Its amplitude, 10 dB below the greatest. */
export const TONE_AMPLITUDE = 10000;

/** What is said, in ms: the pauses let the way settle, and keep the sounds apart. */
export const SCHEDULE = { toneAt: 500, toneFor: 4000, speechAt: 5200, speechFor: 4000, end: 10_000 } as const;

/** Samples of everything that is said. */
export function spokenSamples(sampleRate: number): Int16Array {
  const { toneAt, toneFor, speechAt, speechFor, end } = SCHEDULE;
  const perMs = sampleRate / 1000;
  const samples = new Int16Array(end * perMs);
  const turn = 2 * Math.PI * TONE_HZ / sampleRate;
  for (let i = 0; i < toneFor * perMs; i++) {
    samples[Math.floor(toneAt * perMs) + i] = Math.round(TONE_AMPLITUDE * Math.sin(turn * i));
  }
  const speech = speechSamples(sampleRate);
  for (let i = 0; i < speechFor * perMs; i++) {
    samples[Math.floor(speechAt * perMs) + i] = speech[i % speech.length]!;
  }
  return samples;
}

/** What a client says: tag bodies, the configuration first, and how long each lasts. */
export interface Speech {
  readonly config: Uint8Array | null;
  readonly bodies: readonly Uint8Array[];
  readonly bodyMs: number;
}

/** Encodes everything a kind of client says. */
export function prepareSpeech(kind: ClientKind, codecs: Codecs): Speech {
  const { codec, sampleRate, channels = 1 } = kind.audio;
  using encoder = codecs.createEncoder(kind.audio, sampleRate);
  const mono = spokenSamples(sampleRate);
  const samples = channels === 1
    ? mono
    : Int16Array.from({ length: 2 * mono.length }, (_, i) => mono[i >> 1]!);
  const bodies: Uint8Array[] = [];
  const block = encoder.frameSamples;
  for (let at = 0; at + block <= samples.length; at += block) {
    bodies.push(tagBody(codec, encoder.encode(samples.subarray(at, at + block)), false));
  }
  const config = codec === "aac" ? tagBody(codec, (encoder as AacEncoder).config, true) : null;
  return { config, bodies, bodyMs: block / channels * 1000 / sampleRate };
}

function tagBody(codec: ClientKind["audio"]["codec"], data: Uint8Array, config: boolean): Uint8Array {
  const writer = new ByteWriter(64);
  encodeTag({ ...createFrame(), codec, data, config }, writer);
  return writer.take();
}

/** What came back. */
export interface Heard {
  /** Audio messages with their arrivals, in ms since the first message was sent; some came before it. */
  readonly messages: readonly { readonly atMs: number; readonly body: Uint8Array }[];
  /** What `accepted` said. */
  readonly accepted: string;
}

/** What a call needs. */
export interface CallerEnvironment {
  /** Time. */
  readonly clock: Clock;
  /** For the handshake. */
  readonly random: Random;
}

const PATIENCE_MS = 5000;

/** Makes one call, says everything, and hangs up. @throws Error when it is not accepted */
export async function callAndListen(
  parts: { url: string; destination: string; kind: ClientKind; speech: Speech },
  { clock, random }: CallerEnvironment,
): Promise<Heard> {
  const outcome = Promise.withResolvers<string>();
  const client = await RtmpClient.open(parts.url, {
    clock,
    log: silentLog,
    random,
    args: [null, "", null, "wideband"],
    onCall: (name, args) => {
      if (name === "accepted") outcome.resolve(args.join(", "));
      if (name === "rejected") outcome.reject(new Error(`rejected: ${args.join(", ")}`));
    },
  });
  await using _client = client;
  const [speaking, listening] = [await client.createStream(), await client.createStream()];
  await speaking.publish("local");
  await listening.play("remote");
  const arrivals: { nowMs: number; body: Uint8Array }[] = [];
  listening.onMedia = ({ type, body }) => {
    if (type === 8) arrivals.push({ nowMs: clock.now(), body: body.slice() });
  };
  client.send("invite", parts.destination, ...parts.kind.tokens);
  const timer = clock.after(PATIENCE_MS, () => outcome.reject(new Error("nobody answered")));
  const accepted = await outcome.promise;
  timer[Symbol.dispose]();
  const { config, bodies, bodyMs } = parts.speech;
  if (config !== null) speaking.send(8, 0, config);
  const startMs = clock.now();
  const { signal } = new AbortController();
  for (const [i, body] of bodies.entries()) {
    const waitMs = startMs + i * bodyMs - clock.now();
    if (waitMs > 0) await delay(clock, waitMs, signal);
    speaking.send(8, Math.round(i * bodyMs), body);
  }
  client.send("bye");
  return { messages: arrivals.map(({ nowMs, body }) => ({ atMs: nowMs - startMs, body })), accepted };
}

/** What was heard as samples, from the moment the first message was sent. */
export function decodeHeard(heard: Heard, codecs: Codecs): { samples: Int16Array; sampleRate: number } {
  const frame = createFrame();
  const pieces: Int16Array[] = [];
  const startsMs: number[] = [];
  let decoder: AudioDecoder | null = null;
  let total = 0;
  for (const { atMs, body } of heard.messages) {
    decodeTag(8, 0, body, frame);
    const format = builtInCodecs.named(frame.codec)?.transcode?.client;
    if (format === undefined || frame.config && !codecs.needsConfig(format)) continue;
    if (frame.config) {
      decoder = codecs.createConfigured(format, frame.data);
      continue;
    }
    decoder ??= codecs.createDecoder(format, format.sampleRate);
    startsMs.push(atMs - total * 1000 / decoder.sampleRate);
    const piece = decoder.decode(frame.data).slice();
    pieces.push(piece);
    total += piece.length;
  }
  const sampleRate = decoder?.sampleRate ?? 8000;
  decoder?.[Symbol.dispose]();
  const startMs = startsMs.sort((a, b) => a - b)[startsMs.length >> 1] ?? 0;
  const samples = new Int16Array(Math.max(0, total + Math.round(startMs * sampleRate / 1000)));
  let at = Math.round(startMs * sampleRate / 1000);
  for (const piece of pieces) {
    if (at >= 0) samples.set(piece, at);
    else if (at + piece.length > 0) samples.set(piece.subarray(-at), 0);
    at += piece.length;
  }
  return { samples, sampleRate };
}
