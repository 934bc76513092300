// One direction of a transcoded call: packets of any known format in, at any time; packets of one format out, on a steady grid.
// Each format that comes in has an audio path of its own, so a source may change its codec at any packet.
// Role: machine

import { messageOf, WireError } from "../base/errors.ts";
import { AudioPath } from "../codecs/audio_path.ts";
import type { AudioFormat, ConfiguredDecoding } from "../codecs/codec.ts";
import type { Codecs } from "../codecs/codecs.ts";
import { Playout, type PlayoutSink } from "./playout.ts";
import type { Runtime } from "../base/runtime.ts";

interface TranscoderOptions extends Pick<Runtime, "clock" | "random"> {
  readonly to: AudioFormat;
  readonly codecs: Codecs;
  readonly sink: PlayoutSink;
  /** Told in words of each kind of warning, once; `refused`: nothing of the source can be heard. */
  readonly onWarning: (text: string, refused: boolean) => void;
}

/** The longest packet of any codec that may wait unread. */
const BUFFER_MS = 400;
/** A decoder for AAC costs as much as a second of audio: not more often than this. */
const CONFIGURE_EVERY_MS = 200;
/** About a second of AAC without its configuration: the source is told. */
const UNCONFIGURED_PACKETS = 50;
const MAX_CONFIG_OCTETS = 64;

/** One direction. Idle until start() or the first packet. */
export class Transcoder implements Disposable {
  readonly #options: TranscoderOptions;
  readonly #paths = new Map<AudioFormat, AudioPath>();
  readonly #told = new Set<string>();
  #asked: AudioFormat | null = null;
  #taken = false;
  #format: AudioFormat | null = null;
  #path: AudioPath | null = null;
  #playout: Playout | null = null;
  /** Of the present format; null: it is decoded as it comes. */
  #decoding: ConfiguredDecoding | null = null;
  #config: Uint8Array | null = null;
  #configured = true;
  #configuredMs = -Infinity;
  #broken = 0;
  #unconfigured = 0;

  constructor(options: TranscoderOptions) {
    this.#options = options;
  }

  get active(): boolean {
    return this.#playout !== null;
  }

  /** Packets that were damaged, or came before their configuration. */
  get broken(): number {
    return this.#broken;
  }

