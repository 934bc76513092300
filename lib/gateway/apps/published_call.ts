// The call of a program that publishes: dialled when its media says what it sends, dialled again as its account allows,
// ended with the publisher or by the remote party.
// Role: machine

import type { AmfValue } from "../../amf/value.ts";
import type { Random } from "../../base/random.ts";
import type { CallLeg, ClientLink, StatusStream } from "../../call/leg.ts";
import { dial } from "../../call/dial.ts";
import type { Codec } from "../../codecs/codec.ts";
import type { CodecRegistry } from "../../codecs/registry.ts";
import type { RedialPolicy, SipAccount } from "../../config/accounts.ts";
import type { StreamClient } from "./stream_client.ts";
import { isSound, publisherCodec } from "../../call/publisher_configs.ts";
import type { MediaMessage } from "../../rtmp/message.ts";
import type { Runtime } from "../../base/runtime.ts";

export type CallRules = Pick<SipAccount, "codecs" | "answerTimeoutSeconds" | "redial" | "maxDurationSeconds">;

type Tell = (level: "status" | "error", code: string, text: string) => void;

interface PublishedCallParts extends Pick<Runtime, "clock" | "random"> {
  readonly destination: string;
  readonly rules: CallRules;
  readonly registry: CodecRegistry;
  /** Codecs that can be turned into one another here: without it no phone hears AAC. */
  readonly transcodable: ReadonlySet<string>;
  readonly openClient: (link: ClientLink) => StreamClient;
  readonly tell: Tell;
  readonly callClient: (method: string, ...args: AmfValue[]) => void;
  /** The call is over, unless the publisher has left first; called once. */
  readonly onOver: (reason: string) => void;
}

/** Pictures alone for so long: there is no sound. */
const NO_SOUND_MS = 3_000;
/** A publisher that sends nothing for so long is gone, whatever its connection says. */
const NO_MEDIA_MS = 30_000;
const TONES: readonly string[] = ["dtmf"];

/** Why nothing is dialled, and what to do. */
const NO_PICTURES = "there is no audio, and only H.264 pictures can be carried in a call";

type PublishedCallState = "waiting" | "dialing" | "talking" | "pausing" | "over";

/**
 *   waiting -> (sound, or 3 s of pictures alone) -> dialing -> talking -> over
 *                                  pausing <- (busy, no answer, unreachable, 5xx) - dialing
 *                                  pausing -> (its delay is over) -> dialing
 */
export class PublishedCall implements ClientLink, AsyncDisposable {
  readonly #client: StreamClient;
  readonly #parts: PublishedCallParts;
  #state: PublishedCallState = "waiting";
  #codecs: readonly string[] = [];
  #redials = 0;
  #timer: Disposable | null = null;
  #quiet: Disposable;
  #heardAtMs: number;

  constructor(parts: PublishedCallParts, publisher: StatusStream) {
    this.#parts = parts;
    this.#client = parts.openClient(this);
    this.leg.publishedBy(publisher);
    this.#heardAtMs = parts.clock.now();
    this.#quiet = this.#watchQuiet(NO_MEDIA_MS);
  }

  get leg(): CallLeg {
    return this.#client.leg;
  }

  get state(): PublishedCallState {
    return this.#state;
  }

  media(message: MediaMessage): void {
    if (this.#state === "over") return;
    if (message.type !== 18 && message.body.length > 1) this.#heardAtMs = this.#parts.clock.now();
    this.leg.put(message);
    if (this.#state !== "waiting") return;
    if (isSound(message)) return this.#heardSound(message);
    if (message.type === 9) this.#timer ??= this.#parts.clock.after(NO_SOUND_MS, () => this.#noSound());
  }

  /** A newer connection of its program publishes from now on: the call goes on. */
  publishedBy(publisher: StatusStream): void {
    this.#heardAtMs = this.#parts.clock.now();
    this.leg.publishedBy(publisher);
    if (this.#state === "talking") this.#parts.tell("status", "NetStream.Call.Accepted", "the call is up");
  }

  /** The publisher has left, or wants no more: hangs up, or cancels. */
  leave(): void {
    if (this.#state === "over") return;
    this.#end();
  }

  /** The publisher says goodbye, and wants to hear that it is over. */
  bye(): void {
    this.#over("status", "NetStream.Call.Ended", "hung up");
  }

  call(method: string, ...args: AmfValue[]): void {
    if (this.#state === "over") return;
    switch (method) {
      case "ringing":
        return this.#parts.tell("status", "NetStream.Call.Ringing", String(args[0]));
      case "accepted":
        return this.#accepted();
      case "rejected":
        return this.#failed(String(args[0]));
      case "byed":
        return this.#over("status", "NetStream.Call.Ended", this.#whoHungUp());
      default:
        return this.#parts.callClient(method, ...args);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.leave();
    return this.#client[Symbol.asyncDispose]();
  }

  #heardSound(message: MediaMessage): void {
    const { rules: { codecs }, registry, transcodable } = this.#parts;
    const codec = publisherCodec(message.body, registry);
    if (codec === null) return this.#unsupported(unknownAudio(registry));
    if (codec.passthrough === undefined && !transcodable.has(codec.name)) {
      return this.#unsupported(unconvertible(codec, registry));
    }
    const own = [...registry.tokensOf(codec), ...TONES, ...(this.leg.hasVideo ? ["h264"] : [])];
    this.#codecs = codecs.length > 0 ? codecs : own;
    this.#dial();
  }

  #noSound(): void {
    if (!this.leg.hasVideo) return this.#unsupported(NO_PICTURES);
    const { rules: { codecs } } = this.#parts;
    this.#codecs = codecs.length > 0 ? codecs : ["h264"];
    this.#dial();
  }

  #unsupported(text: string): void {
    this.#over("error", "NetStream.Publish.UnsupportedCodec", text);
  }

  #dial(): void {
    const { destination, rules, clock } = this.#parts;
    this.#state = "dialing";
    this.#arm(clock.after(rules.answerTimeoutSeconds * 1000, () => this.#noAnswer()));
    dial(this.leg, destination, this.#codecs);
  }

  #noAnswer(): void {
    this.leg.hangUp();
    this.#failed(NO_ANSWER);
  }

  #accepted(): void {
    const { rules: { maxDurationSeconds }, clock, tell } = this.#parts;
    this.#state = "talking";
    this.#arm(
      maxDurationSeconds === 0 ? null : clock.after(maxDurationSeconds * 1000, () => this.#tooLong()),
    );
    tell("status", "NetStream.Call.Accepted", "the call is up");
  }

  #tooLong(): void {
    const { rules } = this.#parts;
    const reason = `the call has lasted ${rules.maxDurationSeconds} s, the longest that is allowed`;
    this.#over("status", "NetStream.Call.Ended", reason);
  }

