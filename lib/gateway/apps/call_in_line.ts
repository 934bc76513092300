// The call-in line of one account: callers are answered, heard by all who play line/<account>, and hear who publishes
// line/<account>/say, or a waiting sound. Who plays stays subscribed between calls.
// Role: machine

import type { AmfValue } from "../../amf/value.ts";
import type { Clock } from "../../base/clock.ts";
import { answer, invited, refuse } from "../../call/answer.ts";
import type { CallLeg, ClientLink } from "../../call/leg.ts";
import type { PlayOutcome } from "../../live/net_stream_client.ts";
import type { LiveSink } from "../../live/subscription.ts";
import { REPLACED } from "../../live/publisher.ts";
import type { LiveStreams } from "../../live/streams.ts";
import type { Invitation } from "../../sip/ua/invitation.ts";
import {
  type AccountConnection,
  type AccountUse,
  type PublisherOutcome,
  rtmpPeerOf,
  type ServedAccount,
} from "./account_client.ts";
import type { RtmpPeer } from "../../call/registry.ts";
import type { StreamClient } from "./stream_client.ts";
import type { WaitingSound } from "./waiting_sound.ts";

interface CallInLineParts {
  readonly account: ServedAccount;
  readonly codecs: readonly string[];
  readonly openClient: (link: ClientLink) => StreamClient;
  /** What callers hear until somebody publishes. */
  readonly createWaiting: (leg: CallLeg) => WaitingSound;
  readonly streams: LiveStreams;
  readonly clock: Clock;
}

export function linePath(account: string): string {
  return `line/${account}`;
}

export const SAY = "say";

/** A publisher that is back so soon, has not hung up. */
const HANG_UP_MS = 2_000;

/**
 *   answer = "auto"         rings and is answered at once; without a publisher the call goes on
 *   answer = "on-publish"   rings until somebody publishes; 2 s after the publisher has left the call is hung up
 *   answer = "no"           480
 *
 * A second caller gets 486.
 */
export class CallInLine implements ClientLink, AsyncDisposable {
  readonly #parts: CallInLineParts;
  readonly #client: StreamClient;
  readonly #waiting: WaitingSound;
  /** Streams that get statuses: players, and the publisher. */
  readonly #present = new Set<AccountUse>();
  #publisher: AccountUse | null = null;
  #longest: Disposable | null = null;
  #hangingUp: Disposable | null = null;

  constructor(parts: CallInLineParts) {
    this.#parts = parts;
    this.#client = parts.openClient(this);
    this.#waiting = parts.createWaiting(this.leg);
  }

  /** Its end of the calls, one after the other. */
  get leg(): CallLeg {
    return this.#client.leg;
  }

  /** Who publishes; null: nobody. */
  get rtmpPeer(): RtmpPeer | null {
    const publisher = this.#publisher;
    return publisher === null
      ? null
      : rtmpPeerOf(publisher, `${linePath(publisher.account.config.name)}/${SAY}`);
  }

  invited(invitation: Invitation): void {
    const { config } = this.#parts.account;
    if (config.answer !== "no") return invited(this.leg, invitation);
    this.leg.log.info(
      `call from ${invitation.from.uri.user ?? ""}@${invitation.from.uri.host} rejected 480: takes no calls`,
    );
    refuse(this.leg, invitation, 480, "Temporarily Unavailable");
  }

