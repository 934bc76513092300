// One measured call through a gateway, as an RTMP client would make it: connect, dial, send the sample or a file, count what
// comes back, hang up.
// Role: edge

import { type AmfValue, getProperty, propertiesOf, textOf } from "../../amf/value.ts";
import { delay } from "../../base/clock.ts";
import { messageOf, TransportError, WireError } from "../../base/errors.ts";
import { Mailbox } from "../../base/mailbox.ts";
import { maskSecrets } from "../../base/mask_secrets.ts";
import type { Runtime } from "../../base/runtime.ts";
import { FlvReader, FlvWriter } from "../../flv/writer.ts";
import { SAMPLE_BLOCK_MS, SampleSource } from "../../codecs/sample.ts";
import { stripWidebandLayer } from "../../codecs/speex_bits.ts";
import { createTag, readTag } from "../../media/tag.ts";
import { type ClientStream, RtmpClient, RtmpRefused } from "../../rtmp/client.ts";
import { EchoMeter, isLocal503, type LadderStep, type Party, type TrialOutcome } from "./echo_meter.ts";

export type TrialCodec = "speex" | "narrowband" | "pcmu" | "pcma";

export interface TrialOptions {
  readonly url: string;
  readonly destination: string;
  /** User name for the SIP server; null: the one of the URL. */
  readonly login: string | null;
  /** Password for the SIP server; empty: no registration. Never logged. */
  readonly password: string;
  readonly displayName: string | null;
  readonly source:
    | { readonly kind: "sample"; readonly codec: TrialCodec; readonly durationSeconds: number }
    | {
      readonly kind: "file";
      readonly path: string;
      readonly codec: TrialCodec | null;
      readonly durationSeconds: number | null;
    };
  /** FLV file for what comes back; null: it is only counted. */
  readonly record: string | null;
}

export interface TrialEnvironment extends Runtime {
  /** Told each step as it happens, and once a second while audio flows. */
  readonly onProgress?: (text: string) => void;
}

export interface TrialReport {
  readonly outcome: TrialOutcome;
  readonly steps: readonly LadderStep[];
  /** From `invite` to `accepted`; null when it was not accepted. */
  readonly setUpMs: number | null;
}

/** How long the gateway may take to say what became of an `invite`: longer than SIP's own 32 s. */
const ANSWER_TIMEOUT_MS = 40_000;
/** How long to wait for the last packets of an echo. */
const TAIL_MS = 1000;
/** How often the person is told how far the call is. */
const PROGRESS_MS = 1000;

const CODEC_TOKENS: Record<TrialCodec, string> = {
  speex: "wideband",
  narrowband: "narrowband",
  pcmu: "pcmu",
  pcma: "pcma",
};

type Callback = { name: string; args: readonly AmfValue[] };

/** Makes one call. Only files that cannot be used are thrown (TransportError), before anybody is called. */
export async function runTrialCall(
  options: TrialOptions,
  environment: TrialEnvironment,
  signal: AbortSignal,
): Promise<TrialReport> {
  await using messages = messagesOf(options.source);
  const first = await messages.next();
  if (first.done) {
    const path = options.source.kind === "file" ? options.source.path : "the sample";
    throw new TransportError(`${path} has no audio to send`, "failed");
  }
  await using recorder = options.record === null ? null : await FlvWriter.create(options.record);
  const tokens = tokensFor(options.source.codec, first.value.body);
  const trial = new Trial(options, tokens, environment, recorder);
  const outcome = await trial.run(startingWith(first.value, messages), signal);
  return { outcome, steps: trial.steps, setUpMs: trial.setUpMs };
}

/** What to ask for: the codec wished for, else the one of the file, by its first audio tag. */
function tokensFor(wished: TrialCodec | null, body: Uint8Array): readonly string[] {
  if (wished !== null) return [CODEC_TOKENS[wished]];
  const { codec } = readTag(8, body, createTag());
  switch (codec) {
    case "pcma":
    case "pcmu":
      return [codec];
    case "speex":
      return ["wideband", "narrowband"];
    default: // the gateway transcodes, or says that it cannot
      return Object.values(CODEC_TOKENS);
  }
}

function messagesOf(source: TrialOptions["source"]): AsyncGenerator<AudioMessage, void, void> {
  if (source.kind === "file") return fileMessages(source.path, source.durationSeconds ?? Infinity);
  const codec = source.codec === "narrowband" ? "speex" : source.codec;
  return sampleMessages(codec, source.durationSeconds);
}

async function* startingWith(
  first: AudioMessage,
  rest: AsyncGenerator<AudioMessage, void, void>,
): AsyncGenerator<AudioMessage, void, void> {
  yield first;
  yield* rest;
}

class Trial {
  readonly steps: LadderStep[] = [];
  setUpMs: number | null = null;
  readonly #options: TrialOptions;
  readonly #tokens: readonly string[];
  readonly #environment: TrialEnvironment;
  readonly #recorder: FlvWriter | null;
  readonly #callbacks = new Mailbox<Callback>(64);
  readonly #meter = new EchoMeter();
  readonly #startMs: number;
  /** What the gateway said about the connection as a whole; most often why it closes it. */
  #lastStatus = "";