  /** Decoded audio that waits, in milliseconds. */
  get bufferedMs(): number {
    let sum = 0;
    for (const path of this.#paths.values()) sum += path.bufferedMs;
    return sum;
  }

  /** The configuration to send before what goes out; null: it needs none, or nothing has gone out yet. */
  get outputConfig(): Uint8Array | null {
    return this.#path?.config ?? null;
  }

  /** How the packets leave, for tests and the log; null while idle. */
  get playout(): Playout | null {
    return this.#playout;
  }

  /** True when packets of this format can be taken. */
  takes(format: AudioFormat): boolean {
    if (format !== this.#asked) {
      this.#asked = format;
      this.#taken = this.#options.codecs.canTranscode(format, this.#options.to);
    }
    return this.#taken;
  }

  /** Begins to send, silence for now. @param format what is expected to come */
  start(format: AudioFormat): void {
    if (this.#playout === null || this.#format !== format) this.#use(format);
  }

  /** Stops to send; the next packet begins a new grid. */
  stop(): void {
    this.#playout = null;
  }

  /** The configuration of the AAC that follows, first or changed. */
  configure(config: Uint8Array): void {
    if (config.length > MAX_CONFIG_OCTETS || sameOctets(config, this.#config)) return;
    this.#config = config.slice();
    this.#configured = false;
  }

  /** One packet. @param mediaMs its place on the source's time scale */
  push(format: AudioFormat, packet: Uint8Array, mediaMs: number): void {
    const path = this.#use(format);
    const decoding = this.#decoding;
    if (decoding !== null && !this.#configured && !this.#configure(path, decoding)) {
      this.#broken++;
      return;
    }
    if (decoding !== null && this.#config === null) return this.#waitForConfig(decoding);
    const damaged = path.damaged + path.unconfigured;
    path.push(packet);
    if (path.damaged + path.unconfigured !== damaged) this.#countBroken(format);
    this.#playout!.arrived(this.#options.clock.now(), mediaMs);
  }

  /** What came cannot be read at all; the source is told once why. */
  refuse(text: string): void {
    this.#broken++;
    this.#tell(text, true);
  }

  /** So much audio is missing before the packet to come; what was made up meanwhile counts. */
  lost(format: AudioFormat, missingMs: number): void {
    const path = this.#path;
    const playout = this.#playout;
    if (path === null || playout === null || this.#format !== format || playout.waiting) return;
    const packets = path.receivedMs > 0 ? Math.round((missingMs - playout.filledMs) / path.receivedMs) : 0;
    if (packets > 0) path.lost(packets);
  }

  /** How long the last packet was, in ms. */
  get receivedMs(): number {
    return this.#path?.receivedMs ?? 0;
  }

  /** Comfort noise (RFC 3389) until audio comes again. */
  comfortNoise(payload: Uint8Array): void {
    if (this.#playout === null || this.#path === null) return;
    try {
      this.#path.comfortNoise(payload);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#broken++;
    }
  }

  /** The source starts over: its time means something else. */
  sourceChanged(): void {
    this.#playout?.jitter.restart();
  }

  tick(nowMs: number): void {
    try {
      this.#playout?.tick(nowMs);
    } catch (error) {
      if (!(error instanceof WireError)) throw error; // an encoder that was started over
      this.#tell(messageOf(error));
    }
  }

  [Symbol.dispose](): void {
    this.#playout = null;
    this.#path = null;
    for (const path of this.#paths.values()) path[Symbol.dispose]();
    this.#paths.clear();
  }

  #use(format: AudioFormat): AudioPath {
    if (this.#format !== format || this.#path === null) {
      this.#format = format;
      this.#path = this.#paths.get(format) ?? this.#open(format);
      const { registry } = this.#options.codecs;
      this.#decoding = registry.named(format.codec)?.transcode?.configured ?? null;
      this.#playout?.use(this.#path);
      this.#playout?.jitter.restart();
    }
    const path = this.#path;
    if (this.#playout === null) {
      path.skip(path.bufferedMs);
      this.#playout = new Playout(path, this.#options.sink);
    }
    return path;
  }

  #open(from: AudioFormat): AudioPath {
    const { to, codecs, random } = this.#options;
    const path = new AudioPath({ from, to, codecs, random, bufferMs: BUFFER_MS });
    this.#paths.set(from, path);
    return path;
  }

  /** False while the stream cannot be decoded. */
  #configure(path: AudioPath, decoding: ConfiguredDecoding): boolean {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#configuredMs < CONFIGURE_EVERY_MS || this.#config === null) return false;
    this.#configuredMs = nowMs;
    try {
      path.configure(this.#config);
      this.#configured = true;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#tell(decoding.unusable(messageOf(error)), true);
    }
    return this.#configured;
  }

  /** It may come late; when it never does, nothing of the source is ever heard. */
  #waitForConfig(decoding: ConfiguredDecoding): void {
    this.#broken++;
    if (++this.#unconfigured === UNCONFIGURED_PACKETS) this.#tell(decoding.missing, true);
  }

  #countBroken(format: AudioFormat): void {
    this.#broken++;
    this.#tell(`malformed ${format.codec} audio; gaps are concealed`);
  }

  #tell(text: string, refused = false): void {
    if (this.#told.has(text) || this.#told.size > 8) return;
    this.#told.add(text);
    this.#options.onWarning(text, refused);
  }
}

function sameOctets(a: Uint8Array, b: Uint8Array | null): boolean {
  return b !== null && a.length === b.length && a.every((octet, i) => octet === b[i]);
}
