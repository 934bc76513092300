// The audio of one call, both ways, and the DTMF in the same stream (RFC 4733). What the remote party takes as it is passes
// through octet for octet, anything else is transcoded, decided frame by frame: a client sends what it likes, whatever was
// agreed, and a peer may use any codec of the answer. Nothing is allocated per packet.
// Role: machine

import { ByteWriter } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { Pacer } from "../base/pacer.ts";
import type { Ticker } from "../base/ticker.ts";
import { WireError } from "../base/errors.ts";
import type { AudioPacketizer, Codec } from "../codecs/codec.ts";
import { builtInCodecs, type CodecRegistry } from "../codecs/registry.ts";
import { decodeTag } from "../media/flv_tag.ts";
import { type CodecName, createFrame, type Frame } from "../media/frame.ts";
import { createTag, readTag, type Tag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { RtpSink } from "../rtp/session.ts";
import type { AgreedFormat } from "../sdp/agreed_media.ts";
import {
  agreedCodec,
  codecForPlayer,
  createPacketizer,
  createReceivedFormats,
  passesAsItIs,
  type ReceivedFormat,
  refusalOf,
  SILENT_PACKET_MS,
  silentPayload,
  sipFormat,
  soundOf,
} from "./audio_passthrough.ts";
import type { TagSink } from "./call_media.ts";
import type { MediaWarning } from "./media_warnings.ts";
import type { NegotiatedAudio } from "./negotiation.ts";
import { DtmfStream, type DtmfTransport } from "./dtmf_stream.ts";
import { TranscodeBridge, type TranscodeServices } from "./transcode_bridge.ts";

export interface AudioBridgeOptions {
  readonly chain: NegotiatedAudio;
  /** What its codecs are; absent: those that are built in. */
  readonly registry?: CodecRegistry;
  /** The agreed DTMF formats: the first is sent, all are heard; empty: the peer takes none. */
  readonly telephoneEvents: readonly AgreedFormat[];
  /** The agreed redundancy (RFC 2198) for DTMF, or null. */
  readonly redundancy: AgreedFormat | null;
  /** Payload types of comfort noise beside the static one. */
  readonly comfortNoise?: readonly number[];
  readonly clock: Clock;
  /** What clock.now() was at RTMP time 0 of the client's connection. */
  readonly originMs: number;
  readonly toSip: RtpSink;
  readonly toRtmp: TagSink;
  readonly onDigit: (digit: string, durationMs: number) => void;
  /** Told where each message of the client lies on the RTP clock: timestamp, unwrapped, and its RTMP time. */
  readonly onPlaced: ((timestamp: number, timeMs: number) => void) | null;
  /** What turns one codec into another; absent: everything passes through or is dropped. */
  readonly transcoding?: TranscodeServices;
  readonly onWarning?: (warning: MediaWarning) => void;
}

/** Passed as it is, made by transcoding, or silence before the client's own audio. */
type Origin = "passed" | "made" | "silence";

/** On every second tick of 10 ms. */
const SILENCE_PACE = { every: 2, periodMs: SILENT_PACKET_MS, earlyMs: 0, maxLateMs: 200 };

/** Comfort noise beside codecs of 8 kHz has a payload type that needs no agreement (RFC 3551 table 4). */
const COMFORT_NOISE = 13;

/** Where tags are put together, for all calls of this thread: an outlet has consumed one when it returns. */
const workbench = new ByteWriter(4096);
/** Filled by each call, and read before it returns. */
const header = createTag();

export class AudioBridge implements Disposable {
  /** Messages of the RTMP side that could not be sent on: a codec nobody takes, broken. */
  unusable = 0;
  /** Codec of the first unusable message, for the log; null while all is well. */
  firstUnusable: string | null = null;
  readonly #options: AudioBridgeOptions;
  /** Of the options, what each packet needs: it is not to be looked for. */
  readonly #toSip: RtpSink;
  readonly #toRtmp: TagSink;
  readonly #onPlaced: AudioBridgeOptions["onPlaced"];
  readonly #payloadType: number;
  readonly #registry: CodecRegistry;
  readonly #taken: Codec;
  readonly #played: Codec;
  /** What the last message of the client was: looked up when it changes. */
  #sentId = -1;
  #sent: Codec | null = null;
  #passes = false;
  /** FLV has no name for it: its frames come as whole bodies. */
  #unnamed = false;
  readonly #packetizer: AudioPacketizer | null;
  readonly #formats: readonly (ReceivedFormat | null)[];
  readonly #transcode: TranscodeBridge | null;
  readonly #frame = createFrame();
  readonly #madeFrame = createFrame();
  readonly #tones: DtmfStream;
  #hearing: ReceivedFormat | null = null;
  /** Where the payload comes from that is sent next, and where the last one came from. */
  #origin: Origin = "passed";
  #lastOrigin: Origin | null = null;
  /** Makes the timestamps of an origin follow those of the one before. */
  #shift = 0;
  #silence: Pacer | null = null;
  #refused = false;
  #announced = false;
  #lastTimeMs = 0;
  /** Builds both chains; when audio must be transcoded, silence is sent both ways from now on. */
  constructor(options: AudioBridgeOptions) {
    const { chain, clock, registry = builtInCodecs, originMs } = options;
    this.#options = options;
    this.#registry = registry;
    this.#toSip = options.toSip;
    this.#toRtmp = options.toRtmp;
    this.#onPlaced = options.onPlaced;
    this.#payloadType = chain.sendPayloadType;
    this.#taken = agreedCodec(registry, chain.remote);
    this.#played = agreedCodec(registry, codecForPlayer(chain));
    this.#packetizer = createPacketizer(chain, registry, clock);
    this.#formats = createReceivedFormats(chain.receive, { registry, clock, originMs });
    this.#tones = new DtmfStream({ ...options, ...soundOf(chain, registry), clockRate: chain.clockRate });
    this.#transcode = this.#createTranscode();
    if (chain.client !== chain.remote) this.#startTranscoding();
  }

  /** Broken audio of the client and of the peer that was concealed, in messages and packets. */
  get broken(): { readonly fromRtmp: number; readonly fromRtp: number } {
    return { fromRtmp: this.#transcode?.brokenFromRtmp ?? 0, fromRtp: this.#transcode?.brokenFromRtp ?? 0 };
  }

  /** Decoded audio that waits, in milliseconds: the client's and the peer's. */
  get bufferedMs(): { readonly fromRtmp: number; readonly fromRtp: number } {
    return this.#transcode?.bufferedMs ?? { fromRtmp: 0, fromRtp: 0 };
  }

  get transcodingSummary(): string {
    return this.#transcode?.summary() ?? "";
  }

  /** One audio message of the RTMP publisher. @param tag its header, where it has been read by now */
  fromRtmp(message: MediaMessage, tag: Tag = readTag(8, message.body, header)): void {
    const frame = this.#frame;
    try {
      decodeTag(8, message.timeMs, message.body, frame, tag);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#countUnusable("broken");
    }
    if (!frame.media || frame.data.length === 0) return; // Flash says so when its microphone falls silent
    if (tag.codecId !== this.#sentId) this.#changeSent(tag);
    const sent = this.#sent;
    if (this.#unnamed) {
      frame.data = message.body.subarray(tag.start, tag.end);
      if (frame.data.length === 0) return;
    }
    if (frame.config) return sent === null ? undefined : this.#transcode?.configure(sent, frame.data);
    if (this.#silence !== null) this.#stopSilence();
    if (sent === null) return this.#refuse(frame.codec);
    if (!this.#passes) {
      if (this.#transcode?.fromRtmp(sent, frame) !== true) this.#refuse(sent);
      return;
    }
    if (this.#tones.active) return;
    const packetizer = this.#packetizer!;
    this.#transcode?.stopUp();
    const { dropped } = packetizer;
    this.#origin = "passed";
    packetizer.push(frame, this.#send);
    if (packetizer.dropped !== dropped) return this.#countUnusable(frame.codec);
    this.#onPlaced?.(packetizer.timeline.lastTimestamp + this.#shift, frame.timeMs);
  }

  #changeSent({ codecId, codec }: Tag): void {
    this.#sentId = codecId;
    this.#sent = this.#registry.ofFlvId(codecId);
    this.#unnamed = this.#sent !== null && codec === "unknown";
    this.#passes = this.#sent !== null && passesAsItIs(this.#sent, this.#taken);
  }

  /** One RTP payload of the peer, in order; false when its payload type is not ours. */
  fromRtp(
    payload: Uint8Array,
    timestamp: number,
    marker: boolean,
    payloadType: number,
    lost: number,
  ): boolean {
    this.#tones.hear(payload, payloadType, lost);
    const heard = this.#formats[payloadType] ?? null;
    if (heard === null) return this.#fromRtpBeside(payload, timestamp, marker, payloadType);
    if (heard !== this.#hearing) this.#changeFormat(heard);
    if (heard.pass === null) return this.#transcode?.fromRtp(heard, payload, timestamp, lost) ?? false;
    this.#transcode?.stopDown();
    heard.pass.push(payload, timestamp, marker, this.#play, lost);
    return true;
  }

  /** The peer speaks another of its codecs: on another clock its timestamps cannot be held against earlier ones. */
  #changeFormat(heard: ReceivedFormat): void {
    if (this.#hearing !== null && this.#hearing.clockRate !== heard.clockRate) heard.pass?.restart();
    this.#hearing = heard;
  }

  /** RTMP time of a timestamp of the peer as things stand; null before its first audio. */
  peekMs(timestamp: number): number | null {
    const heard = this.#hearing;
    if (heard === null) return null;
    return heard.pass === null
      ? this.#transcode?.peekMs(timestamp / heard.clockRate * 1000) ?? null
      : heard.pass.timeline.peekMs(timestamp);
  }

  /** The peer's RTP source changed: its next timestamp means "now". */
  sourceChanged(): void {
    for (const heard of this.#formats) heard?.pass?.restart();
    this.#transcode?.sourceChanged();
  }

  /** Another stream publishes now: its next time means "now". */
  publisherChanged(): void {
    this.#refused = false;
    this.#packetizer?.restart();
    this.#transcode?.publisherChanged();
  }

  /** Sends silence until the client's own audio comes; nothing changes once that has come, or while it is sent. */
  startSilence(ticker: Ticker): void {
    const { chain, clock } = this.#options;
    const payload = silentPayload(chain, this.#registry);
    if (payload === null || this.#lastOrigin !== null || this.#silence !== null) return;
    const ticks = chain.clockRate * SILENT_PACKET_MS / 1000;
    this.#silence = new Pacer({
      ...SILENCE_PACE,
      ticker,
      startMs: clock.now(),
      run: (index) => {
        this.#origin = "silence";
        this.#send(payload, index * ticks, index === 0);
      },
    });
  }

  #stopSilence(): void {
    this.#silence?.[Symbol.dispose]();
    this.#silence = null;
  }

  /** Another stream plays now: it needs the configuration of what it gets. */
  playerChanged(): void {
    this.#announced = false;
  }

  /** Queues DTMF; false when the peer takes none this way or the queue is full. */
  sendDigits(digits: string, durationMs: number, way: DtmfTransport = "rtp"): boolean {
    return this.#tones.send(digits, durationMs, way);
  }

  [Symbol.dispose](): void {
    this.#stopSilence();
    this.#tones[Symbol.dispose]();
    this.#transcode?.[Symbol.dispose]();
  }

  #createTranscode(): TranscodeBridge | null {
    const { chain, transcoding, clock, originMs, onPlaced } = this.#options;
    const played = this.#played.transcode?.client;
    if (transcoding === undefined || transcoding.codecs.transcodable.size === 0 || !played) return null;
    return new TranscodeBridge({
      services: transcoding,
      clock,
      originMs,
      toSip: sipFormat(this.#taken, chain.clockRate, chain.ptimeMs),
      clockRate: chain.clockRate,
      toRtmp: played,
      emitPayload: (payload, timestamp, marker, mediaMs) => {
        this.#origin = "made";
        this.#send(payload, timestamp, marker);
        if (!Number.isNaN(mediaMs)) onPlaced?.(timestamp + this.#shift, mediaMs);
      },
      emitPacket: (packet, timeMs) => this.#playMade(packet, timeMs),
      onWarning: (text, refused) => {
        const status = refused ? "NetStream.Publish.UnsupportedCodec" : null;
        this.#options.onWarning?.({ text, status });
      },
    });
  }

  #startTranscoding(): void {
    const { chain } = this.#options;
    const heard = this.#formats[chain.receive[0]?.payloadType ?? -1];
    const client = agreedCodec(this.#registry, chain.client);
    const sent = client.transcode?.client;
    if (sent !== undefined && !passesAsItIs(client, this.#taken)) this.#transcode?.startUp(sent);
    if (heard && heard.pass === null) this.#transcode?.startDown(heard.format);
  }

  /** What packetizers emit goes here; a field, since each packet would else pass through one function more. */
  readonly #send = (payload: Uint8Array, timestamp: number, marker: boolean): void => {
    if (this.#tones.active) return; // audio and events share the stream: RFC 4733 section 2.5.1.1
    const changed = this.#origin !== this.#lastOrigin;
    if (changed) {
      this.#shift = this.#lastOrigin === null ? 0 : this.#tones.timestampNow - timestamp;
      this.#lastOrigin = this.#origin;
    }
    const placed = timestamp + this.#shift;
    if (placed < this.#tones.freeTimestamp) return;
    this.#tones.audioSent(placed);
    this.#toSip.send(payload, placed, marker || changed, this.#payloadType);
  };

  #playMade(packet: Uint8Array, timeMs: number): void {
    const frame = this.#madeFrame;
    frame.timeMs = timeMs;
    frame.data = packet;
    this.#play(frame);
  }

  readonly #play = (frame: Frame): void => {
    const codec = frame === this.#madeFrame ? this.#played : this.#hearing!.client;
    if (frame.timeMs < this.#lastTimeMs) frame.timeMs = this.#lastTimeMs; // another way of making it took over
    this.#lastTimeMs = frame.timeMs;
    const flv = codec.flv!;
    if (!this.#announced) this.#announce(codec, frame.timeMs);
    workbench.reset();
    const { frameHeader } = flv;
    for (let i = 0; i < frameHeader.length; i++) workbench.u8(frameHeader[i]!);
    workbench.bytes(frame.data);
    this.#toRtmp.play(8, frame.timeMs, workbench.view());
  };

  /** AAC and Opus begin with their configuration; the others have none. */
  #announce({ flv }: Codec, timeMs: number): void {
    this.#announced = true;
    if (flv?.configHeader === undefined) return;
    const config = flv.config ?? this.#transcode?.playerConfig;
    if (!config) return;
    workbench.reset();
    workbench.bytes(flv.configHeader);
    workbench.bytes(config);
    this.#toRtmp.play(8, timeMs, workbench.view());
  }

  #fromRtpBeside(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): boolean {
    if (this.#tones.fromRtp(payload, timestamp, marker, payloadType)) return true;
    const { comfortNoise = [] } = this.#options;
    if (payloadType !== COMFORT_NOISE && !comfortNoise.includes(payloadType)) return false;
    if (this.#hearing?.pass !== null) return false;
    this.#transcode?.comfortNoise(payload);
    return true;
  }

  #refuse(sent: Codec | CodecName): void {
    this.#countUnusable(typeof sent === "string" ? sent : sent.name);
    if (this.#refused) return;
    this.#refused = true;
    const transcoding = this.#transcode !== null;
    const text = refusalOf({ sent, taken: this.#taken, registry: this.#registry, transcoding });
    this.#options.onWarning?.({ text, status: "NetStream.Publish.UnsupportedCodec" });
  }

  #countUnusable(codec: string): void {
    this.unusable++;
    this.firstUnusable ??= codec;
  }
}