  constructor(
    options: TrialOptions,
    tokens: readonly string[],
    environment: TrialEnvironment,
    recorder: FlvWriter | null,
  ) {
    this.#options = options;
    this.#tokens = tokens;
    this.#environment = environment;
    this.#recorder = recorder;
    this.#startMs = environment.clock.now();
  }

  async run(messages: AsyncIterable<AudioMessage>, signal: AbortSignal): Promise<TrialOutcome> {
    const { url, login, password, displayName } = this.#options;
    this.#step("client", "gateway", `connect ${new URL(url).pathname.slice(1)}`);
    try {
      await using client = await RtmpClient.open(url, {
        ...this.#environment,
        args: [login, password, displayName, "wideband"],
        signal,
        onCall: (name, args) => this.#called(name, args),
      });
      void client.closed.then(() => this.#callbacks.push({ name: "(connection closed)", args: [] }));
      if (password !== "") this.#step("gateway", "sip", "REGISTER");
      if (password !== "") this.#step("sip", "gateway", "200 OK");
      this.#step("gateway", "client", password === "" ? "connected" : "connected and registered");
      return await this.#converse(client, messages, signal);
    } catch (error) {
      if (error instanceof RtmpRefused) return this.#refused(error.description);
      if (error instanceof TransportError) return this.#refused(messageOf(error));
      if (error instanceof WireError) return this.#refused(`${messageOf(error)}; is that an RTMP port?`);
      throw error;
    }
  }

  #refused(reason: string): TrialOutcome {
    this.#step("gateway", "client", `refused: ${reason}`);
    return { type: "refused by gateway", reason };
  }

  async #converse(
    client: RtmpClient,
    messages: AsyncIterable<AudioMessage>,
    signal: AbortSignal,
  ): Promise<TrialOutcome> {
    const [speaking, listening] = [await client.createStream(), await client.createStream()];
    listening.onMedia = (message) => {
      if (message.type !== 8 || message.body.length < 2) return;
      this.#meter.returned(message.body.subarray(1), this.#environment.clock.now());
      this.#recorder?.put(8, message.timeMs, message.body);
    };
    await speaking.publish("local");
    await listening.play("remote");
    const refusal = await this.#dial(client, signal);
    if (refusal !== null) return refusal;
    const cut = await this.#speak(speaking, messages, signal);
    if (cut === null) {
      this.#step("client", "gateway", "bye");
      this.#step("gateway", "sip", "BYE");
      client.send("bye");
    }
    await speaking.close();
    await listening.close();
    const echo = this.#meter.report();
    return cut === null ? { type: "completed", echo } : { type: "cut", reason: cut, echo };
  }

  /** Null when the call is up. */
  async #dial(client: RtmpClient, signal: AbortSignal): Promise<TrialOutcome | null> {
    const { destination } = this.#options;
    const dialledMs = this.#environment.clock.now();
    this.#step("client", "gateway", `invite ${destination}`);
    this.#step("gateway", "sip", "INVITE");
    const invite = this.steps.at(-1)!;
    client.send("invite", destination, ...this.#tokens, "dtmf");
    const patience = new AbortController();
    using _timer = this.#environment.clock.after(ANSWER_TIMEOUT_MS, () => patience.abort());
    const limit = AbortSignal.any([signal, patience.signal]);
    for (;;) {
      const callback = await this.#callbacks.next(limit);
      if (callback === undefined) return { type: "no answer" };
      const text = callback.args.map((arg) => String(arg)).join(", ");
      switch (callback.name) {
        case "ringing":
          this.#step("sip", "gateway", text);
          this.#step("gateway", "client", `ringing(${text})`);
          continue;
        case "accepted":
          this.setUpMs = this.#environment.clock.now() - dialledMs;
          this.#step("sip", "gateway", "200 OK");
          this.#step("gateway", "client", `accepted(${text})`);
          return null;
        case "rejected":
          this.#answered(invite, text);
          this.#step("gateway", "client", `rejected(${text})`);
          return { type: "rejected", reason: text };
        case "(connection closed)":
          return { type: "rejected", reason: this.#closed };
      }
    }
  }

  /** Draws where the refusal came from: the SIP side, its silence, or the gateway, which then sent no INVITE. */
  #answered(invite: LadderStep, text: string): void {
    if (cameFromGateway(text)) this.steps.splice(this.steps.indexOf(invite), 1);
    else if (text.startsWith("408 ")) this.#step("sip", "sip", "(no answer)");
    else this.#step("sip", "gateway", text);
  }

  /** Sends everything at its time and waits for the tail; why it was cut short, or null. */
  async #speak(
    stream: ClientStream,
    messages: AsyncIterable<AudioMessage>,
    signal: AbortSignal,
  ): Promise<string | null> {
    try {
      return await this.#send(stream, messages, signal);
    } catch (error) {
      if (error instanceof TransportError) return messageOf(error); // the file broke off, or the connection
      throw error;
    }
  }

  async #send(
    stream: ClientStream,
    messages: AsyncIterable<AudioMessage>,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { clock } = this.#environment;
    const fingerprint = this.#options.source.codec === "narrowband" ? stripWidebandLayer : sameBytes;
    const startMs = clock.now();
    let nextReportMs = PROGRESS_MS;
    for await (const message of messages) {
      if (message.timeMs >= nextReportMs) {
        nextReportMs += PROGRESS_MS;
        this.#reportProgress(message.timeMs);
      }
      if (!await delay(clock, Math.max(0, startMs + message.timeMs - clock.now()), signal)) {
        return "interrupted";
      }
      const cut = await this.#cutShort();
      if (cut !== null) return cut;
      this.#meter.sent(fingerprint(message.body.subarray(1)), clock.now());
      stream.send(8, message.timeMs, message.body);
    }
    for (let waitedMs = 0; waitedMs < TAIL_MS && !this.#meter.complete; waitedMs += 20) {
      await delay(clock, 20, signal);
    }
    const { sent, returned } = this.#meter.report();
    this.#step("client", "client", `${sent} audio packets sent, ${returned} returned`);
    return null;
  }

  async #cutShort(): Promise<string | null> {
    while (this.#callbacks.size > 0) {
      const callback = await this.#callbacks.next();
      if (callback?.name === "byed") {
        this.#step("sip", "gateway", "BYE");
        this.#step("gateway", "client", "byed");
        return "remote party hung up";
      }
      if (callback?.name === "(connection closed)") return this.#closed;
    }
    return null;
  }

  #called(name: string, args: readonly AmfValue[]): void {
    if (name === "onStatus") this.#lastStatus = textOf(getProperty(propertiesOf(args[0]), "description"));
    this.#callbacks.push({ name, args });
  }

  get #closed(): string {
    return `the gateway closed the connection${this.#lastStatus === "" ? "" : `: ${this.#lastStatus}`}`;
  }

  #step(from: Party, to: Party, said: string): void {
    const text = maskSecrets(said);
    this.steps.push({ atMs: this.#environment.clock.now() - this.#startMs, from, to, text });
    if (from !== "sip" && to !== "sip") this.#environment.onProgress?.(text);
  }

  #reportProgress(timeMs: number): void {
    const { sent, returned } = this.#meter.report();
    this.#environment.onProgress?.(
      `${Math.round(timeMs / 1000)} s: ${sent} packets sent, ${returned} returned`,
    );
  }
}

