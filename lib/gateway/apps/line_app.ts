// The line application: rtmp://gateway/line/<account> plays who calls that account, what is published to
// line/<account>/say goes to them. Takes the calls and messages of every account.
// Role: edge

import type { CodecRegistry } from "../../codecs/registry.ts";
import { Ticker } from "../../base/ticker.ts";
import { Scope } from "../../base/scope.ts";
import type { MediaFactory } from "../../call/call_media.ts";
import type { CallServices } from "../../call/leg.ts";
import { receivedPagingMessage } from "../../call/talk.ts";
import type { PlayOutcome } from "../../live/net_stream_client.ts";
import type { LiveSink } from "../../live/subscription.ts";
import type { AccountApplication, AccountUse, PublisherOutcome, ServedAccount } from "./account_client.ts";
import { type AccountAppParts, mediaOf, refusedPlay, refusedPublisher } from "./call_app.ts";
import { CallInLine, linePath, SAY } from "./call_in_line.ts";
import { StreamClient } from "./stream_client.ts";
import { silentFrames, toneFrames, type WaitingFrames, WaitingSound } from "./waiting_sound.ts";

export interface LineAppParts extends AccountAppParts {
  readonly accounts: { all(): readonly ServedAccount[] };
}

/** Every player plays these. */
const WITH_AAC: readonly string[] = ["aac", "h264", "dtmf"];
/** Most players play these, and nothing is transcoded. */
const WITHOUT_AAC: readonly string[] = ["pcmu", "pcma", "h264", "dtmf"];

const HEAR = "hear";

const FRAME_MS = 20;

/** For accounts that name none. @param transcodable what this gateway can transcode */
export function lineCodecs(transcodable: ReadonlySet<string>): readonly string[] {
  return transcodable.has("aac") ? WITH_AAC : WITHOUT_AAC;
}

export class LineApp implements AccountApplication, AsyncDisposable {
  readonly #parts: LineAppParts;
  readonly #lines = new Map<string, CallInLine>();
  readonly #scope: Scope;
  readonly #ticker: Ticker;
  readonly #frames: Readonly<Record<"silence" | "tone", WaitingFrames>>;

  constructor(parts: LineAppParts) {
    this.#parts = parts;
    this.#scope = new Scope("lines", { log: parts.log });
    const onError = (error: unknown): void => parts.log.error("waiting sound failed", error);
    this.#ticker = new Ticker(parts.clock, FRAME_MS, onError);
    this.#frames = { silence: silentFrames(), tone: toneFrames() };
    for (const account of parts.accounts.all()) this.#lines.set(account.config.name, this.#open(account));
  }

  /** Takes calls and messages, until the user agents of the accounts end. */
  start(): void {
    for (const { config: { name }, agent } of this.#parts.accounts.all()) {
      const line = this.#lines.get(name)!;
      this.#scope.spawn(`calls of ${name}`, async () => {
        for await (const invitation of agent.invitations()) line.invited(invitation);
      });
      this.#scope.spawn(`messages of ${name}`, async () => {
        for await (const message of agent.messages()) receivedPagingMessage(line.leg, message);
      });
    }
  }

  publish(use: AccountUse, instead: AccountUse | null = null): PublisherOutcome {
    const { name } = use.account.config;
    if (use.rest !== SAY) return refusedPublisher(`to speak on the line, publish to line/${name}/${SAY}`);
    return this.#lines.get(name)!.publish(use, instead);
  }

  play(use: AccountUse, sink: LiveSink): PlayOutcome {
    const { name } = use.account.config;
    if (use.rest !== "" && use.rest !== HEAR) return refusedPlay(`to hear the line, play line/${name}`);
    return this.#lines.get(name)!.play(use, sink);
  }

  /** Hangs up; the clients have left and the user agents of the accounts have ended by now. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#lines.values()].map((line) => line[Symbol.asyncDispose]()));
    this.#ticker[Symbol.dispose]();
    await this.#scope.close();
  }

  #open(account: ServedAccount): CallInLine {
    const { streams, clock, transcodable } = this.#parts;
    const { config, agent, log } = account;
    const services: CallServices = {
      shared: this.#parts,
      log,
      media: freshForEachCall(this.#parts.registry, () => mediaOf(this.#parts, log)),
      account: config.name,
      askedBy: "",
    };
    const line: CallInLine = new CallInLine({
      account,
      codecs: config.codecs.length > 0 ? config.codecs : lineCodecs(transcodable),
      openClient: (link) =>
        new StreamClient({
          link,
          agent,
          services,
          remote: { streams, path: linePath(config.name) },
          rtmpPeer: () => line.rtmpPeer,
        }),
      createWaiting: (leg) =>
        new WaitingSound({
          frames: this.#frames[config.waiting],
          clock,
          ticker: this.#ticker,
          put: (message) => leg.put(message),
        }),
      streams,
      clock,
    });
    return line;
  }
}

/** The RTMP time of each call begins with it. */
function freshForEachCall(registry: CodecRegistry, create: () => MediaFactory): MediaFactory {
  return {
    registry,
    open: (localAddress, codecs) => create().open(localAddress, codecs),
    addressFacing: (offer, hop) => create().addressFacing(offer, hop),
    withAddresses: (description) => create().withAddresses(description),
    objection: (offer) => create().objection(offer),
  };
}