  publish(use: AccountUse, instead: AccountUse | null = null): PublisherOutcome {
    if (this.#closed !== null) return { type: "refused", reason: this.#closed, there: null };
    const there = this.#publisher;
    if (there !== null && there !== instead) {
      return { type: "refused", reason: "somebody else speaks on this line", there };
    }
    this.#publisher = use;
    if (there !== null) {
      this.#present.delete(there);
      there.end(REPLACED);
    }
    this.#present.add(use);
    this.#clear();
    this.#waiting.stop();
    this.leg.publishedBy(use.stream);
    this.leg.log.info(`publisher connected from ${use.connection.peer.hostname}`);
    if (this.leg.state.type === "alerting") this.#answer();
    return {
      type: "publishing",
      publisher: {
        media: (message) => this.leg.put(message),
        ended: () => this.#publisherLeft(use),
        bye: () => this.#hangUp("hung up"),
        sendDigits: (digits, durationMs, done) => this.leg.sendDigits(digits, durationMs, done),
      },
    };
  }

  /** Also before, between and after calls. */
  play(use: AccountUse, sink: LiveSink): PlayOutcome {
    if (this.#closed !== null) return { type: "refused", reason: this.#closed };
    const outcome = this.#parts.streams.play(linePath(use.account.config.name), lasting(sink));
    if (outcome.type === "refused") return outcome;
    const { subscription } = outcome;
    this.#present.add(use);
    const leave = (): void => {
      this.#present.delete(use);
      subscription[Symbol.dispose]();
    };
    return { type: "playing", subscription: { [Symbol.dispose]: leave } };
  }

  call(method: string, ...args: AmfValue[]): void {
    switch (method) {
      case "invited":
        return this.#rings(String(args[0]));
      case "accepted":
        return this.#accepted();
      case "cancelled":
        return this.#ended(this.#hungUpHere ? "hung up" : "the caller gave up");
      case "byed":
        return this.#ended(this.#hungUpHere ? "hung up" : "the remote party hung up");
      default:
        for (const connection of this.#connections()) connection.call(method, ...args);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#clear();
    this.#longest?.[Symbol.dispose]();
    this.#waiting.stop();
    return this.#client[Symbol.asyncDispose]();
  }

  /** Neither the remote party nor a client has ended the last call, but whoever operates the gateway. */
  get #hungUpHere(): boolean {
    return this.leg.ending?.by === "local";
  }

  /** Why the line is of no use; null: it answers. */
  get #closed(): string | null {
    const { name, answer } = this.#parts.account.config;
    return answer === "no"
      ? `the account ${name} takes no calls: it has no answer = "auto" or "on-publish"`
      : null;
  }

  #rings(from: string): void {
    this.#tell("NetStream.Call.Ringing", `${from} calls`);
    if (this.#parts.account.config.answer === "auto" || this.#publisher !== null) this.#answer();
  }

  #answer(): void {
    answer(this.leg, this.#parts.codecs);
  }

  #accepted(): void {
    const { account: { config }, clock } = this.#parts;
    const seconds = config.maxDurationSeconds;
    this.#longest = seconds === 0 ? null : clock.after(seconds * 1000, () => this.#tooLong(seconds));
    this.#tell("NetStream.Call.Accepted", "the call is up");
    if (this.#publisher !== null) return;
    this.#waiting.start();
    this.#hangUpSoon(); // who let it be answered may have left before the ACK came
  }

  #tooLong(seconds: number): void {
    this.#hangUp(`the call has lasted ${seconds} s, the longest that is allowed`);
  }

  #publisherLeft(use: AccountUse): void {
    this.#present.delete(use);
    if (this.#publisher !== use) return;
    this.#publisher = null;
    this.leg.publishedBy(null);
    this.leg.log.info("publisher left");
    if (this.leg.state.type !== "talking") return;
    this.#waiting.start();
    this.#hangUpSoon();
  }

  #hangUpSoon(): void {
    if (this.#parts.account.config.answer !== "on-publish") return;
    this.#clear();
    this.#hangingUp = this.#parts.clock.after(HANG_UP_MS, () => this.#hangUp("the publisher has left"));
  }

  #hangUp(reason: string): void {
    if (this.leg.state.type === "idle") return;
    this.leg.log.info(`hanging up: ${reason}`);
    this.leg.hangUp();
    this.#ended(reason);
  }

  #ended(reason: string): void {
    this.#clear();
    this.#longest?.[Symbol.dispose]();
    this.#longest = null;
    this.#waiting.stop();
    this.#tell("NetStream.Call.Ended", reason);
  }

  #clear(): void {
    this.#hangingUp?.[Symbol.dispose]();
    this.#hangingUp = null;
  }

  /** Never as an error, at which ffmpeg ends: there will be other calls. The call itself has told the log. */
  #tell(code: string, text: string): void {
    this.leg.log.debug(`${code.replace("NetStream.", "")}: ${text}`);
    for (const { stream } of this.#present) stream.status("status", code, text);
  }

  #connections(): ReadonlySet<AccountConnection> {
    return new Set([...this.#present].map(({ connection }) => connection));
  }
}

/** Players are not told that a call is over as if the stream were: ffmpeg would end. */
function lasting(sink: LiveSink): LiveSink {
  return {
    congestion: () => sink.congestion(),
    media: (type, timeMs, body) => sink.media(type, timeMs, body),
    started: () => sink.started?.(),
    dropped: (video, audio) => sink.dropped?.(video, audio),
  };
}