/** Refusals that the gateway makes by itself (behaviour.md 1.4): it could not send the INVITE. */
function cameFromGateway(reason: string): boolean {
  return !/^\d{3} /.test(reason) || isLocal503(reason);
}

function sameBytes(bytes: Uint8Array): Uint8Array {
  return bytes;
}

/** One audio message: FLV tag body and its time. */
export interface AudioMessage {
  /** When to send it, ms from the start. */
  readonly timeMs: number;
  /** FLV tag body, its own bytes. */
  readonly body: Uint8Array;
}

/** FLV tag header bytes of the codecs a trial can send, for RTMP (behaviour.md 1.8). */
const TAG_BYTE = { speex: 0xb2, pcmu: 0x82, pcma: 0x72 };

type SampleCodec = "speex" | "pcmu" | "pcma";

/** The built-in sample for `durationSeconds`, in blocks of 20 ms. */
export async function* sampleMessages(
  codec: SampleCodec,
  durationSeconds: number,
): AsyncGenerator<AudioMessage, void, void> {
  const source = new SampleSource(codec);
  for (let timeMs = 0; timeMs < durationSeconds * 1000; timeMs += SAMPLE_BLOCK_MS) {
    const block = source.next();
    const body = new Uint8Array(block.length + 1);
    body[0] = TAG_BYTE[codec];
    body.set(block, 1);
    yield { timeMs, body };
  }
}

/** The audio tags of an FLV file, times from 0. TransportError with the path when it cannot be read, or is none. */
export async function* fileMessages(path: string, seconds: number): AsyncGenerator<AudioMessage, void, void> {
  try {
    yield* audioTags(path, seconds);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new TransportError(`${path} cannot be sent: ${messageOf(error)}`, "failed", { cause: error });
  }
}

async function* audioTags(path: string, seconds: number): AsyncGenerator<AudioMessage, void, void> {
  using reader = await FlvReader.open(path);
  let firstMs: number | null = null;
  for await (const tag of reader.tags()) {
    if (tag.type !== 8 || tag.body.length < 2) continue;
    firstMs ??= tag.timeMs;
    if (tag.timeMs - firstMs >= seconds * 1000) return;
    yield { timeMs: tag.timeMs - firstMs, body: tag.body.slice() };
  }
}