  #failed(reason: string): void {
    const { rules: { redial }, clock, random, tell } = this.#parts;
    if (this.#redials >= redial.attempts || !isWorthRedialling(reason)) {
      return this.#over("error", "NetStream.Call.Rejected", reason);
    }
    const waitMs = redialDelayMs(redial, this.#redials++, random);
    this.#state = "pausing";
    this.#arm(clock.after(waitMs, () => this.#dial()));
    tell("status", "NetStream.Call.Retrying", `${reason}; dialled again in ${Math.ceil(waitMs / 1000)} s`);
  }

  #watchQuiet(waitMs: number): Disposable {
    const { clock } = this.#parts;
    return clock.after(waitMs, () => {
      const leftMs = this.#heardAtMs + NO_MEDIA_MS - clock.now();
      if (leftMs > 0) this.#quiet = this.#watchQuiet(leftMs);
      else this.#over("error", "NetStream.Call.Ended", `nothing was published for ${NO_MEDIA_MS / 1000} s`);
    });
  }

  #over(level: "status" | "error", code: string, reason: string): void {
    if (this.#state === "over") return;
    this.#end();
    this.#parts.tell(level, code, reason);
    this.#parts.onOver(reason);
  }

  #end(): void {
    this.#state = "over";
    this.#arm(null);
    this.#quiet[Symbol.dispose]();
    this.leg.hangUp();
    this.leg.publishedBy(null);
  }

  /** A publisher that has said `bye` does not come here. */
  #whoHungUp(): string {
    return this.leg.ending?.by === "local" ? "hung up" : "the remote party hung up";
  }

  #arm(timer: Disposable | null): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = timer;
  }
}

export const NO_ANSWER = "no answer";

/** Delays grow no further. */
const LONGEST_DELAY_MS = 5 * 60_000;
/** A delay is so much shorter or longer, by chance: those who failed together do not come back together. */
const JITTER = 0.2;

/** Responses below 500 that may be others in a moment. 408 also means that our INVITE got no response at all. */
const PASSING: readonly number[] = [408, 480, 486, 600];
/** Of 5xx: what the server cannot do now, it cannot do later. */
const LASTING: readonly number[] = [501, 505, 513, 580];

/**
 * Whether to dial again: for what may be different in a moment (busy, no answer, an overloaded or unreachable server),
 * not for what will be the same (RFC 3261 section 21). @param reason "486 Busy Here", or in words
 */
export function isWorthRedialling(reason: string): boolean {
  if (reason === NO_ANSWER) return true;
  const status = Number(/^(\d{3})\b/.exec(reason)?.[1] ?? 0);
  return PASSING.includes(status) || status >= 500 && status < 600 && !LASTING.includes(status);
}

/** @param redials further attempts so far */
export function redialDelayMs(policy: RedialPolicy, redials: number, random: Random): number {
  const plainMs = Math.min(LONGEST_DELAY_MS, policy.firstDelaySeconds * 1000 * 2 ** redials);
  return Math.min(LONGEST_DELAY_MS, Math.round(plainMs * (1 - JITTER + 2 * JITTER * random.float())));
}

function unknownAudio(registry: CodecRegistry): string {
  return `this kind of audio cannot be carried in a call: send ${registry.sendable()}`;
}

function unconvertible(codec: Codec, registry: CodecRegistry): string {
  return `${codec.label} cannot be converted here: send ${registry.sendable(codec)}`;
}
